"""`bind_lazily()` and `current()`: fields that come about, or change, within a block."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rudder_logging import bind, bind_lazily, carry, current
from rudder_logging.common import telling
from rudder_logging.events import scopes
from rudder_logging.events.scopes import Made, bound_fields
from rudder_logging.exceptions import InvalidValueError
from rudder_logging.testing import CapturedEvents

from ..conftest import MakeHandler
from .test_context import message


@pytest.fixture(autouse=True)
def _nothing_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_told", set())


class Maker:
    """Counts its calls, and keeps the threads that called."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        self.threads: list[int] = []

    def __call__(self) -> dict[str, Any]:
        """Make the fields."""
        self.threads.append(threading.get_ident())
        return self.fields


def test_nothing_is_made_without_an_event() -> None:
    """Rule 1: neither at the block's begin nor at its end, nor by what is bound within."""
    make = Maker(user_id="u1")
    with bind_lazily(make), bind(properties={"a": 1}), bind_lazily(make):
        current().set(anonymous_id="a1")
        carry(make)
    assert make.threads == []


def test_it_is_made_once_a_block_by_the_thread_that_logs() -> None:
    """However many events follow; the next block makes it anew."""
    make = Maker(user_id="u1", context={"ip": "192.0.2.1"})
    binding = bind_lazily(make)
    for round_ in (1, 2):
        with binding, concurrent.futures.ThreadPoolExecutor(1) as pool:
            worker = pool.submit(threading.get_ident).result(30)
            context = contextvars.copy_context()
            first = pool.submit(context.run, message).result(30)
            with bind(context={"b": 1}):
                second = message()
        assert (first["userId"], second["userId"]) == ("u1", "u1")
        assert second["context"] | {"library": None} == {"ip": "192.0.2.1", "b": 1, "library": None}
        assert make.threads == [worker] * round_ or len(make.threads) == round_
    assert not bound_fields()


def test_threads_that_log_at_once_all_have_it() -> None:
    """One makes it, and the others wait for it."""
    begun = threading.Barrier(8)
    make = Maker(user_id="u1")

    def work() -> object:
        begun.wait(30)
        return message()["userId"]

    with bind_lazily(make), concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(contextvars.copy_context().run, work) for _ in range(8)]
        assert [run.result(30) for run in runs] == ["u1"] * 8
    assert len(make.threads) == 1


