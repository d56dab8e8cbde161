"""Feeds over shelves, within the tests' own process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from rudder_logging.common.clock import monotonic
from rudder_logging.config import Config
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.relay.feed import Feed
from rudder_logging.relay.keys import WriteKey

from ..conftest import WRITE_KEY
from .shelf import Shelf

PATIENCE = 90.0


def message(number: int, user: str = "u") -> bytes:
    """A message as sinks get it."""
    event: dict[str, Any] = {
        "messageId": f"m{number}",
        "type": "track",
        "event": "Paid",
        "userId": user,
        "properties": {"n": number},
    }
    return json.dumps(event).encode()[:-1]


def messages(number: int) -> list[bytes]:
    """A number of them, all different."""
    return [message(n) for n in range(number)]


def shelf_of(feed: Feed) -> Shelf:
    """The feed's source."""
    assert isinstance(feed.source, Shelf)
    return feed.source


@contextlib.contextmanager
def feeding(
    plane: LocalDataPlane,
    name: str = "shop",
    *,
    key: WriteKey | None = None,
    lanes: int = 4,
    shards: int = 16,
    **options: Any,
) -> Iterator[Feed]:
    """A feed that is running."""
    config = Config.load({}, write_key=WRITE_KEY, **{"data_plane_url": plane.url, **options})
    key = key or WriteKey(name, text=WRITE_KEY)
    feed = Feed(name, config, key, lambda observer: Shelf(observer, shards), lanes=lanes)
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()
        assert feed.finish(monotonic() + PATIENCE) == 0


def until(condition: Any, what: str = "") -> None:
    """Wait for a condition."""
    import time

    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, what or "it did not come to pass"
        time.sleep(0.01)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """Of the events that arrived, in order."""
    return [event["properties"]["n"] for event in events]
