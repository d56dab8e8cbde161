"""The queue in memory where `put` takes no lock: its counts stay exact under any interleaving."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

import pytest

from rudder_logging.exceptions import QueueFullError
from rudder_logging.queues.memory import MemoryQueue

from . import settle, take

THREADS = 8


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as the interpreter lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def put_from_threads(queue: MemoryQueue, each: int) -> int:
    """Put messages of all sizes from several threads; return how many found room."""
    found_room: list[None] = []

    def put(thread: int) -> None:
        for number in range(each):
            try:
                queue.put(b"x" * (1 + (thread + number) % 50))
            except QueueFullError:
                continue
            found_room.append(None)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(found_room)


@pytest.mark.usefixtures("switching")
def test_bytes_are_counted_exactly_without_a_lock() -> None:
    """Also while another thread takes and acknowledges; all are settled in the end."""
    queue = MemoryQueue(max_events=2_000_000, max_bytes=2**30)
    done = threading.Event()
    taken: list[bytes] = []

    def take_all() -> None:
        while not done.is_set() or queue.depth().events:
            batch = take(queue, 2_000)
            taken.extend(batch)
            assert settle(queue, len(batch)) == len(batch)

    taker = threading.Thread(target=take_all)
    taker.start()
    found_room = put_from_threads(queue, 5_000)
    mark = queue.mark()
    done.set()
    taker.join()
    assert found_room == mark == len(taken) == THREADS * 5_000
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(mark, 0)


@pytest.mark.usefixtures("switching")
def test_what_waits_is_counted_exactly_without_a_lock() -> None:
    """The sum is that of the messages that are there."""
    queue = MemoryQueue(max_events=2_000_000, max_bytes=2**30)
    put_from_threads(queue, 5_000)
    count, size, _ = queue.depth()
    left = queue.abandon()
    assert (count, size) == (len(left), sum(map(len, left)))


@pytest.mark.usefixtures("switching")
def test_bounds_are_kept_exactly_by_threads_that_put_at_once() -> None:
    """Near a bound, `put` takes the lock: not one message too many gets in."""
    for _ in range(20):
        queue = MemoryQueue(max_events=100, max_bytes=2**30)
        assert put_from_threads(queue, 20) == queue.depth().events == 100


def test_bytes_are_counted_exactly_when_a_put_interrupts_another() -> None:
    """As a signal handler, another thread or a trace function may, in any call inside it."""
    queue = MemoryQueue(max_events=10_000, max_bytes=2**30)

    class Interrupting(bytes):
        def __len__(self) -> int:
            if queue.depth()[:2] == (0, 0):
                queue.put(b"sooner")
            return super().__len__()

    queue.put(Interrupting(b"later"))
    assert queue.depth()[:2] == (2, len(b"sooner") + len(b"later"))


def test_a_put_that_interrupts_another_leaves_it_no_room() -> None:
    """As a signal handler may, in any step of it."""
    queue = MemoryQueue(max_events=1, max_bytes=2**30)

    class Interrupting(bytes):
        def __len__(self) -> int:
            with contextlib.suppress(QueueFullError):
                queue.put(b"sooner")
            return super().__len__()

    with pytest.raises(QueueFullError):
        queue.put(Interrupting(b"later"))
    assert queue.abandon() == [b"sooner"]


def test_while_there_is_ample_room_no_put_waits_for_another_thread() -> None:
    """Not even for one that holds the queue's lock."""
    queue = MemoryQueue(max_events=10_000, max_bytes=2**30)
    thread = threading.Thread(target=queue.put, args=(b"x",))
    with queue._lock:
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
    assert queue.depth()[:2] == (1, 1)


def test_without_a_gil_every_put_takes_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements without a call are no protection there."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    queue = MemoryQueue(max_events=10_000, max_bytes=2**30)
    others_got_in = threading.Event()

    def put() -> None:
        queue.put(b"x")
        others_got_in.set()

    thread = threading.Thread(target=put)
    with queue._lock:
        thread.start()
        assert not others_got_in.wait(0.05)
    thread.join()
    assert queue.depth()[:2] == (1, 1)
