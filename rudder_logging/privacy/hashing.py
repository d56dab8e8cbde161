"""Hashes with a key: who has not got the key can't find a value by hashing all that it may be."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from .keys import Names, normalised

__all__ = ["IDS", "Hasher", "names_to_hash", "places_of_ids"]

IDS = "ids"
"""The name that stands for all ids of a person."""
_OWN_IDS = ("userId", "anonymousId")
_ROOT_IDS = (*_OWN_IDS, "previousId", "groupId")


_HASH = re.compile(rb'"([0-9a-f]{64})"')
_DIGEST = re.compile(r"([0-9a-f]{64})")


class Hasher:
    """Hashes the values of one event. What it has made itself stays as it is the second time.

    Args:
        key: The app's.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._made: set[str] = set()

    def __call__(self, value: Any) -> Any:
        """The hash of a value in hex; of a list, one for each item; of nothing, nothing.

        A number has the hash of its text, as ids are sent as text.
        """
        if value is None:
            return None
        if type(value) is list:
            return [self(item) for item in value]
        if type(value) is str:
            if value in self._made:
                return value
            data = value.encode("utf-8", "replace")
        else:
            data = orjson.dumps(value, None, orjson.OPT_SORT_KEYS)
        digest = hmac.digest(self._key, data, "sha256").hex()
        self._made.add(digest)
        return digest

    def around_hashes(self, text: str, edit: Callable[[str], str]) -> str:
        """Edit a text, but not the hashes in it that were made here."""
        parts = _DIGEST.split(text) if self._made else []
        if self._made.isdisjoint(parts):
            return edit(text)
        return "".join(part if part in self._made else edit(part) for part in parts)

    def leave_hashes_of(self, message: bytes) -> None:
        """Take what looks like a hash in a message for one of these."""
        self._made.update(found.decode() for found in _HASH.findall(message))


def names_to_hash(names: Iterable[str]) -> Names:
    """The keys whose values are hashed: those of all ids, too, if these are named as a whole."""
    given = set(names)
    return Names(given | {*_ROOT_IDS[:3], IDS} if IDS in map(normalised, given) else given)


def places_of_ids(event: dict[str, Any], names: Names) -> Iterable[tuple[dict[str, Any], str]]:
    """Places at an event's root, and in a merge, that hold an id which is to be hashed.

    The old id of an alias is one or the other, so it is hashed with either: it would not be the
    same any more.
    """
    for key in _ROOT_IDS:
        is_old = key == "previousId" and any(map(names.mean, _OWN_IDS))
        if event.get(key) is not None and (is_old or names.mean(key)):
            yield event, key
    for entry in event.get("mergeProperties") or ():
        if names.mean(IDS) or names.mean(str(entry.get("type"))):
            yield entry, "value"
