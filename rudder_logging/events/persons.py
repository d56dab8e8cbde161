"""Whose event it is: the ids of a person in one, wherever something asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import orjson

from ..common.spellings import Names

__all__ = ["Matches", "concerns", "concerns_unclosed", "ids_of"]

Matches = Callable[[bytes], bool]
"""Tells if an event, as a line of JSON, is one of some people's."""

_ROOT_IDS = ("userId", "anonymousId", "previousId", "groupId")
_KEYS = Names((*_ROOT_IDS, "mergedId", "distinctId"))
_ID = Names(("id",))
_NUMBERS = re.compile(
    rb'"(?:(?:user|anonymous|previous|group|merged|distinct)?[\W_]*id|value)":\s*(-?\d+)(?![\d.eE])',
    re.IGNORECASE,
)
_MOST_IN_PATTERN = 50  # alternatives, of which each is tried at each byte


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


def concerns(ids: Collection[str]) -> Matches:
    """Lines of events that have one of some ids, in whatever field holds one.

    A line that is no JSON any more does, if it has one of them anywhere, or a number where an id
    stands.
    """
    wanted = frozenset(ids)
    quoted = [orjson.dumps(one) for one in wanted]
    may_match = _search_of(wanted)

    def matches(line: bytes) -> bool:
        if may_match is not None and may_match(line) is None:
            return False
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            numbers = (number.decode() for number in _NUMBERS.findall(line))
            return any(one in line for one in quoted) or not wanted.isdisjoint(numbers)
        return isinstance(event, dict) and not wanted.isdisjoint(ids_of(event))

    return matches


def concerns_unclosed(ids: Collection[str]) -> Matches:
    """Do as `concerns`, for messages as they are queued: short of their closing braces."""
    matches = concerns(ids)
    return lambda message: matches(message + b"}")


def _search_of(ids: Collection[str]) -> Callable[[bytes], object] | None:
    """The search that finds something in each event of theirs; None: they are too many for one.

    An id with a backslash before any of its characters is found by that. Most events have neither,
    and need not be parsed.
    """
    if len(ids) > _MOST_IN_PATTERN:
        return None
    texts = (re.escape(one.encode(errors="replace")) for one in ids)
    return re.compile(b"|".join([*texts, rb"\\"])).search
