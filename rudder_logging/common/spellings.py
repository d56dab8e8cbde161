"""Names that are known however they are spelt: a key's case and separators make no difference."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize
from urllib.parse import unquote_plus

__all__ = ["Names", "normalised"]

_SEPARATORS = re.compile(r"[\W_]+")
_ESCAPED = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_MOST_ENCODINGS = 3  # one within another
_MOST_REMEMBERED = 10_000
_LONGEST_REMEMBERED = 256  # characters


def normalised(key: str) -> str:
    """A key without case and separators: `Card-Number`, `cardNumber` and `card_number` are one."""
    return _SEPARATORS.sub("", normalize("NFKC", key).casefold())


class Names:
    """Tells which spellings mean one of some keys.

    An app has few spellings, and all its events have them. So they are kept: to look up those that
    mean none takes one step for all keys of a dict.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = frozenset(map(normalised, keys))
        self._known: set[str] = set()
        self._harmless: set[str] = set()
        self.are_harmless = self._harmless.issuperset
        """True if all of some spellings are known to mean none of the keys. False: look closer."""

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __or__(self, other: Names) -> Names:
        both = Names(())
        both._keys = self._keys | other._keys
        return both

    def mean(self, key: str) -> bool:
        """Tell if a key, spelt so, is one of them."""
        if key in self._harmless:
            return False
        if key in self._known:
            return True
        is_one = self._has(key)
        spellings = self._known if is_one else self._harmless
        if len(key) <= _LONGEST_REMEMBERED and len(spellings) < _MOST_REMEMBERED:
            spellings.add(key)
        return is_one

    def mean_in_text(self, name: str) -> bool:
        """Tell if a name in a text is one of them: a parameter of a query, say."""
        for _ in range(_MOST_ENCODINGS):
            name = unquote_plus(name)
        if "\\" in name:  # JSON's way with what is not ASCII
            name = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)
        return self._has(name)

    def _has(self, key: str) -> bool:
        if normalised(key) in self._keys:
            return True
        # As forms name what is nested: `user[password]`.
        return "[" in key and any(normalised(part) in self._keys for part in key.split("["))
