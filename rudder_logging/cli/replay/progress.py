"""Progress of a replay: a small JSON file, replaced whole after each upload."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ...common.clock import monotonic
from ...common.private_files import (
    lock_file,
    make_temporary,
    open_file,
    sweep_temporaries,
    write_all,
)
from ...config import Config
from ..common import BadInputError
from ..sources import LONGEST_TAIL, Source

__all__ = ["KINDS", "Mark", "Progress", "Tally", "destination", "failed"]

_KIND = "rudder-logging replay, version 1"
_SECONDS_BETWEEN_SYNCS = 1.0


Tally = Counter[str]
"""Numbers of lines by what became of them, a name in `KINDS`."""

KINDS = {
    "arrived": "arrived",
    "refused": "refused by the data plane",
    "unsendable": "can't be sent",
    "unplanned": "not as in --plan",
    "withheld": "withheld by before_send",
    "private": "kept back by privacy",
    "older": "from before --since",
    "ordinary": "ordinary lines of a log",
}
"""Their names in the file and for machines, and in words."""


def failed(tally: Tally) -> int:
    """Number of events that did not arrive, though they were to."""
    return tally["refused"] + tally["unsendable"] + tally["unplanned"]


@dataclass
class Mark:
    """The place up to which one input is settled."""

    offset: int = 0
    line: int = 0
    tally: Tally = field(default_factory=Tally)
    since: float | None = None
    """The latest moment before which events were left out."""
    left_out: int = 0
    """Events that earlier runs left out and this one would not. Not kept: they are found anew."""

    def under(self, since: float | None) -> Mark:
        """The same in a run with that `--since`."""
        earlier = self.since if self.tally["older"] else None
        if earlier is None or (since is not None and since >= earlier):
            return replace(self, since=since)
        return replace(self, left_out=self.tally["older"])


class Progress:
    """Marks of inputs, by their names.

    While it is in use, nobody else can use it: its file is locked, whichever it is just now.

    Args:
        path: The file, which need not be there.
        to: Where events go, as `destination` says it; None: nowhere.
        again: Forget what it says.
        keeps: It will be saved; else it is only looked at.

    Raises:
        BadInputError: It is something else, can't be read, or another replay is using it.
    """

    def __init__(
        self, path: str, to: str | None, *, again: bool = False, keeps: bool = True
    ) -> None:
        self.path = path
        self._to = to
        self._locked: int | None = None
        self._inputs: dict[str, Any] = {}
        self._sync_at = 0.0
        try:
            self._locked = file = self._open(keeps=keeps)
            with open(file, "rb", closefd=False) as opened:
                content = orjson.loads(opened.read())
        except FileNotFoundError:
            return
        except OSError as error:
            raise BadInputError(f"{path} can't be read: {error.strerror}") from None
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, Mapping) or content.get("kind") != _KIND:
            raise BadInputError(f"{path} is no progress of a replay; name another with --resume")
        if not again:
            self._inputs = dict(content["inputs"])

    def _open(self, *, keeps: bool) -> int:
        while True:
            file = open_file(self.path, os.O_RDONLY, mends=keeps)
            if not keeps:
                return file
            if not lock_file(file, waits=False):
                os.close(file)
                raise BadInputError(f"another replay is at it, and keeps {self.path}; let it end")
            if os.fstat(file).st_nlink:
                sweep_temporaries(self.path)  # of replays that were killed
                return file
            os.close(file)  # it was replaced in this moment

    def mark_of(self, source: Source) -> Mark:
        """Find the place up to which an input was settled the last time.

        Raises:
            BadInputError: It is not the same any more, or went somewhere else.
        """
        found = self._inputs.get(source.key) or self._renamed(source)
        if found is None:
            return Mark()
        try:
            since = None if found["since"] is None else float(found["since"])
            tally = Tally({kind: int(found["tally"].get(kind, 0)) for kind in KINDS})
            mark = Mark(int(found["offset"]), int(found["line"]), tally, since)
            tail, to = (int(found["tail_bytes"]), str(found["tail"])), found["to"]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BadInputError(f"{self.path} is damaged; give --again, or another") from None
        if self._to not in (None, to):
            if not mark.tally["arrived"]:  # a key or URL that was wrong, say
                return Mark()
            raise BadInputError(
                f"{self.path} is the progress to another data plane or source; "
                "--again sends all of it to this one, --resume OTHER keeps both"
            )
        source.skip_to(mark.offset, mark.line)
        if not _has_tail(source, mark.offset, *tail):
            raise BadInputError(
                f"{source.name} is not what it was when {self.path} was written "
                "(rotated? then rename that along with it); --again sends all of it"
            )
        return mark

    def _renamed(self, source: Source) -> Any:
        """The entry of a file that had another name then; None: there is none."""
        for found in self._inputs.values() if source.is_file else ():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                offset, size = int(found["offset"]), int(found["tail_bytes"])
                if size and _has_tail(source, offset, size, found["tail"]):
                    return found
        return None

    def note(self, source: Source, mark: Mark) -> None:
        """Have a mark among those that are kept next."""
        tail = source.before(mark.offset, LONGEST_TAIL)
        self._inputs[source.key] = {
            "offset": mark.offset,
            "line": mark.line,
            "tail_bytes": len(tail),
            "tail": _hash(tail),
            "tally": {kind: mark.tally[kind] for kind in KINDS},
            "to": self._to,
            "since": mark.since,
        }

    def save(self) -> None:
        """Keep all marks: a kill leaves the old ones or the new ones, power loss the last second's.

        Raises:
            OSError: They can't be written.
        """
        content = orjson.dumps({"kind": _KIND, "inputs": self._inputs}, option=orjson.OPT_INDENT_2)
        file, temporary = make_temporary(self.path)
        try:
            lock_file(file, waits=False)
            write_all(file, content + b"\n")
            if monotonic() >= self._sync_at:  # it takes longer than an upload
                os.fsync(file)
                self._sync_at = monotonic() + _SECONDS_BETWEEN_SYNCS
            if os.name == "nt":  # where no open file can be replaced, nor replace one
                os.close(file)
                self.close()
            os.replace(temporary, self.path)  # noqa: PTH105
        except OSError:
            with contextlib.suppress(OSError):
                os.close(file)
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        if os.name != "nt":
            self.close()
            self._locked = file

    def close(self) -> None:
        """Unlock the file."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None


def destination(config: Config) -> str:
    """A hash of data plane and write key, which shows neither."""
    place = f"{config.data_plane_url}\n{config.write_key}"
    return _hash((place if config.relay is None else config.identity).encode())


def _has_tail(source: Source, offset: int, size: int, digest: str) -> bool:
    """Tell if an input has the bytes before a mark: its beginning may be the banner of each log."""
    is_long_enough = source.size is None or source.size >= offset
    return is_long_enough and _hash(source.before(offset, size)) == digest


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
