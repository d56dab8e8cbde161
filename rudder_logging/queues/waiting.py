"""The part that all queues share: a lock, who waits for what, and the counts for it."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import accumulate, takewhile
from typing import Any

from ..common.clock import wait_until
from ..common.locks import EndingLock, OrphanedError
from .base import Batch, Depth, Observer

__all__ = ["EventQueue", "SerialQueue", "Settled", "fitting", "oldest_to_go"]


class EventQueue(ABC):
    """A buffer that several threads share, and that can be waited for.

    Any thread may call `put`, even a signal handler that interrupts another `put`; one thread at a
    time calls `take` and `settle`. See `Buffer`, and what a buffer may be able to do besides, for
    what the methods promise.
    """

    settled: int
    """Number of messages that `settle` has forgotten: stored, refused or given up. A plain number,
    read without a call."""
    evicted: int
    """Number of messages that `evict` has dropped."""
    erased = 0
    """Number of messages that `erase` has dropped, unless it tells the observer."""
    suppresses: Callable[[bytes], bool] | None = None
    """Tells if a message must not leave any more: whoever delivers asks before each attempt. None:
    that is so of none."""
    looks_every: float | None = None
    """Seconds after which `look` is to be called again, while something is pending; None: never."""
    _progress: Settled
    _is_busy = False
    """True if this very thread was interrupted while it held the lock."""

    def _begin(self) -> None:
        """Make what can't be shared with a forked child."""
        self._kept: list[bytes] = []
        # Looked up here, not at import: gevent may have patched it by now. Re-entrant, because a
        # signal handler or a `__del__` may log an event while its thread is in here.
        self._lock: Any = threading.RLock()
        self._changed = threading.Condition(self._lock)

    @property
    def evicts(self) -> bool:
        """True if it can drop its oldest messages for others."""
        return True

    def outlive_threads(self) -> None:
        """As the process ends: wait for no thread that is ended while it holds the lock."""
        self._lock = EndingLock(self._lock)
        self._changed = threading.Condition(self._lock)

    # A buffer's methods.

    @abstractmethod
    def put(self, message: bytes) -> int:
        """See `Buffer.put`."""

    @abstractmethod
    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """See `Buffer.take`. So many bytes count for each message besides its own."""

    @abstractmethod
    def settle(self, batch: Batch, count: int) -> int:
        """See `Buffer.settle`. Fewer than asked for are forgotten only after `abandon`."""

    @abstractmethod
    def depth(self) -> Depth:
        """See `Buffer.depth`."""

    def close(self) -> None:  # noqa: B027 - for those that have files
        """See `Buffer.close`. There is nothing to let go of."""

    @abstractmethod
    def after_fork(self) -> None:
        """See `Forkable.after_fork`."""

    @abstractmethod
    def evict(self, size: int) -> list[bytes] | None:
        """See `Evicting.evict`."""

    def keep_back(self, suppresses: Callable[[bytes], bool]) -> None:
        """Have no message leave any more of which that is true."""
        self.suppresses = suppresses

    def erase(self, people: Collection[str]) -> list[bytes]:  # noqa: ARG002
        """Drop messages of people that wait, if they can be taken out from among others.

        What stays, and what is handed out, is left to `suppresses`.

        Args:
            people: Their ids, as messages have them.

        Returns:
            Those that were dropped.
        """
        return []

    def look(self) -> None:  # noqa: B027 - as above
        """See what others ask for. Nobody does."""

    def recover(self) -> None:  # noqa: B027 - as above
        """See `Durable.recover`. Nothing outlives the process."""

    @abstractmethod
    def abandon(self) -> list[bytes]:
        """See `Durable.abandon`."""

    def attach(self, observer: Observer) -> None:  # noqa: B027 - as above
        """Called before use, and again after `after_fork`. Nothing happens by itself."""

    def keeps(self, message: bytes) -> None:
        """Note a message that `put` kept, where an exception takes the place of its result.

        The caller has to learn that from `took`. Until it asks, the message may have been
        delivered, and have left the queue.
        """
        self._kept.append(message)

    def took(self, message: bytes) -> bool:
        """Tell if `put`, which did not return, has kept the message. To be asked once."""
        with self._lock:
            for position, kept in enumerate(self._kept):
                if kept is message:
                    del self._kept[position]
                    return True
            return self._holds(message)

    @abstractmethod
    def _holds(self, message: bytes) -> bool:
        """Tell if a message is there that was put not long ago, if it was put at all."""

    # Waits.

    def wait_for_room(self, size: int, timeout: float) -> bool:
        """Wait until a message of that many bytes fits. False: it doesn't after `timeout` s."""
        return self._wait(lambda: self._has_room(size), timeout)

    def mark(self) -> int:
        """The position behind the newest message. What can be taken over is before it, too."""
        self.recover()
        with self._lock:
            return self._put_so_far()

    def wait_until_settled(self, mark: int, timeout: float) -> bool:
        """Wait until all before the mark are settled or dropped. False: not in `timeout` s."""
        return self._wait(lambda: self._is_settled(mark), timeout)

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            # If busy, what this thread waits for goes on only when it is back.
            wait_until(lambda: self._is_busy or condition(), self._changed, timeout)
            return not self._is_busy and condition()

    def _is_settled(self, mark: int) -> bool:
        return self._progress.count >= mark

    @abstractmethod
    def _put_so_far(self) -> int:
        """Number of messages that were put, those included that were settled or dropped."""

    @abstractmethod
    def _has_room(self, size: int) -> bool:
        """Tell if a message of that many bytes fits."""


