"""A queue over a buffer of the app's: one call at a time, waits, and counts for the ledger."""

from __future__ import annotations

import sys
from collections import deque
from functools import partial

from ..exceptions import QueueFullError
from .base import Batch, Buffer, Depth, Observer
from .memory import MemoryQueue
from .waiting import SerialQueue, Settled, fitting

__all__ = ["SharedQueue"]


class SharedQueue(SerialQueue):
    """An `EventQueue` over a buffer that need not know of threads.

    What comes from a signal handler, or a `__del__`, while its thread is in the buffer is set
    aside until that is over. A buffer without `after_fork` stays with the process that made it; a
    forked child's events wait in memory.

    Args:
        buffer: Of the app's.
        max_events: Number of events that may be in a forked child's memory.
        max_bytes: Their size.
    """

    _observer: Observer

    def __init__(self, buffer: Buffer, *, max_events: int, max_bytes: int) -> None:
        self._buffer = buffer
        self._bounds = {"max_events": max_events, "max_bytes": max_bytes}
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self._aside = deque()
        self._notes = deque()
        self._progress = Settled()
        self._batch = Batch()  # as the buffer handed it out
        self._handed_out = 0
        self._changes = 0  # counts settlements and evictions
        self._full_at = -1  # so many changes ago there was no room
        self._depth = self._buffer.depth()
        self.settled = self.evicted = 0

    @property
    def evicts(self) -> bool:
        """See `EventQueue.evicts`."""
        return hasattr(self._buffer, "evict")

    def attach(self, observer: Observer) -> None:
        """See `EventQueue.attach`. What is in the buffer already counts from now on."""
        self._observer = observer
        observer.count_adopted(self._depth.events)

    def after_fork(self) -> None:
        """See `Forkable.after_fork`."""
        if hasattr(self._buffer, "after_fork"):
            self._buffer.after_fork()
        else:
            self._buffer = MemoryQueue(**self._bounds)
        self._begin()

    def put(self, message: bytes) -> int:
        """See `Buffer.put`."""
        is_kept = False
        try:
            with self._alone() as alone:
                if alone:
                    before = self._depth.events
                    try:
                        self._buffer.put(message)
                    except QueueFullError:
                        self._full_at = self._changes
                        raise
                    finally:
                        self._look()
                        is_kept = self._depth.events > before
                    # Not as the buffer counts: of what it handed out, `take` may have kept some.
                    waiting = self._depth.events - self._handed_out
                else:
                    self._refuse_if_orphaned()
                    is_kept = True  # before the call, after which a signal handler comes in
                    self._aside.append(message)
                    waiting = self._depth.events - self._handed_out + len(self._aside)
            self._tell()
        except BaseException:
            if is_kept:
                self.keeps(message)
            raise
        return waiting

    def _holds(self, message: bytes) -> bool:
        return message in self._aside

    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """See `EventQueue.take`."""
        batch = None
        with self._alone() as alone:
            if alone and (batch := self._buffer.take(max_bytes)):
                self._batch = batch
                self._handed_out = max(1, fitting(batch, max_bytes, overhead))
                batch = Batch(batch[: self._handed_out])
        self._tell()
        return batch

    def settle(self, batch: Batch, count: int) -> int:  # noqa: ARG002 - the buffer has its own
        """See `EventQueue.settle`."""
        gone = 0
        with self._alone() as alone:
            if alone:
                before = self._depth.events
                try:
                    self._buffer.settle(self._batch, min(count, self._handed_out))
                finally:
                    self._look()
                    gone = before - self._depth.events
                    self._handed_out -= gone
                    self._progress.in_turn += gone
                    self._changes += 1
                    self.settled += gone
                    self._changed.notify_all()
        self._tell()
        return gone

    def evict(self, size: int) -> list[bytes] | None:
        """See `Evicting.evict`. None, if the buffer can't."""
        with self._alone() as alone:
            if not (alone and hasattr(self._buffer, "evict")):
                return None
            before = self._depth.events
            try:
                evicted: list[bytes] | None = self._buffer.evict(size)
            finally:
                self._look()
                gone = before - self._depth.events
                self.evicted += gone
                self._changes += 1
                self._progress.drop(gone, self._handed_out)
                self._changed.notify_all()
        # Nothing is told before the `put` that follows: until then, the ledger does not balance.
        return evicted

    def depth(self) -> Depth:
        """See `Buffer.depth`."""
        with self._lock:
            if not self._is_busy:
                self._look()
            events = self._depth.events + len(self._aside)
            size = self._depth.bytes + sum(map(len, self._aside))
            return Depth(events, size, events - self._handed_out)

    def close(self) -> None:
        """See `Buffer.close`."""
        with self._alone() as alone:
            if alone:
                self._buffer.close()
        self._tell()

    def recover(self) -> None:
        """See `Durable.recover`. What is found counts from now on."""
        with self._alone() as alone:
            if alone and hasattr(self._buffer, "recover"):
                before = self._depth.events
                try:
                    self._buffer.recover()
                finally:
                    self._look()
                    self._observer.count_adopted(self._depth.events - before)
        self._tell()

    def abandon(self) -> list[bytes]:
        """See `Durable.abandon`. All of it, where the buffer can't keep anything."""
        left: list[bytes] = []
        with self._alone() as alone:
            if alone:
                before = self._depth.events
                if hasattr(self._buffer, "abandon"):
                    left = self._buffer.abandon()
                else:
                    while batch := self._buffer.take(sys.maxsize):
                        left += batch
                        if self._buffer.settle(batch, len(batch)) < len(batch):
                            break
                self._look()
                self._progress.in_turn += before - self._depth.events
                self._handed_out = min(self._handed_out, self._depth.events)
                self._changed.notify_all()
        self._tell()
        return left

    def _has_room(self, size: int) -> bool:  # noqa: ARG002 - a buffer says so at the next `put`
        return self._changes > self._full_at

    def _put_so_far(self) -> int:
        return self._progress.total + self.depth().events

    def _leave(self) -> None:
        """Put what was set aside. It was accepted: if there is no room, it is dropped."""
        while self._aside:
            message, before, reason = self._aside[0], self._depth.events, ""
            try:
                self._buffer.put(message)
            except QueueFullError:
                reason = "queue_full"
            except Exception:  # noqa: BLE001 - the app's, whatever it is
                reason = "queue_failed"
            finally:
                self._look()
                if reason or self._depth.events > before:
                    self._aside.popleft()
            if reason and self._depth.events == before:
                self._observer.count_dropped(1, reason)
                self._notes.append(partial(self._observer.tell_dropped, [message], reason))

    def _look(self) -> None:
        self._depth = self._buffer.depth()

    def _mend(self) -> None:
        self._changed.notify_all()
