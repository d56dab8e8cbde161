"""What an event costs, as counts: no clock is asked, so nothing here depends on the machine.

The figures themselves are those of `python -m tests.benchmarks`.
"""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from contextvars import Context
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import rudder_logging
from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.events import compiled
from rudder_logging.events.defaults import NOTHING_BOUND
from rudder_logging.events.records import RECORD_IDS
from rudder_logging.handler import commits
from rudder_logging.queues import MemoryQueue
from rudder_logging.sinks.gateway import compression, transport

from .benchmarks.shapes import SHAPES, Shape
from .conftest import MakeHandler, Wire

EVENTS = 1_000
PACKAGE = str(Path(rudder_logging.__file__).parent)


class Counted:
    """A value that says how often it was converted."""

    def __init__(self) -> None:
        self.conversions = 0

    def __repr__(self) -> str:
        self.conversions += 1
        return "counted"


def log(logger: logging.Logger, count: int = EVENTS) -> None:
    """Log events as an app does."""
    logger.propagate = False  # pytest would keep the records
    for number in range(count):
        event = {"user_id": "u", "properties": {"n": number, "title": "The Independence"}}
        logger.info("Article Read", extra={"rudder": event})


def test_an_event_is_serialised_once(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """At the call, and never again, however often it is sent."""
    handler = make_handler()
    value = Counted()
    plane.fail(503, times=2)
    wire(handler).info("Read", extra={"rudder": {"user_id": "u", "properties": {"v": value}}})
    assert handler.flush(20)
    assert handler.stats().retries == 2
    assert value.conversions == 1
    assert plane.events[0]["properties"] == {"v": "counted"}


A_CALL = ("handle", "emit", "_accept", "accept", "encode", "encode", "put")
"""Of Python's functions, those that any event goes by: the compiled `encode` has no loop."""
MORE_CALLS = {
    # One for each container that has others in it; what the innermost have is not looked at.
    "list": ("copy_within",),
    "context": ("copy_within",),
    "order": ("copy_within", "_copy_within_list"),
    # Each container, and each value that is converted.
    "order-odd": (
        *("convert",) * 5,
        *("_native", "jsonable") * 5,
        *("_number_of_decimal", "<lambda>") * 4,
        "isoformat",
    ),
    "order-context": ("copy_within", "_copy_within_list", "copy_within"),
    "identify": ("copy_within",),
    # What is bound is looked up.
    "bound": ("bound", "over"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_shape_of_an_event_takes_the_long_way(
    name: str, make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From `handle` on, a call of each shape is as many functions of Python's as it needs: one more
    costs it about a hundredth, and `build` and `dumps` half as much as all.
    """
    monkeypatch.setattr(RECORD_IDS, "wanted", False)  # another test's formatter sets it
    monkeypatch.setattr(commits, "has_blocks", False)  # likewise
    encoders: dict[Any, Any] = {}  # other tests' values have changed those that are there
    monkeypatch.setattr(NOTHING_BOUND, "encoders", encoders)
    monkeypatch.setattr(compiled, "_ENCODERS_WITH", {(): encoders})
    handler = make_handler(upload_interval=60, upload_size=EVENTS)
    calls = calls_of(handler, wire(handler), SHAPES[name])
    assert calls == Counter((*A_CALL, *MORE_CALLS.get(name, ())))
    assert handler.stats().accepted == 2


REDACTING = {"copy_within": "clean_within", "_copy_within_list": "_clean_within_list"}


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "order-odd"])
def test_redaction_is_no_pass_of_its_own(
    name: str, make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ten redacted keys, a call is one function more than without, which looks for a `format`
    of the app's: others do the same work.

    The message is not read again, though there are URLs in it: those of a page are known by then.
    """
    monkeypatch.setattr(RECORD_IDS, "wanted", False)  # as above
    monkeypatch.setattr(commits, "has_blocks", False)
    handler = make_handler(
        upload_interval=60, upload_size=EVENTS, privacy={"redact": [f"k{n}" for n in range(10)]}
    )
    calls = calls_of(handler, wire(handler), SHAPES[name])
    more = (REDACTING.get(one, one) for one in MORE_CALLS.get(name, ()))
    assert calls == Counter((*A_CALL, "is_hooked", *more))


def calls_of(handler: RudderHandler, logger: logging.Logger, shape: Shape) -> Counter[str]:
    """The functions of this package that the second event of a shape goes by."""
    calls = Counter[str]()

    def note(frame: FrameType, event: str, _arg: object) -> None:
        code = frame.f_code
        if event == "call" and (PACKAGE in code.co_filename or code.co_filename == "<string>"):
            calls[code.co_name] += 1

    def record_of(number: int) -> logging.LogRecord:
        fields = {"rudder": shape.fields(number)}
        record = logger.makeRecord("shop", logging.INFO, "", 1, shape.line, (), None, extra=fields)
        record.created = 1_700_000_000.5  # the first event of a millisecond makes its text
        return record

    def count() -> None:
        with shape.binding():
            handler.handle(record_of(1))  # the first of its shape compiles, and starts a thread
            record = record_of(2)
            before = sys.getprofile()
            gc.collect()  # what other tests have left has finalizers, which are no part of this
            gc.disable()
            sys.setprofile(note)
            try:
                handler.handle(record)
            finally:
                sys.setprofile(before)
                gc.enable()

    Context().run(count)  # where nothing else is bound
    return calls


def test_the_listener_is_woken_at_the_edges_only(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first event that waits and by the one that makes an upload, and by none between."""
    handler = make_handler(upload_interval=60)
    logger = wire(handler)
    plane.latency = 0.2
    log(logger, 1)
    wakes = Counter[str]()
    listener = handler._listener

    def wake() -> None:
        wakes["wake"] += 1
        type(listener).wake(listener)

    monkeypatch.setattr(listener, "wake", wake)
    log(logger)
    plane.latency = 0.0
    assert handler.flush(20)
    # Twice for each upload that began meanwhile, of which there are few.
    assert wakes["wake"] <= 2 * len(plane.requests) <= EVENTS / 10


def test_ids_need_no_system_call_each(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random bytes are asked for once in a second."""
    asked = Counter[str]()
    urandom = os.urandom

    def counted(size: int) -> bytes:
        asked["urandom"] += 1
        return urandom(size)

    handler = make_handler()
    logger = wire(handler)
    log(logger, 1)
    monkeypatch.setattr(os, "urandom", counted)
    log(logger)
    monkeypatch.undo()
    assert handler.flush(20)
    assert len({event["messageId"] for event in plane.events}) == EVENTS + 1
    assert asked["urandom"] < EVENTS / 10


def test_a_body_is_compressed_once_an_attempt(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of it."""
    bodies: list[bytes] = []
    compress = compression.compress

    def counted(body: bytes) -> bytes:
        bodies.append(body)
        return compress(body)

    monkeypatch.setattr(transport, "compress", counted)
    plane.fail(503, times=2)
    handler = make_handler()
    log(wire(handler))
    assert handler.flush(20)
    assert len(bodies) == len(plane.requests) == handler.stats().requests


def test_an_event_on_the_disk_is_one_write(
    make_handler: MakeHandler, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a whole line, with no other call that the disk has to answer."""
    handler = make_handler(queue=f"file://{tmp_path}", upload_interval=60, upload_size=EVENTS * 10)
    logger = wire(handler)
    log(logger, 1)  # makes the directory and the first segment
    calls = Counter[str]()

    def counting(name: str) -> Any:
        original = getattr(os, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return original(*args, **kwargs)

        return counted

    for name in ("write", "fsync", "open", "pwrite", "lseek"):
        monkeypatch.setattr(os, name, counting(name))
    log(logger)
    monkeypatch.undo()
    assert calls == {"write": EVENTS}
    assert handler.flush(20)


def test_a_queued_event_takes_little_more_than_its_bytes(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The buffer that it was written in is not kept with it, nor the record."""
    # Another test's formatter has ids of the last records remembered, from then on.
    monkeypatch.setattr(RECORD_IDS, "wanted", False)
    handler = make_handler(upload_interval=60, upload_size=EVENTS * 10, max_queue_size=EVENTS * 10)
    logger = wire(handler)
    log(logger)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0], handler.stats().pending_bytes
        log(logger)
        after = tracemalloc.get_traced_memory()[0], handler.stats().pending_bytes
    finally:
        tracemalloc.stop()
    memory, messages = after[0] - before[0], after[1] - before[1]
    assert 0 < messages <= memory < messages + 60 * EVENTS
    assert handler.flush(20)
    assert len(plane.events) == 2 * EVENTS


def test_taking_a_batch_does_not_copy_the_backlog() -> None:
    """A backlog of any length costs each upload the same."""
    queue = MemoryQueue(max_events=200_000, max_bytes=2**30)
    for _ in range(100_000):
        queue.put(b"message")
    tracemalloc.start()
    try:
        assert queue.take(max_bytes=700) == [b"message"] * 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # of the 800,000 that the references alone would take


def test_importing_the_package_loads_nothing_that_only_delivery_needs() -> None:
    """What takes the time comes with the first handler."""
    program = "import sys, rudder_logging; print(*sys.modules)"
    # Without what measures the suite's coverage in subprocesses: it loads much itself.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout.split()
    dear = {
        "requests",
        "urllib3",
        "ssl",
        "socket",
        "logging.handlers",
        "random",
        "email",
        "asyncio",
    }
    assert not dear & set(loaded)
