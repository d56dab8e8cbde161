"""Retry policy: when to try again, and when to tell of failures. No clock, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Patience", "RetryPolicy", "Trouble"]


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter; all durations in seconds.

    Args:
        base: The longest wait before the first retry; it doubles with each.
        cap: The longest wait of all.
        retry_after_cap: The longest wait that a server's Retry-After can ask for.
        max_retries: Retries before giving up; None: never give up.
        probe_base: The wait before the first probe while events are held. The gateway reads
            its sources every 5 s, so an earlier one can't tell anything new.
        probe_cap: The longest wait between probes.
    """

    base: float = 0.5
    cap: float = 60.0
    retry_after_cap: float = 300.0
    max_retries: int | None = None
    probe_base: float = 5.0
    probe_cap: float = 60.0

    def delay(
        self, attempt: int, fraction: float, retry_after: float | None = None
    ) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        Args:
            attempt: How many attempts have failed, from 1.
            fraction: Of the longest wait, in [0, 1): the jitter, drawn by the caller.
            retry_after: What the server asked for: no shorter wait than that.
        """
        if self.max_retries is not None and attempt > self.max_retries:
            return None
        delay = fraction * _doubled(self.base, attempt, self.cap)
        if retry_after is not None:
            delay = max(delay, min(retry_after, self.retry_after_cap))
        return delay

    def probe_delay(self, attempt: int, fraction: float) -> float:
        """Seconds to wait before the next probe of a configuration fault.

        Args:
            attempt: How many requests have met the fault, from 1.
            fraction: In [0, 1), drawn by the caller: half of the wait is jitter.
        """
        return (0.5 + fraction / 2) * _doubled(self.probe_base, attempt, self.probe_cap)


def _doubled(base: float, attempt: int, cap: float) -> float:
    # An exponent of over 1,023 would overflow a float, and a long outage gets there.
    return min(cap, base * 2.0 ** min(attempt - 1, 60))


class Trouble:
    """For how long nothing could be delivered, and when that is to be said: once, then rarely.

    Moments are seconds of one clock.
    """

    SECONDS_BEFORE_TOLD = 10.0
    _TIMES_LONGER = 6.0
    _LONGEST_SILENCE = 3_600.0

    def __init__(self) -> None:
        self._since = self._tell_at = math.inf

    def begin(self, now: float) -> None:
        """Note a failed attempt; unless one had failed before, the trouble begins now."""
        if self._since == math.inf:
            self._since, self._tell_at = now, now + self.SECONDS_BEFORE_TOLD

    def lasted(self, now: float) -> float:
        """Seconds since it began; 0, if there is none."""
        return max(0.0, now - self._since)

    def until_told(self, now: float) -> float:
        """Seconds until it is to be said."""
        return max(0.0, self._tell_at - now)

    def told(self, now: float) -> None:
        """Note that it was said; the next time is when it has lasted several times as long."""
        lasted = max(self.lasted(now), self.SECONDS_BEFORE_TOLD)
        self._tell_at = min(self._since + self._TIMES_LONGER * lasted, now + self._LONGEST_SILENCE)

    def end(self) -> None:
        """End the trouble: something was delivered, or nothing is to be delivered any more."""
        self._since = self._tell_at = math.inf


class Patience(Protocol):
    """The patience of whoever delivers: waits, and the time that is left."""

    def pause(self, seconds: float) -> bool:
        """Wait so many seconds, or less. False: give up for now."""
        ...

    def time_left(self) -> float | None:
        """Seconds that an attempt may take, at least a little; None: as long as it takes."""
        ...
