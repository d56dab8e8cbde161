"""Types that a tracking plan says of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..exceptions import ConfigError
from .columns import type_of
from .plan import PlannedEvent, TrackingPlan
from .shapes import ANYTHING, Array, Object, Part, Reader, Value

__all__ = ["PlannedTypes"]

_MOST_PLACES = 10_000
_TYPES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("boolean",),
    "date": ("datetime",),
    "date-time": ("datetime",),
    "integer": ("int",),
    "number": ("float", "int"),
    "string": ("string", "datetime"),
}
"""By JSON Schema's types, and by formats of strings that a warehouse takes for moments."""


class PlannedTypes:
    """The types that a plan allows, by place.

    Args:
        plan: The plan; None: there is none.
    """

    def __init__(self, plan: TrackingPlan | None) -> None:
        self._plan = plan
        self._known: dict[tuple[str, ...], frozenset[str]] = {}

    @property
    def source(self) -> str:
        """The plan's name."""
        return self._plan.name if self._plan else "the plan"

    def at(self, message: Mapping[str, Any], keys: tuple[str, ...]) -> frozenset[str]:
        """Types of a place in a message like this; empty: the plan says none.

        Args:
            message: Of which type and name count only.
            keys: The way to the place, as in `("properties", "total")`.
        """
        entry = self._plan.entry_of(message) if self._plan else None
        if entry is None:
            return frozenset()
        place = (entry.where, *keys)
        found = self._known.get(place)
        if found is None:
            found = _types(entry, keys)
            if len(self._known) < _MOST_PLACES:
                self._known[place] = found
        return found


def _types(entry: PlannedEvent, keys: tuple[str, ...]) -> frozenset[str]:
    if entry.is_of_details:
        if keys[0] == "context":
            return frozenset()
        keys = keys[1:]
    try:
        found = _below(entry, keys)
        if not found and keys[0] == "traits":
            found = _below(entry, ("context", *keys))  # as RudderStack's own plans have it
    except ConfigError:  # a `$ref` leads to itself
        return frozenset()
    return found


def _below(entry: PlannedEvent, keys: tuple[str, ...]) -> frozenset[str]:
    parts = Reader(entry.document, entry.where).shape(entry.document)
    for key in keys:
        each = [part.fields.get(key) for part in parts if isinstance(part, Object)]
        if None in each:
            return frozenset()  # an alternative says nothing of it
        parts = tuple(part for field in each if field for part in field.shape)
    if any(part in ANYTHING for part in parts):
        return frozenset()
    return frozenset(kind for part in parts for kind in _of_part(part))


def _of_part(part: Part) -> Iterator[str]:
    if isinstance(part, Value):
        kind = type_of(part.value)
        yield from [kind] if kind else []
    elif isinstance(part, (Array, Object)):
        yield "string" if isinstance(part, Array) else "mapping"
    else:
        yield from _TYPES.get(part.format) or _TYPES.get(part.type, ())
