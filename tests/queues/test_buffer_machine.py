"""Buffers against a plain list: whatever is asked of them, in any order, they agree with it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rudder_logging.delivery.ledger import Ledger
from rudder_logging.delivery.reports import Reports
from rudder_logging.exceptions import QueueFullError
from rudder_logging.queues import Batch, EventQueue, open_queue

from ..conftest import examples
from .one_file import EvictingFile

pytestmark = pytest.mark.slow

MAX_BYTES, MAX_EVENTS = 3_000, 20
PEOPLE = 3
SIZES = st.sampled_from([20, 40, 150, 400])
COUNTS = st.integers(0, 12)


class MemoryMachine(RuleBasedStateMachine):
    """The queue in memory."""

    outlives_process: ClassVar[bool] = False
    evicts_exactly: ClassVar[bool] = True
    erases: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.queue = self.open()
        self.queue.attach(Reports(Ledger()))
        self.left: list[bytes] = []
        self.handed_out = 0
        self.batch = Batch()
        self.number = 0
        self.adopted: set[bytes] = set()
        self.doomed: set[bytes] = set()
        self.marks: dict[int, set[bytes]] = {}

    def open(self) -> EventQueue:
        """One of this kind."""
        return open_queue("memory://", source="", max_events=MAX_EVENTS, max_bytes=MAX_BYTES)

    def teardown(self) -> None:
        """Let go of files."""
        self.queue.after_fork()
        self.folder.cleanup()

    def has_room(self, size: int) -> bool | None:
        """Whether the list says so; None: it can't tell."""
        held = sum(map(len, self.left))
        return len(self.left) < MAX_EVENTS and held + size <= MAX_BYTES

    @rule(size=SIZES, times=COUNTS)
    def put(self, size: int, times: int) -> None:
        """Some find room, others don't."""
        for _ in range(times):
            begin = b'{"n":%8d,"userId":"%d","text":"' % (self.number, self.number % PEOPLE)
            message = begin.ljust(size - 1, b"x") + b'"'
            has_room = self.has_room(len(message))
            try:
                waiting = self.queue.put(message)
            except QueueFullError:
                assert self.left
                assert not has_room
                return
            assert has_room is not False
            self.number += 1
            self.left.append(message)
            assert waiting == len(self.left) - self.handed_out

    def fitting(self, max_bytes: int, overhead: int) -> int:
        """So many of the oldest have as many bytes at the most."""
        count = 0
        for message in self.left:
            max_bytes -= len(message) + overhead
            if count and max_bytes < 0:
                break
            count += 1
        return count

    @rule(max_bytes=st.sampled_from([0, 100, 700, 100_000]), overhead=st.sampled_from([0, 30]))
    def take(self, max_bytes: int, overhead: int) -> None:
        """The oldest are handed out."""
        batch = self.queue.take(max_bytes, overhead)
        self.handed_out = self.fitting(max_bytes, overhead)
        assert (batch or []) == self.left[: self.handed_out]
        assert (batch is None) == (not self.left)
        self.batch = batch or Batch()

    @rule(count=COUNTS)
    def settle(self, count: int) -> None:
        """The oldest leave, if they were handed out."""
        count = min(count, self.handed_out)
        assert self.queue.settle(self.batch, count) == count
        del self.left[:count]
        self.handed_out -= count

    @rule(max_bytes=st.sampled_from([100, 700]), count=COUNTS)
    def deliver(self, max_bytes: int, count: int) -> None:
        """Some of a batch are settled, and the rest of it is still handed out."""
        self.take(max_bytes, 0)
        self.settle(count)

    @rule(size=SIZES, handed_out=st.integers(1, 400))
    def fill(self, size: int, handed_out: int) -> None:
        """A flush begins with a batch under way, and then many come."""
        self.take(handed_out, 0)
        self.mark()
        self.put_by_force(size, 25)

    @rule(size=SIZES)
    def evict(self, size: int) -> None:
        """Some behind them leave, the oldest first."""
        evicted = self.queue.evict(size)
        if evicted is None:
            assert not self.has_room(size)
            if self.evicts_exactly:
                in_vain = sum(map(len, self.left[: self.handed_out])) + size > MAX_BYTES
                assert in_vain or self.handed_out >= MAX_EVENTS
            return
        place = self.left.index(evicted[0]) if evicted else 0
        assert self.left[place : place + len(evicted)] == evicted
        assert not evicted or place >= self.handed_out
        if self.evicts_exactly:
            assert not evicted or place == self.handed_out
            assert not evicted or not self.has_room(size)
        del self.left[place : place + len(evicted)]
        assert self.has_room(size) is not False

    @rule(size=SIZES, times=COUNTS)
    def put_by_force(self, size: int, times: int) -> None:
        """Each one displaces others, as `overflow="drop_old"` has it."""
        for _ in range(times):
            self.evict(size)
            self.put(size, 1)

    @rule(person=st.integers(0, PEOPLE - 1))
    def erase(self, person: int) -> None:
        """What waits of somebody leaves; what is handed out of theirs stays until it is settled."""
        erased = self.queue.erase([str(person)])
        theirs = [one for one in self.left if b'"userId":"%d"' % person in one]
        flying = set(self.left[: self.handed_out])
        gone = {one for one in theirs if one not in flying} if self.erases else set()
        assert len(erased) == len(gone)
        assert set(erased) == gone
        self.left = [one for one in self.left if one not in gone]
        self.doomed.update(theirs)

    @rule()
    def close(self) -> None:
        """Nothing is lost by it."""
        self.queue.close()

    @precondition(lambda self: len(self.marks) < 5)
    @rule()
    def mark(self) -> None:
        """A flush begins."""
        self.marks[self.queue.mark()] = set(self.left)

    @invariant()
    def flushes_end_when_all_before_them_is_gone(self) -> None:
        """Neither sooner nor later."""
        left = set(self.left)
        for mark, before in list(self.marks.items()):
            gone = not (before & left or self.adopted & left)
            assert self.queue.wait_until_settled(mark, 0) == gone
            if gone:
                del self.marks[mark]

    @invariant()
    def depth_is_that_of_the_list(self) -> None:
        """Events, bytes, and those that are not handed out."""
        events, size = len(self.left), sum(map(len, self.left))
        assert self.queue.depth() == (events, size, events - self.handed_out)

    @precondition(lambda self: self.number % 7 == 6)  # seldom
    @rule()
    def abandon(self) -> None:
        """The process ends; what outlives it stays."""
        gone = self.queue.abandon()
        assert gone == ([] if self.outlives_process else self.left)
        if not self.outlives_process:
            self.left, self.handed_out = [], 0

    @precondition(lambda self: hasattr(os, "fork") and self.number % 3 == 0)
    @rule()
    def fork(self) -> None:
        """A child begins empty; its parent notices nothing."""
        child = os.fork()
        if not child:
            try:
                queue: Any = self.queue
                queue.after_fork()
                queue.attach(Reports(Ledger()))
                is_empty = queue.depth() == (0, 0, 0) and queue.take(100_000) is None
                queue.put(b'{"of":"a child"')
                batch = queue.take(100_000)
                queue.settle(batch, 1)
                queue.close()
                os._exit(0 if is_empty and batch == [b'{"of":"a child"'] else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0


class FileMachine(MemoryMachine):
    """The durable queue. How much room files take, and how much comes with one, it knows itself."""

    outlives_process = True
    evicts_exactly = False

    def open(self) -> EventQueue:
        """In a folder of its own."""
        url = f"file://{self.folder.name}?max_bytes={MAX_BYTES}"
        return open_queue(url, source="", max_events=MAX_EVENTS, max_bytes=MAX_BYTES)

    def has_room(self, size: int) -> bool | None:
        """Whether the list says so; None: it can't tell."""
        return False if sum(len(one) + 2 for one in self.left) + size + 2 > MAX_BYTES else None

    @rule()
    def end_the_process(self) -> None:
        """As if it had been killed: the next one finds what is left, and nothing else."""
        self.queue.after_fork()
        self.queue.attach(Reports(Ledger()))
        self.queue.recover()
        self.marks.clear()
        self.left = [one for one in self.left if one not in self.doomed]
        self.adopted = set(self.left)
        self.take(100_000, 0)  # as long as they are not read, they are not counted


class SharedMachine(MemoryMachine):
    """The queue over a buffer of a third party's, which spares more than its queue hands out."""

    evicts_exactly = False
    erases = False

    def open(self) -> EventQueue:
        """Over one in a file."""
        buffer = EvictingFile(Path(self.folder.name, "events"), MAX_BYTES)
        return open_queue(buffer, source="", max_events=MAX_EVENTS, max_bytes=MAX_BYTES)

    def has_room(self, size: int) -> bool | None:
        """Its bytes are bounded, not its events."""
        return sum(map(len, self.left)) + size <= MAX_BYTES


@pytest.mark.timeout(5 * examples(1.0))
@pytest.mark.parametrize("machine", [MemoryMachine, FileMachine, SharedMachine])
def test_a_buffer_agrees_with_a_list(machine: type[MemoryMachine]) -> None:
    """Order, room, depth, evictions, erasures and flushes."""
    if machine is FileMachine and os.name == "nt":
        pytest.skip("there is no durable queue")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(1.0 if machine is MemoryMachine else 0.3),
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
