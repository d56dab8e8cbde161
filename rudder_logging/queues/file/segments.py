"""One process's part of a spool: numbered segments, and the file whose lock makes them its own.

Beside `<owner>.00000001.jsonl`, `<owner>.00000002.jsonl` ... lies `<owner>.progress`: how far they
are settled, as `<segment> <offset>`, and whose they are. The owner holds an
exclusive lock on that file for as long as it lives; whoever gets the lock after that owns the
segments.

Nothing here is safe for threads: the queue's lock is held around all of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ...common.private_files import open_file
from .erasing import blank, is_erased
from .files import (
    Origin,
    Position,
    erased_of,
    first_note,
    locks,
    name_of_progress,
    name_of_segment,
    note_of,
    settled_in,
    sizes_of,
    with_erased,
)

if TYPE_CHECKING:
    from ...events.persons import Matches

__all__ = ["Claim", "Lane", "Line", "Position"]

_LONGEST_LINE = 5_000_000  # no message is as long: a request may have 4,096,000 bytes
_CHUNK = 256 * 1024
_TAKEN_NAMES = 100  # that are passed over, at the most
_TAIL = 64 * 1024  # bytes in which a line is looked for that may just have been written


@dataclass(slots=True)  # no NamedTuple, for the reason at `Depth`
class Line:
    """A line as it was read, without its end."""

    text: bytes
    end: Position
    """Position at which the next line begins."""
    is_torn: bool
    """True if nothing ended it: whoever wrote it was killed meanwhile."""


class Lane:
    """The short way to the disk: the end of a segment that only has to be written to.

    As long as it is open, nothing but that is done with the queue. Whatever else is, closes it.
    """

    claim: Claim
    """Whose segment it is."""
    file: int
    """Its descriptor."""
    number: int
    """Its number."""
    lines: dict[int, int]
    """The claim's count of lines that were not read, by segment."""
    handed_out: int
    """Number of messages that are handed out."""

    def __init__(self) -> None:
        self.room = self.granted = -1
        """Bytes that may be written now, and that might be when it was opened; negative: none."""


