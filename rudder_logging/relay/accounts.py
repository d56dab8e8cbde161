"""The counts and reports of a source, which all of its lanes share."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..delivery.ledger import SUPPRESSED, Ledger
from ..delivery.reports import Reports
from ..exceptions import ConnectionFailedError, DeliveryError, RefusedError
from ..queues import Batch, Outgoing

__all__ = ["BUCKETS", "NOT_OURS", "Latencies", "SharedLedger", "SharedReports", "Times"]

NOT_OURS = ConnectionFailedError("the relay stops, or has lost the lease of what was to be sent")
"""The reason why a lane sends nothing. It is no failure of the gateway's."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)


class SharedLedger(Ledger):
    """A ledger in which several lanes settle."""

    def __init__(self) -> None:
        super().__init__()
        self._alone = threading.Lock()

    def settle_delivered(self, queue: Outgoing, batch: Batch, number: int) -> int:
        """See `Ledger.settle_delivered`."""
        with self._alone:
            return super().settle_delivered(queue, batch, number)

    def settle_refused(self, queue: Outgoing, batch: Batch, number: int) -> int:
        """See `Ledger.settle_refused`."""
        with self._alone:
            return super().settle_refused(queue, batch, number)

    def settle_dropped(self, queue: Outgoing, batch: Batch, number: int, reason: str) -> int:
        """See `Ledger.settle_dropped`."""
        with self._alone:
            return super().settle_dropped(queue, batch, number, reason)

    def settled(self) -> dict[str, int]:
        """Events by outcome: `delivered`, `refused`."""
        with self._alone:
            return {name: self._settled[name] for name in ("delivered", "refused")}


class SharedReports(Reports):
    """Reports that are told once for all lanes of a source.

    Args:
        ledger: The source's.
        dead_letter: The file of refused events.
        waiting: Tells how many events wait, in the engine and here.
        resumed: Called when trouble that was told is over.
    """

    # Nobody in this process has asked for it: an operator is to see that it was done.
    _expected = Reports._expected - {SUPPRESSED}  # noqa: SLF001 - it is its own

    def __init__(
        self,
        ledger: Ledger,
        *,
        dead_letter: str | None,
        waiting: Callable[[], int],
        resumed: Callable[[], object],
    ) -> None:
        super().__init__(ledger, dead_letter=dead_letter)
        self._alone = threading.RLock()
        self._waiting_in_all = waiting
        self._resumed = resumed

    @property
    def is_stuck(self) -> bool:
        """True if nothing passes in any lane, and that was told."""
        return bool(self.fault)

    @property
    def fault(self) -> str | None:
        """Why nothing passes; None: it does, or has not failed for long."""
        return self._ledger.holding or self._ledger.outage

    def failing(
        self, error: DeliveryError, cure: str, messages: Sequence[bytes], waiting: int
    ) -> None:
        """See `Reports.failing`."""
        if error is NOT_OURS:
            return
        with self._alone:
            super().failing(error, cure, messages, max(waiting, self._waiting_in_all()))

    def holds(self, error: DeliveryError, messages: Sequence[bytes]) -> None:
        """See `Reports.holds`."""
        with self._alone:
            super().holds(error, messages)

    def well(self) -> None:
        """See `Reports.well`."""
        with self._alone:
            was_stuck = self.is_stuck
            super().well()
        if was_stuck:
            self._resumed()

    def refused(self, message: bytes, error: RefusedError, *, keeps: bool = True) -> None:
        """See `Reports.refused`. The lock of a file is its process's: threads need one besides."""
        with self._alone:
            super().refused(message, error, keeps=keeps)


@dataclass(frozen=True)
class Times:
    """Seconds that uploads took, as a histogram."""

    counts: Sequence[int]
    """Uploads by bucket: of `BUCKETS`, and one more for all that took longer."""
    seconds: float
    """Of all of them."""


class Latencies:
    """Counts uploads by the time they take."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._counts = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """An upload has come to its end."""
        with self._alone:
            self._counts[bisect_left(BUCKETS, seconds)] += 1
            self._seconds += seconds

    def times(self) -> Times:
        """All so far."""
        with self._alone:
            return Times(tuple(self._counts), self._seconds)
