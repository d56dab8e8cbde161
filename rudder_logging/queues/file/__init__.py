"""The durable queue: a spool of JSON Lines, in which each line is a message as it will be sent.

`put` returns after one `write` to a file, so what was logged survives the process. Delivery reads
from the file: memory holds what is handed out, and little more. What a process leaves behind, the
next one of the same source delivers. While the disk fails, messages wait in memory.

- `store.py`: messages on the disk, or in memory while the disk fails
- `spool.py`: the directory: what this process writes, and what it has taken over
- `segments.py`: one process's part of it, and the short way to its end
- `files.py`: names, owners and the note of progress
- `backlog.py`: all that is pending; `window.py`: the part of it that was read
- `left.py`: events of sources that no living process uses
- `erasing.py`: people whose events are to be erased, and whoever asks all processes for it
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING

from ...common.clock import monotonic
from ...exceptions import QueueFullError
from ..base import SUPPRESSED, Batch, Depth, Observer
from ..urls import SpoolUrl
from ..waiting import SerialQueue
from .backlog import Backlog
from .spool import is_foreign
from .store import CLOSING, Store, sync

if TYPE_CHECKING:
    from ...events.persons import Matches

__all__ = ["FileQueue"]

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_SYNCS = 1.0
_CLOSING_SIZE = len(CLOSING)
_LONGEST_SEARCH = 0.5  # seconds in `take`, which the end of a process may wait for


class FileQueue(SerialQueue):
    """An `EventQueue` in files.

    Args:
        url: Where, and within which bounds.
        source: The write key, which tells this source from others, whose events never mix; behind
            a blank, the data plane's URL.
        max_events: How many may wait in memory while the disk fails.
        max_bytes: Their size.

    Raises:
        ConfigError: The directory is not one that only this user can write to.
    """

    _observer: Observer
    looks_every = _SECONDS_BETWEEN_LOOKS

    def __init__(self, url: SpoolUrl, source: str, *, max_events: int, max_bytes: int) -> None:
        self._has_max_age = url.max_age is not None
        self._syncs_later = url.fsync == "interval"
        self._told: str | None = None  # the disk's fault that was reported
        self._kept_back: Callable[[bytes], bool] | None = None
        self._notes = deque()
        self._store = Store(
            url,
            source,
            max_events=max_events,
            max_bytes=max_bytes,
            report=self._note_fault,
            remark=self._note_remark,
        )
        self._has_looked_at_others = False
        self._lane = self._store.lane
        self._backlog = Backlog(self._store, url.max_age, self._notes)
        self._begin()

    def _begin(self) -> None:
        super()._begin()
        self._look_at = 0.0
        self._timer: threading.Timer | None = None
        self._again: threading.Timer | None = None
        self._heed_at = 0.0
        self._doomed: set[bytes] = set()  # handed out, and erased on the disk
        # People whose events could not be erased yet, and the request, if that was noted.
        self._owed: list[tuple[frozenset[str], tuple[int, int] | None]] = []
        self._unheeded: Callable[[bytes], bool] | None = None  # a request that could not be either
        self._renew_suppresses()
        self._aside = self._backlog.aside
        self._progress = self._backlog.settled
        self.settled = 0

    # A buffer's methods.

    def attach(self, observer: Observer) -> None:
        """See `EventQueue.attach`."""
        self._observer = self._backlog.observer = observer

    def after_fork(self) -> None:
        """See `Forkable.after_fork`."""
        self._told = None
        self._notes.clear()
        self._backlog.after_fork()
        self._begin()
        self._store.after_fork()

    def recover(self) -> None:
        """See `Durable.recover`."""
        with self._alone() as alone:
            if alone:
                self._look_around()
                self._store.adopt()
                self._backlog.read_ahead()
                self._look_at_others()
        self._tell()

    def put(self, message: bytes) -> int:
        """See `Buffer.put`. On the disk, or in memory while the disk fails."""
        lane, backlog = self._lane, self._backlog
        line = message + CLOSING
        size = len(line)
        is_kept = False
        try:
            with self._lock:
                # Most go by the lane: beside the write, that takes 1.3 us. By the long way's calls
                # it was 2.1 us, a twentieth of a log call more.
                if monotonic() < self._look_at and size <= lane.room and not self._is_busy:
                    # No call from here to the write: in between, no signal handler comes in.
                    self._is_busy = True
                    try:
                        lane.room -= size
                        lane.lines[lane.number] += 1
                        backlog.put += 1
                        backlog.pending += 1
                        backlog.pending_bytes += size - _CLOSING_SIZE
                        waiting = backlog.pending - lane.handed_out
                        written = os.write(lane.file, line)
                        if written < size:
                            lane.claim.take_back(written)
                        is_kept = True
                        if self._aside:
                            self._leave()
                    except BaseException as error:
                        is_kept = is_kept or self._store.holds(message)
                        if is_kept or not self._steps_back(message, error):
                            self._mend()
                            raise
                    else:
                        return waiting
                    finally:
                        self._is_busy = False
        except BaseException:
            if is_kept:
                self.keeps(message)
            raise
        return self._put_the_long_way(message)

    def _steps_back(self, message: bytes, error: BaseException) -> bool:
        """Count a message out that was not written. True: that is the disk's fault."""
        self._store.uncount(message)
        self._backlog.uncount(message)
        return isinstance(error, OSError) and not is_foreign(error)

    def _put_the_long_way(self, message: bytes) -> int:
        is_kept = False
        try:
            with self._lock:
                if self._is_busy:
                    self._refuse_if_orphaned()
                    waiting = self._backlog.count_in(message)
                    is_kept = True  # before the call, after which a signal handler comes in
                    self._aside.append(message)
                    return waiting
                self._is_busy = True
                try:
                    waiting = self._put_alone(message)
                    is_kept = True
                except QueueFullError:
                    raise
                except BaseException:  # a signal handler's, at any moment
                    is_kept = self._store.holds(message)
                    self._mend()
                    raise
                finally:
                    self._is_busy = False
            if self._notes:
                self._tell()
            if self._syncs_later and self._timer is None:
                self._sync_soon()
        except BaseException:
            if is_kept:
                self.keeps(message)
            raise
        else:
            return waiting

    def _put_alone(self, message: bytes) -> int:
        try:
            self._store.close_lane()
            if monotonic() >= self._look_at:
                self._look_around()
            elif self._backlog.expires:
                self._drop_expired()
            if self._has_max_age and not self._store.has_room(len(message)):
                self._backlog.expire_for(len(message))
                self._changed.notify_all()
            waiting = self._backlog.count_in(message)
            self._store.append(message)
            waits_for_timer = self._syncs_later and self._timer is None  # which the next one starts
            if not (self._backlog.expires or waits_for_timer):
                self._store.open_lane(self._backlog.handed_out)
            return waiting
        finally:
            if self._aside:
                self._leave()

    def _holds(self, message: bytes) -> bool:
        return message in self._aside or self._store.holds(message)

    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """See `Buffer.take`."""
        batch: Batch | None = None
        self.look()
        deadline = monotonic() + _LONGEST_SEARCH
        goes_on = True
        while goes_on:
            goes_on = False
            with self._alone() as alone:
                if alone:
                    if monotonic() >= self._look_at:
                        self._look_around()
                    self._drop_expired()  # but nothing handed out: this may be amid its delivery
                    goes_on = self._backlog.expires and monotonic() < deadline
                    if not goes_on:
                        batch = self._backlog.hand_out(max_bytes, overhead) or None
            self._tell()
        return batch

    def settle(self, batch: Batch, count: int) -> int:  # noqa: ARG002 - the oldest are its
        """See `Buffer.settle`."""
        with self._alone() as alone:
            if not alone:
                return 0
            count = min(count, self._backlog.handed_out)
            before = self._backlog.pending
            try:
                self._backlog.settle(count)
            except BaseException:  # as in `put`
                self._mend()
                raise
            finally:
                self.settled += before - self._backlog.pending
            self._backlog.read_ahead()
            if self._doomed and not self._backlog.handed_out:
                # A batch that was given back may be larger than the one that came after it.
                self._doomed = self._backlog.held_of(self._doomed)
                self._renew_suppresses()
            self._changed.notify_all()
        self._tell()
        return count

    def evict(self, size: int) -> list[bytes] | None:
        """See `Evicting.evict`."""
        evicted = None
        with self._alone() as alone:
            if alone:
                evicted = self._backlog.make_room(size)
                self._changed.notify_all()
        # Nothing is told before the `put` that follows: until then, the ledger does not balance.
        return evicted

    @property
    def evicted(self) -> int:  # type: ignore[override]  # it is only read
        """See `EventQueue.evicted`."""
        return self._backlog.evicted

    def _has_room(self, size: int) -> bool:
        return self._store.has_room(size)

    def _put_so_far(self) -> int:
        return self._backlog.put

    def _is_settled(self, mark: int) -> bool:
        return super()._is_settled(mark) and not self._store.has_adopted

    def wait_until_settled(self, mark: int, timeout: float) -> bool:
        """See `EventQueue.wait_until_settled`."""
        done = super().wait_until_settled(mark, timeout)
        return done and not self._store.has_unread  # for which it makes no sense to wait

    def depth(self) -> Depth:
        """See `Buffer.depth`."""
        backlog = self._backlog
        with self._lock:
            pending = backlog.pending
            return Depth(pending, backlog.pending_bytes, pending - backlog.handed_out)

    def close(self) -> None:
        """See `Buffer.close`."""
        with self._alone() as alone:
            if alone and not self._backlog.pending:
                self._store.remove()
        self._tell()

    def abandon(self) -> list[bytes]:
        """See `Durable.abandon`. What is on the disk stays there, for the next process."""
        left: list[bytes] = []
        with self._alone() as alone:
            if alone:
                left = self._backlog.leave()
                if not self._backlog.pending:
                    self._store.remove()
                self._changed.notify_all()
        self._tell()
        return left

    # People whose events are to be erased.

    def keep_back(self, suppresses: Callable[[bytes], bool]) -> None:
        """See `EventQueue.keep_back`."""
        self._kept_back = suppresses
        self._renew_suppresses()

    def _renew_suppresses(self) -> None:
        doomed = self._doomed.__contains__ if self._doomed else None
        tests = [one for one in (self._kept_back, doomed, self._unheeded) if one is not None]
        if len(tests) > 1:
            self.suppresses = lambda message: any(test(message) for test in tests)
        else:
            self.suppresses = tests[0] if tests else None

    def erase(self, people: Collection[str]) -> list[bytes]:
        """See `EventQueue.erase`. All other processes of the source are asked to do so, too.

        On the disk the bytes are gone at once. Should that fail, it is tried again at each look;
        nothing of theirs leaves meanwhile.
        """
        return self._erase_of(frozenset(people), None)

    def _erase_of(self, people: frozenset[str], asked: tuple[int, int] | None) -> list[bytes]:
        """Do so. `asked`: the request, if it was noted before; it is not noted twice."""
        from ...events.persons import concerns  # noqa: PLC0415 - few ask for it

        with self._alone() as alone:
            if alone:
                self._store.look()
                asked = asked or self._store.ask_all(people)
        number, before = asked or (None, None)
        matches = concerns(people)
        left: list[bytes] = []
        for owner in self._left():  # before any of them is taken over
            with self._alone() as alone:
                if alone:
                    self._store.erase_left(owner, matches)
                    left += self._backlog.take_erased()
        erased, is_done = self._erase(matches)
        erased += left
        if number is None or not is_done:
            self._owed.append((people, asked))
            self._look_again_soon()
        # Of others' requests that came before, some may still have to be carried out.
        if number is not None and is_done and self._store.has_carried_out(before or 0):
            self._note_erased(number)
        self._tell()
        return erased

    def _left(self) -> list[str]:
        with self._alone() as alone:
            return self._store.left() if alone else []

    def _erase(self, matches: Matches) -> tuple[list[bytes], bool]:
        """Erase what is held here. Returns what was dropped, and False if some of it is left.

        Others may put and take between two segments.
        """
        dropped: list[bytes] = []
        with self._alone() as alone:
            if not alone:  # a signal handler's call, amid one of this thread's
                return dropped, False
            erased = self._backlog.erase_from_memory(matches)
            dropped += erased.dropped
            self._doom(erased.handed_out)
            parts = self._store.parts()
        is_done = True
        for claim, segment in parts:
            with self._alone() as alone:
                found = self._backlog.erase(claim, segment, matches) if alone else None
                if found is None:
                    is_done = False
                    continue
                is_done = is_done and found.is_done
                dropped += found.dropped
                self._doom(found.handed_out)
        with self._alone() as alone:
            if alone:
                self._backlog.read_ahead()
                self._changed.notify_all()
        return dropped, is_done

    def _doom(self, handed_out: Collection[bytes]) -> None:
        if handed_out:
            self._doomed.update(handed_out)
            self._renew_suppresses()

    def look(self) -> None:
        """Carry out what other processes ask for, and what could not be done before.

        A look costs a call to the system.
        """
        if monotonic() < self._heed_at:
            return
        self._heed_at = monotonic() + _SECONDS_BETWEEN_LOOKS
        owed, self._owed = self._owed, []
        for people, earlier in owed:
            dropped = self._erase_of(people, earlier)
            self._notes.append(partial(self._observer.tell_dropped, dropped, SUPPRESSED))
        with self._alone() as alone:
            asked = self._store.asked() if alone else None
        if asked is not None:
            number, matches = asked
            erased, is_done = self._erase(matches)
            self._notes.append(partial(self._observer.tell_dropped, erased, SUPPRESSED))
            is_done = is_done and self._note_erased(number)
            self._unheeded = None if is_done else lambda message: matches(message + b"}")
            self._renew_suppresses()
        self._tell()

    def _look_again_soon(self) -> None:
        """Whoever delivers may have nothing to do, and others are to be asked all the same."""
        if self._again is None:
            self._again = threading.Timer(_SECONDS_BETWEEN_LOOKS, self._look_again)
            self._again.daemon = True
            with contextlib.suppress(RuntimeError):  # the interpreter is ending
                self._again.start()

    def _look_again(self) -> None:
        self._again = None
        self._heed_at = 0.0
        self.look()

    def _note_erased(self, number: int) -> bool:
        with self._alone() as alone:
            return bool(alone and self._store.note_erased(number))

    # One at a time.

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        with super()._alone() as alone:
            if alone:
                self._store.close_lane()
            yield alone

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

    def _note_fault(self, fault: str | None) -> None:
        """The disk fails, or is well again (None): until then, only the first fault is told."""
        is_new, self._told = self._told is None, fault
        self._notes.append(lambda: self._observer.storage_fault(fault, is_new=is_new))

    def _note_remark(self, text: str) -> None:
        self._notes.append(lambda: self._observer.remark(text))

    def _mend(self) -> None:
        self._store.close_lane()
        self._backlog.mend()
        self._changed.notify_all()

    # From time to time.

    def _look_around(self) -> None:
        self._look_at = monotonic() + _SECONDS_BETWEEN_LOOKS
        self._store.look()
        self._drop_expired()

    def _look_at_others(self) -> None:
        """Once: whoever has mended a write key has events under the wrong one."""
        if not self._has_looked_at_others:
            self._has_looked_at_others = True
            for left in self._store.look_at_others():
                self._note_remark(f"{left.text}: {left.cure}")

    def _drop_expired(self) -> None:
        self._backlog.drop_expired()
        self._changed.notify_all()

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
