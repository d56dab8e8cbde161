"""The ledger: every event that was accepted, and what became of it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .queues.base import EventQueue

__all__ = ["Ledger", "Stats"]


@dataclass(frozen=True)
class Stats:
    """A consistent snapshot of a handler's counts since it was made, or since the fork.

    `accepted == delivered + refused + sum(dropped.values()) + pending` holds whenever no call is
    in progress.

    .. versionadded:: 0.1.0
    """

    accepted: int = 0
    """Events that passed validation."""
    delivered: int = 0
    """Acknowledged by the data plane."""
    refused: int = 0
    """Refused by the data plane for good: see `dead_letter` and `on_drop`."""
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By reason: `queue_full`, `before_send`, `before_send_failed`, `send_off`,
    `retries_exhausted`, `shutdown`."""
    pending: int = 0
    """In the queue, or being sent."""
    pending_bytes: int = 0
    """Their size."""
    invalid: int = 0
    """Refused at the call: never accepted."""
    requests: int = 0
    """Uploads tried."""
    retries: int = 0
    """Uploads tried again after a failure that may pass."""
    callback_errors: int = 0
    """Exceptions that `on_error`, `on_drop` or `before_send` raised."""
    listener_restarts: int = 0
    """Times that a dead listener thread was replaced."""
    holding: str | None = None
    """Why events are held at present: the configuration fault, or None."""

    @property
    def balanced(self) -> bool:
        """Whether every accepted event is accounted for."""
        settled = self.delivered + self.refused + sum(self.dropped.values())
        return self.accepted == settled + self.pending


class Ledger:
    """Counts, changed under one re-entrant lock.

    Each change is a statement without a Python call inside, so that a signal handler that logs
    an event can't come between its reading and its writing.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accepted = self._delivered = self._refused = self._invalid = 0
        self._requests = self._retries = self._callback_errors = self._restarts = 0
        self._dropped: defaultdict[str, int] = defaultdict(int)
        self.holding: str | None = None

    def accept(self) -> None:
        """An event passed validation."""
        with self._lock:
            self._accepted += 1

    def invalid(self) -> None:
        """An event was refused at the call."""
        with self._lock:
            self._invalid += 1

    def drop(self, count: int, reason: str) -> None:
        """Accepted events that are in no queue (any more) won't be sent."""
        with self._lock:
            self._dropped[reason] += count

    def settle_delivered(self, queue: EventQueue, count: int) -> int:
        """The queue's oldest events are stored by the data plane; how many of them it still had."""
        with self._lock:
            settled = queue.ack(count)
            self._delivered += settled
            return settled

    def settle_refused(self, queue: EventQueue, count: int) -> int:
        """The queue's oldest events are refused for good; how many of them it still had."""
        with self._lock:
            settled = queue.ack(count)
            self._refused += settled
            return settled

    def settle_dropped(self, queue: EventQueue, count: int, reason: str) -> int:
        """The queue's oldest events are given up; how many of them it still had."""
        with self._lock:
            settled = queue.ack(count)
            self._dropped[reason] += settled
            return settled

    def evict(self, queue: EventQueue, reason: str) -> bytes | None:
        """Drop the queue's oldest event that is not being sent, and return it."""
        with self._lock:
            message = queue.evict()
            if message is not None:
                self._dropped[reason] += 1
            return message

    def abandon(self, queue: EventQueue, reason: str) -> list[bytes]:
        """Drop all that the queue can't keep beyond this process, and return it."""
        with self._lock:
            left = queue.abandon()
            count = len(left)
            if count:
                self._dropped[reason] += count
            return left

    def request(self) -> None:
        """An upload is tried."""
        with self._lock:
            self._requests += 1

    def retry(self) -> None:
        """An upload is to be tried again."""
        with self._lock:
            self._retries += 1

    def callback_error(self) -> None:
        """A callback raised."""
        with self._lock:
            self._callback_errors += 1

    def restart(self) -> None:
        """A dead listener thread is replaced."""
        with self._lock:
            self._restarts += 1

    def dropped(self) -> dict[str, int]:
        """Events dropped so far, by reason."""
        with self._lock:
            return dict(self._dropped)

    def snapshot(self, queue: EventQueue) -> Stats:
        """All counts as of one moment."""
        with self._lock:
            pending, pending_bytes = queue.pending()
            return Stats(
                accepted=self._accepted,
                delivered=self._delivered,
                refused=self._refused,
                dropped=MappingProxyType(dict(self._dropped)),
                pending=pending,
                pending_bytes=pending_bytes,
                invalid=self._invalid,
                requests=self._requests,
                retries=self._retries,
                callback_errors=self._callback_errors,
                listener_restarts=self._restarts,
                holding=self.holding,
            )
