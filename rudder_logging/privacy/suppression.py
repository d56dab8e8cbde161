"""People whose events do not leave, by ids, files and functions; `persons` finds the ids."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..events.fields import normalise_id

__all__ = ["EVERYWHERE", "IdFile", "Source", "Suppressed", "checked_ids", "function_of_ids"]

Source = Callable[[set[str]], object]
"""Tells if one of some ids is suppressed."""


def function_of_ids(function: Callable[..., Any]) -> Source:
    """A source by a function of the app's: one that returns all ids, or one that judges one."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):  # it has a parameter; or it does not tell, as some of C's
        return lambda ids: any(function(one) for one in ids)
    return lambda ids: not ids.isdisjoint(function())


class IdFile:
    """A file with an id on each line. It is read again when it has changed.

    Args:
        path: Its own.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[object, frozenset[str]] = (None, frozenset())

    def ids(self) -> frozenset[str]:
        """The ids in it now; the same object until it changes."""
        status = os.stat(self._path)  # noqa: PTH116
        mark = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
        read = self._read
        if read[0] != mark:
            with open(self._path, encoding="utf-8") as file:  # noqa: PTH123
                read = self._read = mark, frozenset(filter(None, map(str.strip, file)))
        return read[1]


class Suppressed:
    """Ids that may become more at any time, from any thread.

    Args:
        ids: The first of them.
    """

    def __init__(self, ids: Collection[str] = ()) -> None:
        self._ids = set(ids)
        self.holds: Source = lambda ids: not self._ids.isdisjoint(ids)
        """True if one of some ids is among them."""

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, ids: Collection[str]) -> None:
        """Add some."""
        self._ids.update(ids)

    def clear(self) -> None:
        """Forget all."""
        self._ids.clear()


EVERYWHERE = Suppressed()
"""Ids that all handlers keep back, by `suppress()`."""


def checked_ids(ids: Iterable[Any]) -> list[str]:
    """Ids as events have them.

    Raises:
        InvalidEventError: One of them is none.
    """
    return [normalise_id(f"suppress: id {number}", one) for number, one in enumerate(ids, 1)]
