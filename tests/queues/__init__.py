"""The queues, all held to one contract."""

from __future__ import annotations

from rudder_logging.queues import Batch, EventQueue


def take(queue: EventQueue, max_bytes: int, overhead: int = 0) -> list[bytes]:
    """What it hands out."""
    return queue.take(max_bytes, overhead) or []


def settle(queue: EventQueue, count: int) -> int:
    """Have so many of the oldest forgotten that are handed out."""
    return queue.settle(Batch(), count)