def test_what_makes_it_may_log(
    rudder_events: CapturedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own events have what is bound around the block, in whatever thread it logs them.
    None of them waits for what is being made.
    """
    log = logging.getLogger("app")
    answers: list[object] = []
    ask = Made.fields

    def fields(made: Made) -> Any:
        answers.append(ask(made))
        return answers[-1]

    monkeypatch.setattr(scopes, "_LONGEST_WAIT", 0)
    monkeypatch.setattr(Made, "fields", fields)

    def make() -> dict[str, Any]:
        log.warning("Looked Up", extra={"rudder": {"anonymous_id": "a1"}})
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            context = contextvars.copy_context()
            extra = {"rudder": {"anonymous_id": "a2"}}
            pool.submit(context.run, lambda: log.warning("Looked", extra=extra)).result(30)
        return {"user_id": "u1"}

    with bind(properties={"a": 1}), bind_lazily(make), bind(properties={"b": 1}):
        log.warning("Read", extra={"rudder": {}})
    by_name = {event["event"]: event for event in rudder_events}
    assert set(by_name) == {"Looked Up", "Looked", "Read"}
    assert answers == [{"userId": "u1"}]
    for name in ("Looked Up", "Looked"):
        assert "userId" not in by_name[name]
        assert by_name[name]["properties"] == {"a": 1}
    assert by_name["Read"]["userId"] == "u1"
    assert by_name["Read"]["properties"] == {"a": 1, "b": 1}


def failing() -> dict[str, Any]:
    """Raise with what nobody may read in a log."""
    raise LookupError("secret")


def misspelt() -> dict[str, Any]:
    """Name a field that there is not."""
    return {"user": "u1", "anonymous_id": "a2"}


def half_right() -> dict[str, Any]:
    """Have one value that can't be right."""
    return {"user_id": "", "properties": {"a": 1}}


@pytest.mark.parametrize(
    ("make", "says", "bound"),
    [
        (failing, "failing raised LookupError", {}),
        (misspelt, "did you mean 'user_id'", {}),
        (half_right, "'user_id' is blank", {"properties": {"a": 1}}),
        (lambda: None, "", {}),
        (lambda: 5, "raised AttributeError", {}),
    ],
)
def test_what_fails_loses_only_its_fields(
    make: Callable[[], Any], says: str, bound: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 16: it is told once, without what the exception says, and no log call raises."""
    for _ in range(3):
        with bind(anonymous_id="a1"), bind_lazily(make):
            for _ in range(2):
                sent = message()
                assert sent["anonymousId"] == "a1"
                assert sent.get("properties", {}) == bound.get("properties", {})
    assert len(caplog.records) == bool(says)
    assert says in caplog.text
    assert "secret" not in caplog.text


def test_what_fails_is_counted(make_handler: MakeHandler) -> None:
    """Rule 16: by each handler, once a block; it may have been made before or after."""
    handlers = [make_handler(), make_handler()]
    for _ in range(3):
        with bind(anonymous_id="a1"), bind_lazily(failing):
            message()
            message()
    handlers.append(make_handler())
    assert [handler.stats().callback_errors for handler in handlers] == [3, 3, 0]


def test_a_decorated_function_makes_it_for_each_call() -> None:
    """Of whatever kind it is."""
    make = Maker(user_id="u1")

    @bind_lazily(make)
    async def work(*, logs: bool) -> object:
        return message()["userId"] if logs else None

    assert asyncio.run(work(logs=True)) == "u1"
    asyncio.run(work(logs=False))
    assert len(make.threads) == 1


def test_a_decorated_generator_makes_it_once_for_all_steps() -> None:
    """Between two steps it is the same block."""
    make = Maker(user_id="u1")

    @bind_lazily(make)
    def steps() -> Iterator[object]:
        for _ in range(3):
            yield message()["userId"]

    assert [*steps()] == ["u1", "u1", "u1"]
    assert len(make.threads) == 1


def test_what_takes_too_long_to_make_is_there_once_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block within does not keep that it was not."""
    monkeypatch.setattr(scopes, "_LONGEST_WAIT", 0.01)
    asked, answered = threading.Event(), threading.Event()

    def make() -> dict[str, str]:
        asked.set()
        answered.wait()
        return {"user_id": "u1"}

    with bind_lazily(make):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(bound_fields,))
        thread.start()
        asked.wait()
        with bind(anonymous_id="a1"):
            assert bound_fields() == {"anonymousId": "a1"}
            answered.set()
            thread.join()
            assert bound_fields() == {"userId": "u1", "anonymousId": "a1"}


# A scope that changes.


def test_current_changes_later_events() -> None:
    """Rule 4: a login in mid-request changes later events, logout removes the id."""
    with bind(user_id="old", context={"ip": "192.0.2.1"}), bind(properties={"a": 1}):
        pass
    with bind(anonymous_id="a1", context={"ip": "192.0.2.1"}):
        scope = current()
        before = message()
        with bind(properties={"b": 1}):
            message()
            scope.set(user_id=42, context={"traits": {"plan": "pro"}})
            within = message()
        after = message()
        current().set(user_id=None)
        out = message()
        current().set(user_id="7")
        again = message()
    ids = [sent.get("userId") for sent in (before, within, after, out, again)]
    assert ids == [None, "42", "42", None, "7"]
    assert within["context"]["ip"] == after["context"]["ip"] == "192.0.2.1"
    assert after["context"]["traits"] == {"plan": "pro"}
    with bind(anonymous_id="a2"):
        assert "userId" not in message()


@pytest.mark.parametrize("is_made", [True, False])
def test_current_wins_over_what_is_made(*, is_made: bool) -> None:
    """Before the first event and after it; what was taken away stays away."""
    with bind_lazily(Maker(user_id="u1", anonymous_id="a1", context={"a": 1, "b": 1})):
        if is_made:
            message()
        current().set(user_id=None, context={"b": 2})
        assert bound_fields() == {"anonymousId": "a1", "context": {"a": 1, "b": 2}}
        current().set(user_id="u2", context=None)
        assert bound_fields() == {"userId": "u2", "anonymousId": "a1"}


def test_a_task_changes_the_scope_that_it_inherited() -> None:
    """As a framework's middleware has the endpoint run in a task of its own."""

    async def login() -> None:
        current().set(user_id="u1")

    async def main() -> object:
        with bind(anonymous_id="a1"):
            await asyncio.create_task(login())
            return message()["userId"]

    assert asyncio.run(main()) == "u1"


def test_current_outside_a_scope_says_so() -> None:
    """Also after a block that ended elsewhere."""
    with pytest.raises(InvalidValueError, match="current: nothing is bound here"):
        current()
    binding = bind(user_id="u1")
    binding.__enter__()
    contextvars.copy_context().run(binding.__exit__, None, None, None)
    with pytest.raises(InvalidValueError, match="current: nothing is bound here"):
        current()


def test_wrong_changes(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown name raises. A bad value takes the field away: it may have been another's."""
    with bind(user_id="u1", anonymous_id="a1"):
        with pytest.raises(InvalidValueError, match="did you mean 'user_id'"):
            current().set(user="u2")  # type: ignore[call-arg]
        for _ in range(3):
            current().set(user_id="")
        assert bound_fields() == {"anonymousId": "a1"}
    assert len(caplog.records) == 1
    assert f"{__file__}:" in caplog.text


AMID_A_CHANGE = """
import os, signal, threading, warnings
from rudder_logging import bind, current
from rudder_logging.events import scopes

warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: just what we test
begun = threading.Event()

def change():
    with scopes._changing:
        begun.set()
        signal.pause()

threading.Thread(target=change, daemon=True).start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(100)
    with bind(user_id="u1"):
        current().set(user_id="u2")
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_that_is_forked_amid_a_change_may_change_scopes() -> None:
    """The thread that holds the lock is not there."""
    assert subprocess.run([sys.executable, "-c", AMID_A_CHANGE], check=False).returncode == 0


def test_a_signal_handler_may_change_a_scope_amid_a_change() -> None:
    """It does not wait for the change that it interrupts."""
    with bind(user_id="u1"):
        assert scopes._changing.acquire(timeout=60)
        try:
            current().set(user_id="u2")
        finally:
            scopes._changing.release()
        assert bound_fields() == {"userId": "u2"}


def test_many_changes_leave_nothing_behind() -> None:
    """A scope may last as long as the process, and change with each message."""
    with bind_lazily(Maker(context={"a": 1})):
        for number in range(5_000):
            current().set(user_id=number, context={"n": number})
        assert bound_fields() == {"userId": "4999", "context": {"a": 1, "n": 4999}}


# Carried elsewhere.


def test_carried_functions_have_what_was_bound() -> None:
    """Rule 10: in a pool's thread, after the block's end, whatever was changed meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with bind_lazily(Maker(user_id="u1", context={"a": 1})), bind(properties={"b": 1}):
            work = carry(message)
            current().set(properties={"b": 2})
        assert pool.submit(message, anonymous_id="a1").result(30).get("userId") is None
        for _ in range(2):
            sent = pool.submit(work).result(30)
            assert sent["userId"] == "u1"
            assert sent["properties"] == {"b": 1}
        assert not pool.submit(lambda: dict(bound_fields())).result(30)


def all_bound() -> dict[str, Any]:
    """Copy all that is bound."""
    return dict(bound_fields())


def test_carried_functions_see_nothing_else() -> None:
    """A callback that runs while another request is served has none of its fields."""
    work = carry(all_bound)
    with bind(anonymous_id="a1"):
        anonymous = carry(all_bound)
        also = carry(anonymous)
    with bind(user_id="another"):
        assert work() == {}
        assert anonymous() == also() == {"anonymousId": "a1"}
        assert bound_fields() == {"userId": "another"}


def test_what_is_carried_is_made_once_for_all() -> None:
    """For the block itself, and each run of each function, whichever logs first."""
    for logs_first in (True, False):
        make = Maker(user_id="u1")
        with bind_lazily(make):
            if logs_first:
                message()
            work, other = carry(message), carry(message)
            for run in (work, work, other, message):
                assert run()["userId"] == "u1"
        assert len(make.threads) == 1


def test_a_task_of_a_carried_function_sees_nothing_else() -> None:
    """It lives on after all blocks have ended, and binds something itself."""
    keep = carry(contextvars.copy_context)
    with bind(user_id="another"), bind(anonymous_id="another"):
        kept = keep()

    def later() -> dict[str, Any]:
        with bind(properties={"a": 1}):
            return all_bound()

    assert kept.run(later) == {"properties": {"a": 1}}


def test_any_number_of_blocks_is_carried() -> None:
    """More than Python has calls within each other."""
    with contextlib.ExitStack() as stack:
        for number in range(3_000):
            stack.enter_context(bind(context={str(number): number}))
        stack.enter_context(bind(user_id="u1"))
        work = carry(all_bound)
    bound = work()
    assert bound["userId"] == "u1"
    assert len(bound["context"]) == 3_000


def test_a_block_that_ended_elsewhere_is_carried_on() -> None:
    """It was bound when the function was carried."""
    binding = bind(user_id="u1")
    binding.__enter__()
    work = carry(all_bound)
    contextvars.copy_context().run(binding.__exit__, None, None, None)
    assert not bound_fields()
    assert work() == {"userId": "u1"}


def test_coroutine_functions_are_carried_while_they_run() -> None:
    """Tasks that run at once don't mix."""

    async def work() -> object:
        await asyncio.sleep(0)
        return message()["userId"]

    async def main() -> list[object]:
        carried = []
        for name in ("u1", "u2", "u3"):
            with bind(user_id=name):
                carried.append(carry(work))
        return list(await asyncio.gather(*[each() for each in carried]))

    assert asyncio.run(main()) == ["u1", "u2", "u3"]