class SerialQueue(EventQueue):
    """A queue whose methods never overlap, not even in one thread.

    What a signal handler or a `__del__` puts while its thread is in here is set aside until what it
    interrupted is over.
    """

    _aside: deque[bytes]
    _notes: deque[Callable[[], object]]
    """Reports to be made once the lock is free."""

    def _begin(self) -> None:
        super()._begin()
        self._is_busy = False

    def _refuse_if_orphaned(self) -> None:
        if getattr(self._lock, "is_orphaned", False):  # nobody will look at what is set aside
            raise OrphanedError("a thread was ended while it used the queue")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the lock; False: this very thread was interrupted while it held it."""
        with self._lock:
            if self._is_busy:
                yield False
                return
            self._is_busy = True
            try:
                try:
                    yield True
                finally:
                    self._leave()
            except BaseException:  # a signal handler's, at any moment
                self._mend()
                raise
            finally:
                self._is_busy = False

    @abstractmethod
    def _leave(self) -> None:
        """Store what was set aside."""

    @abstractmethod
    def _mend(self) -> None:
        """Put right what an exception may have left half done."""

    def _tell(self) -> None:
        """Make the reports. No lock is held: callbacks may take any of the app's."""
        with contextlib.suppress(IndexError):
            while True:
                self._notes.popleft()()


class Settled:
    """Counts messages in the order of their puts. Nothing here is safe for threads.

    Those that are dropped while older ones are not settled yet count only once these are: whoever
    waits for a mark waits for all before it.
    """

    def __init__(self) -> None:
        self.in_turn = 0
        """Number of the oldest that were settled. A plain number: it is raised in a statement
        without a call, where CPython lets in no signal handler."""
        self._ahead: dict[int, int] = {}  # how many are dropped; by `in_turn` when they count

    @property
    def count(self) -> int:
        """Number of messages that are settled, from the first that was put without a gap."""
        in_turn = self.in_turn
        return in_turn + sum(number for at, number in self._ahead.items() if at <= in_turn)

    @property
    def total(self) -> int:
        """Number of messages that are settled or dropped, wherever they stood."""
        return self.in_turn + sum(self._ahead.values())

    def drop(self, number: int, before: int) -> None:
        """Count messages as dropped. `before`: how many before them are neither settled nor so."""
        if not number:
            return
        at = self.in_turn + before
        ahead = {at: number}
        for other, count in self._ahead.items():
            if other <= self.in_turn:  # these count already
                others_turn = 0
            elif other > at:  # they need not wait for these any more, but perhaps are behind them
                others_turn = max(at, other - number)
            else:
                others_turn = other
            ahead[others_turn] = ahead.get(others_turn, 0) + count
        self._ahead = ahead


def fitting(messages: Iterable[bytes], max_bytes: int, overhead: int) -> int:
    """Number of messages, from the first, that have that many bytes at the most.

    Args:
        messages: The oldest first.
        max_bytes: The bound.
        overhead: Bytes that count for each besides its own.
    """
    ends = accumulate(len(message) + overhead for message in messages)
    return sum(1 for _ in takewhile(max_bytes.__ge__, ends))


def oldest_to_go(waiting: Iterable[bytes], events: int, excess: int) -> list[bytes] | None:
    """The oldest of what waits, as many as have to go; None: not even all of them would do.

    Args:
        waiting: What may go, the oldest first.
        events: How many there are of all, over the bound; another one fits if it is below 0.
        excess: Bytes over the bound, those of the other one included; it fits if there are none.
    """
    found: list[bytes] = []
    for message in waiting:
        if events < 0 and excess <= 0:
            break
        found.append(message)
        events -= 1
        excess -= len(message)
    return found if events < 0 and excess <= 0 else None
