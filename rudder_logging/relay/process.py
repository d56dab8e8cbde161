"""The relay process: many sources in one, until it is told to stop or nothing is left."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Literal

from ..common.clock import monotonic
from .feed import Feed
from .source import Lag

__all__ = ["Relay"]

_TICK = 1.0
_LAG_SECONDS = 5.0
_SECONDS_BETWEEN_LINES = 60.0
_SECONDS_BETWEEN_LINES_OF_A_DRAIN = 10.0
_LOOKS_AT_NOTHING = 2  # in a row, for a source to count as empty

_Signal = Literal["stop", "renew"]


class Relay:
    """Runs feeds.

    Args:
        feeds: One for each source.
        shutdown_timeout: Seconds that uploads have to come to their end.
        tell: Takes lines on how it goes.
        drains: End once no source has events any more.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        *,
        shutdown_timeout: float,
        tell: Callable[[str], object],
        drains: bool = False,
    ) -> None:
        self._feeds = feeds
        self._shutdown_timeout = shutdown_timeout
        self._tell = tell
        self._drains = drains
        # It may be put into by a signal handler, whatever that has interrupted.
        self._signals: queue.SimpleQueue[_Signal] = queue.SimpleQueue()
        self._told: dict[str, int] = {}  # events settled, by source
        self.is_drained = False
        """True if it has ended because nothing was left."""
        self.unanswered = 0
        """Uploads whose answer had not come when it ended."""

    def stop(self) -> None:
        """Have it end, from any thread or signal handler."""
        self._signals.put("stop")

    def renew_keys(self) -> None:
        """Have the files of write keys read again; from any thread or signal handler."""
        self._signals.put("renew")

    def run(self) -> None:
        """Deliver until it is stopped, or drained."""
        for feed in self._feeds:
            feed.start()
        try:
            self._attend()
        finally:
            self._end()

    def _attend(self) -> None:
        period = _SECONDS_BETWEEN_LINES_OF_A_DRAIN if self._drains else _SECONDS_BETWEEN_LINES
        tell_at = monotonic() + period
        looks_at_nothing = 0
        while (signal := self._next_signal()) != "stop":
            for feed in self._feeds:
                feed.tend()
                if signal == "renew":
                    feed.renew_key()
            is_due = monotonic() >= tell_at
            if not (is_due or self._drains or any(feed.reports.is_stuck for feed in self._feeds)):
                continue
            lags = self._lags()
            if is_due:
                tell_at = monotonic() + period
                self._tell_progress(lags)
            looks_at_nothing = looks_at_nothing + 1 if self._is_empty(lags) else 0
            if self._drains and looks_at_nothing >= _LOOKS_AT_NOTHING:
                self.is_drained = True
                return

    def _next_signal(self) -> _Signal | None:
        with contextlib.suppress(queue.Empty):
            return self._signals.get(timeout=_TICK)
        return None

    def _lags(self) -> list[Lag | None]:
        deadline = monotonic() + _LAG_SECONDS
        results = [feed.lag_reader.begin() for feed in self._feeds]
        return [result(deadline) for result in results]

    def _is_empty(self, lags: Sequence[Lag | None]) -> bool:
        return all(
            lag is not None and not lag.events and not feed.is_busy
            for feed, lag in zip(self._feeds, lags, strict=True)
        )

    def _tell_progress(self, lags: Sequence[Lag | None]) -> None:
        for feed, lag in zip(self._feeds, lags, strict=True):
            total = sum(feed.ledger.settled().values())
            if total != self._told.get(feed.name, 0) or (lag is not None and lag.events):
                self._told[feed.name] = total
                self._tell(summary(feed, lag))

    def _end(self) -> None:
        deadline = monotonic() + self._shutdown_timeout
        for feed in self._feeds:
            feed.stop()
        unanswered = [0] * len(self._feeds)

        def finish(at: int) -> None:
            unanswered[at] = self._feeds[at].finish(deadline)

        # At the same time: an engine that is away must not keep others' shards from other relays.
        threads = [
            threading.Thread(target=finish, args=(at,), daemon=True)
            for at in range(len(self._feeds))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()) + _LAG_SECONDS)
        self.unanswered = sum(unanswered)


def summary(feed: Feed, lag: Lag | None) -> str:
    """Numbers of a source in words."""
    settled = feed.ledger.settled()
    parts = [f"{settled['delivered']:,} delivered"]
    if settled["refused"]:
        parts.append(f"{settled['refused']:,} refused")
    parts += [f"{number:,} dropped ({reason})" for reason, number in feed.ledger.dropped().items()]
    if lag is not None:
        age = f" (the oldest for {lag.seconds:.0f} s)" if lag.events else ""
        parts.append(f"{lag.events:,} wait{age}")
    shards = "" if feed.is_stopped else f"; {feed.shards} shards are this relay's"
    return f"{feed.name}: {', '.join(parts)}{shards}"
