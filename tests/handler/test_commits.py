"""Events that wait for a commit: `on_commit`, with a database of the tests' own."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import rudder_logging
from rudder_logging import EventLogger, RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler import commits
from rudder_logging.handler.commits import Uncommitted, Wait
from rudder_logging.testing import capture_events

from ..conftest import MakeHandler, Wire


class Database:
    """A database with one transaction, and savepoints in it."""

    def __init__(self, *names: object) -> None:
        self.names = names
        self.waiting: list[list[Uncommitted]] = []

    def find(self, name: object) -> Wait | None:
        """As integrations do."""
        if name not in self.names:
            raise LookupError
        return self.waiting[-1].append if self.waiting else None

    def begin(self) -> None:
        """Begin a transaction, or a savepoint within it."""
        self.waiting.append([])

    def commit(self) -> None:
        """Commit the innermost."""
        ended = self.waiting.pop()
        if self.waiting:
            self.waiting[-1] += ended
            return
        for event in ended:
            event.commit()

    def roll_back(self) -> None:
        """Roll the innermost back."""
        for event in self.waiting.pop():
            event.roll_back()


@pytest.fixture
def database() -> Iterator[Database]:
    """The database that `on_commit=True` means, also known as `main`."""
    database = Database(True, "main")
    take_back = commits.register(database.find)
    yield database
    take_back()


@pytest.fixture
def replica() -> Iterator[Database]:
    """Another one."""
    database = Database("replica")
    take_back = commits.register(database.find)
    yield database
    take_back()


@pytest.fixture
def handler(make_handler: MakeHandler) -> RudderHandler:
    """A handler to the data plane."""
    return make_handler()


@pytest.fixture
def events(handler: RudderHandler, wire: Wire) -> EventLogger:
    """The seven calls, on a logger with that handler."""
    return EventLogger(wire(handler))


def log(events: EventLogger, name: str, on_commit: object = True) -> None:
    """Log an event as a log call does."""
    events.info(name, extra={"rudder": {"user_id": "u"}, "rudder_on_commit": on_commit})


def names(plane: LocalDataPlane) -> list[str]:
    """The names of the events that have arrived."""
    assert rudder_logging.flush()
    return [event["event"] for event in plane.events]


def counts(handler: RudderHandler) -> tuple[int, int, int]:
    """Events that are pending, of these uncommitted, and those that were rolled back."""
    stats = handler.stats()
    assert stats.balanced
    return stats.pending, stats.uncommitted, stats.dropped.get("rolled_back", 0)


def test_commit_sends_and_rollback_drops(
    database: Database, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Rule 17: each way of asking waits for the commit, and the ledger balances all the time."""
    database.begin()
    events.track("u", "A", on_commit=True)
    log(events, "B")
    with rudder_logging.on_commit():
        events.track("u", "C")
        events.info("D", extra={"rudder": {"user_id": "u"}})
    events.track("u", "at once")
    assert counts(handler)[1:] == (4, 0)
    assert names(plane) == ["at once"]
    assert counts(handler) == (4, 4, 0)
    assert handler.stats().pending_bytes > 0
    database.commit()
    assert names(plane) == ["at once", "A", "B", "C", "D"]
    assert counts(handler) == (0, 0, 0)
    database.begin()
    events.track("u", "E", on_commit=True)
    log(events, "F")
    database.roll_back()
    assert counts(handler) == (0, 0, 2)
    assert len(names(plane)) == 5


