"""What is in a spool, and whose it is: read only, and safe beside processes that use it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson

from ..queues._files import Position, name_of_progress, name_of_segment, parse_name, settled_in
from ..queues._urls import parse_queue_url
from ._common import BadInputError
from ._sources import Line, Source

__all__ = ["Holding", "holdings", "is_locked", "look_at", "settled_before", "spool_directory"]

_SOURCE = re.compile(r"[0-9a-f]{32}")
_LOCK = re.compile(r"FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+\w+:\w+:(\d+) ")


def spool_directory(given: str | None) -> str:
    """The spool that is meant: a directory or its `file:` URL; by default that of RUDDER_QUEUE.

    Raises:
        BadInputError: There is none.
    """
    called = "DIR"
    if given is None:
        called, given = "RUDDER_QUEUE", os.environ.get("RUDDER_QUEUE")
        if not given:
            raise BadInputError("name the spool's directory, or set RUDDER_QUEUE")
    path = given
    if "://" in given:
        try:
            url = parse_queue_url(given)
        except ValueError as error:
            raise BadInputError(f"{called} {error}") from None
        if url is None:
            raise BadInputError(f"{called} is {given}: that queue has no files")
        path = url.path
    if not os.path.isdir(path):  # noqa: PTH112 - a name of the user's
        raise BadInputError(f"{path} is no directory: there is no spool")
    return path


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What one process has in a spool, or has left there when it ended."""

    directory: str
    """Of its source: of one write key and data plane."""
    owner: str
    is_alive: bool
    """Somebody has its lock: the process itself, or one that has taken over."""
    settled: Position
    sizes: dict[int, int]
    """Of segments that are not settled, by number."""

    @property
    def pid(self) -> int:
        """Of the process that wrote it."""
        return int(self.owner.split("-")[1])

    @property
    def progress(self) -> str:
        """The path of the file that its owner has locked."""
        return os.path.join(self.directory, name_of_progress(self.owner))  # noqa: PTH118

    @property
    def holder(self) -> int | None:
        """The living process that has the lock, as far as the system tells."""
        if not self.is_alive:
            return None
        with contextlib.suppress(OSError):  # there are systems without the list
            inode = os.stat(self.progress).st_ino  # noqa: PTH116
            with open("/proc/locks", encoding="ascii") as file:  # noqa: PTH123
                for line in file:
                    found = _LOCK.search(line)
                    if found is not None and int(found[2]) == inode:
                        return int(found[1])
        return None

    @property
    def began(self) -> datetime:
        """When that process began to write."""
        return datetime.fromtimestamp(int(self.owner.split("-")[0]) // 10**9, timezone.utc)

    @property
    def size(self) -> int:
        """Bytes that are not settled."""
        number, offset = self.settled
        return sum(self.sizes.values()) - (offset if number in self.sizes else 0)

    def path(self, number: int) -> str:
        """Of a segment."""
        return os.path.join(self.directory, name_of_segment(self.owner, number))  # noqa: PTH118

    def pending(self) -> Iterator[tuple[str, Line]]:
        """Lines that are not settled, with the paths of their segments.

        A line that a living process is still writing is none yet.
        """
        for number in sorted(self.sizes):
            path = self.path(number)
            try:
                source = Source(path, is_segment=True)
            except BadInputError:  # delivered in this moment
                continue
            try:
                if number == self.settled[0]:
                    source.skip_to(self.settled[1], 0)
                for line in source.lines():
                    if line is None or not line.text.strip() or (line.is_torn and self.is_alive):
                        continue
                    yield path, line
            finally:
                source.close()

    def summary(self) -> dict[str, Any]:
        """What `spool list` shows of it."""
        count, oldest = 0, None
        for _, line in self.pending():
            count += 1
            oldest = oldest or _stamp_of(line.text)
        return {
            "source": os.path.basename(self.directory),  # noqa: PTH119
            "writer": self.pid,
            "began": self.began.isoformat().replace("+00:00", "Z"),
            "held": self.is_alive,
            "holder": self.holder,
            "events": count,
            "bytes": self.size,
            "segments": len(self.sizes),
            "oldest": oldest,
        }


def holdings(spool: str) -> list[Holding]:
    """All there is in a spool, the oldest process of each source first.

    Raises:
        BadInputError: It can't be read.
    """
    try:
        names = sorted(os.listdir(spool))  # noqa: PTH208
        directories = [os.path.join(spool, name) for name in names if _SOURCE.fullmatch(name)]  # noqa: PTH118
        if any(parse_name(name) for name in names):
            directories.append(spool)  # a source's own directory was named
        return [holding for directory in directories for holding in _holdings_of(directory)]
    except OSError as error:
        raise BadInputError(f"{error.filename or spool} can't be read: {error.strerror}") from None


def _holdings_of(directory: str) -> list[Holding]:
    names = [parse_name(name) for name in os.listdir(directory)]  # noqa: PTH208
    return [look_at(directory, owner) for owner in sorted({name[0] for name in names if name})]


def look_at(directory: str, owner: str) -> Holding:
    """What a process holds at this moment.

    Raises:
        OSError: It can't be read.
    """
    progress = os.path.join(directory, name_of_progress(owner))  # noqa: PTH118
    is_alive = is_locked(progress)
    settled = _position_in(progress)
    sizes = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            parsed = parse_name(entry.name)
            if parsed is None or parsed[0] != owner or (parsed[1] or 0) < max(settled[0], 1):
                continue
            with contextlib.suppress(FileNotFoundError):  # delivered in this moment
                sizes[parsed[1] or 0] = entry.stat(follow_symlinks=False).st_size
    return Holding(
        directory=directory, owner=owner, is_alive=is_alive, settled=settled, sizes=sizes
    )


def is_locked(path: str) -> bool:
    """Whether a process holds a lock on a file. The look itself lasts microseconds."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def settled_before(path: str) -> tuple[int, bool] | None:
    """Of a segment in its spool: how many bytes are delivered, and whether a process holds it.

    None: the file is none, or stands alone.
    """
    directory, name = os.path.split(path)
    parsed = parse_name(name)
    progress = os.path.join(directory, name_of_progress(parsed[0])) if parsed else ""  # noqa: PTH118
    if parsed is None or parsed[1] is None or not os.path.exists(progress):  # noqa: PTH110
        return None
    number, offset = _position_in(progress)
    if number > parsed[1]:
        offset = os.path.getsize(path)  # noqa: PTH202
    return (offset if number >= parsed[1] else 0), is_locked(progress)


def _position_in(progress: str) -> Position:
    try:
        with open(progress, "rb") as file:  # noqa: PTH123
            return settled_in(file.read(100))
    except FileNotFoundError:
        return 0, 0


def _stamp_of(text: bytes) -> str | None:
    try:
        stamp = orjson.loads(text)["originalTimestamp"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return stamp if isinstance(stamp, str) else None
