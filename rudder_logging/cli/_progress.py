"""How far files have been replayed: a small JSON file, replaced whole after each upload."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from .._clock import monotonic
from ..config import Config
from ._common import BadInputError, events
from ._sources import Source

__all__ = ["Mark", "Progress", "Tally", "Terms"]

_KIND = "rudder-logging replay, version 1"
_HEAD = 4096
_LARGEST = 1_000_000
_SECONDS_BETWEEN_SYNCS = 1.0


@dataclass
class Tally:
    """What became of lines."""

    arrived: int = 0
    """Events that the data plane has acknowledged."""
    refused: int = 0
    """Events that it has refused for good."""
    unsendable: int = 0
    """Damaged ones, and those that it would refuse or lose."""
    unplanned: int = 0
    """Events that break the plan of `--plan`."""
    withheld: int = 0
    """Events for which `before_send` returned None."""
    older: int = 0
    """Events from before `--since`."""
    ordinary: int = 0
    """Lines of a log that are no events."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: count + getattr(other, name) for name, count in asdict(self).items()})

    @property
    def all_arrived(self) -> bool:
        """Whether no event failed."""
        return not self.failed

    @property
    def failed(self) -> int:
        """How many did not arrive, though they were to."""
        return self.refused + self.unsendable + self.unplanned


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Where events go, and what is left out: what was settled under others may not be so here."""

    to: str | None
    """Stands for data plane and write key, and shows neither; None: they go nowhere."""
    since: float | None = None
    plan: str | None = None
    """Stands for its content."""

    @classmethod
    def of(cls, config: Config | None, since: float | None, plan: str | None) -> Terms:
        """Those of a run; `plan` is a path."""
        to = None
        if config is not None:
            to = _hash(f"{config.data_plane_url}\n{config.write_key}".encode())
        if plan is not None:
            with open(plan, "rb") as file:  # noqa: PTH123 - any kind of path
                plan = _hash(file.read())
        return cls(to=to, since=since, plan=plan)


@dataclass
class Mark:
    """How far one input is settled."""

    offset: int = 0
    line: int = 0
    tally: Tally = field(default_factory=Tally)
    since: float | None = None
    """The latest moment before which events were left out."""
    plan: str | None = None
    """The plan by which events were left out, as in `Terms`."""
    doubts: tuple[str, ...] = ()
    """What was left out that would not be now. Not kept: it is found anew."""


class Progress:
    """Marks of inputs, by their names.

    While it is in use, nobody else can use it: its file is locked, whichever it is just now.

    Args:
        path: The file, which need not be there.
        terms: Those of this run.
        again: Forget what it says.
        keeps: It will be saved; else it is only looked at.

    Raises:
        BadInputError: It is something else, can't be read, or another replay is using it.
    """

    def __init__(self, path: str, terms: Terms, *, again: bool = False, keeps: bool = True) -> None:
        self.path = path
        self._terms = terms
        self._locked: int | None = None
        self._inputs: dict[str, Any] = {}
        self._sync_at = 0.0
        try:
            self._locked = file = self._open(keeps=keeps)
            content = orjson.loads(os.read(file, _LARGEST))
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
            file = os.open(self.path, os.O_RDONLY)
            if not keeps:
                return file
            if not _locks(file):
                os.close(file)
                raise BadInputError(f"another replay is at it, and keeps {self.path}; let it end")
            if os.fstat(file).st_nlink:
                return file
            os.close(file)  # it was replaced in this moment

    def mark_of(self, source: Source) -> Mark:
        """How far an input was settled, the last time.

        Raises:
            BadInputError: It is not the same any more, or went somewhere else.
        """
        terms = self._terms
        new = Mark(since=terms.since, plan=terms.plan)
        found = self._inputs.get(source.key) or self._renamed(source)
        if found is None:
            return new
        try:
            mark = Mark(
                int(found["offset"]), int(found["line"]), Tally(**found["tally"]),
                None if found["since"] is None else float(found["since"]), found["plan"],
            )  # fmt: skip
            length, head, to = int(found["head_bytes"]), found["head"], found["to"]
        except (KeyError, TypeError, ValueError):
            raise BadInputError(f"{self.path} is damaged; give --again, or another") from None
        if terms.to not in (None, to):
            if not mark.tally.arrived:  # a key or URL that was wrong, say
                return new
            raise BadInputError(
                f"{self.path} is the progress to another data plane or source; "
                "--again sends all of it to this one, --resume OTHER keeps both"
            )
        source.skip_to(mark.offset, mark.line)
        size = source.size
        is_shorter = size is not None and size < mark.offset
        if is_shorter or _hash(source.head(length)) != head:
            raise BadInputError(
                f"{source.name} is not what it was when {self.path} was written "
                "(rotated? then rename that along with it); --again sends all of it"
            )
        return self._under_terms(mark)

    def _under_terms(self, mark: Mark) -> Mark:
        """The mark, with what was left out under other terms than ours."""
        terms, older, unplanned = self._terms, mark.tally.older, mark.tally.unplanned
        since, plan, doubts = terms.since, terms.plan, []
        if older and mark.since is not None:
            if since is None or since < mark.since:
                doubts.append(f"{events(older)} from before an earlier --since")
            since = max(mark.since, since or mark.since)
        if unplanned and plan != mark.plan:
            doubts.append(f"{events(unplanned)} not as in an earlier --plan")
            plan = mark.plan
        return replace(mark, since=since, plan=plan, doubts=tuple(doubts))

    def _renamed(self, source: Source) -> Any:
        """The entry of a file that had another name then; None: there is none."""
        for found in self._inputs.values() if source.is_file else ():
            if not isinstance(found, Mapping) or not found.get("head_bytes"):
                continue
            if _hash(source.head(found["head_bytes"])) == found.get("head"):
                return found
        return None

    def save(self, source: Source, mark: Mark) -> None:
        """Keep a mark: a kill leaves the old one or the new one, power loss one of the last second.

        Raises:
            OSError: It can't be written.
        """
        head = source.head(min(mark.offset, _HEAD))
        self._inputs[source.key] = {
            "offset": mark.offset,
            "line": mark.line,
            "head_bytes": len(head),
            "head": _hash(head),
            "tally": asdict(mark.tally),
            "to": self._terms.to,
            "since": mark.since,
            "plan": mark.plan,
        }
        content = orjson.dumps({"kind": _KIND, "inputs": self._inputs}, option=orjson.OPT_INDENT_2)
        temporary = f"{self.path}.new"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _locks(file)
            os.write(file, content + b"\n")
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
        """Let others use it."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None


def _locks(file: int) -> bool:
    """Lock a file until it is closed. False: somebody else has; where there are no locks, True."""
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _hash(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
