"""The relay's health: does it get on with its work, and could it begin to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..common.clock import monotonic
from .feed import Feed

__all__ = ["Health"]

_SECONDS = 60.0
_LAG_SECONDS = 2.0


class Health:
    """Looks at the feeds of a relay.

    It is well if something was settled within so many seconds, or if there is nothing to do. It is
    not if an engine is away, if no source gets on, or if a lane does nothing at all any more: its
    shards would wait for ever, beside others that get on.

    Args:
        feeds: The sources' ways.
        seconds: For how long nothing may be settled.
    """

    def __init__(self, feeds: Sequence[Feed], *, seconds: float = _SECONDS) -> None:
        self._feeds = feeds
        self._seconds = seconds
        self._began = monotonic()

    def healthy(self) -> tuple[bool, dict[str, Any]]:
        """Tell if it gets on, and what is wrong with which source."""
        now = monotonic()
        faults = {feed.name: self._fault(feed, now) for feed in self._feeds}
        stuck = [name for name, fault in faults.items() if fault]
        busy = [feed.name for feed in self._feeds if feed.is_busy]
        is_broken = any(self._breakdown(feed, now) for feed in self._feeds)
        is_well = not (is_broken or (stuck and all(name in stuck for name in busy)))
        return is_well, self._shown(faults)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Tell if all engines answer, and it is known whose shards are whose."""
        deadline = monotonic() + _LAG_SECONDS
        looks = [(feed, feed.lag_reader.begin()) for feed in self._feeds]
        faults: dict[str, str | None] = {}
        for feed, result in looks:
            fault = feed.engine.fault
            if fault is None and result(deadline) is None:
                fault = feed.engine.fault or "the engine does not answer in time"
            elif fault is None and not feed.has_looked:
                fault = "its shards are not looked at yet"
            faults[feed.name] = fault
        return not any(faults.values()), self._shown(faults)

    def _fault(self, feed: Feed, now: float) -> str | None:
        return self._breakdown(feed, now) or self._standstill(feed, now)

    def _breakdown(self, feed: Feed, now: float) -> str | None:
        """Anything that a start anew might mend, or that stops the whole source."""
        if feed.engine.fails and now - feed.engine.since >= self._seconds:
            return f"the engine is of no use: {feed.engine.fault}"
        longest = self._seconds + 2 * feed.timeout
        wedged = [lane for lane in feed.lanes if now - lane.moved_at >= longest]
        if wedged:
            return f"{len(wedged)} of {len(feed.lanes)} lanes do nothing any more"
        return None

    def _standstill(self, feed: Feed, now: float) -> str | None:
        """No lane gets on, though there are events."""
        since = feed.waiting_since
        waited = 0.0 if since is None else now - max(since, feed.settled_at)
        if since is None or waited < self._seconds:
            return None
        return feed.reports.fault or f"nothing was delivered for {waited:.0f} s"

    def _shown(self, faults: dict[str, str | None]) -> dict[str, Any]:
        sources = {}
        for feed in self._feeds:
            sources[feed.name] = {
                "fault": faults[feed.name],
                "shards": feed.shards,
                "idle": feed.is_idle,
                "holding": feed.is_held,
                "lanes_replaced": feed.lanes_replaced,
            }
        return {"sources": sources}
