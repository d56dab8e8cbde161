"""Events logged where a thread is inside the handler already: signal handlers, `__del__`, GC."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.queues import file
from rudder_logging.queues.file import backlog
from rudder_logging.queues.file.backlog import Backlog
from rudder_logging.queues.file.segments import Claim
from rudder_logging.queues.file.store import Store
from rudder_logging.queues.file.window import Window
from rudder_logging.queues.waiting import Settled

from .conftest import MakeHandler, Wire

pytestmark = pytest.mark.slow


@pytest.fixture
def eager_gc() -> Iterator[None]:
    """Garbage is collected every few allocations."""
    before = gc.get_threshold()
    gc.set_threshold(20)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("eager_gc")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
def test_signals_and_garbage_collections_inside_emit_lose_nothing(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A signal handler and a `__del__` log events while their thread logs one: no deadlock, and
    each event arrives once.
    """
    handler = make_handler(upload_interval=0.01, max_queue_size=1_000_000)
    logger = wire(handler)
    logger.propagate = False
    logged = Counter({"main": 0, "signal": 0, "__del__": 0})

    def log(name: str) -> None:
        logged[name] += 1
        logger.info(name, extra={"rudder": {"user_id": "u"}})

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            log("__del__")

    is_over = False

    def on_signal(*_: Any) -> None:
        # Not a timer that repeats: on a busy machine the next signal would come within this one.
        if not is_over:
            log("signal")
            signal.setitimer(signal.ITIMER_REAL, 0.0005)

    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        while logged["signal"] < 200 or logged["main"] < 3_000:
            Cycle()
            log("main")
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()
    assert handler.flush(30)
    assert Counter(event["event"] for event in plane.events) == logged
    assert len({event["messageId"] for event in plane.events}) == logged.total()
    assert handler.stats().accepted == logged.total()


BEGINNING = """
import contextlib, json, random, signal, sys, time
from dataclasses import asdict
from rudder_logging import RudderHandler
from rudder_logging.handler.admission import Admission

url, queue, error, pause = sys.argv[1:]
error = TimeoutError if error == "TimeoutError" else type(error, (BaseException,), {})
event = {"user_id": "u"}

def on_signal(*_):
    raise error
"""

ENDING = """
settled = handler.flush(30)
stats = handler.stats()
print(json.dumps({**asdict(stats), "balanced": stats.balanced, "settled": settled}))
"""

AMID_CALLS = """
if float(pause):  # as on a machine that gives this thread no turn
    after_failed_put = Admission._after_failed_put
    def later(*arguments):
        time.sleep(float(pause))
        after_failed_put(*arguments)
    Admission._after_failed_put = later
handler = RudderHandler("test-write-key", url, upload_interval=0.01, queue=queue)
# A thread that such a signal hits at its start may die of it: that is Python's own affair.
handler.accept(event, "e", 1_700_000_000.0)
signal.signal(signal.SIGALRM, on_signal)
for _ in range(300):
    with contextlib.suppress(error):
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, 0.0004))
        while True:
            handler.accept(event, "e", 1_700_000_000.0)
"""

AMID_DELIVERIES = """
handler = RudderHandler("test-write-key", url, sync_mode=True, queue=queue)
handler.accept(event, "e", 1_700_000_000.0)
signal.signal(signal.SIGALRM, on_signal)
for _ in range(150):
    with contextlib.suppress(error):
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.006))
        for _ in range(50):
            handler.accept(event, "e", 1_700_000_000.0)
        signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
@pytest.mark.parametrize(
    ("error", "pause"),
    [
        ("TooLateError", 0),
        ("TimeoutError", 0),
        pytest.param(
            "TooLateError",
            0.03,
            marks=pytest.mark.skipif(
                sys.version_info < (3, 11),
                reason="signal handlers come in between a call's return and the use of its result",
            ),
        ),
    ],
)
@pytest.mark.parametrize("queue", ["memory://", "file://{folder}"])
def test_signal_handlers_that_raise_anywhere_leave_counts_right(
    plane: LocalDataPlane, tmp_path: Path, queue: str, error: str, pause: float
) -> None:
    """The app catches it and goes on: each event is delivered or told, and none twice.

    So, too, where the event is delivered before the call that logged it comes to see whether it
    was queued.
    """
    stats = _run(AMID_CALLS, plane.url, queue.format(folder=tmp_path / "spool"), error, pause)
    assert set(stats["dropped"]) <= {"interrupted", "queue_full"}
    assert len(plane.events) == stats["delivered"]
    assert len({event["messageId"] for event in plane.events}) == stats["delivered"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
@pytest.mark.parametrize("queue", ["memory://", "file://{folder}"])
def test_signal_handlers_that_raise_amid_a_delivery_leave_counts_right(
    plane: LocalDataPlane, tmp_path: Path, queue: str
) -> None:
    """Where calls deliver: the next upload does not hang, each event arrives once or again."""
    queue = queue.format(folder=tmp_path / "spool")
    stats = _run(AMID_DELIVERIES, plane.url, queue, "TooLateError", 0)
    assert set(stats["dropped"]) <= {"interrupted"}
    assert len({event["messageId"] for event in plane.events}) == stats["delivered"]


def _run(program: str, url: str, queue: str, error: str, pause: float) -> dict[str, Any]:
    """Run it without coverage, whose own lock such a signal would leave taken."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + program + ENDING, url, queue, error, str(pause)],
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stats: dict[str, Any] = json.loads(done.stdout)
    assert stats["settled"]
    assert stats["balanced"], stats
    assert (stats["pending"], stats["pending_bytes"]) == (0, 0)
    return stats