class Claim:
    """Segments that this process owns: its own, or those of one that has ended."""

    def __init__(
        self,
        directory: str,
        owner: str,
        lock: int,
        *,
        is_own: bool,
        sizes: dict[int, int],
        settled: Position,
        erased: int,
    ) -> None:
        self.owner = owner
        self.is_own = is_own
        self.outstanding = 0
        """Lines that were read, and are not settled."""
        self.lost = 0
        """Lines that were written and could not be found again; whoever counts them resets it."""
        self._directory = directory
        self._lock = lock
        self._sizes = sizes  # of the segments that are left, by number; see `_measure`
        self._settled = self._read_to = settled
        self._unread_lines: dict[int, int] = {}  # of own segments: written, not read
        self._files: dict[int, int] = {}  # open descriptors by segment
        self._writing: int | None = None
        self.written = 0
        """Bytes in the segment that is being written, or a few more."""
        self.erased = erased
        """The number of the last request to erase that was carried out on it."""
        self._settled_and_there: list[int] = []  # segments that the disk did not let us remove
        self._erased: dict[Position, int] = {}  # ends of lines that were, and their sizes

    @classmethod
    def make(cls, directory: str, origin: Origin) -> Claim:
        """Begin a part of one's own.

        Args:
            directory: The source's.
            origin: Whose events they are.

        Raises:
            OSError: The directory does not let us.
        """
        while True:
            owner = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
            path = os.path.join(directory, name_of_progress(owner))  # noqa: PTH118
            lock = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, in_spool=True)
            try:
                if locks(lock):
                    erased = int(owner.partition("-")[0])
                    os.pwrite(lock, first_note(origin, erased), 0)
                    return cls(
                        *(directory, owner, lock),
                        is_own=True,
                        sizes={},
                        settled=(0, 0),
                        erased=erased,
                    )
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
                os.close(lock)
                raise
            os.close(lock)  # another process took it for a dead one's, and is removing it

    @classmethod
    def adopt(cls, directory: str, owner: str) -> Claim | None:
        """Take over what a process has left; None: it lives, or has left nothing.

        Raises:
            OSError: The directory does not let us.
        """
        path = os.path.join(directory, name_of_progress(owner))  # noqa: PTH118
        try:
            lock = open_file(path, os.O_RDWR | os.O_CREAT, in_spool=True)
        except FileNotFoundError:
            return None
        try:
            if not locks(lock):
                os.close(lock)
                return None
            note = os.pread(lock, 1_000, 0)
            settled = settled_in(note)
            # Listed after the lock was had: its owner may have gone on until then.
            sizes = sizes_of(directory, owner)
            claim = cls(
                *(directory, owner, lock),
                is_own=False,
                sizes=sizes,
                settled=settled,
                erased=erased_of(owner, note),
            )
            claim._forget([number for number in sizes if number < settled[0]])
        except BaseException:  # or nobody could take it over as long as this process lives
            os.close(lock)
            raise
        if claim.is_finished:
            claim.remove()
            return None
        return claim

    def append(self, line: bytes, segment_bytes: int, *, sync: bool) -> None:
        """Write one whole line, or nothing.

        Args:
            line: With its end.
            segment_bytes: A segment that would grow over this is ended, and the next one begun.
            sync: Have the disk keep a segment's name, and its contents when it is ended.

        Raises:
            OSError: It was not written.
        """
        number = self._writing
        if number is None or self.written + len(line) > segment_bytes:
            number = self._begin_segment(sync=sync)
        try:
            self._unread_lines[number] += 1
            self.written += len(line)
            written = os.write(self._files[number], line)
            if written < len(line):
                self.take_back(written)
        except BaseException:  # the disk's, or a signal handler's, and then at any moment
            if not self.holds(line):
                self._unread_lines[number] -= 1
            raise

    def holds(self, line: bytes) -> bool:
        """Tell if a line was written: it is looked for near the end only."""
        if self._writing is None:
            return False
        file = self._files[self._writing]
        size = len(line) + _TAIL
        try:
            end = os.lseek(file, 0, os.SEEK_CUR)
            return line in os.pread(file, size, max(0, end - size))
        except OSError:
            return False

    def lend(self, lane: Lane) -> bool:
        """Say where the next line goes. False: a segment has to be begun for it."""
        if self._writing is None:
            return False
        lane.claim, lane.number, lane.file = self, self._writing, self._files[self._writing]
        lane.lines = self._unread_lines
        return True

    def take_back(self, written: int) -> NoReturn:
        """Remove what is only the beginning of a line, and raise what the disk meant by it."""
        self._measure()
        number = self._writing
        if number is not None:
            file = self._files[number]
            # Should that fail, nothing may follow it, and what stands before it is still there.
            self._sizes[number] -= written
            self._writing = None
            os.ftruncate(file, self._sizes[number])
            os.lseek(file, 0, os.SEEK_END)
            self._writing = number
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _measure(self) -> None:
        """Ask how long the segment is that is being written: for each line, it would cost 0.3 us.

        Not added up, so that no exception can come between a line and its length.
        """
        if self._writing is not None:
            file = self._files[self._writing]
            self._sizes[self._writing] = os.lseek(file, 0, os.SEEK_CUR)

    @property
    def end(self) -> Position:
        """Position at which the next line will begin."""
        self._measure()
        number = self._writing or 0
        return number, self._sizes.get(number, 0)

    def unread(self, behind: int = 0) -> tuple[int, int]:
        """Number of lines that were written here, behind that segment, and `read` has not given.

        The second number: bytes of all that it has not given.
        """
        self._measure()
        number, offset = self._read_to
        ahead = sum(size for n, size in self._sizes.items() if n > number)
        size = ahead + max(0, self._sizes.get(number, 0) - offset)
        return sum(lines for n, lines in self._unread_lines.items() if n > behind), size

    def mark_read(self, end: Position) -> None:
        """Note that the line just written, up to there, is already in the reader's hands."""
        self._unread_lines[end[0]] -= 1
        self._read_to = end
        self.outstanding += 1

    def duplicate(self) -> int | None:
        """A descriptor of the segment that is being written; the caller closes it."""
        return None if self._writing is None else os.dup(self._files[self._writing])

    @property
    def has_unread(self) -> bool:
        """True if `read` has more to give."""
        self._measure()
        number, offset = self._read_to
        return any((n, size) > (number, offset) and size for n, size in self._sizes.items())

    @property
    def is_finished(self) -> bool:
        """True if all of it is settled."""
        return not self.outstanding and not self.has_unread

    def read(self, size: int) -> list[Line]:
        """The next lines, of about that many bytes; none at the end.

        What can't be found any more is passed over, and counted in `lost`.

        Raises:
            OSError: They can't be read at present. They come next, at whatever call succeeds.
        """
        self._measure()
        for number in sorted(n for n in self._sizes if n >= self._read_to[0]):
            if number > self._read_to[0]:
                self._read_to = number, 0
            while self._read_to[1] < self._sizes[number]:
                lines = self._lines_at(number, self._read_to[1], size)
                if not lines:  # the file is gone, or shorter than it was
                    self._sizes[number] = self._read_to[1]
                    self._writing = None if self._writing == number else self._writing
                    break
                self._read_to = lines[-1].end
                if self.is_own:
                    self._unread_lines[number] -= len(lines)
                if lines := [line for line in lines if line.text]:
                    self.outstanding += len(lines)
                    return lines
            if self.is_own:
                self._lose(number, self._unread_lines[number], self._read_to)
                self._unread_lines[number] = 0
            if number != self._writing:
                self._close(number)
        return []

    def rewind(self, end: Position, outstanding: int) -> None:
        """After an interruption: what was read behind that place is in nobody's hands.

        Args:
            end: Of the last line that is in the reader's; or else where all was settled.
            outstanding: How many lines are in the reader's hands.
        """
        end = max(end, self._settled)
        if end < self._read_to:
            for number in [number for number in self._unread_lines if number >= end[0]]:
                start = end[1] if number == end[0] else 0
                stop = self._read_to[1] if number == self._read_to[0] else self._sizes[number]
                if number <= self._read_to[0]:
                    lines = self._chunk(number, start, max(0, stop - start)).count(b"\n")
                    self._unread_lines[number] += lines
            self._read_to = end
        self.outstanding = outstanding

    def segments(self) -> list[tuple[int, int]]:
        """Segments that are left, the oldest first, with their sizes."""
        self._measure()
        return sorted(self._sizes.items())

    def is_read(self, number: int) -> bool:
        """Tell if `read` has given all of a segment that is still there."""
        self._measure()
        return number in self._sizes and (number, self._sizes[number]) <= self._read_to

    def take_out(self, number: int) -> tuple[list[Line], int]:
        """Remove a segment, whatever stands before it. What of it was read is not settled by that.

        Returns:
            The lines that were not read, and how many bytes that freed on the disk.

        Raises:
            OSError: The disk does not let us: nothing is changed.
        """
        lines: list[Line] = []
        end = max(self._read_to, (number, 0))
        while end < (number, self._sizes[number]):
            more = self._lines_at(number, end[1], self._sizes[number] - end[1])
            if not more:  # the file is gone, or shorter than it was
                break
            lines += more
            end = more[-1].end
        self._unlink(name_of_segment(self.owner, number))
        self._lose(number, self._unread_lines.get(number, 0) - len(lines), end)
        return [line for line in lines if line.text], self._forget([number])

    def erase(
        self, number: int, matches: Matches, *, sync: bool
    ) -> tuple[list[Line], OSError | None]:
        """Blank the lines of a segment that match, whether they are settled, read, or neither.

        Of what was not read, the blanks come as lines all the same, in their turn.

        Returns:
            Those that are not settled, and were not returned before; and why they, or some, could
            not be blanked. They come as if they had been, all the same.

        Raises:
            OSError: They can't be read.
        """
        self._measure()
        found: list[tuple[int, Line]] = []
        offset, size = 0, self._sizes.get(number, 0)
        while offset < size and (lines := self._lines_at(number, offset, _CHUNK)):
            for line in lines:
                # Of one that is blank in part, whoever began with it was killed.
                if line.text.strip() if is_erased(line.text) else matches(line.text):
                    found.append((offset, line))
                offset = line.end[1]
        if number not in (self._writing, self._read_to[0]):
            self._close(number)
        if not found:
            return [], None
        path = os.path.join(self._directory, name_of_segment(self.owner, number))  # noqa: PTH118
        fault = None
        try:
            blank(path, [(at, len(line.text)) for at, line in found], sync=sync)
        except FileNotFoundError:  # somebody has removed it
            pass
        except OSError as error:
            fault = error
        fresh = [
            line for _, line in found if line.end > self._settled and line.end not in self._erased
        ]
        self._erased.update((line.end, len(line.text)) for line in fresh)
        return fresh, fault

    def note_erased(self, number: int) -> None:
        """Note the last request to erase that was carried out.

        Raises:
            OSError: The disk does not take note of it.
        """
        text = os.pread(self._lock, 1_000, 0)
        os.pwrite(self._lock, with_erased(text, self._settled, number), 0)
        self.erased = number

    def erased_ahead(self) -> tuple[int, int]:
        """Number of lines that were erased, of those `read` has not given; their bytes."""
        ahead = [size for end, size in self._erased.items() if end > self._read_to]
        return len(ahead), sum(ahead) + len(ahead)  # with the ends of the lines

    def has_erased(self, end: Position) -> bool:
        """Tell if `erase` has returned the line that ends there."""
        return end in self._erased

    def erased_in(self, number: int) -> set[Position]:
        """Ends of the lines of a segment that `erase` has returned."""
        return {end for end in self._erased if end[0] == number}

    def _lose(self, number: int, lines: int, behind: Position) -> None:
        """Count lines that can't be found: those that were erased are counted already."""
        erased = {end for end in self.erased_in(number) if end > behind}
        self.lost += max(0, lines - len(erased))
        for end in erased:
            del self._erased[end]

    def has_given(self, end: Position) -> bool:
        """Tell if `read` has given the line that ends there."""
        return end <= self._read_to

    def settle(self, end: Position, count: int) -> int:
        """Settle lines up to a position. Returns how many bytes that freed on the disk.

        Raises:
            OSError: The disk does not take note of it: after a crash they will come again.
        """
        self.outstanding -= count
        self._settled = end
        is_finished = self.is_finished
        settled = [number for number in self._sizes if is_finished or number < end[0]]
        try:
            # First the note, then the removal: killed in between, nothing comes again.
            os.pwrite(self._lock, note_of(end), 0)
        except OSError:
            freed = self._forget(settled)
            if not is_finished:  # what was removed may have made room for it
                os.pwrite(self._lock, note_of(end), 0)
            return freed
        return self._forget(settled)

    def remove(self) -> int:
        """Remove all of it, and let go. Returns how many bytes that freed on the disk."""
        try:
            freed = self._forget(list(self._sizes))
            self.remove_settled()
            # Last: segments without one would be sent again.
            self._unlink(name_of_progress(self.owner))
        finally:
            self.let_go()
        return freed

    def remove_settled(self) -> None:
        """Remove what is settled, and the disk did not let us remove when it was."""
        while self._settled_and_there:
            self._unlink(name_of_segment(self.owner, self._settled_and_there[-1]))
            self._settled_and_there.pop()

    def let_go(self) -> None:
        """Close all files. Where nobody else has the lock, another process may take over now."""
        for number in list(self._files):
            self._close(number)
        os.close(self._lock)

    def is_in_place(self) -> bool:
        """Tell if the files that are being written still have their names."""
        files = [self._lock] if self._writing is None else [self._lock, self._files[self._writing]]
        return all(os.fstat(file).st_nlink for file in files)

    def _begin_segment(self, *, sync: bool) -> int:
        # No number comes twice: what was removed out of turn may have been read up to its end.
        last = max(self._settled[0], self._read_to[0], *self._sizes, 0)
        number = last + 1
        while number not in self._files:
            path = os.path.join(self._directory, name_of_segment(self.owner, number))  # noqa: PTH118
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
            try:
                self._files[number] = open_file(path, flags, in_spool=True)
            except FileExistsError:  # of somebody who wants to read along
                if number - last >= _TAKEN_NAMES:
                    raise
                number += 1
            except BaseException:  # a signal handler's, when it was made: nobody would remove it
                if number not in self._files:
                    self._unlink(name_of_segment(self.owner, number))
                raise
        self._measure()
        self._sizes[number] = self._unread_lines[number] = self.written = 0
        ended, self._writing = self._writing, number
        if ended is not None:
            if sync:
                os.fsync(self._files[ended])
            if ended != self._read_to[0]:
                self._close(ended)
        if sync:
            directory = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        return number

    def _lines_at(self, number: int, offset: int, size: int) -> list[Line]:
        rest = self._sizes[number] - offset
        while True:
            wanted = min(size, rest)
            chunk = self._chunk(number, offset, wanted)
            whole = chunk.rfind(b"\n")
            if whole >= 0:
                lines = []
                for text in chunk[:whole].split(b"\n"):
                    offset += len(text) + 1
                    lines.append(Line(text, (number, offset), is_torn=False))
                return lines
            is_last = wanted == rest or len(chunk) < wanted
            if is_last or wanted >= _LONGEST_LINE:
                end = number, offset + len(chunk)
                return [Line(chunk, end, is_torn=is_last)] if chunk else []
            size = wanted * 4  # a line is longer than this

    def _chunk(self, number: int, offset: int, size: int) -> bytes:
        if number not in self._files:
            path = os.path.join(self._directory, name_of_segment(self.owner, number))  # noqa: PTH118
            try:
                self._files[number] = open_file(path, os.O_RDONLY, in_spool=True)
            except FileNotFoundError:
                return b""
        return os.pread(self._files[number], size, offset)

    def _forget(self, numbers: list[int]) -> int:
        self._measure()
        freed = 0
        for number in numbers:
            self._writing = None if self._writing == number else self._writing
            freed += self._sizes[number]
            # Without a call in between, where a signal handler may raise: lines without a size
            # would be pending for ever.
            del self._sizes[number]
            if number in self._unread_lines:
                del self._unread_lines[number]
            if self._erased:
                self._erased = {end: size for end, size in self._erased.items() if end[0] != number}
            self._close(number)
            try:
                self._unlink(name_of_segment(self.owner, number))
            except OSError:
                self._settled_and_there.append(number)
                raise
        return freed

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, name))  # noqa: PTH108, PTH118

    def _close(self, number: int) -> None:
        file = self._files.pop(number, None)
        if file is not None:
            os.close(file)
