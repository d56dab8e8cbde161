"""What a spool's files are called, whose they are, and how the note of progress is written."""

from __future__ import annotations

import fcntl
import os
import re

__all__ = [
    "Position",
    "locks",
    "name_of_progress",
    "name_of_segment",
    "note_of",
    "parse_name",
    "settled_in",
    "sizes_of",
]

Position = tuple[int, int]
"""A segment's number, and an offset in it."""


def name_of_segment(owner: str, number: int) -> str:
    """The file's name."""
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
    """What says in the file of progress that all before a position is settled."""
    return b"%08d %020d\n" % settled


def settled_in(note: bytes) -> Position:
    """The position that a note names; the first one, if it is none."""
    found = re.match(rb"(\d{8,}) (\d{20})\n", note)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def locks(file: int) -> bool:
    """Whether the file is ours now, and still has its name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0
