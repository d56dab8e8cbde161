"""People whose events do not leave, by any of their ids, in every field that holds one."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import orjson

from ..events.fields import normalise_id
from .keys import Names

__all__ = [
    "EVERYWHERE",
    "Source",
    "Suppressed",
    "checked_ids",
    "file_of_ids",
    "function_of_ids",
    "having_one_of",
    "ids_of",
]

Source = Callable[[set[str]], object]
"""Tells if one of some ids is suppressed."""

_ROOT_IDS = ("userId", "anonymousId", "previousId", "groupId")
_KEYS = Names((*_ROOT_IDS, "mergedId", "distinctId"))
_ID = Names(("id",))


def ids_of(event: dict[str, Any]) -> set[str]:
    """All ids that an event has: its own, a merge's, and those named so at any level.

    A number is the id of its digits.
    """
    found = {_text(event.get(key)) for key in _ROOT_IDS}
    merge = event.get("mergeProperties")
    for entry in merge if isinstance(merge, list) else ():
        found.add(_text(entry.get("value")) if isinstance(entry, dict) else None)
    context = event.get("context")
    if isinstance(context, dict):
        external = context.get("externalId")
        for entry in external if isinstance(external, list) else ():
            found.add(_text(entry.get("id")) if isinstance(entry, dict) else None)
        found.update(_named_id_in(context.get("traits")))
    found.update(_named_id_in(event.get("traits")))
    for place in ("context", "properties", "traits"):
        found.update(_within(event.get(place)))
    return {one for one in found if one is not None}


def _named_id_in(traits: Any) -> Iterator[str | None]:
    if isinstance(traits, dict):
        yield from (_text(value) for key, value in traits.items() if _ID.mean(key))


def _within(value: Any) -> Iterator[str | None]:
    if type(value) is dict:
        if not _KEYS.are_harmless(value):
            yield from (_text(item) for key, item in value.items() if _KEYS.mean(key))
        for item in value.values():
            if type(item) is dict or type(item) is list:
                yield from _within(item)
    elif type(value) is list:
        for item in value:
            yield from _within(item)


def _text(value: Any) -> str | None:
    if type(value) is str:
        return value
    return orjson.dumps(value).decode() if type(value) in (int, float) else None


def function_of_ids(function: Callable[..., Any]) -> Source:
    """A source by a function of the app's: one that returns all ids, or one that judges one."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):  # it has a parameter; or it does not tell, as some of C's
        return lambda ids: any(function(one) for one in ids)
    return lambda ids: not ids.isdisjoint(function())


def file_of_ids(path: str) -> Source:
    """A source by a file with an id on each line. It is read again when it has changed."""
    return _File(path).holds


class _File:
    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[object, frozenset[str]] = (None, frozenset())

    def holds(self, ids: set[str]) -> bool:
        status = os.stat(self._path)  # noqa: PTH116
        mark = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
        read = self._read
        if read[0] != mark:
            with open(self._path, encoding="utf-8") as file:  # noqa: PTH123
                read = self._read = mark, frozenset(filter(None, map(str.strip, file)))
        return not ids.isdisjoint(read[1])


def having_one_of(ids: Collection[str]) -> Callable[[bytes], bool]:
    """Make what tells if a message, short of its closing brace, has one of some ids."""

    def has_one(message: bytes) -> bool:
        return not ids_of(orjson.loads(message + b"}")).isdisjoint(ids)

    return has_one


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
