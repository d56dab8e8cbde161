"""Text that a client wrote: without control characters, and no longer than it may be."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

__all__ = ["MOST_READ", "best_locale", "clean", "path_of"]

MOST_READ = 8192
"""Characters of a header that are looked at. Servers take headers of 8 to 64 KiB."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_SAFE_IN_A_PATH = "/:@!$&'()*+,;=~"
_CUT_ESCAPE = re.compile("%[0-9A-F]?$")
_LANGUAGE = re.compile("[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3}")
_MOST_LANGUAGES = 20


def clean(text: str | None, most: int) -> str | None:
    """Text without control characters, cut to so many; None: there is nothing left."""
    if text is None:
        return None
    return _printed(text[:MOST_READ]).strip()[:most].strip() or None


def _printed(text: str) -> str:
    # Most text has none of them, which is told in a third of the time.
    return text if text.isprintable() else _CONTROL.sub("", text)


def path_of(path: str, most: int) -> str:
    """A decoded path as browsers show it: encoded."""
    encoded = quote(_printed(path[:MOST_READ]), _SAFE_IN_A_PATH)
    return encoded if len(encoded) <= most else _CUT_ESCAPE.sub("", encoded[:most])


@lru_cache(maxsize=64)  # an app's visitors send few
def best_locale(accept_language: str | None) -> str | None:
    """The language that a client likes best; the first of several."""
    best, best_quality = None, 0.0
    for item in (accept_language or "")[:MOST_READ].split(",", _MOST_LANGUAGES)[:_MOST_LANGUAGES]:
        language, _, parameters = item.strip().partition(";")
        quality = _quality_of(parameters)
        if quality > best_quality and _LANGUAGE.fullmatch(language.strip()):
            best, best_quality = language.strip(), quality
    return best


def _quality_of(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0
