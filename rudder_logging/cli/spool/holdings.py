"""Contents of a spool, by process: read only, and safe beside processes that use it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson

from ...config import Config
from ...exceptions import ConfigError
from ...queues.file.erasing import cure_of
from ...queues.file.files import (
    Origin,
    Position,
    hash_of,
    is_locked,
    is_source,
    name_of_progress,
    name_of_segment,
    parse_name,
    read_note,
)
from ...queues.file.left import Left, left_by_others
from ...queues.urls import is_spool_url, parse_spool_url
from ..common import BadInputError, said
from ..sources import Line, Source

__all__ = ["Holding", "holding_of", "holdings", "settled_before", "spool_directory"]

_LOCK = re.compile(r"FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+\w+:\w+:(\d+) ")


def spool_directory(given: str | None) -> str:
    """The spool that is meant: a directory or its `file:` URL; else the app's own, or RUDDER_QUEUE.

    Raises:
        BadInputError: There is none.
    """
    called = "DIR"
    if given is None:
        called, given = "RUDDER_QUEUE", said("queue")
        if not given:
            raise BadInputError("name the spool's directory, or set RUDDER_QUEUE")
    path = given
    if "://" in given:
        if not is_spool_url(given):
            raise BadInputError(f"{called} is {given}: that queue has no files")
        try:
            path = parse_spool_url(given).path
        except ValueError as error:
            raise BadInputError(f"{called} {error}") from None
    if not os.path.isdir(path):  # noqa: PTH112 - a name of the user's
        raise BadInputError(f"{path} is no directory: there is no spool")
    return path


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Events that one process has in a spool, or has left there when it ended."""

    directory: str
    """The folder of its source, which stands for one write key."""
    owner: str
    is_alive: bool
    """Somebody has its lock: the process itself, or one that has taken over."""
    origin: Origin | None
    """Whose it is, as far as that is known."""
    settled: Position
    sizes: dict[int, int]
    """Of segments that are not settled, by number."""

    @property
    def pid(self) -> int:
        """Id of the process that wrote it."""
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
        """Path of a segment."""
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
        """The row of it that `spool list` shows."""
        count, oldest = 0, None
        for _, line in self.pending():
            count += 1
            oldest = oldest or _stamp_of(line.text)
        return {
            "source": os.path.basename(self.directory),  # noqa: PTH119
            "destination": None if self.origin is None else self.origin.destination,
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
        BadInputError: It can't be read, or it is something else.
    """
    try:
        names = sorted(os.listdir(spool))  # noqa: PTH208
        directories = [os.path.join(spool, name) for name in names if is_source(name)]  # noqa: PTH118
        if any(parse_name(name) for name in names) or is_source(
            os.path.basename(os.path.abspath(spool))  # noqa: PTH100, PTH119
        ):
            directories.append(spool)  # a source's own directory was named
        if names and not directories:
            raise BadInputError(
                f"{spool} is no spool: there is something in it, but nothing of a durable queue's; "
                "name the directory that the option queue names"
            )
        return [holding for directory in directories for holding in _holdings_of(directory)]
    except OSError as error:
        raise BadInputError(
            f"{error.filename or spool} can't be read: {error.strerror}; {cure_of(error)}"
        ) from None


def left_here(spool: str) -> list[Left]:
    """Find events of a spool under write keys that no process uses, nor the environment names."""
    # Not the whole environment: it may name callbacks, which are code of an app's.
    names = ("write_key", "data_plane_url", "relay", "source")
    given = {name: os.environ.get(f"RUDDER_{name.upper()}") or None for name in names}
    try:
        identity = Config.load({}, **given).identity
    except ConfigError:  # the key alone says enough
        identity = f"{given['write_key'] or ''} "
    own = os.path.join(spool, hash_of(identity))  # noqa: PTH118
    key = identity.partition(" ")[0]
    return left_by_others(spool, [own], hash_of(key) if key else None)


def _holdings_of(directory: str) -> list[Holding]:
    names = [parse_name(name) for name in os.listdir(directory)]  # noqa: PTH208
    return [holding_of(directory, owner) for owner in sorted({name[0] for name in names if name})]


def holding_of(directory: str, owner: str) -> Holding:
    """Look up the holding of one process, as it is at this moment.

    Raises:
        OSError: It can't be read.
    """
    progress = os.path.join(directory, name_of_progress(owner))  # noqa: PTH118
    is_alive = is_locked(progress)
    settled, origin = read_note(progress)
    sizes = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            parsed = parse_name(entry.name)
            if parsed is None or parsed[0] != owner or (parsed[1] or 0) < max(settled[0], 1):
                continue
            with contextlib.suppress(FileNotFoundError):  # delivered in this moment
                sizes[parsed[1] or 0] = entry.stat(follow_symlinks=False).st_size
    return Holding(
        directory=directory,
        owner=owner,
        is_alive=is_alive,
        origin=origin,
        settled=settled,
        sizes=sizes,
    )


def settled_before(path: str) -> tuple[int, bool] | None:
    """Of a segment in its spool: how many bytes are delivered, and whether a process holds it.

    None: the file is none, or stands alone.

    Raises:
        BadInputError: That can't be told.
    """
    directory, name = os.path.split(path)
    parsed = parse_name(name)
    progress = os.path.join(directory, name_of_progress(parsed[0])) if parsed else ""  # noqa: PTH118
    if parsed is None or parsed[1] is None or not os.path.exists(progress):  # noqa: PTH110
        return None
    try:
        (number, offset), _ = read_note(progress)
        is_held = is_locked(progress)
    except OSError as error:
        raise BadInputError(f"{progress} can't be read: {error.strerror}") from None
    if number > parsed[1]:
        offset = os.path.getsize(path)  # noqa: PTH202
    return (offset if number >= parsed[1] else 0), is_held


def _stamp_of(text: bytes) -> str | None:
    try:
        stamp = orjson.loads(text)["originalTimestamp"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return stamp if isinstance(stamp, str) else None
