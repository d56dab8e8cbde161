"""What a producer notes, call by call, and how that is read while it goes on.

A process writes it by itself: so what was accepted, and what the engine acknowledged, is known
whatever becomes of the process, and without asking the library.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Journal", "Notes"]

_LOGGED, _ACKNOWLEDGED, _DROPPED, _STATS = "LADS"


class Notes:
    """Write a journal; each note is whole, whenever the process is killed."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def logged(self, event_id: str) -> None:
        """A log call has returned."""
        self._write(_LOGGED, event_id)

    def acknowledged(self, ids: Iterable[str]) -> None:
        """The engine has them."""
        self._write(_ACKNOWLEDGED, " ".join(ids))

    def dropped(self, event_id: str, reason: str) -> None:
        """The handler has dropped it, and said so."""
        self._write(_DROPPED, f"{event_id} {reason}")

    def stats(self, stats: dict[str, Any]) -> None:
        """The handler's ledger at its end."""
        self._write(_STATS, json.dumps(stats))

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)

    def _write(self, kind: str, text: str) -> None:
        os.write(self._file, f"{kind}{text}\n".encode())


class Journal:
    """What one producer has noted so far.

    Args:
        path: Its file, which need not be there yet.
        durable: Whether another process delivers what this one leaves behind.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.killed = False
        """Set by who kills it: then only what the engine acknowledged is owed, unless durable."""
        self.durable = durable
        self._path = path
        self._read = 0
        self._rest = b""
        self._logged: dict[str, None] = {}
        self._twice: list[str] = []
        self._acknowledged: set[str] = set()
        self._dropped: dict[str, str] = {}
        self._stats: dict[str, Any] | None = None

    @property
    def logged(self) -> list[str]:
        """Ids, in the order of the calls."""
        self._go_on()
        return [*self._logged, *self._twice]

    @property
    def acknowledged(self) -> set[str]:
        """What the engine has taken."""
        self._go_on()
        return self._acknowledged

    @property
    def dropped(self) -> dict[str, str]:
        """By id: the reason."""
        self._go_on()
        return self._dropped

    @property
    def stats(self) -> dict[str, Any] | None:
        """The ledger at its end, if it has come to that."""
        self._go_on()
        return self._stats

    @property
    def owed(self) -> set[str]:
        """What has to arrive."""
        self._go_on()
        if self.killed and not self.durable:
            return set(self._acknowledged)
        return (self._logged.keys() | self._acknowledged) - self._dropped.keys()

    @property
    def in_doubt(self) -> set[str]:
        """What the engine has, or has not: nobody was told, or nobody noted it."""
        self._go_on()
        return self._logged.keys() - self._acknowledged - self._dropped.keys()

    def contradictions(self) -> list[str]:
        """In what the ledger differs from the notes, if the process has come to its end."""
        stats, found = self.stats, []
        if stats is None:
            return [] if self.killed else [f"{self._path.stem} did not come to its end"]
        expected = {
            "accepted": len(self._logged) + stats["adopted"],
            "delivered": stats["accepted"] - len(self._dropped) - stats["pending"],
            "pending": 0,
            "callback_errors": 0,
        }
        for name, number in expected.items():
            if stats[name] != number:
                found.append(f"{self._path.stem}: {name} is {stats[name]}, not {number}")
        if (
            not stats["adopted"]
            and self._acknowledged != self._logged.keys() - self._dropped.keys()
        ):
            found.append(f"{self._path.stem}: not all that it delivered was acknowledged")
        return found

    def _go_on(self) -> None:
        """Read what was written since."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            fresh = file.read()
        self._read += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            self._take(line[:1].decode(), line[1:].decode())

    def _take(self, kind: str, text: str) -> None:
        if kind == _LOGGED:
            if text in self._logged:
                self._twice.append(text)
            self._logged[text] = None
        elif kind == _ACKNOWLEDGED:
            self._acknowledged.update(text.split())
        elif kind == _DROPPED:
            event_id, _, reason = text.partition(" ")
            self._dropped[event_id] = reason
        else:
            self._stats = json.loads(text)
