"""Events that may leave at all, and the parts of them that may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["ANY", "EventChoice", "Paths", "first_named", "name_of_event"]

ANY = "*"
_PLACES = ("properties", "traits")


def name_of_event(event: Mapping[str, Any]) -> str:
    """The name by which options speak of an event: its own, or else that of its type."""
    kind = str(event.get("type"))
    key = {"track": "event", "page": "name", "screen": "name"}.get(kind)
    return str((event.get(key) if key else None) or kind)


@lru_cache(maxsize=1_000)
def _matcher(name: str) -> Callable[[str], object]:
    # Brackets and question marks are parts of names.
    return re.compile(".*".join(map(re.escape, name.split(ANY))), re.DOTALL).fullmatch


class EventChoice:
    """Tells if events may leave, by their names. `*` in a name stands for any text.

    Args:
        allowed: Those that may; None: all.
        denied: Those that may not, even if they are allowed.
    """

    def __init__(self, allowed: Iterable[str] | None, denied: Iterable[str]) -> None:
        self._allowed = None if allowed is None else [_matcher(name) for name in allowed]
        self._denied = [_matcher(name) for name in denied]

    def admits(self, name: str) -> bool:
        """Tell if events of that name may leave."""
        if any(matches(name) for matches in self._denied):
            return False
        return self._allowed is None or any(matches(name) for matches in self._allowed)


def first_named(entries: Mapping[str, Any], name: str) -> Any:
    """The entry for an event's name: its own, else the first with `*` that fits; else None."""
    if name in entries:
        return entries[name]
    return next((entries[one] for one in entries if ANY in one and _matcher(one)(name)), None)


class Paths:
    """The properties, or traits, that may leave with an event.

    Args:
        paths: As in `products[].sku`. A path to a container allows all that is in it.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._tree: dict[str, Any] = {}
        for path in paths:
            level = self._tree
            *parents, last = path.replace("[]", ".[]").split(".")
            for key in parents:
                level = level.setdefault(key, {})
                if level is _ALL:
                    break
            else:
                level[last] = _ALL

    def keep(self, event: dict[str, Any]) -> None:
        """Take out of an event all the others."""
        for place in _PLACES:
            if place in event:
                event[place] = _kept(event[place], self._tree)
        context = event.get("context")
        if isinstance(context, dict) and "traits" in context:
            context["traits"] = _kept(context["traits"], self._tree)


_ALL: dict[str, Any] = {}


def _kept(value: Any, allowed: dict[str, Any]) -> Any:
    if allowed is _ALL:
        return value
    if type(value) is dict:
        kept = {key: _kept(value[key], allowed[key]) for key in value if key in allowed}
        return {key: item for key, item in kept.items() if item is not _NOTHING}
    if type(value) is list and "[]" in allowed:
        items = (_kept(item, allowed["[]"]) for item in value)
        return [item for item in items if item is not _NOTHING]
    return _NOTHING


_NOTHING = object()
