"""The counts and reports that lanes share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import sleep

import pytest

from rudder_logging.exceptions import ConnectionFailedError, HeldError
from rudder_logging.queues import Batch, Depth
from rudder_logging.relay.accounts import BUCKETS, NOT_OURS, Latencies, SharedLedger, SharedReports
from rudder_logging.sinks.base import Later

from .feeds import message

THREADS, TIMES = 4, 500


class Endless:
    """A queue of one lane: whatever is settled was there."""

    def __init__(self) -> None:
        self.settled = 0
        self.suppresses: Callable[[bytes], bool] | None = None

    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """See `Outgoing.take`."""
        del max_bytes, overhead
        return None

    def settle(self, batch: Batch, count: int) -> int:
        """See `Outgoing.settle`."""
        del batch
        self.settled += count
        return count

    def depth(self) -> Depth:
        """See `Outgoing.depth`."""
        return Depth(0, 0, 0)


class Slow(dict[str, int]):
    """Between reading a count and writing it, other threads get their turn."""

    def __getitem__(self, name: str) -> int:
        """Read it."""
        value = super().__getitem__(name)
        sleep(0)
        return value


def test_counts_of_all_lanes_add_up() -> None:
    """Though they settle at the same time."""
    ledger, latencies = SharedLedger(), Latencies()
    ledger._settled = Slow(ledger._settled)

    def settle() -> None:
        queue = Endless()
        for _ in range(TIMES):
            ledger.settle_delivered(queue, Batch(), 2)
            ledger.settle_refused(queue, Batch(), 1)
            latencies.add(0.02)

    threads = [threading.Thread(target=settle) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    number = THREADS * TIMES
    assert ledger.settled() == {"delivered": 2 * number, "refused": number}
    times = latencies.times()
    assert times.counts[BUCKETS.index(0.025)] == sum(times.counts) == number
    assert times.seconds == pytest.approx(0.02 * number)


def reports(resumed: list[str]) -> SharedReports:
    """Those of a source, without a file."""
    return SharedReports(
        SharedLedger(),
        dead_letter=None,
        waiting=lambda: 7,
        resumed=lambda: resumed.append("resumed"),
    )


def test_lanes_hear_when_trouble_is_over() -> None:
    """Once, and only of trouble that had stopped all of them."""
    resumed: list[str] = []
    shared = reports(resumed)
    shared.well()
    shared.holds(HeldError("no such key"), [message(1)])
    assert shared.is_stuck
    assert resumed == []
    shared.well()
    shared.well()
    assert not shared.is_stuck
    assert resumed == ["resumed"]


def test_a_lane_that_may_not_send_is_no_failure_of_the_gateway() -> None:
    """A relay that stops must not tell of an outage."""
    shared = reports([])
    outcome = Later(str(NOT_OURS), cause=NOT_OURS)
    shared.failing(outcome.error, outcome.cure, [message(1)], 1)
    assert shared.trouble.until_told(0.0) == float("inf")
    shared.failing(ConnectionFailedError("refused"), "start it", [message(1)], 1)
    assert shared.trouble.until_told(0.0) < float("inf")
