"""The ledger's snapshot, taken while events are on their way from one count to another."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from rudder_logging.delivery.ledger import Ledger
from rudder_logging.queues import Batch, Depth, MemoryQueue

_SECONDS_AT_MOST = 10.0


class MomentsQueue(MemoryQueue):
    """A queue in memory whose `settle` returns only once somebody looks at what is pending."""

    def __init__(self) -> None:
        super().__init__(max_events=10, max_bytes=1_000)
        self.forgot, self.looked = threading.Event(), threading.Event()

    def settle(self, batch: Batch, count: int) -> int:
        """Forget them, and let others look before they can be counted."""
        count = super().settle(batch, count)
        self.forgot.set()
        assert self.looked.wait(_SECONDS_AT_MOST)
        return count

    def depth(self) -> Depth:
        """Let go whoever waits in `settle`."""
        self.looked.set()
        return super().depth()


@pytest.fixture
def _turns_are_long() -> Iterator[None]:
    """A thread keeps its turn until it waits for something."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SECONDS_AT_MOST)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_turns_are_long")
def test_a_snapshot_waits_for_events_that_are_just_being_counted() -> None:
    """Counts are those of one moment, though the listener loses its turn between two of them."""
    queue, ledger = MomentsQueue(), Ledger()
    for number in range(3):
        ledger.count_accepted()
        queue.put(b"%d" % number)
    batch = queue.take(100)
    assert batch
    thread = threading.Thread(target=ledger.settle_delivered, args=(queue, batch, len(batch)))
    thread.start()
    assert queue.forgot.wait(_SECONDS_AT_MOST)

    stats = ledger.snapshot(queue)

    thread.join()
    assert (stats.accepted, stats.delivered, stats.pending) == (3, 3, 0), stats
