"""Direct calls make a log record only where it matters; what arrives is the same either way."""

from __future__ import annotations

import _thread
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rudder_logging import EventLogger, RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.dispatch import want_records

from ..conftest import MakeHandler, Wire


class Records(logging.Handler):
    """Keeps what it gets."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.kept: list[logging.LogRecord] = []
        self.has_some = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.kept.append(record)
        self.has_some.set()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[logging.LogRecord]:
    """All records that are made."""
    records: list[logging.LogRecord] = []
    make = logging.LogRecord.__init__

    def make_and_note(self: logging.LogRecord, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        records.append(self)

    monkeypatch.setattr(logging.LogRecord, "__init__", make_and_note)
    return records


@pytest.fixture
def handler(make_handler: MakeHandler) -> RudderHandler:
    """One that delivers."""
    return make_handler()


@pytest.fixture
def logger(handler: RudderHandler, wire: Wire) -> logging.Logger:
    """With that handler."""
    return wire(handler)


@pytest.fixture
def hidden(logger: logging.Logger) -> Iterator[Callable[[], None]]:
    """To call within the test: no handler of pytest's sees the logger's records from then on."""
    yield lambda: setattr(logger, "propagate", False)
    logger.propagate = True
    logger.filters.clear()


def call_and_flush(logger: logging.Logger, handler: RudderHandler) -> None:
    """Record one event by a call."""
    EventLogger(logger).track("u1", "Article Read", {"title": "The Independence"})
    assert handler.flush(10)


def test_no_record_is_made_that_nobody_would_see(
    logger: logging.Logger,
    hidden: Callable[[], None],
    handler: RudderHandler,
    plane: LocalDataPlane,
    made: list[logging.LogRecord],
) -> None:
    """The event is the same as one that a record carries."""
    hidden()
    logger.addHandler(logging.NullHandler())
    logger.addHandler(Records(logging.WARNING))
    call_and_flush(logger, handler)
    assert made == []
    logger.addHandler(Records())
    call_and_flush(logger, handler)
    assert len(made) == 1
    without, with_record = plane.events
    for name in ("messageId", "originalTimestamp", "sentAt"):
        assert without.pop(name) != with_record.pop(name)
    assert without == with_record


def _add_handler(logger: logging.Logger, records: Records, patch: pytest.MonkeyPatch) -> None:
    logger.addHandler(records)


def _filter_logger(logger: logging.Logger, records: Records, patch: pytest.MonkeyPatch) -> None:
    logger.addFilter(lambda record: not records.emit(record))  # type: ignore[func-returns-value]


def _filter_handler(logger: logging.Logger, records: Records, patch: pytest.MonkeyPatch) -> None:
    logger.handlers[0].addFilter(lambda record: not records.emit(record))  # type: ignore[func-returns-value]


def _replace_factory(logger: logging.Logger, records: Records, patch: pytest.MonkeyPatch) -> None:
    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        records.emit(logging.LogRecord(*args, **kwargs))
        return records.kept[-1]

    patch.setattr(logging, "_logRecordFactory", make)


def _patch_call_handlers(
    logger: logging.Logger, records: Records, patch: pytest.MonkeyPatch
) -> None:
    _patch(patch, "callHandlers", records)


def _patch_handle(logger: logging.Logger, records: Records, patch: pytest.MonkeyPatch) -> None:
    _patch(patch, "handle", records)


def _patch(patch: pytest.MonkeyPatch, name: str, records: Records) -> None:
    original = getattr(logging.Logger, name)

    def see(self: logging.Logger, record: logging.LogRecord) -> None:
        if hasattr(record, "rudder"):
            records.emit(record)
        original(self, record)

    patch.setattr(logging.Logger, name, see)


@pytest.mark.parametrize(
    "listen",
    [
        _add_handler,
        _filter_logger,
        _filter_handler,
        _replace_factory,
        _patch_call_handlers,
        _patch_handle,
    ],
)
def test_whoever_may_look_at_a_record_gets_one(
    logger: logging.Logger,
    hidden: Callable[[], None],
    handler: RudderHandler,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
    listen: Callable[[logging.Logger, Records, pytest.MonkeyPatch], None],
) -> None:
    """Another handler, a filter, a factory, an agent that has replaced a method of all loggers: it
    sees the event, once, and its caller.
    """
    hidden()
    records = Records()
    listen(logger, records, monkeypatch)
    call_and_flush(logger, handler)
    (record,) = records.kept
    assert record.__dict__["rudder"]["event"] == "Article Read"
    assert (record.pathname, record.funcName) == (__file__, "call_and_flush")
    assert len(plane.events) == 1


AGENT = """
import logging
original = logging.Logger.callHandlers

def see(self, record):
    print("seen:", record.getMessage())
    original(self, record)

logging.Logger.callHandlers = see
logging.getLogger().setLevel("INFO")
import rudder_logging
rudder_logging.write_key, rudder_logging.send = "k", False
rudder_logging.data_plane_url = "http://127.0.0.1:9"
rudder_logging.track("u1", "Article Read")
"""


def test_an_agent_that_came_first_sees_calls() -> None:
    """It has replaced the method before the package was imported, as most have."""
    run = [sys.executable, "-c", AGENT]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout == (
        "seen: Article Read\n"
    )


def test_a_call_that_comes_from_no_python_code(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """From `atexit`, or as a thread's function: there is no caller for the record to name."""
    records = Records()
    logger.addHandler(records)
    _thread.start_new_thread(EventLogger(logger).track, ("u1", "Article Read"))
    assert [event["event"] for event in plane.wait_for(1)] == ["Article Read"]
    assert records.has_some.wait(30)
    assert (records.kept[0].pathname, records.kept[0].lineno) == ("(unknown file)", 0)


def test_whoever_looks_at_records_in_tests_can_have_them(
    logger: logging.Logger,
    hidden: Callable[[], None],
    handler: RudderHandler,
    made: list[logging.LogRecord],
) -> None:
    """Until they no longer want them."""
    hidden()
    want_records(1)
    call_and_flush(logger, handler)
    want_records(-1)
    call_and_flush(logger, handler)
    assert len(made) == 1


def test_a_filter_in_a_subclass_of_the_handler_is_asked(plane: LocalDataPlane, wire: Wire) -> None:
    """It may hold the event back."""

    class Choosy(RudderHandler):
        def filter(self, record: logging.LogRecord) -> bool:
            return "secret" not in record.msg

    handler = Choosy("test-write-key", plane.url)
    logger = wire(handler)
    logger.propagate = False
    try:
        EventLogger(logger).track("u1", "secret")
        call_and_flush(logger, handler)
    finally:
        handler.close()
        logger.propagate = True
    assert [event["event"] for event in plane.events] == ["Article Read"]


def test_a_handler_that_is_on_the_path_twice_takes_an_event_once(
    handler: RudderHandler, plane: LocalDataPlane, wire: Wire
) -> None:
    """By a child logger and by its parent."""
    parent = wire(handler, name="twice")
    parent.propagate = False
    call_and_flush(wire(handler, name="twice.child"), handler)
    parent.propagate = True
    assert len(plane.events) == 1


def test_levels_and_disabled_loggers_do_not_stop_a_call(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Also where another handler would see its record if they allowed it."""
    records = Records()
    logger.addHandler(records)
    logger.setLevel(logging.ERROR)
    handler.setLevel(logging.ERROR)
    call_and_flush(logger, handler)
    logger.disabled = True
    call_and_flush(logger, handler)
    logger.disabled = False
    handler.setLevel(logging.NOTSET)
    assert records.kept == []
    assert len(plane.events) == 2
