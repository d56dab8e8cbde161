"""What every queue promises: one suite over all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from rudder_logging.exceptions import QueueFullError
from rudder_logging.queues import EventQueue, MemoryQueue, open_queue
from rudder_logging.queues.base import VERBS

Open = Callable[..., EventQueue]


@pytest.fixture(params=["memory://"])
def open_(request: pytest.FixtureRequest) -> Open:
    """Open a queue of each kind, with bounds."""

    def make(max_events: int = 1_000, max_bytes: int = 100_000) -> EventQueue:
        return open_queue(request.param, max_events=max_events, max_bytes=max_bytes)

    return make


def message(number: int) -> bytes:
    """A queued message, which lacks its closing brace."""
    return b'{"n":%d' % number


def messages(*numbers: int) -> list[bytes]:
    """Several of them."""
    return [message(number) for number in numbers]


def fill(queue: EventQueue, *numbers: int) -> list[int]:
    """Put messages, and return what `put` answered."""
    return [queue.put(message(number)) for number in numbers]


def test_protocol_names_what_a_queue_must_have() -> None:
    """The configuration checks a queue object for exactly the protocol's methods."""
    assert set(VERBS) == {name for name in vars(MemoryQueue) if not name.startswith("_")}


def test_first_in_first_out(open_: Open) -> None:
    """Messages come out in the order in which they went in, and put counts those waiting."""
    queue = open_()
    assert fill(queue, 1, 2, 3) == [1, 2, 3]
    assert queue.get(100_000) == messages(1, 2, 3)


def test_get_hands_out_the_same_until_acknowledged(open_: Open) -> None:
    """Nothing is lost with whoever was delivering it."""
    queue = open_()
    fill(queue, 1, 2)
    assert queue.get(100_000) == messages(1, 2)
    fill(queue, 3)
    assert queue.get(100_000) == messages(1, 2, 3)
    assert queue.ack(2) == 2
    assert queue.get(100_000) == messages(3)
    assert queue.ack(1) == 1
    assert queue.get(100_000) == []


def test_get_stays_within_the_bytes(open_: Open) -> None:
    """Sizes and overheads add up to the bound at the most; a first one over it comes alone."""
    queue = open_()
    fill(queue, 1, 2, 3)
    size = len(message(1))
    assert queue.get(2 * (size + 10), 10) == messages(1, 2)
    assert queue.get(2 * (size + 10) - 1, 10) == messages(1)
    assert queue.get(1) == messages(1)


def test_waiting_and_pending(open_: Open) -> None:
    """Waiting are those not handed out; pending those not acknowledged, with their bytes."""
    queue = open_()
    fill(queue, 1, 2, 3)
    size = len(message(1))
    assert (queue.waiting(), queue.pending()) == (3, (3, 3 * size))
    queue.get(2 * size)
    assert (queue.waiting(), queue.pending()) == (1, (3, 3 * size))
    assert fill(queue, 4) == [2]
    queue.ack(1)
    assert (queue.waiting(), queue.pending()) == (2, (3, 3 * size))


def test_bounds_count_what_is_handed_out(open_: Open) -> None:
    """Events and bytes are bounded, those being delivered included, and refusal stores nothing."""
    queue = open_(max_events=2)
    fill(queue, 1, 2)
    queue.get(100_000)
    with pytest.raises(QueueFullError):
        queue.put(message(3))
    queue.ack(1)
    fill(queue, 3)
    assert queue.get(100_000) == messages(2, 3)
    size = len(message(1))
    narrow = open_(max_bytes=2 * size)
    fill(narrow, 1, 2)
    with pytest.raises(QueueFullError):
        narrow.put(message(3))
    assert narrow.pending() == (2, 2 * size)


def test_evict_takes_the_oldest_that_is_not_handed_out(open_: Open) -> None:
    """What is being delivered can't be evicted."""
    queue = open_()
    fill(queue, 1, 2, 3)
    queue.get(len(message(1)))
    assert [queue.evict(), queue.evict(), queue.evict()] == [*messages(2, 3), None]
    assert queue.get(100_000) == messages(1)
    assert queue.pending()[0] == 1


def test_settled_means_acknowledged_or_evicted_up_to_the_mark(open_: Open) -> None:
    """A mark is settled when everything before it is, whatever comes behind it."""
    queue = open_()
    fill(queue, 1, 2)
    mark = queue.mark()
    fill(queue, 3, 4)
    assert not queue.wait_until_settled(mark, 0)
    queue.get(len(message(1)))
    queue.evict()
    queue.evict()  # behind the mark: it must not count for one before it
    assert not queue.wait_until_settled(mark, 0)
    queue.ack(1)
    assert queue.wait_until_settled(mark, 0)
    assert not queue.wait_until_settled(queue.mark(), 0)
    queue.evict()
    assert queue.wait_until_settled(queue.mark(), 0)


def test_waits_end_when_there_is_reason(open_: Open) -> None:
    """Whoever waits for room, or for a mark, goes on as soon as an acknowledgement allows."""
    queue = open_(max_events=1)
    fill(queue, 1)
    assert not queue.wait_for_room(1, 0)
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(queue.wait_for_room(1, 30))),
        threading.Thread(target=lambda: results.append(queue.wait_until_settled(1, 30))),
    ]
    for thread in threads:
        thread.start()
    queue.get(100_000)
    queue.ack(1)
    for thread in threads:
        thread.join()
    assert results == [True, True]


def test_abandon_returns_what_is_left(open_: Open) -> None:
    """At the end everything is accounted for; a late acknowledgement finds nothing."""
    queue = open_()
    fill(queue, 1, 2, 3)
    queue.get(len(message(1)))
    mark = queue.mark()
    assert queue.abandon() == messages(1, 2, 3)
    assert queue.ack(1) == 0
    assert queue.pending() == (0, 0)
    assert queue.wait_until_settled(mark, 0)
    assert fill(queue, 4) == [1]
    assert queue.get(100_000) == messages(4)


def test_threads_put_while_one_takes(open_: Open) -> None:
    """Under contention nothing is lost, doubled or reordered within a thread."""
    queue = open_(max_events=100_000, max_bytes=10_000_000)
    taken: list[bytes] = []

    def put(thread: int) -> None:
        for number in range(5_000):
            queue.put(b"%d:%d" % (thread, number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(taken) < 20_000:
        batch = queue.get(1_000)
        taken += batch
        queue.ack(len(batch))
    for thread in threads:
        thread.join()
    for number in range(4):
        mine = [int(item.split(b":")[1]) for item in taken if item.startswith(b"%d:" % number)]
        assert mine == list(range(5_000))
    assert queue.pending() == (0, 0)


def test_put_inside_put_by_the_same_thread_is_fine(open_: Open) -> None:
    """A signal handler, or a `__del__`, may log while its thread holds the queue's lock."""
    queue: Any = open_()
    with queue._lock:
        fill(queue, 1)
    assert queue.get(100_000) == messages(1)
