"""BatchListener: batches when they are due, and no wait that outlasts its reason."""

from __future__ import annotations

import threading
from collections.abc import Callable
from logging.handlers import QueueListener
from time import monotonic
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.listener import BatchListener
from rudder_logging.queues import Batch, Depth, MemoryQueue

from ..conftest import MakeHandler, Wire

EVENT = {"rudder": {"user_id": 1}}


def test_it_is_a_queue_listener_by_its_documented_hooks(make_handler: MakeHandler) -> None:
    """It adds to the standard library's class, and overrides nothing of it that is private."""
    assert issubclass(BatchListener, QueueListener)
    own = {name for name in vars(BatchListener) if not name.startswith("__")}
    private = {name for name in vars(QueueListener) if name.startswith("_")}
    assert not own & private


class LateQueue(MemoryQueue):
    """A queue in which something happens right after somebody saw that it is empty."""

    then: Callable[[], None] | None = None

    def depth(self) -> Depth:
        """How full it is, and then what the test wants."""
        seen = super().depth()
        if not seen.events and self.then is not None:
            then, self.then = self.then, None
            then()
        return seen


def test_flush_between_two_looks_is_heeded(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """An event and a flush that come while the listener looks do not wait for upload_interval."""
    queue = LateQueue(max_events=10, max_bytes=10_000)
    handler = make_handler(queue=queue, upload_interval=3_600)
    logger = wire(handler)
    logger.info("first", extra=EVENT)

    def log_and_hurry() -> None:
        logger.info("second", extra=EVENT)
        handler._listener.hurry()

    queue.then = log_and_hurry
    assert handler.flush()
    assert [event["event"] for event in plane.wait_for(2)] == ["first", "second"]


def test_event_at_the_listeners_last_moment_is_not_stranded(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """An event that comes just when a closing listener has found nothing is delivered."""
    queue = LateQueue(max_events=10, max_bytes=10_000)
    handler = make_handler(queue=queue, upload_interval=0)
    logger = wire(handler)
    logger.info("first", extra=EVENT)
    plane.wait_for(1)
    queue.then = lambda: logger.info("second", extra=EVENT)
    handler.close()
    assert [event["event"] for event in plane.wait_for(2)] == ["first", "second"]


def test_no_thread_before_the_first_event_and_one_after(
    make_handler: MakeHandler, wire: Wire
) -> None:
    """Making a handler starts nothing; a thousand events start one thread."""
    before = threading.active_count()
    handler = make_handler()
    assert threading.active_count() == before
    logger = wire(handler)
    for _ in range(1_000):
        logger.info("e", extra=EVENT)
    assert threading.active_count() == before + 1


def test_listener_is_not_woken_for_every_event(
    make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first of those that wait, and the one that makes an upload due, wake it."""
    handler = make_handler(upload_size=100, upload_interval=3_600)
    logger = wire(handler)
    listener = handler._listener
    wakes: list[int] = []
    original = listener.wake

    def wake() -> None:
        wakes.append(1)
        original()

    monkeypatch.setattr(listener, "wake", wake)
    for _ in range(99):
        logger.info("e", extra=EVENT)
    assert len(wakes) <= 1


def test_flush_while_waiting_for_a_next_attempt_also_sends_what_came_since(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A flush ends the wait for the next attempt, and then the wait of the events behind it."""
    handler = make_handler(upload_interval=3_600, upload_size=2)
    plane.fail(503, retry_after=200)
    logger = wire(handler)
    for number in range(2):
        logger.info("e", extra={"rudder": {"user_id": number}})
    plane.wait_for_requests(1)
    logger.info("e", extra={"rudder": {"user_id": 2}})
    assert handler.flush(10)
    assert [event["userId"] for event in plane.events] == ["0", "1", "2"]


def test_waits_between_attempts_end_with_close(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A backoff, however long, does not outlast a close: it tries once more, and is done."""
    handler = make_handler(upload_interval=0, shutdown_timeout=150)
    plane.fail(503, retry_after=200)
    wire(handler).info("e", extra=EVENT)
    plane.wait_for_requests(1)
    begun = monotonic()
    handler.close()
    assert monotonic() - begun < 100  # it would be 150 without
    assert len(plane.events) == 1


def test_flush_and_close_from_callbacks_do_not_wait_for_themselves(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """on_error may call flush() or close(): in the sender's own thread they don't wait."""
    answers: list[bool] = []

    def on_error(error: Exception, events: list[dict[str, object]]) -> None:
        answers.append(handler.flush())
        handler.close()

    handler = make_handler(on_error=on_error)
    plane.fail(413)
    wire(handler).info("e", extra=EVENT)
    assert handler.flush(5)
    assert answers == [False]


def test_idle_listener_wakes_for_the_next_event(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """After a batch the thread sleeps; an event that comes then needs no flush to leave."""
    handler = make_handler(upload_interval=0.01)
    logger = wire(handler)
    for number in range(1, 4):
        logger.info("e", extra=EVENT)
        assert len(plane.wait_for(number)) == number
        assert handler.flush()


class InterruptedQueue(MemoryQueue):
    """A queue whose `put` is interrupted while it holds the lock, and the sender wants it."""

    def __init__(self) -> None:
        super().__init__(max_events=10, max_bytes=10_000)
        self.taken = threading.Event()
        self.acknowledging = threading.Event()
        self.interruption: Callable[[], None] | None = None

    def put(self, message: bytes) -> int:
        """Put, but first be interrupted."""
        with self._lock:
            interruption, self.interruption = self.interruption, None
            if interruption is not None:
                assert self.acknowledging.wait(30)
                interruption()
            return super().put(message)

    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """Hand out a batch, and tell."""
        batch = super().take(max_bytes, overhead)
        if batch:
            self.taken.set()
        return batch

    def settle(self, batch: Batch, count: int) -> int:
        """Acknowledge, and tell before waiting for the lock."""
        self.acknowledging.set()
        return super().settle(batch, count)


def test_event_inside_an_event_does_not_wait_for_the_sender(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A signal handler that logs inside `put`, while the sender settles a batch: no deadlock."""
    queue = InterruptedQueue()
    handler = make_handler(queue=queue, upload_interval=0)
    logger = wire(handler)
    plane.latency = 0.2
    logger.info("first", extra=EVENT)
    assert queue.taken.wait(30)
    queue.interruption = lambda: logger.info("inner", extra=EVENT)
    logger.info("outer", extra=EVENT)
    assert handler.flush()
    assert [event["event"] for event in plane.wait_for(3)] == ["first", "inner", "outer"]


def test_a_stream_of_events_leaves_in_few_uploads(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upload, what makes the next one due rests until ten times as many wait."""
    monkeypatch.setattr("rudder_logging.delivery.listener._REST", 3_600.0)
    handler = make_handler(upload_size=5, upload_interval=3_600)
    logger = wire(handler)
    for _ in range(5):
        logger.info("e", extra=EVENT)
    plane.wait_for(5)
    until_asleep(handler._listener)
    for _ in range(5):
        logger.info("e", extra=EVENT)
    until_asleep(handler._listener, until=50)
    for _ in range(45):
        logger.info("e", extra=EVENT)
    plane.wait_for(55)
    assert [len(request.batch) for request in plane.requests] == [5, 50]


def test_a_small_queue_gets_no_rest(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause after an upload must not let a queue run over while the server is well."""
    monkeypatch.setattr("rudder_logging.delivery.listener._REST", 3_600.0)
    logger = wire(make_handler(max_queue_size=100, upload_size=50, upload_interval=3_600))
    for uploads in range(1, 4):
        for _ in range(50):
            logger.info("e", extra=EVENT)
        assert len(plane.wait_for(uploads * 50)) == uploads * 50


def test_a_full_queue_ends_the_rest(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is full of: here it is a few large events."""
    monkeypatch.setattr("rudder_logging.delivery.listener._REST", 3_600.0)
    handler = make_handler(max_queue_bytes=2_000, max_event_bytes=500, upload_interval=0)
    logger = wire(handler)
    logger.info("e", extra=EVENT)
    assert handler.flush()
    while not handler.stats().dropped:
        logger.info("e", extra=EVENT)
    assert handler._pipeline.queue.wait_until_settled(handler._pipeline.queue.mark(), 10)


def interrupting(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, but its first call ends with what Ctrl-C raises, as if it came meanwhile."""
    calls: list[None] = []

    def call(*args: Any, **options: Any) -> Any:
        result = method(*args, **options)
        calls.append(None)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return result

    return call


class Signals:
    """A listener's signals; the first look at how many there are is interrupted."""

    def __init__(self, signals: Any) -> None:
        self.qsize = interrupting(signals.qsize)
        self.put, self.get = signals.put, signals.get


def test_ctrl_c_while_the_listener_is_woken_does_not_leave_it_asleep(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """The app goes on, and its events leave without a flush."""
    handler = make_handler(upload_interval=0.01)
    logger = wire(handler)
    logger.info("first", extra=EVENT)
    assert handler.flush()
    listener = handler._listener
    until_asleep(listener)
    listener._signals = Signals(listener._signals)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        logger.info("second", extra=EVENT)
    assert [event["event"] for event in plane.wait_for(2)] == ["first", "second"]


def until_asleep(listener: BatchListener, until: int = 1) -> None:
    """Wait until it sleeps until so many events wait."""
    deadline = monotonic() + 30
    while listener.wake_at != until:
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def test_ctrl_c_while_the_thread_is_started_makes_no_second_one(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would deliver at once, and send events twice."""
    before = threading.active_count()
    handler = make_handler(upload_interval=0.01)
    logger = wire(handler)
    monkeypatch.setattr(threading.Event, "wait", interrupting(threading.Event.wait))
    with pytest.raises(KeyboardInterrupt):
        logger.info("first", extra=EVENT)
    logger.info("second", extra=EVENT)
    assert handler.flush()
    deadline = monotonic() + 30
    while threading.active_count() > before + 1:
        assert monotonic() < deadline
        threading.Event().wait(0.001)
    assert [event["event"] for event in plane.events] == ["first", "second"]
