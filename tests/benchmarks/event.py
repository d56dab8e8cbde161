"""The event that all clients send."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

__all__ = ["EVENT", "USER_ID", "Properties", "message_bytes", "properties", "properties_of"]

Properties = Callable[[int], dict[str, Any]]

EVENT = "Article Read"
USER_ID = "user-4711"


def properties(n: int) -> dict[str, Any]:
    """Those of event number `n`, made anew as an app's call makes them."""
    return {
        "n": n,
        "article_id": "a-58213",
        "title": "The Independence",
        "category": "History",
        "author": "Jane Doe",
        "referrer": "newsletter/2024-11",
        "words": 1843,
        "price": 4.99,
        "subscriber": True,
    }


def properties_of(count: int) -> Properties:
    """What makes so many properties for each event."""
    others = {f"property_{index}": f"value {index}" for index in range(count - 1)}
    return lambda n: {"n": n, **others}


def message_bytes() -> int:
    """What such an event weighs as this package's message, ready to be sent."""
    from rudder_logging import RudderFormatter

    event = {"user_id": USER_ID, "properties": properties(25_000)}
    record = logging.makeLogRecord({"msg": EVENT, "rudder": event})
    return len(RudderFormatter().format(record).encode())
