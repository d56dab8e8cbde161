"""From the feed to one open page: server-sent events, in batches."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson

from .feed import Batch, Feed

__all__ = ["PERIOD", "Stream"]

PERIOD = 0.1
"""Seconds between two batches, so that a page draws ten times a second at most."""

_BEATS = 100  # periods of silence, after which a line shows whether anybody still reads


class Stream:
    """The stream that open pages read.

    Args:
        feed: The source of entries.
        state: Returns the switches' state, which is sent anew when it changed.
    """

    def __init__(self, feed: Feed, state: Callable[[], Mapping[str, Any]]) -> None:
        self._feed = feed
        self._state = state
        # Numbers of an earlier server on the same port mean nothing here.
        self._session = secrets.token_hex(4)

    def place_of(self, event_id: str) -> int:
        """Number of the entry with which a page goes on that was cut off after a message."""
        session, _, number = event_id.partition(".")
        return int(number) if session == self._session and number.isdecimal() else 0

    async def read(self, place: int, released: asyncio.Event) -> AsyncIterator[bytes]:
        """Messages for one page, until `released`."""
        yield b"retry: 1000\n\n"
        state: Mapping[str, Any] | None = None
        cleared = silence = 0
        while not released.is_set():
            batch = self._feed.after(place)
            silence += 1
            if state != (state := self._state()):
                yield b"event: state\ndata: " + json.dumps(state).encode() + b"\n\n"
            if batch.entries or batch.cleared != cleared or place == 0:
                place, cleared, silence = batch.next, batch.cleared, 0
                yield self._message(batch)
                if not batch.is_last:
                    continue
            elif silence >= _BEATS:
                silence = 0
                yield b":\n\n"
            try:
                await asyncio.wait_for(released.wait(), PERIOD)
            except asyncio.TimeoutError:
                continue

    def _message(self, batch: Batch) -> bytes:
        head = {
            "session": self._session,
            "first": batch.first,
            "skipped": batch.skipped,
            "cleared": batch.cleared,
            "counts": batch.counts,
            "most": {"entries": self._feed.max_entries, "bytes": self._feed.max_bytes},
        }
        rows = b",".join(entry.shown for entry in batch.entries)
        data = orjson.dumps(head)[:-1] + b',"rows":[' + rows + b"]}"
        event_id = f"{self._session}.{batch.next}".encode()
        return b"id: " + event_id + b"\nevent: batch\ndata: " + data + b"\n\n"
