"""Whose event it is: the ids of a person in one, for those who are to be forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import orjson

__all__ = ["Matches", "concerns"]

_KEYS = ("userId", "anonymousId", "previousId")
_NUMBERS = re.compile(rb'"(?:%s|value)":\s*(-?\d+)(?![\d.eE])' % "|".join(_KEYS).encode())

Matches = Callable[[bytes], bool]
"""Tells if a line is to be erased."""


def concerns(ids: Collection[str]) -> Matches:
    """Lines of events that have one of the ids: as the user's, as the old one, or in a merge.

    A whole number there is the id of its digits. A line that is no JSON any more does, if it has
    one of them anywhere, or a number where an id stands.
    """
    wanted = frozenset(ids)
    quoted = [orjson.dumps(one) for one in wanted]

    def matches(line: bytes) -> bool:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            numbers = (number.decode() for number in _NUMBERS.findall(line))
            return any(one in line for one in quoted) or not wanted.isdisjoint(numbers)
        if not isinstance(event, dict):
            return False
        found = [event.get(key) for key in _KEYS]
        merged = event.get("mergeProperties")
        for pair in merged if isinstance(merged, list) else ():
            found += [pair.get("value")] if isinstance(pair, dict) else []
        return not wanted.isdisjoint(map(_id, found))

    return matches


def _id(value: object) -> str | None:
    """A value as an id: an app's `before_send`, say, may have left a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None
