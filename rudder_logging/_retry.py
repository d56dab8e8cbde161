"""When to try again: pure arithmetic, no clock, no I/O, no randomness of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["LONGEST_IDLE", "Patience", "RetryPolicy"]

LONGEST_IDLE = 60.0
"""Seconds for which a connection is idle, and is used again all the same. What stands before a data
plane forgets one after 4 to 15 minutes without a word, and its next upload gets no answer."""


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


class Patience(Protocol):
    """How long whoever delivers can wait."""

    def pause(self, seconds: float) -> bool:
        """Wait so long, or less. False: give up for now."""
        ...

    def time_left(self) -> float | None:
        """Seconds that an attempt may take, at least a little; None: as long as it takes."""
        ...
