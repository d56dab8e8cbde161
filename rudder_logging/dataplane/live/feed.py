"""The last entries, in bounded memory, for any number of readers."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import time
from typing import Any

from ..inbox import Inbox, ReceivedRequest
from .entries import KINDS, Entry, Judge, entries_of, is_probe

__all__ = ["MAX_BYTES", "MAX_ENTRIES", "Batch", "Feed"]

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024

_BATCH_ENTRIES = 1_000
_BATCH_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Batch:
    """Entries that a reader has not seen yet, or the first of them.

    Args:
        first: The first entry's number; they count up from there.
        entries: Oldest first.
        skipped: Number of entries that were forgotten before this reader came to them.
        cleared: Number of `clear` calls; entries that a reader has from before are void.
        counts: Number of entries since the last `clear`, by kind.
        is_last: There is no more at the moment.
    """

    first: int
    entries: Sequence[Entry]
    skipped: int
    cleared: int
    counts: Mapping[str, int]
    is_last: bool

    @property
    def next(self) -> int:
        """Number of the entry to go on with."""
        return self.first + len(self.entries)


class Feed(Inbox):
    """An inbox that keeps what the page shows, and only the last of it.

    Args:
        judges: Makes the checks that say something of each event, and anew at each `clear`.
        max_entries: How many it keeps.
        max_bytes: How large they may be together; the last one is kept whatever its size.
    """

    def __init__(
        self,
        judges: Callable[[], Sequence[Judge]] = tuple,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__()
        self._make_judges, self._judges = judges, judges()
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._next = 0
        self._cleared = self._cleared_at = 0
        self._counts = dict.fromkeys(KINDS, 0)
        self._lock = threading.Lock()
        self.requests_seen = 0
        """Number of requests since the start; `clear` leaves it."""
        self.events_seen = 0
        """Number of events that were stored, as `requests_seen`."""
        self.refusals_seen = 0
        """Number of requests that were refused, as `requests_seen`."""

    def add(self, request: ReceivedRequest, events: tuple[dict[str, Any], ...]) -> None:
        """Keep the entries of a request; the request itself is not kept.

        Empty uploads of the doctor, or of a handler that waits, harm nothing: they are not shown.
        """
        if is_probe(request):
            return
        entries = entries_of(request, events, self._judges, time())
        with self._lock:
            self.requests_seen += 1
            self.events_seen += len(events)
            self.refusals_seen += not events
            for entry in entries:
                self._entries.append(entry)
                self._bytes += len(entry.shown)
                self._counts[entry.kind] += 1
            self._next += len(entries)
            while len(self._entries) > self.max_entries or (
                self._bytes > self.max_bytes and len(self._entries) > 1
            ):
                self._bytes -= len(self._entries.popleft().shown)

    def after(self, number: int) -> Batch:
        """The entries from this number on: as many as make a batch, perhaps none."""
        with self._lock:
            oldest = self._next - len(self._entries)
            first = max(number, oldest)
            entries: list[Entry] = []
            size = 0
            for entry in islice(self._entries, first - oldest, first - oldest + _BATCH_ENTRIES):
                size += len(entry.shown)
                if entries and size > _BATCH_BYTES:
                    break
                entries.append(entry)
            counts = dict(self._counts)
            skipped = max(0, first - max(number, self._cleared_at))
            is_last = first + len(entries) == self._next
            return Batch(first, entries, skipped, self._cleared, counts, is_last)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events held, oldest first."""
        with self._lock:
            entries = list(self._entries)
        return [json.loads(message) for entry in entries if (message := entry.message)]

    def clear(self) -> None:
        """Forget all entries. Numbers go on, so that readers notice."""
        with self._lock:
            self._judges = self._make_judges()  # what one compares with is gone
            self._entries.clear()
            self._bytes = 0
            self._cleared += 1
            self._cleared_at = self._next
            self._counts = dict.fromkeys(KINDS, 0)
