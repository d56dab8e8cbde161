"""The queue in memory: bounded in events and bytes, those being delivered included."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from itertools import accumulate, islice, repeat, takewhile
from time import monotonic

from ..exceptions import QueueFullError
from .base import Observer

__all__ = ["MemoryQueue"]

_MESSAGES_AT_ONCE = 1_000


class MemoryQueue:
    """An `EventQueue` in memory. See there for what the methods promise.

    The lock is re-entrant because a signal handler, or a `__del__` during a garbage collection,
    may log an event while its thread is inside `put`. Counters change in statements without a
    call, where CPython lets neither in.
    """

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.begin_anew()

    def attach(self, observer: Observer) -> None:
        """See `EventQueue.attach`. Nothing ever happens here by itself."""

    def begin_anew(self) -> None:
        """See `EventQueue.begin_anew`."""
        self._messages: deque[bytes] = deque()
        self._bytes = 0
        self._handed_out = 0
        self._waiting = 0  # as `put` counts them
        self._put_count = 0
        self._head = 0  # the position of the oldest message kept
        self._evicted_behind = 0  # evicted while older ones were handed out
        # Looked up here, not at import: gevent may have patched it by now.
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)

    def recover(self) -> None:
        """See `EventQueue.recover`. Nothing outlives the process."""

    def put(self, message: bytes) -> int:
        """See `EventQueue.put`."""
        size = len(message)
        with self._lock:
            if len(self._messages) >= self._max_events or self._bytes + size > self._max_bytes:
                raise QueueFullError("the queue is full")
            # Counted before any call lets a signal handler in, which may put another: of all that
            # come, just one is to be the first that waits.
            waiting = self._waiting + 1
            self._waiting = waiting
            self._bytes += size
            self._put_count += 1
            self._messages.append(message)
            return waiting

    def get(self, max_bytes: int, overhead: int = 0) -> list[bytes]:
        """See `EventQueue.get`."""
        batch: list[bytes] = []
        with self._lock:
            while some := self._some_from(len(batch)):
                size = sum(map(len, some)) + overhead * len(some)
                if size > max_bytes:
                    fitting = self._fitting(some, max_bytes, overhead)
                    batch += some[: fitting if batch else max(1, fitting)]
                    break
                max_bytes -= size
                batch += some
            self._handed_out = len(batch)
            self._waiting = len(self._messages) - len(batch)
        return batch

    def _some_from(self, position: int) -> list[bytes]:
        """The next messages: not all, because a backlog may have a million."""
        while True:
            # A copy in one step: a `put` from a garbage collection must not disturb a loop.
            with contextlib.suppress(RuntimeError):  # it came between the steps of this one
                return list(islice(self._messages, position, position + _MESSAGES_AT_ONCE))

    def _fitting(self, messages: list[bytes], max_bytes: int, overhead: int) -> int:
        """How many of them have so many bytes at the most."""
        ends = accumulate(len(message) + overhead for message in messages)
        return sum(1 for _ in takewhile(max_bytes.__ge__, ends))

    def ack(self, count: int) -> int:
        """See `EventQueue.ack`."""
        with self._lock:
            count = min(count, self._handed_out)
            size = 0
            for _ in repeat(None, count):
                size += len(self._messages.popleft())
            self._bytes -= size
            self._handed_out -= count
            self._head += count
            if not self._handed_out:
                self._head += self._evicted_behind
                self._evicted_behind = 0
            self._settled.notify_all()
            return count

    def evict(self) -> bytes | None:
        """See `EventQueue.evict`."""
        with self._lock:
            if len(self._messages) == self._handed_out:
                return None
            message = self._messages[self._handed_out]
            del self._messages[self._handed_out]
            size = len(message)
            self._bytes -= size
            self._waiting -= 1
            if self._handed_out:
                self._evicted_behind += 1
            else:
                self._head += 1
            self._settled.notify_all()
            return message

    def wait_for_room(self, size: int, timeout: float) -> bool:
        """See `EventQueue.wait_for_room`."""
        with self._settled:
            return self._settled.wait_for(
                lambda: (
                    len(self._messages) < self._max_events and self._bytes + size <= self._max_bytes
                ),
                timeout,
            )

    def mark(self) -> int:
        """See `EventQueue.mark`."""
        return self._put_count

    def wait_until_settled(self, mark: int, timeout: float) -> bool:
        """See `EventQueue.wait_until_settled`."""
        deadline = monotonic() + timeout
        with self._settled:
            while self._head < mark:
                remaining = deadline - monotonic()
                if remaining <= 0:
                    return False
                self._settled.wait(remaining)
            return True

    def waiting(self) -> int:
        """See `EventQueue.waiting`."""
        return len(self._messages) - self._handed_out

    def pending(self) -> tuple[int, int]:
        """See `EventQueue.pending`."""
        with self._lock:
            return len(self._messages), self._bytes

    def close(self) -> None:
        """See `EventQueue.close`. There is nothing to let go of."""

    def abandon(self) -> list[bytes]:
        """See `EventQueue.abandon`."""
        with self._lock:
            left = list(self._messages)
            self._messages.clear()
            self._bytes = self._handed_out = self._waiting = self._evicted_behind = 0
            self._head = self._put_count
            self._settled.notify_all()
            return left
