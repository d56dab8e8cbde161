"""Events in a spool of sources that no living process uses: under a wrong write key, say."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection
from dataclasses import dataclass

import orjson

from ...common.private_files import open_file
from ...events.encoding import utc_milliseconds
from .files import (
    Note,
    Origin,
    is_locked,
    is_source,
    name_of_progress,
    name_of_segment,
    parse_name,
    read_note,
    sizes_of,
)

__all__ = ["Left", "left_by_others", "unused_sources"]

_MOST_BYTES = 16_000_000  # that are read to count: an app waits for that when it starts
_CHUNK = 256 * 1024


@dataclass
class Left:
    """A source's events that nobody sends."""

    directory: str
    events: int = 0
    is_all: bool = True
    """There are no more than that."""
    since: str | None = None
    """When the oldest was logged."""
    is_anothers: bool = True
    """Its write key is not ours; else, nobody knows."""
    destination: str | None = None
    """Scheme and host of the data plane that they were for, as far as that is known."""

    @property
    def text(self) -> str:
        """The events, their age and their destination, in words."""
        kind = "relay or source" if self._is_for_relay else "write key"
        key = f"another {kind}, which" if self.is_anothers else f"a {kind} that"
        least = "" if self.is_all else "at least "
        return (
            f"{least}{self.events:,} event{'' if self.events == 1 else 's'} "
            f"since {self.since} for "
            f"{self.destination or 'a data plane that is not known any more'}: in "
            f"{self.directory}, under {key} no process uses now"
        )

    @property
    def cure(self) -> str:
        """The command that sends them."""
        directory = shlex.quote(self.directory)
        own, ours = "key", "with the one in RUDDER_WRITE_KEY"
        if self._is_for_relay:
            own, ours = "relay and source", "where RUDDER_RELAY or RUDDER_DATA_PLANE_URL leads"
        return (
            f"an app that has that {own} sends them; to send them {ours}: "
            f"rudder-logging replay {directory}/*.jsonl && "
            f"rudder-logging spool purge {directory} --all"
        )

    @property
    def _is_for_relay(self) -> bool:
        return not (self.destination or "http").startswith("http")


@dataclass
class Unused:
    """A source of which no process lives."""

    directory: str
    notes: dict[str, Note]
    """The contents of its files of progress, by owner; the oldest first."""

    @property
    def origin(self) -> Origin | None:
        """Whose it is, as far as that is known."""
        origins = [note.origin for note in self.notes.values() if note.origin is not None]
        return origins[-1] if origins else None

    @property
    def key(self) -> str | None:
        """The hash of its write key."""
        return None if self.origin is None else self.origin.key


def unused_sources(spool: str, own: Collection[str]) -> list[Unused]:
    """Sources that have something in a spool, and no living process.

    Args:
        spool: The directory.
        own: The paths of sources that are not looked at.
    """
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(spool):  # noqa: PTH208
            directory = os.path.join(spool, name)  # noqa: PTH118
            if is_source(name) and directory not in own:
                with contextlib.suppress(OSError):  # another user's, or gone in this moment
                    notes = _notes_in(directory)
                    if notes:
                        found.append(Unused(directory, notes))
    return found


def _notes_in(directory: str) -> dict[str, Note]:
    """None, if somebody lives."""
    names = [parse_name(name) for name in os.listdir(directory)]  # noqa: PTH208
    notes = {}
    for owner in sorted({name[0] for name in names if name is not None}):
        path = os.path.join(directory, name_of_progress(owner))  # noqa: PTH118
        if is_locked(path):
            return {}
        notes[owner] = read_note(path)
    return notes


def left_by_others(spool: str, own: Collection[str], key: str | None) -> list[Left]:
    """List such sources, the oldest first.

    Args:
        spool: The directory.
        own: The paths of sources that are not looked at.
        key: A hash of the write key whose sources are not, either; None: nobody knows ours.
    """
    found = []
    for unused in unused_sources(spool, own):
        with contextlib.suppress(OSError):  # as above
            left = _left_in(unused)
            left.is_anothers = key is not None
            if left.events and (key is None or unused.key != key):
                found.append(left)
    return sorted(found, key=lambda left: left.since or "")


def _left_in(unused: Unused) -> Left:
    left = Left(unused.directory, destination=unused.origin and unused.origin.destination)
    room = _MOST_BYTES
    for owner, note in unused.notes.items():
        number, offset = note.settled
        left.since = left.since or utc_milliseconds(int(owner.split("-")[0]) / 10**9)
        for segment, size in sorted(sizes_of(unused.directory, owner).items()):
            start = offset if segment == number else 0
            if segment >= number and start < size:
                path = os.path.join(unused.directory, name_of_segment(owner, segment))  # noqa: PTH118
                room = _count(path, start, min(size, start + room), left, room)
                left.is_all = left.is_all and room > 0
    return left


def _count(path: str, start: int, end: int, left: Left, room: int) -> int:
    """Count a segment's lines; return how many bytes more may be read."""
    file = open_file(path, os.O_RDONLY, mends=False, in_spool=True)
    before = b"\n"
    try:
        while start < end and (chunk := os.pread(file, min(_CHUNK, end - start), start)):
            if not left.events:
                left.since = _stamp_in(chunk) or left.since
            # What was erased is a line of blanks.
            left.events += chunk.count(b"\n") - (before + chunk).count(b"\n ")
            start, before = start + len(chunk), chunk[-1:]
            room -= len(chunk)
    finally:
        os.close(file)
    return room


def _stamp_in(lines: bytes) -> str | None:
    try:
        stamp = orjson.loads(lines.partition(b"\n")[0])["originalTimestamp"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return stamp if isinstance(stamp, str) and stamp.isascii() and stamp.isprintable() else None
