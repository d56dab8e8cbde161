"""The queue in memory: bounded in events and bytes, those being delivered included."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice, repeat, starmap

from ..common.gil import gil_is_on
from ..exceptions import QueueFullError
from .base import Batch, Depth
from .waiting import EventQueue, Settled, fitting, oldest_to_go

__all__ = ["MemoryQueue"]

_MESSAGES_AT_ONCE = 1_000
_THREADS = 1_000  # that may be inside `put` at once without passing a bound
_BYTES_OF_THREADS = 32 * 1024 * 1024  # their messages' size


class MemoryQueue(EventQueue):
    """An `EventQueue` in memory.

    While there is ample room, `put` takes no lock. A deque appends in one step. The count of bytes
    changes in a statement without a call, where CPython lets in no other thread, no signal handler
    and no `__del__`. Sixteen threads that log at once so cost no more than one. With a lock, which
    a thread may hold when it loses its turn, an event cost twice as much.

    Near a bound `put` takes the lock, so that the bound is kept exactly. It is re-entrant because
    a signal handler, or a `__del__` during a garbage collection, may log an event meanwhile.
    """

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        # Without the interpreter's lock, each `put` takes ours.
        self._ample_events = max_events - max(_THREADS, max_events // 2) if gil_is_on() else 0
        self._ample_bytes = max_bytes - max(_BYTES_OF_THREADS, max_bytes // 2)
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._handed_out = 0
        self.settled = self.evicted = self.erased = 0
        self._progress = Settled()

    def after_fork(self) -> None:
        """See `Forkable.after_fork`."""
        self._begin()

    def put(self, message: bytes) -> int:
        """See `Buffer.put`."""
        messages = self._messages
        if len(messages) < self._ample_events and self._bytes < self._ample_bytes:
            size = len(message)  # not in the next statement, which must be without a call
            try:
                self._bytes += size
                messages.append(message)
                return len(messages) - self._handed_out
            except BaseException:  # a signal handler's, which comes in after a call
                self.keeps(message)
                raise
        return self._put_within_bounds(message)

    def _put_within_bounds(self, message: bytes) -> int:
        size = len(message)
        is_kept = False
        try:
            with self._lock:
                if not self._has_room(size):
                    raise QueueFullError("the queue is full")  # noqa: TRY301
                self._bytes += size
                is_kept = True  # before the call, after which a signal handler comes in
                self._messages.append(message)
                return len(self._messages) - self._handed_out
        except BaseException:
            if is_kept:
                self.keeps(message)
            raise

    def _holds(self, message: bytes) -> bool:
        return message in self._messages

    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """See `Buffer.take`."""
        batch = Batch()
        with self._lock:
            while some := self._some_from(len(batch)):
                size = sum(map(len, some)) + overhead * len(some)
                if size > max_bytes:
                    number = fitting(some, max_bytes, overhead)
                    batch += some[: number if batch else max(1, number)]
                    break
                max_bytes -= size
                batch += some
            self._handed_out = len(batch)
        return batch or None

    def _some_from(self, position: int) -> list[bytes]:
        """The next messages: not all, because a backlog may have a million."""
        while True:
            # A copy in one step: a `put` from a garbage collection must not disturb a loop.
            with contextlib.suppress(RuntimeError):  # it came between the steps of this one
                return list(islice(self._messages, position, position + _MESSAGES_AT_ONCE))

    def settle(self, batch: Batch, count: int) -> int:  # noqa: ARG002 - the oldest are its
        """See `Buffer.settle`."""
        with self._lock:
            count = min(count, self._handed_out)
            self._forget(count, count)
            self._changed.notify_all()
            return count

    def _forget(self, count: int, handed_out: int) -> list[bytes]:
        """Take out the oldest, of which so many were handed out."""
        size, left = 0, count
        while left:
            some = self._some_from(count - left)[:left]
            size += sum(map(len, some))
            left -= len(some)
        forgotten: list[bytes] = []
        popped = starmap(self._messages.popleft, repeat((), count))  # `put` may append meanwhile
        try:
            forgotten.extend(popped)  # in one step, behind which a signal handler may come in
        finally:  # statements without a call, where none comes in
            self._bytes -= size
            self._handed_out -= handed_out
            self._progress.in_turn += count
            self.settled += handed_out
        return forgotten

    def evict(self, size: int) -> list[bytes] | None:
        """See `Evicting.evict`."""
        with self._lock:
            evicted = self._oldest_to_go(size)
            for message in evicted or ():
                freed, before = len(message), self._handed_out
                # Statements without a call, where CPython lets in no signal handler that raises.
                del self._messages[before]
                self._bytes -= freed
                self.evicted += 1
                self._progress.drop(1, before)
            self._changed.notify_all()
            return evicted

    def erase(self, people: Collection[str]) -> list[bytes]:
        """See `EventQueue.erase`."""
        from ..events.persons import concerns_unclosed  # noqa: PLC0415 - few ask for it

        matches = concerns_unclosed(people)
        erased: list[bytes] = []
        with self._lock:
            # Others may be put meanwhile, behind all of these; `matches` is asked of a copy.
            waiting = [*self._waiting()]
            position = self._handed_out
            for message in waiting:
                if not matches(message):
                    position += 1
                    continue
                freed = len(message)
                # As in `evict`.
                del self._messages[position]
                self._bytes -= freed
                self.erased += 1
                self._progress.drop(1, position)
                erased.append(message)
            self._changed.notify_all()
        return erased

    def _oldest_to_go(self, size: int) -> list[bytes] | None:
        if size > self._max_bytes:  # no need to look at a million
            return None
        events = len(self._messages) - self._max_events
        return oldest_to_go(self._waiting(), events, self._bytes + size - self._max_bytes)

    def _waiting(self) -> Iterator[bytes]:
        position = self._handed_out
        while some := self._some_from(position):
            yield from some
            position += len(some)

    def _has_room(self, size: int) -> bool:
        return len(self._messages) < self._max_events and self._bytes + size <= self._max_bytes

    def _put_so_far(self) -> int:
        return self._progress.total + len(self._messages)

    def depth(self) -> Depth:
        """See `Buffer.depth`."""
        with self._lock:
            events = len(self._messages)
            return Depth(events, self._bytes, events - self._handed_out)

    def abandon(self) -> list[bytes]:
        """See `Durable.abandon`."""
        with self._lock:
            left = self._forget(len(self._messages), 0)
            self._handed_out = 0
            self._changed.notify_all()
            return left