def test_savepoint_takes_its_own_events_back(
    database: Database, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Rule 17: an event of a savepoint that is rolled back is dropped, those around it leave."""
    database.begin()
    events.track("u", "before", on_commit=True)
    database.begin()
    events.track("u", "within", on_commit=True)
    database.roll_back()
    database.begin()
    events.track("u", "again", on_commit=True)
    database.commit()
    events.track("u", "after", on_commit=True)
    database.commit()
    assert names(plane) == ["before", "again", "after"]
    assert counts(handler) == (0, 0, 1)


def test_two_databases(
    database: Database,
    replica: Database,
    events: EventLogger,
    handler: RudderHandler,
    plane: LocalDataPlane,
) -> None:
    """Rule 17: an event waits for the database that it names, by the call or by the block."""
    database.begin()
    replica.begin()
    events.track("u", "main", on_commit=True)
    events.track("u", "replica", on_commit="replica")
    with rudder_logging.on_commit("replica"):
        events.track("u", "block", on_commit=True)
        events.track("u", "named", on_commit="main")
        events.track("u", "at once", on_commit=False)
    replica.commit()
    assert names(plane) == ["at once", "replica", "block"]
    database.roll_back()
    assert counts(handler) == (0, 0, 2)


def test_outside_a_transaction_it_leaves_at_once(
    database: Database, events: EventLogger, plane: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing is said: that is as it should be."""
    events.track("u", "A", on_commit=True)
    log(events, "B")
    log(events, "C", on_commit=None)
    assert names(plane) == ["A", "B", "C"]
    assert "on_commit" not in caplog.text


@pytest.mark.parametrize("registered", [False, True])
def test_unknown_database_is_told_once(
    registered: bool,
    events: EventLogger,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event leaves at once where no integration is there, or none knows the name."""
    monkeypatch.setattr(commits, "_told", set())
    take_back = commits.register(Database("main").find) if registered else lambda: None
    for _ in range(3):
        events.track("u", "A", on_commit=True)
        events.track("u", "B", on_commit="elsewhere")
    take_back()
    assert names(plane) == ["A", "B"] * 3
    told = [record.getMessage() for record in caplog.records if "on_commit" in record.getMessage()]
    assert [text.partition(" names")[0] for text in told] == [
        "on_commit=True",
        "on_commit='elsewhere'",
    ]


@pytest.mark.parametrize("place", ["find", "wait"])
def test_integration_that_raises_loses_nothing(
    place: str,
    events: EventLogger,
    handler: RudderHandler,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event leaves at once, and the fault is told once."""
    monkeypatch.setattr(commits, "_told", set())

    def wait(event: Uncommitted) -> None:
        raise ZeroDivisionError("secret")

    def find(name: object) -> Wait:
        return wait if place == "wait" else wait(name)  # type: ignore[arg-type,func-returns-value,return-value]

    take_back = commits.register(find)
    events.track("u", "A", on_commit=True)
    events.track("u", "B", on_commit=True)
    take_back()
    assert names(plane) == ["A", "B"]
    assert counts(handler) == (0, 0, 0)
    assert caplog.text.count("ZeroDivisionError") == 1
    assert "secret" not in caplog.text


def test_event_is_that_of_its_call(
    database: Database, events: EventLogger, plane: LocalDataPlane
) -> None:
    """Its id, its time, what is bound, and its values: as they were, whatever changes later."""
    database.begin()
    items = ["a"]
    with rudder_logging.bind(context={"ip": "203.0.113.7"}):
        given = events.track("u", "A", {"items": items}, on_commit=True)
    items.append("b")
    later = events.track("u", "B")
    database.commit()
    assert rudder_logging.flush()
    second, first = plane.events
    assert (first["messageId"], second["messageId"]) == (given, later)
    assert first["properties"] == {"items": ["a"]}
    assert first["context"]["ip"] == "203.0.113.7"
    assert first["originalTimestamp"] <= second["originalTimestamp"]


def test_call_still_raises_what_is_wrong(database: Database, events: EventLogger) -> None:
    """The call refuses the event, not the commit."""
    database.begin()
    with pytest.raises(rudder_logging.InvalidEventError):
        events.track(None, "A", on_commit=True)
    assert database.waiting == [[]]


def test_rollback_is_told_to_on_drop(
    database: Database, make_handler: MakeHandler, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """With the event and the reason, as for other drops; `stats()` balances within.

    No line is logged: the app asked for it.
    """
    told: list[tuple[str, str, bool]] = []

    def on_drop(event: dict[str, Any], reason: str) -> None:
        told.append((event["event"], reason, handlers[0].stats().balanced))

    handlers = [make_handler(on_drop=on_drop)]
    events = EventLogger(wire(*handlers))
    database.begin()
    events.track("u", "A", on_commit=True)
    database.roll_back()
    handlers[0].close()
    assert told == [("A", "rolled_back", True)]
    assert "dropped" not in caplog.text


def test_first_end_wins(
    database: Database, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """A library that tells of an end twice, or of both, sends and drops nothing twice."""
    database.begin()
    events.track("u", "A", on_commit=True)
    events.track("u", "B", on_commit=True)
    first, second = database.waiting.pop()
    for _ in range(2):
        first.commit()
        first.roll_back()
        second.roll_back()
        second.commit()
    assert names(plane) == ["A"]
    assert counts(handler) == (0, 0, 1)


def test_forgotten_event_is_rolled_back(
    database: Database, events: EventLogger, handler: RudderHandler
) -> None:
    """Django tells of no rollback: it forgets what was to be done at the commit."""
    database.begin()
    events.track("u", "A", on_commit=True)
    database.waiting.clear()
    gc.collect()
    assert counts(handler) == (0, 0, 1)


def test_flush_does_not_wait_for_a_commit(
    database: Database, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Only the app knows if it ever comes; what was queued is settled."""
    database.begin()
    events.track("u", "A", on_commit=True)
    assert handler.flush()
    assert counts(handler) == (1, 1, 0)
    database.commit()
    assert names(plane) == ["A"]


def test_commit_opens_a_closed_handler(
    database: Database, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """As the next event does."""
    database.begin()
    events.track("u", "A", on_commit=True)
    handler.close()
    assert counts(handler) == (1, 1, 0)
    database.commit()
    assert names(plane) == ["A"]


def test_setting_that_changes_does_not_lose_it(database: Database, plane: LocalDataPlane) -> None:
    """The handler made of the settings from before sends it still."""
    rudder_logging.write_key = "test-write-key"
    rudder_logging.data_plane_url = plane.url
    database.begin()
    rudder_logging.track("u", "A", on_commit=True)
    rudder_logging.upload_size = 7
    database.commit()
    assert names(plane) == ["A"]


def test_what_waits_is_bounded_like_the_queue(
    database: Database, make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A transaction of a million events takes no more memory than the queue may."""
    handler = make_handler(max_queue_size=3)
    events = EventLogger(wire(handler))
    database.begin()
    for number in range(5):
        events.track("u", str(number), on_commit=True)
    assert handler.stats().dropped == {"queue_full": 2}
    assert counts(handler) == (3, 3, 0)
    database.commit()
    assert names(plane) == ["0", "1", "2"]


def test_bound_of_bytes_holds_too(
    database: Database, make_handler: MakeHandler, wire: Wire
) -> None:
    """Those that have left make room again."""
    handler = make_handler(max_queue_bytes=40_000, max_event_bytes=30_000)
    events = EventLogger(wire(handler))
    for _ in range(3):
        database.begin()
        events.track("u", "A", {"text": "x" * 25_000}, on_commit=True)
        events.track("u", "B", {"text": "x" * 25_000}, on_commit=True)
        database.roll_back()
    assert handler.stats().dropped == {"rolled_back": 3, "queue_full": 3}
    assert counts(handler) == (0, 0, 3)


def test_queue_full_at_the_commit(
    database: Database, make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """The queue's bounds hold for what is committed, and the commit does not raise."""
    plane.fail(503)
    handler = make_handler(max_queue_size=2)
    events = EventLogger(wire(handler))
    database.begin()
    events.track("u", "A", on_commit=True)
    events.track("u", "B", on_commit=True)
    events.track("u", "C")
    database.commit()
    assert handler.stats().dropped == {"queue_full": 1}
    assert counts(handler) == (2, 0, 0)
    plane.heal()
    assert names(plane) == ["C", "A"]


def test_before_send_is_asked_at_the_call(
    database: Database, make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Once; what it drops never waits."""
    asked: list[str] = []

    def before_send(event: dict[str, Any]) -> dict[str, Any] | None:
        asked.append(event["event"])
        return None if event["event"] == "B" else event

    handler = make_handler(before_send=before_send)
    events = EventLogger(wire(handler))
    database.begin()
    events.track("u", "A", on_commit=True)
    events.track("u", "B", on_commit=True)
    assert asked == ["A", "B"]
    assert counts(handler) == (1, 1, 0)
    database.commit()
    assert names(plane) == ["A"]
    assert asked == ["A", "B"]


def test_before_send_sees_who_the_user_is_once_that_is_known(
    database: Database, make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """It may be what keeps the id from leaving, and may drop the event."""

    def hook(message: dict[str, Any]) -> dict[str, Any] | None:
        user = message.pop("userId", None)
        return None if user == "nobody" else {**message, "context": {"hashed": user == "jane"}}

    handler = make_handler(before_send=hook)
    events = EventLogger(wire(handler))
    database.begin()
    for name in ("Kept", "Dropped"):
        events.info(name, extra={"rudder": {"anonymous_id": "a"}, "rudder_on_commit": True})
    for event, user in zip(database.waiting[-1], ("jane", "nobody"), strict=True):
        event.name_user(user)
    database.commit()
    assert names(plane) == ["Kept"]
    assert "userId" not in plane.events[0]
    assert plane.events[0]["context"]["hashed"] is True
    assert counts(handler) == (0, 0, 0)
    assert handler.stats().dropped == {"before_send": 1}


def test_two_handlers(
    database: Database, make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Each has its own message wait, and a record that somebody sees takes no other way."""
    handlers = make_handler(), make_handler()
    stream = logging.StreamHandler(open(os.devnull, "w"))  # noqa: PTH123,SIM115 - a sink
    events = EventLogger(wire(*handlers, stream))
    database.begin()
    events.track("u", "A", on_commit=True)
    assert [one.stats().uncommitted for one in handlers] == [1, 1]
    database.commit()
    assert names(plane) == ["A", "A"]
    stream.stream.close()


def test_blocks_end_in_any_order(
    database: Database, events: EventLogger, handler: RudderHandler
) -> None:
    """As those of an exit stack, or of two requests in one thread, may do."""
    first, second = rudder_logging.on_commit(), rudder_logging.on_commit()
    database.begin()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    log(events, "within the second", None)
    second.__exit__()
    assert counts(handler)[1] == 1
    log(events, "after both", None)
    assert counts(handler)[1] == 1


def test_block_ends_however_it_ends(
    database: Database, events: EventLogger, handler: RudderHandler
) -> None:
    """By an exception, within another one, and never for another thread."""
    database.begin()
    with contextlib.suppress(ZeroDivisionError), rudder_logging.on_commit():
        with rudder_logging.on_commit("main"):
            thread = threading.Thread(target=events.track, args=("u", "thread"))
            thread.start()
            thread.join()
        events.track("u", "A")
        raise ZeroDivisionError
    events.track("u", "B")
    assert handler.flush()
    assert counts(handler) == (1, 1, 0)
    database.roll_back()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_forked_child_leaves_them_to_its_parent(
    database: Database, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """The child that ends the transaction as well sends, counts and drops nothing of it."""
    database.begin()
    events.track("u", "A", on_commit=True)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            database.commit()
            stats = handler.stats()
            if stats.accepted == 0 and handler.flush():
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert counts(handler) == (1, 1, 0)
    database.commit()
    assert names(plane) == ["A"]


@pytest.mark.parametrize("end", ["exit", "sigterm"])
def test_process_that_ends_rolls_back(end: str, plane: LocalDataPlane) -> None:
    """As its databases do: the events of open transactions are dropped, counted and told."""
    script = f"""
import logging, os, signal, sys
import rudder_logging
from rudder_logging.handler import commits

waiting = []
commits.register(lambda name: waiting.append)
handler = rudder_logging.RudderHandler(
    "test-write-key",
    {plane.url!r},
    on_drop=lambda event, reason: print(event["event"], reason, handler.stats().balanced),
    drain_on_sigterm=True,
)
logging.getLogger().addHandler(handler)
rudder_logging.track("u", "waits", on_commit=True)
rudder_logging.track("u", "leaves")
if {end!r} == "sigterm":
    sys.stdout.reconfigure(line_buffering=True)
    os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == (0 if end == "exit" else -signal.SIGTERM), done.stderr
    assert done.stdout == "waits rolled_back True\n"
    assert done.stderr == ""
    assert [event["event"] for event in plane.wait_for(1)] == ["leaves"]


def test_captured_event_is_shown_and_marked(database: Database) -> None:
    """Tests that never commit see it; a rollback takes it back, as nothing would leave."""
    with capture_events() as events:
        rudder_logging.track("u", "outside", on_commit=True)
        database.begin()
        rudder_logging.track("u", "A", on_commit=True)
        assert [(event["event"], event.on_commit) for event in events] == [
            ("outside", False),
            ("A", True),
        ]
        database.begin()
        rudder_logging.track("u", "B", on_commit=True)
        rudder_logging.track("u", "B")
        assert len(events) == 4
        database.roll_back()
        assert [event["event"] for event in events] == ["outside", "A", "B"]
        database.commit()
        assert len(events) == 3
        assert "waits for a commit" in str(events[1])


def test_captured_event_is_shown_though_an_integration_raises(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would leave at once: so it is no refusal, which would fail the test."""
    monkeypatch.setattr(commits, "_told", set())

    def wait(_event: Uncommitted) -> None:
        raise ZeroDivisionError

    take_back = commits.register(lambda _name: wait)
    with capture_events() as captured:
        rudder_logging.track("u", "Shown", on_commit=True)
    take_back()
    assert [event["event"] for event in captured] == ["Shown"]
    assert "ZeroDivisionError" in caplog.text
