"""The events that go through the relay: as a shop's apps log them, of many users.

They repeat themselves, but for number, id and time, after so many that no compression sees it.
"""

from __future__ import annotations

import logging
from typing import Any

from rudder_logging import RudderFormatter

__all__ = ["USERS", "event", "message", "message_bytes"]

USERS = 9_999
"""Each has events of one sort."""
_WORDS = ("Northern", "Little", "Golden", "Silent", "Modern", "Winter", "Paper", "Harbour")
_THINGS = ("Atlas", "Garden", "Letters", "Kitchen", "Machine", "Island", "Orchestra", "Cities")
_SECTIONS = ("books", "games", "kitchen", "garden", "music", "travel")
_PATHS = ("newsletter/2026-11", "search", "start page", "wish list", "recommendation")


def _scattered(n: int) -> int:
    """A number that looks like chance, and is the same in each run."""
    return n * 2_654_435_761 % 4_294_967_291


def _title(number: int) -> str:
    return f"{_WORDS[number % 8]} {_THINGS[number // 8 % 8]} {number % 97}"


def _read(number: int) -> dict[str, Any]:
    return {
        "article_id": f"a-{number % 90_000}",
        "title": _title(number),
        "section": _SECTIONS[number % 6],
        "referrer": _PATHS[number % 5],
        "words": number % 3_000,
        "seconds": number % 600 / 10,
        "subscriber": number % 3 == 0,
        "language": "en",
    }


def _viewed(number: int) -> dict[str, Any]:
    return {
        "product_id": f"{number:024x}",
        "sku": f"{number % 9_999:04}-{number % 997:03}",
        "name": _title(number),
        "category": _SECTIONS[number % 6],
        "price": number % 9_900 / 100,
        "currency": "EUR",
        "position": number % 40,
    }


def _ordered(number: int) -> dict[str, Any]:
    return {
        "order_id": f"o-{number % 1_000_000}",
        "affiliation": "Web Store",
        "revenue": number % 30_000 / 100,
        "shipping": number % 900 / 100,
        "currency": "EUR",
        "coupon": _WORDS[number % 8].upper(),
        "items": number % 9 + 1,
    }


_KINDS = (("Article Read", _read), ("Product Viewed", _viewed), ("Order Completed", _ordered))


def _variant(n: int) -> tuple[str, str, dict[str, Any], str]:
    number = _scattered(n)
    line, properties = _KINDS[n % len(_KINDS)]
    return line, f"customer-{number % 10_000_000}", properties(number), f"203.0.113.{number % 250}"


_POOL = [_variant(n) for n in range(USERS)]


def event(n: int) -> tuple[str, dict[str, Any]]:
    """Event number `n`: its line, and its `extra["rudder"]`, made anew as an app's call does."""
    line, user, properties, ip = _POOL[n % USERS]
    return line, {"user_id": user, "properties": {"n": n, **properties}, "context": {"ip": ip}}


def message(n: int, **fields: Any) -> bytes:
    """It as the message that is sent; `fields` in place of its own."""
    line, own = event(n)
    record = logging.makeLogRecord({"msg": line, "rudder": {**own, **fields}})
    return RudderFormatter().format(record).encode()


def message_bytes() -> int:
    """The mean size of a message."""
    return round(sum(len(message(n)) for n in range(1_000)) / 1_000)
