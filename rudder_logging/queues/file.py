"""The durable queue: a spool of JSON Lines, in which each line is a message as it will be sent.

`put` returns after one `write` to a file, so what was logged survives the process. Delivery reads
from the file: memory holds what is handed out, and little more. What a process leaves behind, the
next one of the same source delivers. While the disk fails, messages wait in memory.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from time import monotonic, time

from .._encoding import utc_milliseconds
from ..exceptions import QueueFullError
from ._store import Entry, Store, sync
from ._urls import SpoolUrl
from .base import Observer

__all__ = ["FileQueue"]

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_SYNCS = 1.0
_READ_AHEAD = 64 * 1024


class FileQueue:
    """An `EventQueue` in files. See there for what the methods promise.

    Args:
        url: Where, and within which bounds.
        source: What tells this source from others: their events never mix.
        max_events: How many may wait in memory while the disk fails.
        max_bytes: Their size.

    Raises:
        ConfigError: The directory is not one that only this user can write to.
    """

    _observer: Observer

    def __init__(self, url: SpoolUrl, source: str, *, max_events: int, max_bytes: int) -> None:
        self._max_age = url.max_age
        self._syncs_later = url.fsync == "interval"
        self._begin()
        self._store = Store(
            url, source, max_events=max_events, max_bytes=max_bytes, report=self._note_fault
        )

    def _begin(self) -> None:
        self._read: deque[Entry] = deque()
        self._handed_out = 0
        self._span = 0  # entries handed out, and those dropped among and right behind them
        self._pending = self._pending_bytes = 0
        self._put_count = self._settled_count = 0  # of this process's own messages
        self._look_at = 0.0
        self._told: str | None = None  # the disk's fault that was reported
        self._timer: threading.Timer | None = None
        self._notes: deque[Callable[[], object]] = deque()  # to be told once the lock is free
        # Looked up here, not at import: gevent may have patched it by now. Re-entrant, because a
        # signal handler or a `__del__` may log an event while its thread is in here. What comes
        # that way is set aside until whatever was interrupted has finished.
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._is_busy = False
        self._aside: deque[bytes] = deque()

    # The protocol's methods.

    def attach(self, observer: Observer) -> None:
        """See `EventQueue.attach`."""
        self._observer = observer

    def begin_anew(self) -> None:
        """See `EventQueue.begin_anew`."""
        self._begin()
        self._store.begin_anew()

    def recover(self) -> None:
        """See `EventQueue.recover`."""
        with self._alone() as alone:
            if alone:
                self._look_around()
                self._store.adopt()
                self._read_ahead()
        self._tell()

    def put(self, message: bytes) -> int:
        """See `EventQueue.put`. On the disk, or in memory while the disk fails."""
        with self._lock:
            if self._is_busy:
                waiting = self._count_in(message)
                self._aside.append(message)
                return waiting
            self._is_busy = True
            try:
                try:
                    if monotonic() >= self._look_at:
                        self._look_around()
                    waiting = self._count_in(message)
                    self._store.append(message)
                finally:
                    if self._aside:
                        self._leave()
            except QueueFullError:
                raise
            except BaseException:  # a signal handler's, at any moment
                self._recount()
                raise
            finally:
                self._is_busy = False
        if self._notes:
            self._tell()
        if self._syncs_later and self._timer is None:
            self._sync_soon()
        return waiting

    def __contains__(self, message: bytes) -> bool:
        """Whether `put`, which did not return, has kept the message."""
        with self._lock:
            return message in self._aside or self._store.holds(message)

    def get(self, max_bytes: int, overhead: int = 0) -> list[bytes]:
        """See `EventQueue.get`."""
        batch: list[bytes] = []
        with self._alone() as alone:
            if alone:
                if monotonic() >= self._look_at:
                    self._look_around()
                self._drop_expired()  # but nothing handed out: this may be amid its delivery
                self._handed_out = self._span = 0
                self._hand_out(batch, max_bytes, overhead)
                self._pop(0)
        self._tell()
        return batch

    def ack(self, count: int) -> int:
        """See `EventQueue.ack`."""
        with self._alone() as alone:
            if not alone:
                return 0
            count = min(count, self._handed_out)
            self._pop(count)
            self._read_ahead()
            self._settled.notify_all()
        self._tell()
        return count

    def evict(self) -> bytes | None:
        """See `EventQueue.evict`."""
        message = None
        with self._alone() as alone:
            if alone and (entry := self._oldest_waiting()) is not None:
                message = self._drop(entry)
        self._tell()
        return message

    def wait_for_room(self, size: int, timeout: float) -> bool:
        """See `EventQueue.wait_for_room`."""
        return self._wait(lambda: self._store.has_room(size), timeout)

    def mark(self) -> int:
        """See `EventQueue.mark`. What can be taken over by now is before it, too."""
        self.recover()
        return self._put_count

    def wait_until_settled(self, mark: int, timeout: float) -> bool:
        """See `EventQueue.wait_until_settled`."""
        store = self._store
        done = self._wait(lambda: self._settled_count >= mark and not store.has_adopted, timeout)
        return done and not store.has_unread  # for which it makes no sense to wait

    def waiting(self) -> int:
        """See `EventQueue.waiting`."""
        return self._pending - self._handed_out

    def pending(self) -> tuple[int, int]:
        """See `EventQueue.pending`."""
        with self._lock:
            return self._pending, self._pending_bytes

    def close(self) -> None:
        """See `EventQueue.close`."""
        with self._alone() as alone:
            if alone and not self._pending:
                self._store.remove()
        self._tell()

    def abandon(self) -> list[bytes]:
        """See `EventQueue.abandon`. What is on the disk stays there, for the next process."""
        left: list[bytes] = []
        with self._alone() as alone:
            if alone:
                unread = self._store.unread_in_memory
                left = self._store.leave()
                for message in left:
                    self._forget(len(message))
                self._settled_count += unread - self._store.unread_in_memory
                self._pop(0)
                handed_out = islice(self._read, self._span)
                self._handed_out = sum(entry.message is not None for entry in handed_out)
                if not self._pending:
                    self._store.remove()
                self._settled.notify_all()
        self._tell()
        return left

    # One at a time.

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
            except BaseException:  # as in `put`
                self._recount()
                raise
            finally:
                self._is_busy = False

    def _leave(self) -> None:
        while self._aside:
            message = self._aside[0]
            try:
                self._store.append(message)
                self._aside.popleft()
            except BaseException:  # as in `put`
                if message in self._aside and self._store.holds(message):
                    self._aside.popleft()
                raise

    def _tell(self) -> None:
        """Report what happened. No lock is held: callbacks may take any of the app's."""
        with contextlib.suppress(IndexError):
            while True:
                self._notes.popleft()()

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        deadline = monotonic() + timeout
        with self._settled:
            while not self._is_busy:  # else this thread was interrupted in here: it goes on later
                if condition():
                    return True
                remaining = deadline - monotonic()
                if remaining <= 0:
                    break
                self._settled.wait(remaining)
        return False

    def _note_fault(self, fault: str | None) -> None:
        """The disk fails, or is well again (None): until then, only the first fault is told."""
        is_new, self._told = self._told is None, fault
        self._notes.append(lambda: self._observer.storage_fault(fault, is_new=is_new))

    # Counts.

    def _count_in(self, message: bytes) -> int:
        size = len(message)
        if not self._store.has_room(size):
            raise QueueFullError("the queue is full")
        self._put_count += 1
        self._pending += 1
        self._pending_bytes += size
        return self._pending - self._handed_out

    def _forget(self, size: int) -> None:
        self._pending -= 1
        self._pending_bytes -= size

    def _recount(self) -> None:
        """Count again what is there: an interruption, or who removes files, may change that."""
        unread, size = self._store.unread()
        read = [entry.message for entry in self._read if entry.message is not None]
        self._pending = unread + len(read) + len(self._aside)
        self._pending_bytes = size + sum(map(len, read)) + sum(map(len, self._aside))
        own = unread + sum(entry.is_own for entry in self._read) + len(self._aside)
        self._settled_count = self._put_count - own
        self._settled.notify_all()

    # From the disk to the listener.

    def _hand_out(self, batch: list[bytes], max_bytes: int, overhead: int) -> None:
        total = position = 0
        while True:
            for entry in islice(self._read, position, None):
                if entry.message is not None:
                    total += len(entry.message) + overhead
                    if total > max_bytes and batch:
                        return
                    batch.append(entry.message)
                    self._handed_out += 1
                    self._span = position + 1
                position += 1
            if not self._read_on(max(max_bytes - total, _READ_AHEAD)):
                return

    def _read_on(self, size: int) -> bool:
        """Read messages of about so many bytes. False: there are none."""
        entries = self._store.read(size)
        for entry in entries:
            message = entry.message
            if not entry.is_own:
                self._pending += 1
                self._pending_bytes += len(message or b"")
                self._observer.count_adopted(1)
            if entry.reason and message is not None:
                entry.message = None
                self._forget(len(message))
                self._observer.count_dropped(1, entry.reason)
                self._notes.append(partial(self._observer.unreadable, message, entry.reason))
        self._read.extend(entries)
        if lost := self._store.take_lost():
            self._observer.count_dropped(lost, "spool_lost")
            self._recount()
        return bool(entries)

    def _read_ahead(self) -> None:
        """Have something pending as long as there is anything on the disk."""
        while not self._pending and self._read_on(_READ_AHEAD):
            self._pop(0)

    def _pop(self, count: int) -> None:
        """Settle the oldest messages, and what is dropped among and right behind them."""
        settled = []
        while self._read and (self._read[0].message is None or count):
            entry = self._read.popleft()
            if entry.message is not None:
                count -= 1
                self._handed_out -= 1
                self._forget(len(entry.message))
            self._span -= self._span > 0
            self._settled_count += entry.is_own
            settled.append(entry)
        self._store.settle(settled)

    # Without delivery.

    def _oldest_waiting(self) -> Entry | None:
        """The oldest message that is not handed out."""
        while True:
            for entry in islice(self._read, self._span, None):
                if entry.message is not None:
                    return entry
                self._span += 1
            if not self._read_on(_READ_AHEAD):
                return None

    def _drop(self, entry: Entry) -> bytes:
        message = self._store.drop(entry)
        self._forget(len(message))
        self._pop(0)
        self._settled.notify_all()
        return message

    def _drop_expired(self) -> None:
        if self._max_age is None:
            return
        expired = []
        oldest = utc_milliseconds(time() - self._max_age)
        while (entry := self._oldest_waiting()) is not None and "" < entry.stamp < oldest:
            expired.append(self._drop(entry))
        if expired:
            self._observer.count_dropped(len(expired), "expired")
            self._notes.append(partial(self._observer.tell_dropped, expired, "expired"))

    # From time to time.

    def _look_around(self) -> None:
        self._look_at = monotonic() + _SECONDS_BETWEEN_LOOKS
        self._store.look()
        self._drop_expired()

    def _sync_soon(self) -> None:
        """Not in the calling thread, which would have to wait for the disk."""
        self._timer = threading.Timer(_SECONDS_BETWEEN_SYNCS, self._sync)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # the interpreter is ending
            self._sync()

    def _sync(self) -> None:
        self._timer = None
        with self._alone() as alone:
            file = self._store.file_to_sync() if alone else None
        if (fault := sync(file)) is not None:
            self._note_fault(fault.strerror)
        self._tell()
