"""The ledger: every event that was accepted, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..common.tally import RAISED, Tally
from ..queues.base import SUPPRESSED

if TYPE_CHECKING:
    from ..queues import Batch, EventQueue, Outgoing

__all__ = ["SUPPRESSED", "Ledger", "Stats"]

_LOOKS, _SECONDS_BETWEEN_LOOKS = 200, 0.001
_LOOKS_AT_CALLS = 5  # those of other threads, of which there may be some at any moment


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
    """Stored by the data plane."""
    refused: int = 0
    """Refused by the data plane for good: see `dead_letter` and `on_drop`."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason: `queue_full`, `before_send`, `before_send_failed`, `send_off`,
    `retries_exhausted`, `shutdown`, `rolled_back` (see `on_commit`), `queue_failed` (a queue object
    of yours raised), `interrupted` (a signal handler raised, as Ctrl-C does, before the event was
    queued). By `privacy`: `suppressed`, `consent` (it is unknown), `denied`, `sampled`,
    `rate_limited`, and `privacy_failed` (a function of yours raised, or a list can't be read). Of a
    durable queue: `expired` (older than `max_age`), `spool_torn` (a process was
    killed while it wrote it), `spool_damaged` (it is no JSON any more) and `spool_lost` (somebody
    removed the file). In tests: `captured` (see `testing`) and `kept_back` (it was for a host that
    is not loopback)."""
    pending: int = 0
    """In the queue, being sent, or uncommitted."""
    uncommitted: int = 0
    """Events of `pending` that wait for the commit of a database transaction: see `on_commit`."""
    pending_bytes: int = 0
    """Their size."""
    adopted: int = 0
    """Events of `accepted` that a durable queue took over from processes that ended."""
    spool_errors: int = 0
    """Times that a durable queue could not use its disk: events then wait in memory, or there."""
    invalid: int = 0
    """Refused at the call, or a filter of the handler's raised: never accepted."""
    requests: int = 0
    """Uploads tried."""
    retries: int = 0
    """Uploads tried again after a failure that may pass."""
    lost_answers: int = 0
    """Uploads that were sent, and no answer came. They were sent again, in smaller ones, and so may
    be stored twice."""
    callback_errors: int = 0
    """Exceptions that `on_error`, `on_drop` or `before_send` raised; and, anywhere in the process,
    functions given to `bind_lazily` or `RequestContext`."""
    listener_restarts: int = 0
    """Times that a dead listener thread was replaced."""
    holding: str | None = None
    """Why events are held at present: the configuration fault, or None."""
    outage: str | None = None
    """The last attempt's fault, if nothing was delivered for ten seconds or more though
    events wait; None: all is well, or `holding` says what is not."""

    @property
    def balanced(self) -> bool:
        """True if every accepted event is accounted for."""
        settled = self.delivered + self.refused + sum(self.dropped.values())
        return self.accepted == settled + self.pending


class Ledger:
    """Counts what was accepted, and what became of it.

    `settle_...`, `evict` and `abandon` also take the events out of the queue: in one place, so that
    none leaves it uncounted.
    """

    def __init__(self) -> None:
        self._accepted = Tally()
        self._settled: dict[str, int] = {"delivered": 0, "refused": 0}  # and reasons for a drop
        self._invalid, self._requests, self._retries = Tally(), Tally(), Tally()
        self._callback_errors, self._restarts = Tally(), Tally()
        self._raised_before = RAISED.value()
        self._lost_answers = Tally()
        self._adopted, self._spool_errors = Tally(), Tally()
        self._dropped: dict[str, Tally] = {"queue_full": Tally()}
        # Queues count what they drop as they drop it: a signal handler that raises in between,
        # or before this has the list of them, would leave them uncounted.
        self._counts_evicted: dict[str, EventQueue] = {}
        self._counts_erased: dict[str, EventQueue] = {}
        self._is_settling = False  # some are no longer pending, and not counted elsewhere yet
        self.uncommitted: dict[Callable[[], Any], int] = {}
        """Events that wait for a commit, by weak reference, and their sizes."""
        self.uncommitted_bytes = 0
        self.holding: str | None = None
        self.outage: str | None = None
        self.count_accepted = self._accepted.one
        """An event passed validation. In one step: a method around it cost 1 % of a call."""
        self.count_overflow = self._dropped["queue_full"].one
        """An accepted event finds no room. In one step, which no signal handler can divide."""

    def hold(self, event: Callable[[], Any], size: int) -> None:
        """An event passed validation, and waits for a commit."""
        # No signal handler comes in before the last statement's call is over.
        self.uncommitted_bytes += size
        self.uncommitted[event] = size
        self.count_accepted()

    def let_go(self, event: Callable[[], Any]) -> bool:
        """It waits no more. False: it did not."""
        size = self.uncommitted.pop(event, None)
        if size is None:
            return False
        self.uncommitted_bytes -= size
        return True

    def count_adopted(self, number: int) -> None:
        """Events that another process had accepted are this one's now."""
        self._accepted.add(number)
        self._adopted.add(number)

    def count_spool_error(self) -> None:
        """The durable queue's disk failed."""
        self._spool_errors.one()

    def count_invalid(self) -> None:
        """An event was refused at the call."""
        self._invalid.one()

    def count_dropped(self, number: int, reason: str) -> None:
        """Accepted events that are in no queue (any more) won't be sent."""
        if number:
            self._dropped.setdefault(reason, Tally()).add(number)

    def settle_delivered(self, queue: Outgoing, batch: Batch, number: int) -> int:
        """The queue's oldest events are stored by the data plane; how many of them it still had."""
        return self._settle(queue, batch, number, "delivered")

    def settle_refused(self, queue: Outgoing, batch: Batch, number: int) -> int:
        """The queue's oldest events are refused for good; how many of them it still had."""
        return self._settle(queue, batch, number, "refused")

    def settle_dropped(self, queue: Outgoing, batch: Batch, number: int, reason: str) -> int:
        """The queue's oldest events are given up; how many of them it still had."""
        self._dropped.setdefault(reason, Tally())
        return self._settle(queue, batch, number, reason)

    def _settle(self, queue: Outgoing, batch: Batch, number: int, outcome: str) -> int:
        # By one thread at a time, the one that delivers. Queues count what they forget, so that it
        # is known though a signal handler raises within, as it may where calls deliver.
        counts = self._settled
        counts.setdefault(outcome, 0)
        self._is_settling = True
        before = queue.settled
        try:
            queue.settle(batch, number)
        finally:
            settled = queue.settled - before
            counts[outcome] += settled
            self._is_settling = False
        return settled

    def evict(self, queue: EventQueue, size: int, reason: str) -> list[bytes] | None:
        """Drop the queue's oldest events that are not being sent for one of so many bytes.

        Returns:
            Them; None: that would not make room, and none is dropped.
        """
        self._counts_evicted[reason] = queue
        return queue.evict(size)

    def erase(self, queue: EventQueue, people: Collection[str], reason: str) -> list[bytes]:
        """Drop people's messages that wait in the queue: see `EventQueue.erase`."""
        self._dropped.setdefault(reason, Tally())
        self._counts_erased[reason] = queue
        return queue.erase(people)

    def abandon(self, queue: EventQueue, reason: str) -> list[bytes]:
        """Drop all that the queue can't keep beyond this process, and return it."""
        left = queue.abandon()
        self.count_dropped(len(left), reason)
        return left

    def count_request(self) -> None:
        """An upload is tried."""
        self._requests.one()

    def count_retry(self) -> None:
        """An upload is to be tried again."""
        self._retries.one()

    def count_lost_answer(self) -> None:
        """An upload was sent, and no answer came."""
        self._lost_answers.one()

    def count_callback_error(self) -> None:
        """A callback raised."""
        self._callback_errors.one()

    def count_restart(self) -> None:
        """A dead listener thread is replaced."""
        self._restarts.one()

    def dropped(self) -> dict[str, int]:
        """Events dropped so far, by reason."""
        counts, erased = self._counts_evicted, self._counts_erased
        numbers = [
            (
                reason,
                tally.value()
                + self._settled.get(reason, 0)
                + (counts[reason].evicted if reason in counts else 0)
                + (erased[reason].erased if reason in erased else 0),
            )
            for reason, tally in list(self._dropped.items())
        ]
        return {reason: number for reason, number in numbers if number}

    def snapshot(self, queue: EventQueue) -> Stats:
        """All counts as of one moment."""
        stats = self._look(queue)
        looks = 1
        while not stats.balanced and looks < (_LOOKS if self._is_settling else _LOOKS_AT_CALLS):
            # An event is on its way from one count to another. Whoever carries it has to run for
            # that: without a pause, all looks may be over before this thread loses its turn.
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            stats = self._look(queue)
            looks += 1
        return stats

    def _look(self, queue: EventQueue) -> Stats:
        depth = queue.depth()
        uncommitted = len(self.uncommitted)
        return Stats(
            accepted=self._accepted.value(),
            delivered=self._settled["delivered"],
            refused=self._settled["refused"],
            dropped=self.dropped(),
            pending=depth.events + uncommitted,
            uncommitted=uncommitted,
            pending_bytes=depth.bytes + self.uncommitted_bytes,
            adopted=self._adopted.value(),
            spool_errors=self._spool_errors.value(),
            invalid=self._invalid.value(),
            requests=self._requests.value(),
            retries=self._retries.value(),
            lost_answers=self._lost_answers.value(),
            callback_errors=self._callback_errors.value() + RAISED.value() - self._raised_before,
            listener_restarts=self._restarts.value(),
            holding=self.holding,
            outage=self.outage,
        )