def test_a_signal_that_raises_amid_an_eviction(
    make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had gone from the queue by then is counted: the ledger balances."""
    handler = make_handler(  # a bound in bytes: at one in events, an upload would begin
        overflow="drop_old",
        max_event_bytes=2_000,
        max_queue_bytes=4_000,
        upload_size=1_000,
        upload_interval=60,
    )
    logger = wire(handler)
    while not handler.stats().dropped:
        logger.info("e", extra={"rudder": {"user_id": "u"}})
    dropped = handler.stats().dropped["queue_full"]

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Settled, "drop", interrupted)
        with pytest.raises(KeyboardInterrupt):
            logger.info("e", extra={"rudder": {"user_id": "u"}})
    stats = handler.stats()
    assert stats.balanced
    assert stats.dropped == {"queue_full": dropped + 1, "interrupted": 1}


@pytest.mark.skipif(os.name == "nt", reason="there is no durable queue")
@pytest.mark.parametrize(
    ("owner", "name"),
    [(Claim, "take_out"), (Store, "take_out"), (Window, "take_out"), (Backlog, "make_room")],
)
def test_a_signal_that_raises_amid_an_eviction_on_the_disk(
    make_handler: MakeHandler,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    owner: type,
    name: str,
) -> None:
    """What had gone from the spool by then is counted: the ledger balances."""
    queue = f"file://{tmp_path}/spool?max_bytes=20000"
    handler = make_handler(queue=queue, overflow="drop_old", upload_size=1_000, upload_interval=60)
    logger = wire(handler)
    event = {"user_id": "u", "properties": {"text": "x" * 300}}
    while not handler.stats().dropped:
        logger.info("e", extra={"rudder": event})
    dropped = handler.stats().dropped["queue_full"]
    original = getattr(owner, name)
    gone: list[object] = []

    def interrupted(*arguments: object) -> object:
        result = original(*arguments)
        if result:
            gone.append(result)
            raise KeyboardInterrupt
        return result

    def fill() -> None:
        while not gone:
            logger.info("e", extra={"rudder": event})

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill()
    stats = handler.stats()
    assert stats.balanced, stats
    assert stats.dropped["queue_full"] > dropped
    assert stats.dropped["interrupted"] == 1


@pytest.mark.skipif(os.name == "nt", reason="there is no durable queue")
def test_a_signal_that_raises_while_old_events_expire(
    make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What had gone from the spool by then is counted: the ledger balances."""
    queue = f"file://{tmp_path}/spool?max_age=1"
    handler = make_handler(queue=queue, upload_size=1_000, upload_interval=60)
    logger = wire(handler)
    for _ in range(3):
        logger.info("e", extra={"rudder": {"user_id": "u"}})

    original = Store.drop

    def interrupted(*arguments: Any) -> object:
        original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "drop", interrupted)
        patch.setattr(backlog, "time", lambda: time.time() + 60)
        patch.setattr(file, "monotonic", lambda: time.monotonic() + 60)
        with pytest.raises(KeyboardInterrupt):
            logger.info("e", extra={"rudder": {"user_id": "u"}})
    stats = handler.stats()
    assert stats.balanced, stats
    assert stats.dropped["expired"] == 1
