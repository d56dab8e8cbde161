"""Query strings: of all that stands in one, an event gets the allowed names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote_plus, unquote_plus, urlsplit

from .text import MOST_READ, clean

__all__ = ["campaign_of", "filtered", "referrer_of", "search_of", "url_of", "utm_names"]

Pairs = list[tuple[str, str]]

_MOST_PAIRS = 100
_UTM = "utm_"
utm_names = re.compile(_UTM + "[a-z0-9_]{1,32}").fullmatch
_HOST = re.compile(r"[A-Za-z0-9._~-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_stands_for_itself = re.compile("[A-Za-z0-9_.~-]*").fullmatch


def filtered(query: str, is_allowed: Callable[[str], object], most: int) -> Pairs:
    """Names that are allowed, with their values, as a query string has them."""
    read = query[:MOST_READ]
    pieces = read.split("&", _MOST_PAIRS)
    if len(pieces) > _MOST_PAIRS or len(read) < len(query):
        pieces.pop()  # it is not whole
    pairs = []
    for piece in pieces:
        name, _, value = piece.partition("=")
        if is_allowed(name := _decoded(name)):
            text = clean(_decoded(value), most)
            if text:
                pairs.append((name, text))
    return pairs


def campaign_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`context.campaign`, as the browser's SDK makes it: the last of several wins."""
    names = ((name.removeprefix(_UTM), value) for name, value in pairs if utm_names(name))
    return {"name" if name == "campaign" else name: value for name, value in names}


def search_of(pairs: Pairs) -> str:
    """Text of the pairs, with `?` before it; nothing, if there are none."""
    texts = [f"{_encoded(name)}={_encoded(value)}" for name, value in pairs]
    return f"?{'&'.join(texts)}" if texts else ""


# Few names and values have anything to decode or encode: to look first saves 5 % of what a
# request's first event costs.


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _encoded(text: str) -> str:
    return text if _stands_for_itself(text) else quote_plus(text, errors="replace")


def url_of(scheme: str, host: str | None, path: str, search: str, most: int) -> str | None:
    """A URL that ends as `search_of` says; None: there is no host, or it is none."""
    if not (host and _HOST.fullmatch(host) and _SCHEME.fullmatch(scheme)):
        return None
    return clean(f"{scheme}://{host}{path}{search}", most)


def referrer_of(header: str | None, is_allowed: Callable[[str], object], most: int) -> str | None:
    """A referrer with the allowed names only, and nobody's password; None: it is no URL."""
    try:
        parts = urlsplit(clean(header, MOST_READ) or "")
    except ValueError:  # brackets that are no IPv6 address
        return None
    search = search_of(filtered(parts.query, is_allowed, most))
    return url_of(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, search, most)
