"""`bind()`: who it reaches, and when it ends."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import threading
from typing import Any

import pytest

from rudder_logging import bind
from rudder_logging._context import bound_fields
from rudder_logging._formatter import RudderFormatter
from rudder_logging.exceptions import InvalidEventError, InvalidTypeError, InvalidValueError


def message(**fields: Any) -> dict[str, Any]:
    """The message of an event logged here and now."""
    record = logging.makeLogRecord({"msg": "Read", "rudder": fields})
    made: dict[str, Any] = json.loads(RudderFormatter().format(record))
    return made


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
    ("fields", "error", "says"),
    [
        ({"user": "u1"}, InvalidValueError, "did you mean 'user_id'"),
        ({"userId": "u1"}, InvalidValueError, "did you mean 'user_id'"),
        ({"event": "Read"}, InvalidValueError, "'event' can't be bound"),
        ({"user_id": ""}, InvalidValueError, "'user_id' is blank"),
        ({"user_id": True}, InvalidTypeError, "not bool"),
        ({"context": "x"}, InvalidTypeError, "must be a mapping"),
    ],
)
def test_wrong_fields_raise_where_they_are_bound(
    fields: dict[str, Any], error: type[InvalidEventError], says: str
) -> None:
    """Not at the first event, and what was bound before stays."""
    with bind(user_id="u1"):
        with pytest.raises(error, match=says), bind(**fields):
            pytest.fail("the block must not run")
        assert bound_fields() == {"userId": "u1"}


def test_wrong_fields_raise_where_a_function_is_decorated() -> None:
    """At import, not at the function's first call."""
    with pytest.raises(InvalidValueError, match="did you mean 'user_id'"):
        bind(user="u1")


def test_threads_do_not_see_it() -> None:
    """A thread starts with nothing bound, and what it binds stays its own."""
    seen: list[dict[str, Any]] = []

    def work() -> None:
        seen.append(dict(bound_fields()))
        with bind(user_id="theirs"):
            seen.append(dict(bound_fields()))
            inside.set()
            assert done.wait(10)

    inside, done = threading.Event(), threading.Event()
    with bind(user_id="mine"):
        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(10)
        assert bound_fields() == {"userId": "mine"}
        done.set()
        thread.join(10)
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
