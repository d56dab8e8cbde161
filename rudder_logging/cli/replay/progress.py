"""Progress of a replay: a small JSON file, replaced whole after each upload."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
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
from ..common import BadInputError, events
from ..sources import LONGEST_TAIL, Source

__all__ = ["Mark", "Progress", "Tally", "Terms"]

_KIND = "rudder-logging replay, version 1"
_HEAD = 4096
_SECONDS_BETWEEN_SYNCS = 1.0


@dataclass
class Tally:
    """Number of lines by what became of them."""

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
    def failed(self) -> int:
        """Number of events that did not arrive, though they were to."""
        return self.refused + self.unsendable + self.unplanned


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Destination and filters of a run: a line that was settled under others may not be so here."""

    to: str | None
    """Hash of data plane and write key, which shows neither; None: events go nowhere."""
    since: float | None = None
    plan: str | None = None
    """Hash of the plan's content."""

    @classmethod
    def of(cls, config: Config | None, since: float | None, plan: str | None) -> Terms:
        """The terms of a run; `plan` is a path."""
        to = None
        if config is not None:
            to = _hash(f"{config.data_plane_url}\n{config.write_key}".encode())
        if plan is not None:
            with open(plan, "rb") as file:  # noqa: PTH123 - any kind of path
                plan = _hash(file.read())
        return cls(to=to, since=since, plan=plan)


@dataclass
class Mark:
    """The place up to which one input is settled."""

    offset: int = 0
    line: int = 0
    tally: Tally = field(default_factory=Tally)
    since: float | None = None
    """The latest moment before which events were left out."""
    plan: str | None = None
    """The plan by which events were left out, as in `Terms`."""
    left_out: tuple[str, ...] = ()
    """Events that earlier runs left out and this one would not. Not kept: they are found anew."""


@dataclass(frozen=True, kw_only=True)
class _Contents:
    """An input's bytes before a mark: its beginning alone may be the banner of each log."""

    head_bytes: int
    head: str
    tail_bytes: int
    tail: str

    @classmethod
    def of(cls, source: Source, offset: int) -> _Contents:
        """Contents of an input which was read up to there, at least."""
        head, tail = source.head(min(offset, _HEAD)), source.before(offset, LONGEST_TAIL)
        return cls(head_bytes=len(head), head=_hash(head), tail_bytes=len(tail), tail=_hash(tail))

    @classmethod
    def kept_in(cls, entry: Mapping[str, Any]) -> _Contents:
        """Contents as an entry keeps them.

        Raises:
            KeyError, TypeError, ValueError: It is damaged.
        """
        return cls(
            head_bytes=int(entry["head_bytes"]),
            head=str(entry["head"]),
            tail_bytes=int(entry["tail_bytes"]),
            tail=str(entry["tail"]),
        )

    def is_in(self, source: Source, offset: int) -> bool:
        """Tell if an input that was read up to there has these contents."""
        size = source.size
        return (
            (size is None or size >= offset)
            and _hash(source.head(self.head_bytes)) == self.head
            and _hash(source.before(offset, self.tail_bytes)) == self.tail
        )


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
            contents, to = _Contents.kept_in(found), found["to"]
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
        if not contents.is_in(source, mark.offset):
            raise BadInputError(
                f"{source.name} is not what it was when {self.path} was written "
                "(rotated? then rename that along with it); --again sends all of it"
            )
        return self._under_terms(mark)

    def _under_terms(self, mark: Mark) -> Mark:
        """Note on a mark what was left out under other terms than ours."""
        terms, older, unplanned = self._terms, mark.tally.older, mark.tally.unplanned
        since, plan, left_out = terms.since, terms.plan, []
        if older and mark.since is not None:
            if since is None or since < mark.since:
                left_out.append(f"{events(older)} from before an earlier --since")
            since = max(mark.since, since or mark.since)
        if unplanned and plan != mark.plan:
            left_out.append(f"{events(unplanned)} not as in an earlier --plan")
            plan = mark.plan
        return replace(mark, since=since, plan=plan, left_out=tuple(left_out))

    def _renamed(self, source: Source) -> Any:
        """The entry of a file that had another name then; None: there is none."""
        for found in self._inputs.values() if source.is_file else ():
            if not isinstance(found, Mapping) or not found.get("head_bytes"):
                continue
            with contextlib.suppress(KeyError, TypeError, ValueError):
                if _Contents.kept_in(found).is_in(source, int(found["offset"])):
                    return found
        return None

    def note(self, source: Source, mark: Mark) -> None:
        """Have a mark among those that are kept next."""
        self._inputs[source.key] = {
            "offset": mark.offset,
            "line": mark.line,
            **asdict(_Contents.of(source, mark.offset)),
            "tally": asdict(mark.tally),
            "to": self._terms.to,
            "since": mark.since,
            "plan": mark.plan,
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


def _hash(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
