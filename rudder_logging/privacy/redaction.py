"""Redaction: values that must not leave are removed, masked or hashed, at every level.

It looks at private copies with nothing in them but what JSON has, so at what will be on the wire:
see `events/encoding.py`. An event's ids, its type and its name are not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import orjson

from ..events.defaults import Defaults
from ..events.encoding import JSON_OPTIONS
from .hashing import Hasher, names_to_hash, places_of_ids
from .keys import Names
from .texts import Texts

__all__ = ["MASK", "Action", "Redaction"]

Action = Literal["remove", "mask", "hmac"]
MASK = "***"
"""The value in place of one that is masked."""

_UNTOUCHED = frozenset(
    {
        "anonymousId",
        "category",
        "channel",
        "event",
        "groupId",
        "mergeProperties",
        "messageId",
        "name",
        "originalTimestamp",
        "previousId",
        "sentAt",
        "timestamp",
        "type",
        "userId",
    }
)
"""Keys at an event's root."""
_PARTS = frozenset({"context", "integrations", "properties", "traits"})
"""Likewise; values are within."""

_NO_HASHER = Hasher(b"")  # where values are not asked for


class Redaction:
    """Redacts events.

    Args:
        keys: Keys whose values must not leave.
        action: The fate of such a value: to be removed, masked or hashed.
        hash_names: Keys, and ids, whose values leave as hashes.
        hmac_key: The key of hashes, if there are any.
        patterns: Of parts of texts that have the same fate as values.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        action: Action = "remove",
        *,
        hash_names: Iterable[str] = (),
        hmac_key: bytes = b"",
        patterns: Iterable[Callable[[Callable[[str], str], str], str]] = (),
    ) -> None:
        self._keys = Names(keys)
        self._hashed = names_to_hash(hash_names)
        self._names = self._keys | self._hashed
        self._action = action
        self._patterns = tuple(patterns)
        self._hmac_key = hmac_key
        self.is_used = bool(self._names or self._patterns)
        """False: it would change nothing."""
        self.asks_names_only = not (self._hashed or self._patterns or action == "hmac")
        """True if no value matters, but only the names of keys and of queries' parameters."""
        self.are_harmless = self._names.are_harmless
        """See `Names.are_harmless`."""
        self.texts = Texts(self._names)
        """Finds what is named in texts."""

    def hasher(self) -> Hasher:
        """Make the hasher of one event."""
        return Hasher(self._hmac_key)

    def event(self, event: dict[str, Any], hashed: Hasher) -> None:
        """Redact an event as it is on the wire, in place."""
        self.ids(event, hashed)
        for key in event.keys() - _UNTOUCHED:
            if key not in _PARTS and self._names.mean(key):
                self._treat(event, key, hashed)
            else:
                event[key] = self.tree(event[key], hashed)

    def ids(self, event: dict[str, Any], hashed: Hasher) -> None:
        """Hash the ids at an event's root, and those of a merge, as far as they are to be."""
        if self._hashed:
            for holder, key in places_of_ids(event, self._hashed):
                holder[key] = hashed(holder[key])

    def hashes_of(self, ids: Iterable[str]) -> list[str]:
        """The hashes that take the places of ids; none, if ids are not hashed."""
        hashed = self.hasher()
        return [hashed(one) for one in ids] if self._hashed else []

    def defaults(self, defaults: Defaults) -> Defaults:
        """Redact what is merged under events."""
        hashed = self.hasher()
        return defaults.edited(lambda copy: self.tree(copy, hashed))

    def message(self, message: bytes, hashed: Hasher | None = None) -> bytes:
        """Redact a message, which lacks its closing brace, as the one returned does."""
        event: dict[str, Any] = orjson.loads(message + b"}")
        self.event(event, hashed or self.hasher())
        return orjson.dumps(event, None, JSON_OPTIONS)[:-1]

    def tree(self, value: Any, hashed: Hasher) -> Any:
        """Redact a value as JSON has it, in place as far as it is a container."""
        kind = type(value)
        if kind is str:
            return self._text(value, hashed)
        if kind is dict:
            self.level(value, hashed)
            self._rename(value, hashed)
            items: Iterable[tuple[Any, Any]] = value.items()
        elif kind is list:
            items = enumerate(value)
        else:
            return value
        for key, item in items:
            kind = type(item)
            if kind is str:
                value[key] = self._text(item, hashed)
            elif kind is dict or kind is list:
                self.tree(item, hashed)
        return value

    def _rename(self, level: dict[str, Any], hashed: Hasher) -> None:
        """Redact keys that are texts themselves: an app may count by URL."""
        if not self._patterns and all(map(str.isidentifier, level)):
            return
        names = {key: self._text(key, hashed) for key in level}
        if any(key != name for key, name in names.items()):
            entries = [(names[key], item) for key, item in level.items()]
            level.clear()
            level.update(entries)

    def level(self, level: dict[Any, Any], hashed: Hasher = _NO_HASHER) -> None:
        """Redact a dict, which nobody else knows, as far as its own keys go.

        Raises:
            TypeError: They have to be made text first.
        """
        if self.are_harmless(level):
            return
        for key in [*level]:
            if type(key) is not str:
                raise TypeError
            if self._names.mean(key):
                self._treat(level, key, hashed)

    def keys_within(self, value: Any) -> None:
        """Redact keys alone, at every level, of a value as JSON has it."""
        if type(value) is dict:
            self.level(value)
            value = value.values()
        for item in value:
            if type(item) is dict or type(item) is list:
                self.keys_within(item)

    def _treat(self, level: dict[str, Any], key: str, hashed: Hasher) -> None:
        if not self._keys.mean(key) or self._action == "hmac":
            level[key] = hashed(level[key])
        elif self._action == "mask":
            level[key] = MASK
        else:
            del level[key]

    def _text(self, text: str, hashed: Hasher) -> str:
        text = self.texts.redacted(text, lambda name, value: self._named(name, value, hashed))
        for replaced in self._patterns:
            edit = partial(replaced, lambda part: self._part(part, hashed) or "")
            text = hashed.around_hashes(text, edit)
        return text

    def _named(self, name: str, value: str, hashed: Hasher) -> str | None:
        is_to_leave = not self._keys.mean_in_text(name)
        return str(hashed(value)) if is_to_leave else self._part(value, hashed)

    def _part(self, part: str, hashed: Hasher) -> str | None:
        if self._action == "hmac":
            return str(hashed(part))
        return MASK if self._action == "mask" else None
