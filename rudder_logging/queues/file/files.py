"""A spool's files: their names, their owners, and the note of progress."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from typing import NamedTuple

from ...common.private_files import open_file

__all__ = [
    "Note",
    "Origin",
    "Position",
    "erased_in",
    "erased_of",
    "first_note",
    "hash_of",
    "is_locked",
    "is_source",
    "locks",
    "name_of_progress",
    "name_of_segment",
    "note_of",
    "parse_name",
    "read_note",
    "settled_in",
    "sizes_of",
    "with_erased",
]

Position = tuple[int, int]
"""A segment's number, and an offset in it."""


def hash_of(source: str) -> str:
    """The name of a source's directory, which gives nothing away."""
    return hashlib.sha256(source.encode()).hexdigest()[:32]


def is_source(name: str) -> bool:
    """Tell if a directory of that name in a spool is a source's."""
    return re.fullmatch(r"[0-9a-f]{32}", name) is not None


def name_of_segment(owner: str, number: int) -> str:
    """Name of a segment's file."""
    return f"{owner}.{number:08d}.jsonl"


def name_of_progress(owner: str) -> str:
    """The name of the file that says how far an owner's segments are settled, and is locked."""
    return f"{owner}.progress"


def parse_name(name: str) -> tuple[str, int | None] | None:
    """The owner, and the segment's number if it is one; None: the file is not the spool's."""
    found = re.fullmatch(r"(\d{20}-\d+-[0-9a-f]{8})\.(?:(\d{8,})\.jsonl|progress)", name)
    return None if found is None else (found[1], int(found[2]) if found[2] else None)


def sizes_of(directory: str, owner: str) -> dict[int, int]:
    """The sizes of an owner's segments, by number."""
    sizes = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            parsed = parse_name(entry.name)
            if parsed is not None and parsed[0] == owner and parsed[1] is not None:
                sizes[parsed[1]] = entry.stat(follow_symlinks=False).st_size
    return sizes


def note_of(settled: Position) -> bytes:
    """The line in the file of progress which says that all before a position is settled."""
    return b"%08d %020d\n" % settled


def settled_in(note: bytes) -> Position:
    """The position that a note names; the first one, if it is none."""
    found = re.match(rb"(\d{8,}) (\d{20})\n", note)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class Origin(NamedTuple):
    """Whose events they are, for those who come later; it gives no secret away."""

    key: str
    """A hash of the write key."""
    destination: str
    """Scheme and host of the data plane, or of a relay's engine."""


def first_note(origin: Origin, erased: int) -> bytes:
    """Text of a file of progress at first; later notes leave the second line.

    It is at its full length, so that later notes need no room on a disk that is full.

    Args:
        origin: For the second line.
        erased: For the third one: see `erased_in`.
    """
    return note_of((0, 0)) + " ".join(origin).encode() + b"\n%020d\n" % erased


def with_erased(text: bytes, settled: Position, erased: int) -> bytes:
    """That text with another third line. Whoever took over has perhaps made it without any."""
    first, second, *_ = [*text.split(b"\n"), b"", b""]
    return (first + b"\n" if first else note_of(settled)) + second + b"\n%020d\n" % erased


def erased_in(directory: str, owner: str) -> int:
    """The number of the last request to erase that was carried out on an owner's segments.

    If there was none, it is the moment at which it began: requests have later ones for numbers.

    Raises:
        OSError: That can't be read.
    """
    try:
        file = open_file(
            os.path.join(directory, name_of_progress(owner)),  # noqa: PTH118
            os.O_RDONLY,
            mends=False,
        )
    except FileNotFoundError:
        return erased_of(owner, b"")
    try:
        return erased_of(owner, os.pread(file, _LONGEST_NOTE, 0))
    finally:
        os.close(file)


def erased_of(owner: str, text: bytes) -> int:
    """Do as `erased_in`, with the text of the file of progress."""
    third = text.split(b"\n")[2:3]
    found = re.fullmatch(rb"\d{20}", third[0]) if third else None
    return int(found[0]) if found else int(owner.partition("-")[0])


_LONGEST_NOTE = 1_000


class Note(NamedTuple):
    """The content of a file of progress."""

    settled: Position
    origin: Origin | None
    """None: it does not say that, because whoever took over has made the file."""


def read_note(path: str) -> Note:
    """Read a file of progress; if there is none, nothing is settled.

    Raises:
        OSError: It can't be read.
    """
    try:
        file = open_file(path, os.O_RDONLY, mends=False)
    except FileNotFoundError:
        return Note((0, 0), None)
    try:
        text = os.pread(file, _LONGEST_NOTE, 0)
    finally:
        os.close(file)
    _, _, rest = text.partition(b"\n")
    found = _ORIGIN.match(rest.decode("ascii", "replace"))
    return Note(settled_in(text), None if found is None else Origin(found[1], found[2]))


_ORIGIN = re.compile(r"([0-9a-f]{32}) ([a-z][a-z0-9+.-]*://[\w.:,\[\]%/-]+|)\n")


def is_locked(path: str) -> bool:
    """Tell if a process holds a lock on a file. The look itself lasts microseconds.

    Raises:
        OSError: It can't be opened.
    """
    try:
        file = open_file(path, os.O_RDONLY, mends=False)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def locks(file: int) -> bool:
    """Lock a file. True: it is ours now, and still has its name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0
