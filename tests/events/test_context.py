"""`bind()`: who it reaches, and when it ends."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import contextvars
import copy
import functools
import gc
import inspect
import itertools
import json
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from enum import Enum
from typing import Any

import pytest

from rudder_logging import bind, carry, current
from rudder_logging.events.formatter import RudderFormatter
from rudder_logging.events.scopes import bound_fields, innermost
from rudder_logging.exceptions import InvalidValueError

from ..each import each


def message(formatter: RudderFormatter | None = None, /, **fields: Any) -> dict[str, Any]:
    """The message of an event logged here and now."""
    record = logging.makeLogRecord({"msg": "Read", "rudder": fields})
    made: dict[str, Any] = json.loads((formatter or RudderFormatter()).format(record))
    return made


class Key(Enum):
    """As apps keep their names."""

    X = "x"


def test_bound_fields_reach_events() -> None:
    """Within the block each event has them, and none after it."""
    with bind(user_id="u1", context={"ip": "192.0.2.1"}, properties={"a": 1}):
        inside = message()
    assert inside["userId"] == "u1"
    assert inside["context"]["ip"] == "192.0.2.1"
    assert inside["context"]["library"]["name"] == "rudder-logging"
    assert inside["properties"] == {"a": 1}
    with pytest.raises(InvalidValueError, match="no id"):
        message()


def test_every_bindable_field_arrives() -> None:
    """Both ids, the context, the integrations and the properties."""
    with bind(anonymous_id=7, integrations={"S3": False}):
        inside = message()
    assert inside["anonymousId"] == "7"
    assert inside["integrations"] == {"All": True, "S3": False}


def test_inner_blocks_win() -> None:
    """Nested blocks merge; each ends with itself."""
    with bind(user_id="outer", context={"a": {"x": 1, "y": 1}}):
        with bind(user_id="inner", context={"a": {"y": 2}}):
            inner = message()
        outer = message()
    assert inner["userId"] == "inner"
    assert inner["context"]["a"] == {"x": 1, "y": 2}
    assert outer["userId"] == "outer"
    assert outer["context"]["a"] == {"x": 1, "y": 1}
    assert not bound_fields()


def test_explicit_fields_win() -> None:
    """An event's own fields beat what is bound, key by key within mappings."""
    with bind(user_id="bound", properties={"a": 1, "b": 1}):
        own = message(userId="mine", properties={"b": 2})
    assert own["userId"] == "mine"
    assert own["properties"] == {"a": 1, "b": 2}


def test_what_is_bound_is_read_once() -> None:
    """What its mappings become later changes no event, whatever else is bound, ends or is asked."""
    context: dict[str, int] = {"a": 1}
    properties = {"n": [1]}
    with bind(context=context, properties=properties):
        first = message(user_id="u1")
        context["a"], context["b"] = 2, 2
        properties["n"].append(2)
        elsewhere, other = bind(user_id="other"), contextvars.copy_context()
        other.run(elsewhere.__enter__)
        elsewhere.__exit__()
        with bind(user_id="inner"):
            inner = message()
        last = message(RudderFormatter(context={"c": 3}), user_id="u1")
    for sent in (first, inner, last):
        assert sent["properties"] == {"n": [1]}
        assert (sent["context"]["a"], sent["context"].get("b")) == (1, None)
    assert last["context"]["c"] == 3


def test_keys_that_are_one_in_json_are_merged() -> None:
    """A number and its text, a member of an enum and its value."""
    properties: dict[Any, Any] = {1: {"a": 1}}
    context: dict[Any, Any] = {Key.X: {"a": 1}}
    with bind(properties=properties, context=context):
        sent = message(user_id="u1", properties={1: {"b": 2}}, context={"x": {"b": 2}})
    assert sent["properties"] == {"1": {"a": 1, "b": 2}}
    assert sent["context"]["x"] == {"a": 1, "b": 2}


def test_handlers_that_come_and_go_within_a_binding_leave_nothing() -> None:
    """A binding may last as long as the process; each of them has defaults of its own."""
    with bind(context={"a": 1}):
        kept = []
        for number in range(100):
            formatter = RudderFormatter(context={"n": number})
            message(formatter, user_id="u1")
            kept.append(weakref.ref(formatter.event_defaults))
            del formatter
        gc.collect()
        assert sum(reference() is not None for reference in kept) < 10


