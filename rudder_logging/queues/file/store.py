"""Store of the durable queue: messages on the disk, or in memory while the disk fails."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING

import orjson

from ..urls import SpoolUrl
from ..waiting import oldest_to_go
from .erasing import cure_of, is_erased
from .left import Left, left_by_others
from .segments import Claim, Lane, Line, Position
from .spool import SPOOL_ERRORS, Spool, is_foreign

if TYPE_CHECKING:
    from ...events.persons import Matches

__all__ = ["CLOSING", "Entry", "Store", "sync"]

CLOSING = b"}\n"
"""The end of a line: a queued message lacks its closing brace."""
_STAMP = len("2026-01-31T12:00:00.000Z")


class Entry:
    """A message that was read, or that waits in memory for the disk to be well."""

    __slots__ = ("claim", "end", "is_own", "lines", "message", "reason", "stamp", "uncounted")

    def __init__(self, message: bytes | None, claim: Claim | None, end: Position) -> None:
        self.message = message
        """None: it is dropped, but what stands before it is not settled yet."""
        self.claim = claim
        """The claim that has it on the disk; None: it is in memory only."""
        self.end = end
        self.lines = 1
        """Number of lines that it stands for: more than one only without a message."""
        self.is_own = claim is None or claim.is_own
        """True if it was logged in this process."""
        self.stamp = ""
        """When it was logged, where its age matters."""
        self.uncounted: int | None = None
        """Bytes of a message that was erased, if nobody has counted that yet."""
        self.reason = ""
        """Why it could not be read; `message` is then the line as it was found."""


class Store:
    """Keeps messages in the order of the calls. Nothing here is safe for threads.

    Args:
        url: Where, and within which bounds.
        source: What tells this source from others, see `Spool`.
        max_events: How many may be in memory while the disk fails.
        max_bytes: Their size.
        report: Called with the words for it whenever the disk fails, and once with None when it
            is well again. It must not call the app: the queue's lock is held.
        remark: Called with what somebody should know; as `report`.

    Raises:
        ConfigError: The directory is not one that only this user can write to.
    """

    def __init__(
        self,
        url: SpoolUrl,
        source: str,
        *,
        max_events: int,
        max_bytes: int,
        report: Callable[[str | None], None],
        remark: Callable[[str], None],
    ) -> None:
        self._url = url
        self._max_events, self._max_bytes = max_events, max_bytes
        self._report = report
        self._remark = remark
        self._spool = Spool(url, source, self._failed, remark)
        self._begin()
        try:
            self._spool.prepare()
        except OSError as error:
            self._failed(error)

    def _begin(self) -> None:
        self._memory: deque[Entry] = deque()  # newer than all that is on the disk
        self._memory_bytes = 0
        self._memory_read = 0  # how many of them `read` has given
        self._goes_to_memory = self._is_reported = False
        self._told_of_erasing = False
        self._erased = time_ns()  # the last request that was carried out on what is in memory

    def after_fork(self) -> None:
        """In a forked child: all of it is the parent's."""
        self._begin()
        self._spool.after_fork()

    def has_room(self, size: int) -> bool:
        """Tell if a message of that many bytes is within the bounds."""
        if not self._goes_to_memory:
            return self._spool.has_room(size + len(CLOSING))
        return len(self._memory) < self._max_events and self._memory_bytes + size <= self._max_bytes

    def append(self, message: bytes) -> None:
        """Keep a message: on the disk if that is possible."""
        if not self._goes_to_memory:
            line = message + CLOSING
            try:
                self._spool.append(line)
            except SPOOL_ERRORS as error:
                if is_foreign(error) or self._spool.holds(line):
                    raise
                self._failed(error)
                self._goes_to_memory = True
            else:
                if self._url.fsync == "always":
                    self._sync()
                return
        self._memory.append(Entry(message, None, (0, 0)))
        self._memory_bytes += len(message)

    @property
    def lane(self) -> Lane:
        """The short way to the disk."""
        return self._spool.lane

    def open_lane(self, handed_out: int) -> None:
        """Open it, if the next message needs no more than to be written."""
        if not self._goes_to_memory and self._url.fsync != "always":
            self._spool.open_lane(handed_out)

    def close_lane(self) -> None:
        """Close it, before anything else is done."""
        self._spool.close_lane()

    def uncount(self, message: bytes) -> None:
        """A message that should have gone by the lane was not written."""
        self._spool.uncount(message + CLOSING)

    def holds(self, message: bytes) -> bool:
        """Tell if a message was appended: on the disk it is looked for near the end only."""
        waiting = list(self._memory)
        return self._spool.holds(message + CLOSING) or any(
            entry.message is message for entry in waiting
        )

    def look(self) -> None:
        """See what there is on the disk by now; bring there what waits in memory, if it is well."""
        is_well = False
        try:
            if self._is_reported:
                self._spool.prepare()
            self._spool.look()
            is_well = True
        except SPOOL_ERRORS as error:
            if is_foreign(error):
                raise
            self._failed(error)
        if self._goes_to_memory:
            self._mend()
        if self._is_reported and is_well and self._spool.is_well and not self._goes_to_memory:
            self._is_reported = False
            self._report(None)

    def look_at_others(self) -> list[Left]:
        """List what sources have left in the spool of which no process lives."""
        return left_by_others(self._url.path, self._spool.paths, self._spool.key)

    def read(self, size: int) -> list[Entry]:
        """The next messages, of about that many bytes; none at the end.

        Those that can't be read have a `reason`.
        """
        found = self._spool.read(size)
        if found is not None:
            claim, lines = found
            return [self._entry(line, claim, claim.has_erased(line.end)) for line in lines]
        entries: list[Entry] = []
        if self._spool.is_stuck:  # what is in memory is newer
            return entries
        for entry in islice(self._memory, self._memory_read, None):
            entries.append(entry)
            if self._url.max_age is not None and entry.message is not None:
                entry.stamp = _stamp_of(orjson.loads(entry.message + b"}"))
            size -= len(entry.message or b"")
            if size <= 0:
                break
        self._memory_read += len(entries)
        return entries

    def rewind(self, entries: Iterable[Entry]) -> None:
        """After an interruption: whatever else was read is in nobody's hands, and comes again."""
        in_hand: dict[Claim | None, tuple[Position, int]] = {}
        self._memory_read = 0
        for entry in entries:
            _, lines = in_hand.get(entry.claim, (None, 0))
            in_hand[entry.claim] = entry.end, lines + entry.lines
            self._memory_read += entry.claim is None and entry.message is not None
        self._spool.rewind(in_hand)

    def _entry(self, line: Line, claim: Claim, is_told: bool) -> Entry:
        if is_told or is_erased(line.text):
            entry = Entry(None, claim, line.end)
            if claim.is_own and not is_told:
                entry.uncounted = len(line.text) - 1
            return entry
        try:
            message = orjson.loads(line.text)
        except orjson.JSONDecodeError:
            message = None
        if type(message) is not dict or not line.text.endswith(b"}"):
            entry = Entry(line.text, claim, line.end)
            entry.reason = "spool_torn" if line.is_torn else "spool_damaged"
            return entry
        entry = Entry(line.text[:-1], claim, line.end)
        if self._url.max_age is not None:
            entry.stamp = _stamp_of(message)
        return entry

    def settle(self, entries: list[Entry]) -> None:
        """Forget the oldest messages that were read."""
        ends: dict[Claim, tuple[Position, int]] = {}
        for entry in entries:
            if entry.claim is not None:
                ends[entry.claim] = entry.end, ends.get(entry.claim, (None, 0))[1] + entry.lines
            elif self._memory and self._memory[0] is entry:
                self._memory.popleft()
                self._memory_read -= 1
                self._memory_bytes -= len(entry.message or b"")
        for claim, (end, count) in ends.items():
            self._spool.settle(claim, end, count)

    def drop(self, entry: Entry) -> bytes:
        """Forget one message that was read, wherever it stands, and return it."""
        message, entry.message = entry.message or b"", None
        if entry.claim is None:
            self._memory.remove(entry)
            self._memory_read -= 1
            self._memory_bytes -= len(message)
        return message

    def remove_dropped(self, claim: Claim, number: int) -> None:
        """Remove a segment, if all of it was read: nothing of it is needed any more."""
        if claim.is_read(number):
            with self._faults_reported():
                self._spool.take_out(claim, number)

    def removable(
        self, size: int, held: Container[tuple[Claim | None, int]]
    ) -> list[tuple[Claim, int]]:
        """The oldest segments that have to go for a message of so many bytes to have room.

        None, if that can't be.

        Args:
            size: The message's.
            held: Segments that have to stay.
        """
        return self._spool.removable(size + len(CLOSING), held)

    def take_out(self, claim: Claim, number: int) -> list[Entry] | None:
        """Remove a segment of which nothing is handed out. Returns what was not read of it.

        None: the disk does not let us, and nothing is changed.
        """
        with self._faults_reported():
            is_told = claim.erased_in(number)
            lines = self._spool.take_out(claim, number)
            return [self._entry(line, claim, line.end in is_told) for line in lines]
        return None

    def give_up(self, claim: Claim, count: int) -> None:
        """Note that lines which were read are dropped with their segment."""
        self._spool.give_up(claim, count)

    def unread_behind(self, claim: Claim, number: int) -> int:
        """Number of our own messages behind one of our segments that `read` has not given."""
        return self._spool.unread_behind(claim, number) + len(self._memory) - self._memory_read

    @property
    def goes_to_memory(self) -> bool:
        """True if the next message goes to memory, because the disk fails."""
        return self._goes_to_memory

    def evict_from_memory(self, size: int, given_back: int) -> tuple[list[bytes], int] | None:
        """Drop the oldest messages in memory that wait, until one of so many bytes has room.

        Args:
            size: The message's.
            given_back: How many of those that `read` gave last are not handed out.

        Returns:
            Them, and how many are left behind them; None: that would not do, and none is dropped.
        """
        self._memory_read -= given_back
        events = len(self._memory) - self._max_events
        waiting = islice(self._memory, self._memory_read, None)
        evicted = oldest_to_go(
            (entry.message or b"" for entry in waiting),
            events,
            self._memory_bytes + size - self._max_bytes,
        )
        if evicted is None:
            return None
        for message in evicted:
            del self._memory[self._memory_read]
            self._memory_bytes -= len(message)
        return evicted, len(self._memory) - self._memory_read

    def unread(self) -> tuple[int, int]:
        """Number of our own messages that `read` has not given yet, and their bytes."""
        lines, size = self._spool.unread()
        waiting = list(islice(self._memory, self._memory_read, None))
        in_memory = sum(len(entry.message or b"") for entry in waiting)
        return lines + len(waiting), size - lines * len(CLOSING) + in_memory

    def erased_ahead(self) -> tuple[int, int]:
        """Number of those of them that were erased on the disk, and their bytes."""
        lines, size = self._spool.erased_ahead()
        return lines, size - lines * len(CLOSING)

    # People whose events are to be erased.

    def ask_all(self, people: Collection[str]) -> tuple[int, int] | None:
        """See `Spool.ask_all`. None: the disk does not let us."""
        with self._erasing():
            return self._spool.ask_all(people)
        return None

    def asked(self) -> tuple[int, Matches] | None:
        """See `Spool.asked`."""
        with self._erasing():
            asked = self._spool.asked()
            if asked is None and self._memory:
                asked = self._spool.asked(self._erased)
            if asked is None:
                self._spool.forget_requests()
            return asked
        return None

    def has_carried_out(self, number: int) -> bool:
        """See `Spool.has_carried_out`."""
        return self._spool.has_carried_out(number)

    def note_erased(self, number: int) -> bool:
        """See `Spool.note_erased`. False: the disk does not let us."""
        self._erased = max(number, self._erased)
        with self._erasing():
            self._spool.note_erased(number)
            self._told_of_erasing = False
            return True
        return False

    def parts(self) -> list[tuple[Claim, int]]:
        """See `Spool.parts`."""
        return self._spool.parts()

    def erase(self, claim: Claim, number: int, matches: Matches) -> tuple[list[Line], bool] | None:
        """See `Spool.erase`, with False if the disk does not let us. None: nothing can be read."""
        with self._erasing():
            lines, fault = self._spool.erase(claim, number, matches)
            if fault is not None:
                self._tell_of_erasing(fault)
            return lines, fault is None
        return None

    def left(self) -> list[str]:
        """See `Spool.left`."""
        return self._spool.left()

    def erase_left(self, owner: str, matches: Matches) -> None:
        """See `Spool.erase_left`."""
        with self._erasing():
            self._spool.erase_left(owner, matches)

    def take_erased(self) -> list[bytes]:
        """See `Spool.take_erased`."""
        return self._spool.take_erased()

    def erase_from_memory(self, matches: Matches) -> list[tuple[bytes, int]]:
        """Drop messages in memory that `read` has not given.

        Returns:
            Those that were dropped, the newest first, and how many are left behind each.
        """
        erased: list[tuple[bytes, int]] = []
        kept = 0
        for at in range(len(self._memory) - 1, self._memory_read - 1, -1):
            message = self._memory[at].message or b""
            if matches(message + b"}"):
                del self._memory[at]
                self._memory_bytes -= len(message)
                erased.append((message, kept))
            else:
                kept += 1
        return erased

    def adopt(self) -> None:
        """Take over what processes that have ended left there."""
        self._spool.adopt()

    def take_lost(self) -> int:
        """Number of our own messages that can't be found on the disk, since this was asked last."""
        return self._spool.take_lost()

    @property
    def has_unread(self) -> bool:
        """True if something that a process has left could not be taken over, or read."""
        return self._spool.has_unread

    @property
    def has_adopted(self) -> bool:
        """True if something of a process that has ended is not settled yet."""
        return self._spool.has_adopted

    def leave(self) -> tuple[list[bytes], int]:
        """The process ends: leave everything on the disk.

        Returns:
            What could not get there, and how many of those `read` had not given.
        """
        if self._goes_to_memory:
            self._mend()
        left, unread = [], len(self._memory) - self._memory_read
        for entry in self._memory:
            left.append(entry.message or b"")
            entry.message = None
        self._memory.clear()
        self._memory_read = self._memory_bytes = 0
        if self._url.fsync != "never":
            self._sync()
        return left, unread

    def remove(self) -> None:
        """Nothing is left to deliver: remove our files."""
        self._spool.remove()

    def file_to_sync(self) -> int | None:
        """A descriptor of the file that is being written, to be closed by the caller."""
        with contextlib.suppress(OSError):
            return self._spool.duplicate()
        return None

    def _sync(self) -> None:
        fault = sync(self.file_to_sync())
        if fault is not None:
            self._failed(fault)

    def _mend(self) -> None:
        try:
            while self._memory:
                entry = self._memory[0]
                message = entry.message or b""
                is_read = self._memory_read > 0
                entry.claim = self._spool.append(message + CLOSING)
                entry.end = entry.claim.end
                self._memory_bytes -= len(message)
                if is_read:
                    entry.claim.mark_read(entry.end)
                self._memory.popleft()
                self._memory_read -= is_read
        except SPOOL_ERRORS as error:
            self._failed(error)
        else:
            self._goes_to_memory = False

    @contextlib.contextmanager
    def _erasing(self) -> Iterator[None]:
        try:
            yield
        except SPOOL_ERRORS as error:
            if is_foreign(error):
                raise
            self._tell_of_erasing(error)

    def _tell_of_erasing(self, error: BaseException) -> None:
        """Tell once: it is tried again until it is done."""
        if not self._told_of_erasing:
            self._told_of_erasing = True
            cure = f"; {cure_of(error)}" if isinstance(error, OSError) else ""
            self._remark(
                "events of people who are suppressed can't be erased from the queue's directory: "
                f"{_words_of(error)}{cure}. None of theirs is sent from here; it is "
                "tried again"
            )

    @contextlib.contextmanager
    def _faults_reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_foreign(error):
                raise
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._is_reported = True
        self._report(_words_of(error))


def _words_of(error: BaseException) -> str:
    words = str(error)
    if isinstance(error, OSError):
        words = error.strerror or type(error).__name__
        words += f" ({error.filename})" if error.filename else ""
    return words


def sync(file: int | None) -> OSError | None:
    """Have the disk keep what was written to a file, if there is one, and close it."""
    if file is None:
        return None
    try:
        os.fsync(file)
    except OSError as error:
        return error
    finally:
        os.close(file)
    return None


def _stamp_of(message: dict[str, object]) -> str:
    """When a message was logged, as `utc_milliseconds` writes it: such texts sort by time."""
    stamp = message.get("originalTimestamp")
    is_ours = isinstance(stamp, str) and len(stamp) == _STAMP and stamp.endswith("Z")
    return str(stamp) if is_ours else ""
