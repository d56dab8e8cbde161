"""Redaction: values that must not leave are removed, masked or hashed, at every level.

It looks at private copies with nothing in them but what JSON has, so at what will be on the wire:
see `events/encoding.py`. An event's ids, its type and its name are not its business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal
from urllib.parse import quote_plus, unquote_plus

import orjson

from ..events.defaults import Defaults
from ..events.encoding import JSON_OPTIONS
from .hashing import Hasher, names_to_hash, places_of_ids
from .keys import Names

__all__ = ["MASK", "Action", "Redaction"]

Action = Literal["remove", "mask", "hmac"]
MASK = "***"
"""The value in place of one that is masked."""

_BACKSLASH, _PERCENT = b"\\%"
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

_PARAMETER = re.compile(r"""(^|[?&#;\s"'(,])([^?&#;\s"'(,=]{1,256})=""", re.ASCII)
"""The beginning of a parameter, which begins a query or follows another one."""
_END_OF_VALUE = re.compile(r"""[&#\s"']|;(?=[^?&#;\s=]{1,256}=)|$""", re.ASCII)
_BACKWARDS = re.compile(rb"""=([^?&#;\s"'(,=]{1,256})(?=[?&#;\s"'(,])""")
"""The same in a message's bytes, read backwards: to look for an equals sign is quick. There a text
begins with a quotation mark."""
_MOST_KEPT, _LONGEST_KEPT = 1_000, 512
_DEEPEST_QUERY = 3  # a query within a parameter's value, within another's
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
        self._harmless_texts: set[bytes] = set()
        """Parts of messages, from the text with the first parameter to the last one's name. They
        come again, as an app has few pages: without these, a call with two URLs cost 5 % more."""

    def hasher(self) -> Hasher:
        """Make the hasher of one event."""
        return Hasher(self._hmac_key)

    def event(self, event: dict[str, Any], hashed: Hasher) -> None:
        """Redact an event as it is on the wire, in place."""
        self.ids(event, hashed)
        for key in event.keys() - _UNTOUCHED:
            if self._names.mean(key):
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
            return self._text(value, hashed, 0)
        if kind is dict:
            self.level(value, hashed)
            items: Iterable[tuple[Any, Any]] = value.items()
        elif kind is list:
            items = enumerate(value)
        else:
            return value
        for key, item in items:
            kind = type(item)
            if kind is str:
                if "=" in item or self._patterns:
                    value[key] = self._text(item, hashed, 0)
            elif kind is dict or kind is list:
                self.tree(item, hashed)
        return value

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

    def may_concern_queries(self, message: bytes, first: int) -> bool:
        """Tell if a message has parameters of queries that are to be redacted.

        Args:
            message: What is written in it with escapes is to be looked at closer.
            first: Where it has an equals sign.
        """
        # From the last one to the beginning of the text that has the first one.
        text = message[message.rfind(b'"', 0, first) : message.rfind(b"=") + 1]
        if _PERCENT in message and b"%3" in message:
            return True
        if text in self._harmless_texts:
            return False
        if _BACKSLASH in text:
            return True
        names = _BACKWARDS.findall(text[::-1])
        if any(map(self._means_backwards, names)):
            return True
        if len(text) <= _LONGEST_KEPT and len(self._harmless_texts) < _MOST_KEPT:
            self._harmless_texts.add(text)
        return False

    def _means_backwards(self, name: bytes) -> bool:
        return self._keys.mean_in_query(name[::-1].decode("utf-8", "replace"))

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

    def _text(self, text: str, hashed: Hasher, depth: int) -> str:
        if "=" in text and self._keys:
            text = self._without_parameters(text, hashed, depth)
        for replaced in self._patterns:
            text = replaced(lambda part: self._part(part, hashed), text)
        return text

    def _without_parameters(self, text: str, hashed: Hasher, depth: int) -> str:
        parts: list[str] = []
        done = 0
        for found in _PARAMETER.finditer(text):
            if found.start(2) < done:  # it is within a value that was redacted
                continue
            end = _END_OF_VALUE.search(text, found.end()).start()  # type: ignore[union-attr]
            value = text[found.end() : end]
            if self._keys.mean_in_query(found[2]):
                parts.append(text[done : found.start(2)])
                if self._action != "remove":
                    parts.append(f"{found[2]}={self._part(unquote_plus(value), hashed)}")
                elif text[end : end + 1] == "&":
                    end += 1  # of those on both sides of it, one is enough
                else:
                    parts[-1] = parts[-1].removesuffix("&")
                done = end
            elif depth < _DEEPEST_QUERY and "%3d" in value.lower():
                inner = unquote_plus(value)
                redacted = self._text(inner, hashed, depth + 1)
                if redacted != inner:
                    parts += text[done : found.end()], quote_plus(redacted)
                    done = end
        return "".join([*parts, text[done:]]) if done else text

    def _part(self, part: str, hashed: Hasher) -> str:
        if self._action == "hmac":
            return str(hashed(part))
        return MASK if self._action == "mask" else ""
