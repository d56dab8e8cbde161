"""Pending messages of the durable queue: counted, read on, settled and dropped, without locks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from time import time
from typing import TYPE_CHECKING, NamedTuple

from ...events.encoding import utc_milliseconds
from ...exceptions import QueueFullError
from ..base import SUPPRESSED, Batch, Observer
from ..waiting import Settled
from .erasing import is_erased
from .segments import Claim
from .store import Entry, Store
from .window import Window

if TYPE_CHECKING:
    from ...events.persons import Matches

__all__ = ["Backlog", "Erased"]

_READ_AHEAD = 64 * 1024


class Erased(NamedTuple):
    """Messages of people that were erased on the disk."""

    dropped: list[bytes]
    """They are in no queue any more. What was half erased can't be told."""
    handed_out: list[bytes]
    """They are being delivered."""
    is_done: bool = True
    """False: the disk did not let us, so that they are still there."""


def _is_of(message: bytes | None, matches: Matches) -> bool:
    return message is not None and matches(message + b"}")


class Backlog:
    """Messages in a store, and how far they got. Nothing here is safe for threads.

    Args:
        store: Where they are.
        max_age: Seconds after which one is dropped that is not handed out; None: never.
        notes: Takes what is to be told once the queue's lock is free.
    """

    observer: Observer
    """Hears of drops and faults at once."""

    def __init__(
        self, store: Store, max_age: float | None, notes: deque[Callable[[], object]]
    ) -> None:
        self._store = store
        self._max_age = max_age
        self._notes = notes
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: all of it is the parent's."""
        self._window = Window()
        self.put = 0
        """Number of this process's own messages that were put."""
        self.settled = Settled()
        """Number of these that are settled."""
        self.pending = self.pending_bytes = 0
        """Messages that are known and not settled, and their size."""
        self.aside: deque[bytes] = deque()
        """Messages that are still to be stored."""
        self.expires = False
        """True if there may be more that is too old: to look at all at once would take long."""
        self.evicted = 0
        """Number of messages that were dropped for others to have room."""

    @property
    def handed_out(self) -> int:
        """Number of messages that are handed out."""
        return self._window.handed_out

    # Counts.

    def count_in(self, message: bytes) -> int:
        """Count a message that is to be stored. Returns how many wait then.

        Raises:
            QueueFullError: There is no room.
        """
        size = len(message)
        if not self._store.has_room(size):
            raise QueueFullError("the queue is full")
        self.put += 1
        self.pending += 1
        self.pending_bytes += size
        return self.pending - self._window.handed_out

    def uncount(self, message: bytes) -> None:
        """A message that was counted in was not stored."""
        self.put -= 1
        self._forget(len(message))

    def _forget(self, size: int) -> None:
        self.pending -= 1
        self.pending_bytes -= size

    def mend(self) -> None:
        """After an interruption: what was on its way to the window is still to be read."""
        self._window.recount()
        self._store.rewind(self._window)
        self.recount()

    def recount(self) -> None:
        """Count again what is there: an interruption, or who removes files, may change that."""
        unread, size = self._store.unread()
        erased, erased_size = self._store.erased_ahead()
        read = [entry.message for entry in self._window if entry.message is not None]
        self.pending = unread - erased + len(read) + len(self.aside)
        self.pending_bytes = size - erased_size + sum(map(len, read)) + sum(map(len, self.aside))
        own = sum(entry.lines for entry in self._window if entry.is_own)
        left = unread + own + len(self.aside)
        self.settled.in_turn += self.put - left - self.settled.total

    # From the disk to the listener.

    def hand_out(self, max_bytes: int, overhead: int) -> Batch:
        """See `Buffer.take`. While more `expires`, what has not been handed out yet is not."""
        batch = Batch()
        earlier = self._window.hand_back()
        most = earlier if self.expires else None
        left: int | None = max_bytes
        while left is not None:
            left = self._window.hand_out(batch, left, overhead, most)
            if left is not None and not self._read_on(max(left, _READ_AHEAD)):
                break
        self.settle(0)
        return batch

    def _read_on(self, size: int) -> bool:
        """Read messages of about so many bytes. False: there are none."""
        entries = self._store.read(size)
        if erased := self.take_erased():  # as it was taken over
            self._notes.append(partial(self.observer.tell_dropped, erased, SUPPRESSED))
        self._take_in(entries)
        self._window.append(entries)
        self._count_lost()
        return bool(entries)

    def _take_in(self, entries: list[Entry]) -> None:
        """Count what was read, and take from it what can't be sent."""
        for entry in entries:
            message = entry.message
            if message is None:  # it was erased
                if entry.uncounted is not None:
                    self._forget(entry.uncounted)
                    self.observer.count_dropped(1, SUPPRESSED)
                continue
            if not entry.is_own:
                self.pending += 1
                self.pending_bytes += len(message)
                self.observer.count_adopted(1)
            if entry.reason:
                entry.message = None
                self._forget(len(message))
                self.observer.count_dropped(1, entry.reason)
                self._notes.append(partial(self.observer.unreadable, message, entry.reason))

    def _count_lost(self) -> None:
        if lost := self._store.take_lost():
            self.observer.count_dropped(lost, "spool_lost")
            self.recount()

    def read_ahead(self) -> None:
        """Have something pending as long as there is anything on the disk."""
        while not self.pending and self._read_on(_READ_AHEAD):
            self.settle(0)

    def settle(self, count: int) -> None:
        """Settle the oldest messages, and what is dropped among and right behind them."""
        settled = self._window.settle(count)
        for entry in settled:
            if entry.message is not None:
                self._forget(len(entry.message))
        self.settled.in_turn += sum(entry.lines for entry in settled if entry.is_own)
        self._store.settle(settled)

    # Without delivery.

    def make_room(self, size: int) -> list[bytes] | None:
        """See `Evicting.evict`.

        Room on the disk comes by removing a segment, with all that is in it. What waits in one of
        which something is handed out stays: to drop it would make no room.
        """
        if self._store.has_room(size):
            return []
        try:
            if self._store.goes_to_memory:
                evicted = self._evict_from_memory(size)
            else:
                evicted = self._evict_from_disk(size)
        except BaseException:  # a signal handler's, at any moment
            self.evicted += self._missing()
            raise
        self.read_ahead()
        return evicted

    def _missing(self) -> int:
        """Count again, after an interruption. Returns how many were dropped and not counted."""
        known = self.pending
        self.recount()
        return known - self.pending

    def _count_out(self, messages: list[bytes]) -> None:
        """Count what was evicted, in statements without a call: no signal handler divides them."""
        number, size = len(messages), sum(map(len, messages))
        self.pending -= number
        self.pending_bytes -= size
        self.evicted += number

    def _evict_from_memory(self, size: int) -> list[bytes] | None:
        found = self._store.evict_from_memory(size, self._window.give_back_memory())
        if found is None:
            return None
        evicted, behind = found
        self._drop_own(len(evicted), behind)
        self._count_out(evicted)
        return evicted

    def _evict_from_disk(self, size: int) -> list[bytes] | None:
        evicted: list[bytes] = []
        has_made_some = False
        for claim, number in self._store.removable(size, self._window.held):
            messages = self._take_out(claim, number)
            if messages is None:
                break
            has_made_some = True
            evicted += messages
        return evicted if has_made_some else None

    def _take_out(self, claim: Claim, number: int) -> list[bytes] | None:
        """Drop all of a segment, of which nothing is handed out. None: that can't be, now."""
        unread = self._store.take_out(claim, number)
        if unread is None:
            return None
        self._take_in(unread)
        read, behind = self._window.take_out(claim, number)
        lines = sum(entry.lines for entry in read)
        if claim.is_own:
            behind += self._store.unread_behind(claim, number)
            self._drop_own(lines + len(unread), behind)
        self._store.give_up(claim, lines)
        dropped = [entry.message for entry in (*read, *unread) if entry.message is not None]
        self._count_out(dropped)
        self._count_lost()
        return dropped

    def _drop_own(self, number: int, behind: int) -> None:
        """Count our own messages as dropped. `behind`: how many are left after them, stored."""
        left = self.put - self.settled.total
        self.settled.drop(number, left - number - behind - len(self.aside))

    def drop_expired(self) -> None:
        """Drop some of what waits and is too old."""
        self.expires = False
        if self._max_age is None:
            return
        oldest = utc_milliseconds(time() - self._max_age)
        expired: list[bytes] = []
        touched: dict[tuple[Claim | None, int], None] = {}
        size = number = 0
        try:
            while (entry := self._first_waiting()) is not None and "" < entry.stamp < oldest:
                if size >= _READ_AHEAD:
                    self.expires = True
                    break
                message = self._store.drop(entry)
                expired.append(message)
                length = len(message)
                # As in `_count_out`.
                self.pending -= 1
                self.pending_bytes -= length
                size += length
                number += 1
                touched[entry.claim, entry.end[0]] = None
                self._window.pass_by()
            if expired:
                self.settle(0)
                self._remove_passed(touched)
        except BaseException:  # as in `make_room`
            number += self._missing()
            raise
        finally:
            if number:
                self.observer.count_dropped(number, "expired")
                self._notes.append(partial(self.observer.tell_dropped, expired, "expired"))

    def _first_waiting(self) -> Entry | None:
        """The oldest message that is not handed out."""
        while (entry := self._window.first()) is None and self._read_on(_READ_AHEAD):
            pass
        return entry

    def _remove_passed(self, segments: Iterable[tuple[Claim | None, int]]) -> None:
        """Remove those of which nothing is left, though something older is handed out."""
        waiting = self._window.first()
        for claim, number in segments:
            is_needed = waiting is not None and (waiting.claim, waiting.end[0]) == (claim, number)
            if claim is not None and not is_needed and (claim, number) not in self._window.held:
                self._store.remove_dropped(claim, number)

    # People whose events are to be erased.

    def erase(self, claim: Claim, number: int, matches: Matches) -> Erased | None:
        """Erase events in a segment, and drop those of them that wait. None: the disk fails."""
        try:
            found = self._store.erase(claim, number, matches)
            if found is None:
                return None
            lines, is_done = found
            waiting, handed_out = self._window.erase(claim, {line.end for line in lines})
            unread = [line.text[:-1] for line in lines if not claim.has_given(line.end)]
            if not claim.is_own:
                self.observer.count_adopted(len(unread))
            dropped = [self._store.drop(entry) for entry in waiting]
            own = unread if claim.is_own else []
            size = sum(map(len, dropped)) + sum(map(len, own))
            gone, total = len(dropped) + len(own), len(dropped) + len(unread)
            # As in `_count_out`.
            self.pending -= gone
            self.pending_bytes -= size
        except BaseException:  # as in `make_room`
            self.observer.count_dropped(max(0, self._missing()), SUPPRESSED)
            raise
        self.observer.count_dropped(total, SUPPRESSED)
        self.settle(0)
        known = (one for one in unread if not is_erased(one))
        return Erased([*dropped, *known], handed_out, is_done)

    def erase_from_memory(self, matches: Matches) -> Erased:
        """Drop what waits in memory alone."""
        waiting, handed_out = self._window.in_memory_only()
        dropped = [self._store.drop(one) for one in waiting if _is_of(one.message, matches)]
        for message, behind in self._store.erase_from_memory(matches):
            self._drop_own(1, behind)
            dropped.append(message)
        for message in dropped:
            self._forget(len(message))
        self.observer.count_dropped(len(dropped), SUPPRESSED)
        self.settle(0)
        return Erased(dropped, [one for one in handed_out if _is_of(one, matches)])

    def held_of(self, messages: Collection[bytes]) -> set[bytes]:
        """Pick those of some messages that were read, and are not settled."""
        return {one for entry in self._window if (one := entry.message) in messages and one}

    def take_erased(self) -> list[bytes]:
        """Messages of other processes that were erased unread, since this was asked last."""
        erased = [line[:-1] for line in self._store.take_erased()]
        self.observer.count_adopted(len(erased))
        self.observer.count_dropped(len(erased), SUPPRESSED)
        return erased

    def expire_for(self, size: int) -> None:
        """Before a fresh message is refused, see whether what is too old can make room for it."""
        self.drop_expired()
        while self.expires and not self._store.has_room(size):
            self.drop_expired()

    def leave(self) -> list[bytes]:
        """The process ends: leave everything on the disk; what could not get there is returned."""
        left, unread = self._store.leave()
        for message in left:
            self._forget(len(message))
        self._drop_own(unread, 0)
        self._window.recount()
        self.settle(0)
        return left
