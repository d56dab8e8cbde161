"""What every queue promises: one suite over all of them."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.delivery.ledger import Ledger
from rudder_logging.delivery.reports import Reports
from rudder_logging.exceptions import QueueFullError
from rudder_logging.queues import EventQueue, open_queue
from rudder_logging.queues.file.spool import Spool

from . import settle, take

Open = Callable[..., EventQueue]

MEMORY, DISK, FAILING_DISK = "in memory", "on disk", "on a disk that fails"


@pytest.fixture(params=[MEMORY, DISK, FAILING_DISK])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of queue."""
    return str(request.param)


@pytest.fixture
def open_(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open a queue of that kind, with bounds."""
    if kind == FAILING_DISK:

        def fail(_spool: Spool, _line: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Spool, "append", fail)
    opened: list[EventQueue] = []

    def make(max_events: int = 1_000, max_bytes: int = 100_000) -> EventQueue:
        url = "memory://"
        if kind != MEMORY:
            # Of what a queue in memory calls 48 bytes, a line has 50.
            url = f"file://{tmp_path / str(len(opened))}?max_bytes={max_bytes * 50 // 48}"
        queue = open_queue(url, source="", max_events=max_events, max_bytes=max_bytes)
        queue.attach(Reports(Ledger()))
        opened.append(queue)
        return queue

    yield make
    for queue in opened:
        queue.after_fork()  # as in a forked child: lets go of files without delivering


def message(number: int) -> bytes:
    """A queued message, which lacks its closing brace."""
    return b'{"n":%d' % number


def messages(*numbers: int) -> list[bytes]:
    """Several of them."""
    return [message(number) for number in numbers]


def fill(queue: EventQueue, *numbers: int) -> list[int]:
    """Put messages, and return what `put` answered."""
    return [queue.put(message(number)) for number in numbers]


def test_first_in_first_out(open_: Open) -> None:
    """Messages come out in the order in which they went in, and put counts those waiting."""
    queue = open_()
    assert fill(queue, 1, 2, 3) == [1, 2, 3]
    assert take(queue, 100_000) == messages(1, 2, 3)


def test_get_hands_out_the_same_until_acknowledged(open_: Open) -> None:
    """Nothing is lost with whoever was delivering it."""
    queue = open_()
    fill(queue, 1, 2)
    assert take(queue, 100_000) == messages(1, 2)
    fill(queue, 3)
    assert take(queue, 100_000) == messages(1, 2, 3)
    assert settle(queue, 2) == 2
    assert take(queue, 100_000) == messages(3)
    assert settle(queue, 1) == 1
    assert take(queue, 100_000) == []


def test_get_stays_within_the_bytes(open_: Open) -> None:
    """Sizes and overheads add up to the bound at the most; a first one over it comes alone."""
    queue = open_()
    fill(queue, 1, 2, 3)
    size = len(message(1))
    assert take(queue, 2 * (size + 10), 10) == messages(1, 2)
    assert take(queue, 2 * (size + 10) - 1, 10) == messages(1)
    assert take(queue, 1) == messages(1)


def test_waiting_and_pending(open_: Open) -> None:
    """Waiting are those not handed out; pending those not acknowledged, with their bytes."""
    queue = open_()
    fill(queue, 1, 2, 3)
    size = len(message(1))
    assert queue.depth() == (3, 3 * size, 3)
    take(queue, 2 * size)
    assert queue.depth() == (3, 3 * size, 1)
    assert fill(queue, 4) == [2]
    settle(queue, 1)
    assert queue.depth() == (3, 3 * size, 2)


def long_messages(*numbers: int) -> list[bytes]:
    """Messages of 48 bytes, of which 1,008 bytes hold 21."""
    return [b'{"n":%10d,"text":"%s"' % (number, b"x" * 23) for number in numbers]


def test_bytes_are_bounded_with_what_is_handed_out(open_: Open) -> None:
    """What is being delivered counts, too; what is refused is not stored; room comes by ack."""
    queue = open_(max_bytes=21 * 48)
    for item in long_messages(*range(21)):
        queue.put(item)
    assert len(take(queue, 100_000)) == 21
    with pytest.raises(QueueFullError):
        queue.put(long_messages(21)[0])
    assert queue.depth()[:2] == (21, 21 * 48)
    settle(queue, 5)
    queue.put(long_messages(21)[0])
    assert take(queue, 100_000) == long_messages(*range(5, 22))


def test_events_in_memory_are_bounded(open_: Open, kind: str) -> None:
    """With a disk that fails, too; a disk that is well is bounded by bytes alone."""
    queue = open_(max_events=2)
    fill(queue, 1, 2)
    take(queue, 100_000)
    if kind == DISK:
        fill(queue, 3)
        return
    with pytest.raises(QueueFullError):
        queue.put(message(3))
    settle(queue, 1)
    fill(queue, 3)
    assert take(queue, 100_000) == messages(2, 3)


def test_eviction_makes_room(open_: Open) -> None:
    """It takes the oldest, and no more of them than it has to."""
    queue = filled(open_)
    assert queue.evict(48) == long_messages(0)
    assert queue.evict(48) == []
    queue.put(long_messages(21)[0])
    assert queue.evict(3 * 48) == long_messages(1, 2, 3)
    assert take(queue, 100_000) == long_messages(*range(4, 22))
    assert queue.depth()[:2] == (18, 18 * 48)


def filled(open_: Open, count: int = 21) -> EventQueue:
    """A queue that has room for so many more messages, and is full of them."""
    queue = open_(max_bytes=21 * 48)
    for item in long_messages(*range(count)):
        queue.put(item)
    return queue


def test_eviction_spares_what_is_handed_out(open_: Open) -> None:
    """What is being delivered is settled by its answer alone; that behind it makes room."""
    queue = filled(open_)
    take(queue, 2 * 48)
    for number in range(21, 60):
        assert queue.evict(48) == long_messages(number - 19)
        queue.put(long_messages(number)[0])
    assert queue.depth()[:2] == (21, 21 * 48)
    assert settle(queue, 2) == 2
    assert take(queue, 100_000) == long_messages(*range(41, 60))
    assert settle(queue, 19) == 19
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(queue.mark(), 0)


def test_nothing_is_evicted_in_vain(open_: Open) -> None:
    """Where all that waits would not make room, it stays, and None says so."""
    queue = filled(open_)
    assert queue.evict(22 * 48) is None
    take(queue, 20 * 48)
    assert queue.evict(2 * 48) is None
    assert queue.evict(48) == long_messages(20)
    assert queue.evict(2 * 48) is None
    assert take(queue, 100_000) == long_messages(*range(20))


def test_settled_means_acknowledged_or_evicted_up_to_the_mark(open_: Open) -> None:
    """A mark is settled when everything before it is, whatever comes behind it."""
    queue = filled(open_, 3)
    mark = queue.mark()
    for item in long_messages(*range(3, 21)):
        queue.put(item)
    assert not queue.wait_until_settled(mark, 0)
    take(queue, 2 * 48)
    assert queue.evict(4 * 48) == long_messages(2, 3, 4, 5)
    # Those behind the mark must not count for those before it.
    assert not queue.wait_until_settled(mark, 0)
    settle(queue, 1)
    assert not queue.wait_until_settled(mark, 0)
    settle(queue, 1)
    assert queue.wait_until_settled(mark, 0)
    assert not queue.wait_until_settled(mark + 4, 0)
    take(queue, 100_000)
    settle(queue, 14)
    assert not queue.wait_until_settled(queue.mark(), 0)
    settle(queue, 1)
    assert queue.wait_until_settled(queue.mark(), 0)


def test_what_is_handed_out_no_longer_can_be_evicted(open_: Open) -> None:
    """As when a batch is halved: and whatever goes first, the count of what is settled is right."""
    queue = filled(open_)
    take(queue, 10 * 48)
    assert queue.evict(2 * 48) == long_messages(10, 11)
    take(queue, 2 * 48)
    assert queue.evict(5 * 48) == long_messages(2, 3, 4)
    settle(queue, 2)
    assert queue.wait_until_settled(5, 0)
    assert not queue.wait_until_settled(6, 0)
    assert take(queue, 5 * 48) == long_messages(*range(5, 10))
    settle(queue, 5)
    assert queue.wait_until_settled(12, 0)
    assert not queue.wait_until_settled(13, 0)
    assert take(queue, 100_000) == long_messages(*range(12, 21))
    settle(queue, 9)
    assert queue.wait_until_settled(21, 0)


def test_waits_end_when_there_is_reason(open_: Open) -> None:
    """Whoever waits for room, or for a mark, goes on as soon as an acknowledgement allows."""
    queue = open_(max_bytes=21 * 48)
    for item in long_messages(*range(21)):
        queue.put(item)
    assert not queue.wait_for_room(40, 0)
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(queue.wait_for_room(40, 30))),
        threading.Thread(target=lambda: results.append(queue.wait_until_settled(21, 30))),
    ]
    for thread in threads:
        thread.start()
    settle(queue, len(take(queue, 100_000)))
    for thread in threads:
        thread.join()
    assert results == [True, True]


def test_abandon_returns_what_is_left(open_: Open, kind: str) -> None:
    """At the end everything is accounted for; a late acknowledgement finds nothing.

    What is on the disk stays there, and can still be acknowledged.
    """
    queue = open_()
    fill(queue, 1, 2, 3)
    take(queue, len(message(1)))
    mark = queue.mark()
    if kind == DISK:
        assert queue.abandon() == []
        assert settle(queue, 1) == 1
        assert queue.depth().events == 2
        return
    assert queue.abandon() == messages(1, 2, 3)
    assert settle(queue, 1) == 0
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(mark, 0)
    assert fill(queue, 4) == [1]
    assert take(queue, 100_000) == messages(4)


def test_threads_put_while_one_takes(open_: Open) -> None:
    """Under contention nothing is lost, doubled or reordered within a thread."""
    queue = open_(max_events=100_000, max_bytes=10_000_000)
    taken: list[bytes] = []

    def put(thread: int) -> None:
        for number in range(5_000):
            queue.put(b'{"thread":%d,"n":%d' % (thread, number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(taken) < 20_000:
        batch = take(queue, 1_000)
        taken += batch
        settle(queue, len(batch))
    for thread in threads:
        thread.join()
    for number in range(4):
        mine = [
            int(item.rpartition(b":")[2])
            for item in taken
            if item.startswith(b'{"thread":%d,' % number)
        ]
        assert mine == list(range(5_000))
    assert queue.depth()[:2] == (0, 0)


def test_put_inside_put_by_the_same_thread_is_fine(open_: Open) -> None:
    """A signal handler, or a `__del__`, may log while its thread holds the queue's lock."""
    queue: Any = open_()
    with queue._lock:
        fill(queue, 1)
    assert take(queue, 100_000) == messages(1)