def test_none_binds_nothing() -> None:
    """So a value that may be missing can be passed on as it is."""
    with bind(user_id="u1"), bind(user_id=None, anonymous_id=None):
        assert bound_fields() == {"userId": "u1"}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "identify", "traits": {"plan": "pro"}},
        {"type": "group", "group_id": "g1"},
        {"type": "alias", "previous_id": "old"},
    ],
)
def test_what_a_type_lacks_is_left_out(fields: dict[str, Any]) -> None:
    """Bound properties do not spoil an event that has none."""
    with bind(user_id="u1", properties={"a": 1}):
        sent = message(**fields)
    assert sent["userId"] == "u1"
    assert "properties" not in sent


def test_the_binding_ends_with_an_exception() -> None:
    """Whatever leaves the block ends it."""
    with pytest.raises(ZeroDivisionError), bind(user_id="u1"):
        raise ZeroDivisionError
    assert not bound_fields()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("user", "did you mean 'user_id'"),
        ("userId", "did you mean 'user_id'"),
        ("event", "'event' can't be bound"),
    ],
)
def test_unknown_names_raise_where_they_are_bound(name: str, says: str) -> None:
    """They are typing errors; what was bound before stays."""
    with bind(user_id="u1"):
        with pytest.raises(InvalidValueError, match=says), bind(**{name: "x"}):  # type: ignore[arg-type]
            pytest.fail("the block must not run")
        assert bound_fields() == {"userId": "u1"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("user_id", "", "'user_id' is blank"),
        ("user_id", True, "not bool"),
        ("anonymous_id", "\u200b", "'anonymous_id' is blank"),
        ("context", "x", "must be a mapping"),
        ("integrations", {"All": 1}, "'All' must be True or False"),
    ],
)
def test_bad_values_are_left_out_and_told_once_a_place(
    name: str, value: object, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They come with requests: a blank cookie must not end one. All else is bound."""
    for _ in range(3):
        with bind(**{"properties": {"a": 1}, name: value}):  # type: ignore[arg-type]
            assert bound_fields() == {"properties": {"a": 1}}
    with bind(**{name: value}):  # type: ignore[arg-type]
        assert not bound_fields()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    for line in lines:
        assert says in line
        assert f"{__file__}:" in line


def test_a_bad_value_may_be_bound_where_no_python_code_calls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As the function of a bare thread, say."""
    told = threading.Event()

    def tell(record: logging.LogRecord) -> bool:
        told.set()
        return "unknown place" in record.getMessage()

    with caplog.filtering(tell):  # type: ignore[arg-type]  # logging takes functions, too
        _thread.start_new_thread(bind, (), {"user_id": ""})
        assert told.wait(30)
    assert len(caplog.records) == 1


def test_wrong_fields_raise_where_a_function_is_decorated() -> None:
    """At import, not at the function's first call."""
    with pytest.raises(InvalidValueError, match="did you mean 'user_id'"):
        bind(user="u1")  # type: ignore[call-arg]


def test_threads_do_not_see_it() -> None:
    """A thread starts with nothing bound, and what it binds stays its own."""
    seen: list[dict[str, Any]] = []

    def work() -> None:
        seen.append(dict(bound_fields()))
        with bind(user_id="theirs"):
            seen.append(dict(bound_fields()))
            inside.set()
            assert done.wait(30)

    inside, done = threading.Event(), threading.Event()
    with bind(user_id="mine"):
        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(30)
        assert bound_fields() == {"userId": "mine"}
        done.set()
        thread.join(30)
    assert seen == [{}, {"userId": "theirs"}]


def test_tasks_inherit_and_are_isolated() -> None:
    """A task has what was bound when it was made; what it binds no other task sees."""
    seen: dict[str, dict[str, Any]] = {}

    async def work(name: str) -> None:
        assert bound_fields() == {"context": {"app": "a"}}
        with bind(user_id=name):
            await asyncio.sleep(0)
            seen[name] = dict(bound_fields())
            await asyncio.sleep(0)
        assert bound_fields() == {"context": {"app": "a"}}

    async def main() -> None:
        with bind(context={"app": "a"}):
            tasks = [asyncio.create_task(work(name)) for name in ("u1", "u2", "u3")]
        assert not bound_fields()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert seen == {n: {"context": {"app": "a"}, "userId": n} for n in ("u1", "u2", "u3")}


def test_it_works_as_a_decorator() -> None:
    """Each call of the function is a block of its own, recursion included."""

    @bind(user_id="u1")
    def depth(levels: int) -> str:
        assert bound_fields() == {"userId": "u1"}
        return depth(levels - 1) if levels else str(message()["userId"])

    assert depth(3) == "u1"
    assert depth(0) == "u1"
    assert not bound_fields()


def test_what_the_caller_binds_is_not_changed() -> None:
    """Nested blocks and identify merge into copies."""
    outer, inner = {"a": {"x": 1}, "traits": {"p": {"q": 1}}}, {"a": {"y": 2}}
    before = copy.deepcopy((outer, inner))
    with bind(user_id="u1", context=outer), bind(context=inner):
        message(type="identify", traits={"p": {"r": 2}}, context={"a": {"z": 3}})
    assert (outer, inner) == before


def test_a_coroutine_function_can_be_decorated() -> None:
    """The fields are bound while the coroutine runs, and calls that overlap don't mix."""

    @bind(user_id="a")
    async def first(both_run: asyncio.Event) -> object:
        both_run.set()
        return message()["userId"]

    @bind(user_id="b")
    async def second(both_run: asyncio.Event) -> object:
        await both_run.wait()
        return message()["userId"]

    async def main() -> list[object]:
        both_run = asyncio.Event()
        return list(await asyncio.gather(second(both_run), first(both_run)))

    assert asyncio.run(main()) == ["b", "a"]


# It ends wherever it ends.


def elsewhere(how: str, function: Callable[[], object]) -> None:
    """Call something in another thread, in another task, or in a copy of this context."""

    async def in_a_task() -> None:
        function()

    async def main() -> None:
        await asyncio.create_task(in_a_task())

    if how == "thread":
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(function).result(10)
    elif how == "task":
        asyncio.run(main())
    else:
        contextvars.copy_context().run(function)


@pytest.mark.parametrize("how", ["thread", "task", "context"])
def test_it_may_end_elsewhere(how: str) -> None:
    """It does not raise there, and is over here."""
    outer, inner = bind(context={"a": 1}), bind(user_id="u1")
    with outer:
        inner.__enter__()
        elsewhere(how, lambda: inner.__exit__(None, None, None))
        assert bound_fields() == {"context": {"a": 1}}
    assert not bound_fields()


@each("order", list(itertools.permutations(range(3))))
@each("are_here", list(itertools.product((True, False), repeat=3)))
def test_bindings_end_in_any_order(order: tuple[int, ...], are_here: tuple[bool, ...]) -> None:
    """Each takes its own fields away, and no others."""
    names = ("user_id", "anonymous_id", "properties")
    bindings = [bind(**{name: {"a": 1} if name == "properties" else name}) for name in names]  # type: ignore[arg-type]
    keys = {"userId", "anonymousId", "properties"}
    for binding in bindings:
        binding.__enter__()
    for number, is_here in zip(order, are_here, strict=True):
        end = functools.partial(bindings[number].__exit__, None, None, None)
        if is_here:
            end()
        else:
            elsewhere("context", end)
        keys -= {("userId", "anonymousId", "properties")[number]}
        assert set(bound_fields()) == keys


def test_ending_it_too_often_does_nothing() -> None:
    """Nor does ending what was not begun."""
    binding = bind(user_id="u1")
    binding.__exit__(None, None, None)
    with bind(user_id="u2"):
        with binding:
            pass
        binding.__exit__(None, None, None)
        assert bound_fields() == {"userId": "u2"}


def test_one_object_may_be_entered_by_many_tasks_at_once() -> None:
    """And more than once by one: each entry is a block of its own."""
    binding = bind(user_id="u1")

    async def work(turns: int) -> None:
        with binding, binding:
            for _ in range(turns):
                await asyncio.sleep(0)
            assert bound_fields() == {"userId": "u1"}
        assert not bound_fields()

    async def main() -> None:
        await asyncio.gather(*[work(turns) for turns in (3, 1, 4, 2)])

    asyncio.run(main())
    assert not bound_fields()


def test_a_task_keeps_what_it_inherited() -> None:
    """A background task that a request starts is the request's, after its end, too."""

    async def main() -> object:
        gone = asyncio.Event()

        async def work() -> object:
            await gone.wait()
            with bind(context={"a": 1}):
                return message()["userId"]

        with bind(user_id="u1"):
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
        gone.set()
        return await task

    assert asyncio.run(main()) == "u1"


def test_what_calls_itself_later_does_not_nest_deeper_each_time() -> None:
    """A callback that is scheduled inside a block inherits it, and its own block has one more."""
    depths: list[int] = []

    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def tick(left: int) -> None:
            with bind(user_id=str(left), properties={"a": 1}):
                assert bound_fields() == {"userId": str(left), "properties": {"a": 1}}
                scope, depth = innermost(), 0
                while scope is not None:
                    scope, depth = scope.outer, depth + 1
                depths.append(depth)
                if left:
                    loop.call_soon(tick, left - 1)
                else:
                    over.set()

        tick(50)
        await over.wait()

    asyncio.run(main())
    assert max(depths) <= 3


def test_an_abandoned_async_generator_takes_its_block_along() -> None:
    """The event loop closes it in a task of its own; whoever consumed it goes on without it."""

    async def numbers() -> AsyncIterator[int]:
        with bind(user_id="theirs"):
            for number in range(3):
                yield number

    async def main() -> None:
        async for _number in numbers():
            break
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not bound_fields()

    asyncio.run(main())


def test_a_block_of_contextlib_is_one() -> None:
    """A `with` block inside a generator holds in whoever has the block run."""

    @contextlib.contextmanager
    def request(user_id: str) -> Iterator[None]:
        with bind(user_id=user_id):
            yield

    with request("u1"):
        assert bound_fields() == {"userId": "u1"}
    assert not bound_fields()


# As a decorator.


def test_a_generator_is_bound_in_its_body_and_not_in_its_consumer() -> None:
    """At each step, however it comes about; and all that goes through it is passed on."""
    seen: list[object] = []

    @bind(user_id="u1")
    def steps(first: int) -> Generator[int, str, str]:
        try:
            seen.append((yield first))
            with contextlib.suppress(KeyError):
                yield 2
            yield 3
        finally:
            seen.append(dict(bound_fields()))
        return "done"

    assert inspect.isgeneratorfunction(steps)
    with bind(properties={"a": 1}):
        generator = steps(1)
        assert next(generator) == 1
        assert bound_fields() == {"properties": {"a": 1}}
        assert generator.send("sent") == 2
        assert generator.throw(KeyError()) == 3
        with pytest.raises(StopIteration, match="done"):
            next(generator)
        assert bound_fields() == {"properties": {"a": 1}}
    assert seen == ["sent", {"properties": {"a": 1}, "userId": "u1"}]
    assert not bound_fields()


def test_a_block_that_is_open_between_steps() -> None:
    """It wins in the next step, too, and its consumer does not see it, nor what is set in it."""
    seen: list[object] = []

    def note() -> None:
        seen.append(dict(bound_fields()))

    @bind(user_id="outer")
    def steps() -> Iterator[int]:
        with bind(user_id="inner", anonymous_id="a1"):
            yield 1
            note()
            current().set(anonymous_id="a2")
            yield 2
            note()
        current().set(anonymous_id="a3")
        yield 3
        note()

    @carry
    async def asteps() -> AsyncIterator[int]:
        with bind(user_id="inner"):
            yield 1
            note()

    async def main() -> None:
        async for _number in asteps():
            assert not bound_fields()

    for number in steps():
        assert not bound_fields()
        with bind(properties={"number": number}):
            assert bound_fields() == {"properties": {"number": number}}
    asyncio.run(main())
    assert seen == [
        {"userId": "inner", "anonymousId": "a1"},
        {"userId": "inner", "anonymousId": "a2"},
        {"userId": "outer", "anonymousId": "a3"},
        {"userId": "inner"},
    ]


def test_steps_see_what_is_bound_around_them() -> None:
    """Each what its consumer has bound then, even one that runs within the body."""
    seen: list[object] = []

    @bind(user_id="u1")
    def steps() -> Iterator[int]:
        for number in range(3):
            with bind(properties={"number": number}):
                yield number
                seen.append(dict(bound_fields()))

    generator = steps()
    for name in ("a", "b", "c", "d"):
        with bind(anonymous_id=name):
            next(generator, None)
            assert bound_fields() == {"anonymousId": name}
    assert seen == [
        {"anonymousId": name, "userId": "u1", "properties": {"number": number}}
        for number, name in enumerate("bcd")
    ]


@pytest.mark.parametrize("how", ["thread", "task", "context"])
def test_a_generator_that_is_closed_elsewhere(how: str) -> None:
    """Its clean-up is bound likewise, and errors of its body come out."""
    seen: list[object] = []

    @bind(user_id="u1")
    def steps() -> Iterator[int]:
        try:
            yield 1
        finally:
            seen.append(bound_fields().get("userId"))

    generator = steps()
    next(generator)
    elsewhere(how, generator.close)  # type: ignore[attr-defined]
    assert seen == ["u1"]

    def failing_steps() -> Iterator[float]:
        return (1 / number for number in (1, 0))

    failing = bind(user_id="u1")(failing_steps)
    with pytest.raises(ZeroDivisionError):
        list(failing())
    assert not bound_fields()


def test_an_async_generator_is_bound_in_its_body_and_not_in_its_consumer() -> None:
    """Likewise: sent values, errors and closing reach the body."""
    seen: list[object] = []

    @bind(user_id="u1")
    async def steps(first: int) -> Any:
        try:
            seen.append((yield first))
            await asyncio.sleep(0)
            with contextlib.suppress(KeyError):
                yield 2
            seen.append(message()["userId"])
            yield 3
        finally:
            await asyncio.sleep(0)
            seen.append(dict(bound_fields()))

    async def main() -> None:
        generator = steps(1)
        assert await generator.asend(None) == 1
        assert not bound_fields()
        assert await generator.asend("sent") == 2
        assert await generator.athrow(KeyError()) == 3
        assert not bound_fields()
        await generator.aclose()
        assert [number async for number in bind(user_id="u2")(lambda: steps(7))()] == [7, 2, 3]
        assert not bound_fields()

    assert inspect.isasyncgenfunction(steps)
    asyncio.run(main())
    assert seen == ["sent", "u1", {"userId": "u1"}, None, "u1", {"userId": "u1"}]


@pytest.mark.slow
def test_an_async_generator_that_nobody_closes() -> None:
    """The event loop closes it, elsewhere, and the body's clean-up is bound."""
    seen: list[object] = []

    @bind(user_id="u1")
    async def steps() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            seen.append(bound_fields().get("userId"))

    async def main() -> None:
        async for _number in steps():
            break
        assert not bound_fields()
        for _ in range(5):
            gc.collect()
            await asyncio.sleep(0)

    asyncio.run(main())
    assert seen == ["u1"]


def test_functions_that_return_a_body_still_to_run_are_bound_while_it_runs() -> None:
    """What other decorators, partials and lambdas make of coroutine functions and generators."""

    def wrapped(function: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            return function()

        return call

    async def user() -> object:
        await asyncio.sleep(0)
        return message()["userId"]

    def users() -> Iterator[object]:
        yield message()["userId"]

    async def main() -> list[object]:
        bound = bind(user_id="u1")
        found = [await bound(wrapped(user))(), await bound(functools.partial(user))()]
        found += bound(wrapped(users))()
        assert not bound_fields()
        return found

    assert asyncio.run(main()) == ["u1"] * 3


def test_a_cancelled_task_ends_its_scope() -> None:
    """The one that awaited it goes on without."""

    @bind(user_id="u1")
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(forever(), 0.01)
        assert not bound_fields()

    asyncio.run(main())


def test_a_block_that_ends_elsewhere_ends_no_other() -> None:
    """One object may serve all requests: each block ends its own scope, in whatever context."""
    shared = bind(user_id="shared")

    def block() -> Iterator[None]:
        with shared:
            yield

    moved = block()
    contextvars.copy_context().run(next, moved)
    with shared:
        contextvars.copy_context().run(next, moved, None)
        assert bound_fields() == {"userId": "shared"}
        other = block()
        contextvars.copy_context().run(next, other)
        moved = block()
        contextvars.copy_context().run(next, moved)
        next(other, None)
        assert bound_fields() == {"userId": "shared"}
    assert bound_fields() == {}
    next(moved, None)
    assert not shared._open


def test_an_exit_stack_ends_its_own_scope() -> None:
    """It begins and ends blocks from frames of its own, which take each other's place."""
    shared = bind(user_id="shared")

    async def request(begun: asyncio.Event, go: asyncio.Event) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(shared)
            begun.set()
            await go.wait()
            assert bound_fields() == {"userId": "shared"}
        assert bound_fields() == {}

    async def requests() -> None:
        turns = [(asyncio.Event(), asyncio.Event()) for _ in range(20)]
        tasks = [asyncio.create_task(request(*turn)) for turn in turns]
        for (begun, go), task in zip(turns, tasks, strict=True):
            await begun.wait()
            go.set()
            await task

    asyncio.run(requests())
    assert not shared._open
