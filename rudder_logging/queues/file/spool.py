"""The disk's side of the durable queue: what this process writes, and what it has taken over.

`<spool>/<hash of write key and data plane>/` keeps the events of one source apart from others'.
What is left in that of another data plane goes out, too, if the write key is the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Collection, Container, Mapping
from typing import TYPE_CHECKING

from ...common.private_files import make_directories, mend_directory
from ...exceptions import ConfigError
from ..urls import SpoolUrl, without_secrets
from .erasing import Erasures, is_erased
from .files import Origin, hash_of, parse_name
from .left import unused_sources
from .segments import Claim, Lane, Line, Position

if TYPE_CHECKING:
    from ...events.persons import Matches

__all__ = ["SPOOL_ERRORS", "Spool", "check_directory", "is_foreign"]

SPOOL_ERRORS = (OSError, ConfigError)
"""Errors of the disk: it fails, or the directory has become unsafe."""

_LARGEST_SEGMENT = 4 * 1024 * 1024
_SEGMENTS = 16  # of a full spool, at least: room comes by removing one
_CLAIMS_AT_ONCE = 16  # each keeps a file open
_NOT_PERMITTED = (errno.EACCES, errno.EPERM)


def is_foreign(error: BaseException) -> bool:
    """Tell if it is a signal handler's (`TimeoutError` is an `OSError`, too), not the disk's."""
    return isinstance(error, OSError) and error.errno is None


def check_directory(path: str, *, is_source: bool) -> int | None:
    """Check a directory of a spool, which is there.

    Args:
        path: Its name.
        is_source: It is a source's own, of which others need not even know what is in it.

    Returns:
        Its mode, if that lets others do what they must not; None: it is well.

    Raises:
        ConfigError: It is no directory, a link, or another user's.
        OSError: It can't be looked at.
    """
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise ConfigError(
            f"queue names something that is no directory: {path} is a symbolic link; "
            "name the directory that it leads to"
        )
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"queue names something that is no directory: {path}")
    if os.geteuid() not in (0, found.st_uid):
        raise ConfigError(
            f"queue names a directory of another user: {path}; give it to the user that runs the "
            f"app, or name one below it ({path}/NAME): that is made"
        )
    mode = stat.S_IMODE(found.st_mode)
    forbidden = 0o7077 if is_source else stat.S_IWGRP | stat.S_IWOTH
    return mode if mode & forbidden else None


class Spool:
    """A source's directory, as one process sees it. Nothing here is safe for threads.

    Args:
        url: Where it is, and how large it may get.
        source: The write key, which tells this source from others, and of which only a hash is
            written; behind a blank, the data plane's URL.
        report: Called with what went wrong where that need not stop anything.
        remark: Called with what somebody should know.
    """

    def __init__(
        self,
        url: SpoolUrl,
        source: str,
        report: Callable[[OSError], None],
        remark: Callable[[str], None] | None = None,
    ) -> None:
        self._url = url
        self._report = report
        self._remark = remark
        key, _, destination = source.partition(" ")
        self._origin = Origin(hash_of(key), without_secrets(destination))
        self._path = os.path.join(url.path, hash_of(source))  # noqa: PTH118
        self._earlier: list[str] | None = None  # where the data plane was elsewhere
        self._directories: dict[str, str] = {}  # by owner, as of the last look
        self._syncs = url.fsync != "never"
        self._syncs_always = url.fsync == "always"
        self._segment_bytes = min(_LARGEST_SEGMENT, url.max_bytes // _SEGMENTS)
        self._max_bytes = url.max_bytes
        self.size = 0
        """Bytes of all segments, other processes' as of the last look."""
        self.lane = Lane()
        """The short way to the disk."""
        self._adopted: list[Claim] = []
        self._own: list[Claim] = []  # several, if somebody has removed files
        self._writer: Claim | None = None
        self._candidates: list[str] = []  # owners not tried since the last look, the next one last
        self._untouchable: set[str] = set()  # owners whose lock is another user's
        # Owners that could not be adopted, or read, at the last attempt, the latest one last; and
        # whether that is a matter of permission.
        self._unread: dict[str, bool] = {}
        self._tried: set[str] = set()  # those of them whose next attempt comes after the next look
        self._unproven = 0  # bytes that must be written before a disk is well that took no more
        self._erasures: dict[str, Erasures] = {}  # by directory
        self._erased_of_others: list[bytes] = []

    @property
    def path(self) -> str:
        """The source's own directory."""
        return self._path

    @property
    def key(self) -> str:
        """The hash of the write key."""
        return self._origin.key

    @property
    def paths(self) -> list[str]:
        """That, and those of earlier data planes, as far as a look has found them."""
        return [self._path, *(self._earlier or ())]

    def prepare(self) -> None:
        """Make the directory, if it is not there; take from others what they may do with it.

        Raises:
            ConfigError: It is no directory, or another user's.
            OSError: It can't be made, or not be mended, now.
        """
        mended = []
        for path in (self._url.path, self._path):
            try:
                make_directories(path)
            except (FileExistsError, NotADirectoryError):
                raise ConfigError(f"queue names something that is no directory: {path}") from None
            mode = check_directory(path, is_source=path == self._path)
            if mode is not None:
                mend_directory(path)
                mended.append(f"{path} (mode {mode:o})")
        if mended and self._remark is not None:
            were = ", ".join(mended)
            self._remark(f"the queue's directory was open to others, and is no more: {were}")

    def after_fork(self) -> None:
        """In a forked child: what the parent writes and has taken over stays the parent's."""
        self.lane.room = self.lane.granted = -1
        claims = [*self._adopted, *self._own]
        self._adopted, self._own, self._writer, self._candidates = [], [], None, []
        self._unread, self._tried, self._unproven = {}, set(), 0
        for claim in claims:
            with contextlib.suppress(OSError):
                claim.let_go()

    def has_room(self, size: int) -> bool:
        """Tell if that many bytes more are within the bound."""
        self.close_lane()
        return self.size + size <= self._max_bytes

    @property
    def has_adopted(self) -> bool:
        """True if something of a process that has ended is not settled yet."""
        return bool(self._adopted)

    @property
    def has_unread(self) -> bool:
        """True if something that a process has left could not be taken over, or read."""
        return bool(self._unread)

    @property
    def is_stuck(self) -> bool:
        """True if our own lines can't be read until the next look."""
        return any(claim.owner in self._tried for claim in self._own)

    @property
    def is_well(self) -> bool:
        """True if what failed last has been done since, but for what is another user's."""
        return self._unproven <= 0 and all(self._unread.values())

    def look(self) -> None:
        """See what other processes have there by now, and whether our own is still in place.

        Raises:
            OSError: The directory can't be read or written, or our files were removed.
        """
        is_gone = self._writer is not None and not self._writer.is_in_place()
        if is_gone:
            self._writer = None  # what it holds is still read from the files that are open
        if self._earlier is None:  # once: what is used later by others is theirs
            unused = unused_sources(self._url.path, [self._path])
            self._earlier = [one.directory for one in unused if one.key == self._origin.key]
        self.size, self._directories = 0, {}
        for path in self.paths:
            self._look_into(path)
        owners = self._directories.keys()
        self._tried.clear()
        self._untouchable &= owners
        self._unread = {owner: why for owner, why in self._unread.items() if owner in owners}
        self._candidates = [
            *reversed(self._unread),
            *sorted(owners - set(self._unread), reverse=True),
        ]
        for claim in (*self._adopted, *self._own):
            claim.remove_settled()
        if is_gone:
            raise FileNotFoundError(errno.ENOENT, "the spool's files were removed", self._path)

    def _look_into(self, directory: str) -> None:
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                parsed = parse_name(entry.name)
                if parsed is not None:
                    self._directories[parsed[0]] = directory
                    with contextlib.suppress(FileNotFoundError):  # delivered in this moment
                        size = entry.stat(follow_symlinks=False).st_size
                        self.size += size if parsed[1] else 0

    def append(self, line: bytes) -> Claim:
        """Write one whole line, or nothing. Returns whose it is.

        Raises:
            OSError, ConfigError: It was not written.
        """
        self.close_lane()
        writer = self._writer
        try:
            if writer is None:
                self.prepare()
                writer = self._writer = Claim.make(self._path, self._origin)
                self._own.append(writer)
            writer.append(line, self._segment_bytes, sync=self._syncs)
        except SPOOL_ERRORS:
            self._unproven = len(line)  # a disk that is full takes what is smaller
            raise
        self.size += len(line)
        self._unproven -= len(line)
        return writer

    def open_lane(self, handed_out: int) -> None:
        """Open the short way, if the next line needs no more than to be written."""
        lane, writer = self.lane, self._writer
        if writer is not None and writer.lend(lane):
            lane.handed_out = handed_out
            room = min(self._segment_bytes - writer.written, self._max_bytes - self.size)
            lane.room = lane.granted = room

    def close_lane(self) -> None:
        """Close it, and count what was written, in statements without a call."""
        lane = self.lane
        used = lane.granted - lane.room
        if used:
            lane.claim.written += used
            self.size += used
            self._unproven -= used
        lane.room = lane.granted = -1

    def uncount(self, line: bytes) -> None:
        """A line that should have gone by the lane was not written."""
        self.close_lane()
        lane = self.lane
        lane.lines[lane.number] -= 1
        self.size -= len(line)
        self._unproven += len(line)

    def holds(self, line: bytes) -> bool:
        """Tell if a line was appended: it is looked for near the end only."""
        return self._writer is not None and self._writer.holds(line)

    def unread(self) -> tuple[int, int]:
        """Number of our own lines that `read` has not given, and their bytes."""
        counts = [claim.unread() for claim in self._own]
        return sum(lines for lines, _ in counts), sum(size for _, size in counts)

    def erased_ahead(self) -> tuple[int, int]:
        """Number of those of them that were erased, and their bytes."""
        counts = [claim.erased_ahead() for claim in self._own]
        return sum(lines for lines, _ in counts), sum(size for _, size in counts)

    def duplicate(self) -> int | None:
        """A descriptor of the segment that is being written; the caller closes it."""
        return None if self._writer is None else self._writer.duplicate()

    def read(self, size: int) -> tuple[Claim, list[Line]] | None:
        """The next lines, of about that many bytes, and whose they are; None at the end.

        What processes that have ended left comes first, because it is older. What can't be read
        at present is tried again after the next look; our own lines behind it wait for it.
        """
        while True:
            self.adopt()
            for claim in (*self._adopted, *self._own):
                if lines := self._read_from(claim, size):
                    return claim, lines
                if claim.is_own and claim.owner in self._tried:
                    return None
            ended = [claim for claim in self._adopted if not claim.outstanding]
            for claim in ended:  # they are empty, or could not be read
                self._dismiss(claim)
            if not ended:
                return None

    def rewind(self, in_hand: Mapping[Claim | None, tuple[Position, int]]) -> None:
        """After an interruption: see `Claim.rewind`."""
        for claim in (*self._adopted, *self._own):
            end, lines = in_hand.get(claim, ((0, 0), 0))
            claim.rewind(end, lines)

    def _read_from(self, claim: Claim, size: int) -> list[Line]:
        if claim.owner in self._tried:
            return []
        try:
            lines = claim.read(size)
        except OSError as error:
            if is_foreign(error):
                raise
            self._note_unread(claim.owner, error)
            return []
        self._unread.pop(claim.owner, None)
        return lines

    def _note_unread(self, owner: str, error: OSError) -> None:
        self._tried.add(owner)
        is_known = self._unread.pop(owner, None) is not None
        self._unread[owner] = error.errno in _NOT_PERMITTED
        if not is_known:
            self._report(error)

    def adopt(self) -> None:
        """Take over what processes that have ended left, as far as the last look saw it.

        Some at a time; when one is settled, the next one comes. After as many that failed, it takes
        another look: each attempt reads the whole directory.
        """
        while self._candidates and max(len(self._adopted), len(self._tried)) < _CLAIMS_AT_ONCE:
            owner = self._candidates.pop()
            if any(owner == claim.owner for claim in (*self._adopted, *self._own)):
                continue
            try:
                adopted = Claim.adopt(self._directories[owner], owner)
            except OSError as error:
                if is_foreign(error):
                    raise
                if error.errno not in _NOT_PERMITTED:
                    self._note_unread(owner, error)
                    continue
                self._unread.pop(owner, None)
                if owner not in self._untouchable:
                    self._untouchable.add(owner)
                    self._report(error)
                continue
            self._untouchable.discard(owner)
            if adopted is None:
                self._unread.pop(owner, None)
            elif self._is_clean(adopted, self._directories[owner]):
                self._adopted.append(adopted)

    # People whose events are to be erased.

    def _requests(self, directory: str) -> Erasures:
        if directory not in self._erasures:
            self._erasures[directory] = Erasures(directory)
        return self._erasures[directory]

    def ask_all(self, people: Collection[str]) -> tuple[int, int]:
        """Ask all processes of the source to erase people's events: see `Erasures.ask`."""
        self.prepare()
        return self._requests(self._path).ask(people)

    def asked(self, since: int | None = None) -> tuple[int, Matches] | None:
        """The requests that were not carried out yet: see `Erasures.since`.

        Args:
            since: The number of a request; None: the last that was carried out on all claims here.
        """
        if since is None:
            since = min((claim.erased for claim in self._here()), default=None)
        return None if since is None else self._requests(self._path).since(since)

    def _here(self) -> list[Claim]:
        here = (*self._adopted, *self._own)
        return [claim for claim in here if self._directories.get(claim.owner) in (None, self._path)]

    def parts(self) -> list[tuple[Claim, int]]:
        """Our own segments, and those of processes that have ended, as far as they were adopted."""
        claims = (*self._adopted, *self._own)
        return [(claim, number) for claim in claims for number, _ in claim.segments()]

    def erase(
        self, claim: Claim, number: int, matches: Matches
    ) -> tuple[list[Line], OSError | None]:
        """Erase lines of a segment, if it is still there: see `Claim.erase`."""
        if claim not in self._adopted and claim not in self._own:
            return [], None
        return claim.erase(number, matches, sync=self._syncs_always)

    def left(self) -> list[str]:
        """Owners of what may have been left, and nobody has taken over."""
        known = {claim.owner for claim in (*self._adopted, *self._own)}
        return sorted(self._directories.keys() - known)

    def erase_left(self, owner: str, matches: Matches) -> None:
        """Erase lines that a process has left, if it has ended; or else it has the request, too."""
        directory = self._directories[owner]
        try:
            claim = Claim.adopt(directory, owner)
        except FileNotFoundError:
            return
        if claim is not None:
            try:
                self._erase_all(claim, matches)
                self._carry_out(claim, directory)
            finally:
                claim.let_go()

    def has_carried_out(self, number: int) -> bool:
        """Tell if a request, and so all before it, was carried out on all that is here."""
        return all(claim.erased >= number for claim in self._here())

    def forget_requests(self) -> None:
        """Forget the requests that all processes have carried out."""
        self._requests(self._path).forget_if_done()

    def note_erased(self, number: int) -> None:
        """Note that a request was carried out on all that is here."""
        for claim in self._here():
            if claim.erased < number:
                claim.note_erased(number)
        self.forget_requests()

    def _carry_out(self, claim: Claim, directory: str) -> bool:
        """Carry out on a claim all that it was asked for. False: that is nothing."""
        asked = self._requests(directory).since(claim.erased)
        if asked is None:
            return False
        number, matches = asked
        self._erase_all(claim, matches)
        claim.note_erased(number)
        return True

    def _erase_all(self, claim: Claim, matches: Matches) -> None:
        """Erase in all of a claim of which nothing was read."""
        for segment, _ in claim.segments():
            lines, fault = claim.erase(segment, matches, sync=self._syncs_always)
            if fault is not None:
                raise fault
            self._erased_of_others += [line.text for line in lines if not is_erased(line.text)]

    def _is_clean(self, claim: Claim, directory: str) -> bool:
        """Carry out on what was taken over what was asked for meanwhile. False: it can't be."""
        try:
            if self._carry_out(claim, directory):
                self._requests(directory).forget_if_done()
        except OSError as error:
            claim.let_go()
            if is_foreign(error):
                raise
            self._note_unread(claim.owner, error)
            return False
        return True

    def take_erased(self) -> list[bytes]:
        """Lines of other processes that were erased unread, since this was asked last."""
        erased, self._erased_of_others = self._erased_of_others, []
        return erased

    def take_lost(self) -> int:
        """Number of our own lines that can't be found any more, since this was asked last."""
        lost = sum(claim.lost for claim in self._own)
        for claim in self._own:
            claim.lost = 0
        return lost

    def settle(self, claim: Claim, end: Position, count: int) -> None:
        """Settle lines of a claim, up to a position."""
        try:
            self.size -= claim.settle(end, count)
        except OSError as error:
            self._report(error)  # after a crash, they will come again
        self._dismiss_finished(claim)

    def removable(
        self, size: int, held: Container[tuple[Claim | None, int]]
    ) -> list[tuple[Claim, int]]:
        """The oldest segments that have to go for so many bytes to be within the bound.

        None, if that can't be.

        Args:
            size: What is to be written.
            held: Segments that have to stay.
        """
        self.adopt()
        missing = self.size + size - self._max_bytes
        found = []
        for claim in (*self._adopted, *self._own):
            for number, freed in claim.segments():
                if missing > 0 and freed and (claim, number) not in held:
                    found.append((claim, number))
                    missing -= freed
        return [] if missing > 0 else found

    def take_out(self, claim: Claim, number: int) -> list[Line]:
        """Remove a segment of which nothing is handed out. Returns the lines that were not read.

        Raises:
            OSError: The disk does not let us: nothing is changed.
        """
        lines, freed = claim.take_out(number)
        self.size -= freed
        return lines

    def give_up(self, claim: Claim, count: int) -> None:
        """Note that lines which were read are dropped with their segment."""
        claim.outstanding -= count
        self._dismiss_finished(claim)

    def unread_behind(self, claim: Claim, number: int) -> int:
        """Number of our own lines behind one of our segments that `read` has not given."""
        later = self._own[self._own.index(claim) + 1 :]
        return claim.unread(number)[0] + sum(other.unread()[0] for other in later)

    def _dismiss_finished(self, claim: Claim) -> None:
        if claim.is_finished and claim is not self._writer:
            self._dismiss(claim)
            self.adopt()

    def remove(self) -> None:
        """Nothing is left to deliver: remove our files and locks."""
        self._writer = None
        for claim in (*self._adopted, *self._own):
            self._dismiss(claim)

    def _dismiss(self, claim: Claim) -> None:
        """Remove what is settled; leave what is not to whoever takes it over next."""
        (self._own if claim.is_own else self._adopted).remove(claim)
        if not claim.is_finished:
            claim.let_go()
            return
        self._unread.pop(claim.owner, None)
        try:
            self.size -= claim.remove()
        except OSError as error:
            self._report(error)
