"""From a batch to its outcome: sends until every event of the batch is settled."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Sequence
from itertools import groupby, islice, takewhile

from ..common.clock import monotonic
from ..exceptions import ConnectionFailedError, DeliveryError, RetriesExhaustedError
from ..queues import Batch, Outgoing
from ..sinks.base import (
    LONGEST_IDLE,
    MESSAGE_OVERHEAD,
    Dropped,
    Failure,
    Hold,
    Later,
    Outcome,
    Refused,
    Sink,
    Stored,
    TooLarge,
    Trip,
    Unknown,
)
from .forgetting import Errand
from .ledger import SUPPRESSED, Ledger
from .reports import Reports
from .retry import Patience, RetryPolicy
from .upload_limits import SizeLimit, TimeLimit

__all__ = ["Sender"]

_log = logging.getLogger("rudder_logging")

_FAILURES_BEFORE_LESS = 1  # of what may always be too much
_FAILURES_BEFORE_BLAME = 3
_NEIGHBOURS = 15  # that are tried at the most, behind an event that may be to blame
_WITNESSES, _TRIES_A_WITNESS = 5, 3
_TRIES_WITH_FEW_WITNESSES = 60
"""For an event to be refused that a server may merely fail to take. Where one fails at random, one
healthy event in 40,000 is, at the worst; with few others behind it, one in 600 if nine of ten
requests fail."""


_SUPPRESSED = Dropped(SUPPRESSED, DeliveryError("it is an event of somebody who is suppressed"))
_Definite = Stored | Refused | TooLarge | Dropped


def _refused(outcome: _Definite, events: int) -> Collection[int] | None:
    """Positions of what is refused among so many messages; None: the outcome settles none."""
    if isinstance(outcome, (Stored, Dropped)):
        return ()
    if isinstance(outcome, Refused) and outcome.which is not None:
        return outcome.which
    return (0,) if events == 1 else None


def _blames_event(outcome: Outcome) -> bool:
    return isinstance(outcome, Later) and outcome.may_blame_event


def _is_suspicious(outcome: Outcome, failures: int) -> bool:
    """Tell if, after so many failures before this one, the events may be at fault."""
    if _blames_event(outcome):
        return failures >= _FAILURES_BEFORE_BLAME
    return isinstance(outcome, Later) and outcome.is_too_much and failures >= _FAILURES_BEFORE_LESS


class _Disowned:
    """The sink of a forked child that takes the parent's place."""

    max_bytes = 0

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:  # noqa: ARG002
        """Nothing of the parent's is sent from here."""
        words = "the process has forked, and this is the parent's to send"
        return Later(words, cause=ConnectionFailedError(words))

    def close(self) -> None:
        """Nothing is open."""


class Sender:
    """Delivers batches, one at a time and in order, and settles them in queue and ledger."""

    def __init__(
        self,
        queue: Outgoing,
        sink: Sink,
        *,
        ledger: Ledger,
        reports: Reports,
        policy: RetryPolicy,
        timeout: float,
    ) -> None:
        self._queue = queue
        self.sink = sink
        """It may be exchanged for another between two batches."""
        self._ledger = ledger
        self._reports = reports
        self._policy = policy
        self._limit = SizeLimit(sink.max_bytes)
        self._time_limit = TimeLimit(timeout)
        self._last_at = 0.0  # an upload came to its end
        self.errand = Errand(policy)
        """People whom the sink is to forget."""
        self._batch = Batch()  # what is being delivered
        self._ahead: set[bytes] = set()  # stored before their turn: not to be sent again

    @property
    def max_bytes(self) -> int:
        """Bytes that the messages of an upload may have, as far as is known."""
        return min(self._limit.bytes, self._time_limit.size)

    def deliver(self, batch: Batch, patience: Patience) -> bool:
        """Settle all events of a batch.

        Args:
            batch: What the queue handed out.
            patience: When it ends, what is not settled stays in the queue.

        Returns:
            True if all of them are settled.
        """
        self._batch = batch
        parts: list[Sequence[bytes]] = [batch] if batch else []  # in order, the first one last
        self._begin()
        failures = attempt = 0
        due = 0.0
        while parts:
            if self.errand.due <= monotonic():
                self.errand.run(self.sink, patience.time_left())
            part = self._next(parts, patience.time_left())
            outcome = self._send(part, patience.time_left())
            if len(part) == 1:
                outcome = self._second_opinion(part[0], parts, outcome, failures, patience)
            if not isinstance(outcome, Failure):
                refused = _refused(outcome, len(part))
                if refused is None:
                    parts += reversed(self._halves(part, outcome))
                    self._reports.well()
                    continue
                failures = attempt = 0
                due = 0.0
                if not self._settle(part, outcome, refused):
                    return False
                continue
            if len(part) > 1 and _is_suspicious(outcome, failures):
                parts += reversed(self._halves(part, outcome))
            else:
                parts.append(part)
            failures += 1
            # A flush ends a wait, but what it makes fail before the wait would have been over is
            # one more chance, and none of the retries.
            remaining = max(0.0, due - monotonic())
            if not remaining:
                attempt += 1
            delay = self._wait_for(outcome, attempt, parts[-1], remaining)
            if delay is None:
                failures = attempt = 0
                if not self._give_up(parts.pop(), outcome):
                    return False
                continue
            due = monotonic() + delay
            if not self._pause(delay, outcome, parts[-1], patience):
                return False
        return True

    def _pause(
        self, seconds: float, failure: Failure, part: Sequence[bytes], patience: Patience
    ) -> bool:
        """Wait between attempts, and tell of an outage when it has lasted long enough for that."""
        time_left = patience.time_left()
        if isinstance(failure, Hold) and time_left is not None and time_left < (failure.after or 0):
            return False
        untold = self._reports.trouble.until_told(monotonic())
        if untold < seconds and time_left is None:
            until = monotonic() + untold
            if not patience.pause(untold):
                return False
            if monotonic() < until:
                return True  # a flush ended it
            self._tell(failure, part)
            seconds -= untold
        return patience.pause(seconds)

    def _tell(self, failure: Failure, part: Sequence[bytes]) -> None:
        """Tell of what failed, if that is to be told by now."""
        if isinstance(failure, Hold):
            self._reports.holds(failure.error, part)
        else:
            self._reports.failing(failure.error, failure.cure, part, self._queue.depth().events)

    def _begin(self) -> None:
        self._limit.begin()
        if monotonic() - self._last_at > LONGEST_IDLE:
            self._time_limit.start_small()

    def _next(self, parts: list[Sequence[bytes]], time_left: float | None) -> Sequence[bytes]:
        """Take what is to be sent next: as much as may go together."""
        part = parts.pop()
        size = 1  # a probe is small
        if not self._ledger.holding:
            size = self._time_limit.count(part, time_left)
            if self._ahead:
                ahead = (at for at, message in enumerate(part) if message in self._ahead)
                size = max(min(size, next(ahead, size)), 1)
        if self._queue.suppresses is not None:  # what must not leave is a part of its own
            is_first = self._is_suppressed(part[0])
            firsts = islice(part, None if is_first else size)
            alike = takewhile(lambda one: self._is_suppressed(one) is is_first, firsts)
            size = sum(1 for _ in alike)
        if size < len(part):
            parts.append(part[size:])
        return part[:size]

    def _is_suppressed(self, message: bytes) -> bool:
        suppresses = self._queue.suppresses
        return suppresses is not None and suppresses(message)

    def disown(self) -> None:
        """Called in a forked child: nothing of the parent's is sent from here."""
        self.sink = _Disowned()

    def close(self) -> None:
        """Let go of connections; the next upload opens new ones."""
        self.sink.close()

    def _send(self, part: Sequence[bytes], time_left: float | None) -> Outcome:
        if self._is_suppressed(part[0]):
            return _SUPPRESSED
        if part[0] in self._ahead:
            return Stored()
        self._ledger.count_request()
        begun = monotonic()
        try:
            outcome = self.sink.send(part, None if time_left is None else begun + time_left)
        finally:
            self._last_at = monotonic()
        for _ in range(1, outcome.requests):
            self._ledger.count_request()
        for _ in range(outcome.retries):
            self._ledger.count_retry()
        self._learn(outcome, part, self._last_at - begun)
        return outcome

    def _learn(self, outcome: Outcome, part: Sequence[bytes], seconds: float) -> None:
        """See from an outcome how large an upload may be."""
        limit, trip = self._time_limit, outcome.trip
        if isinstance(outcome, (Stored, Unknown)):
            if trip is None:
                size = sum(map(len, part)) + MESSAGE_OVERHEAD * len(part)
                trip = Trip(len(part), size, size, seconds)
            if isinstance(outcome, Stored):
                limit.answered(trip)
            else:
                self._ledger.count_lost_answer()
                limit.lost(trip)
        elif isinstance(outcome, Later) and trip is not None and trip.seconds > limit.seconds:
            limit.lost(trip)  # a proxy says 502, or 504, when it gets no answer in time
        elif isinstance(outcome, (Later, Hold)):
            limit.start_small()

    def _settle(self, part: Sequence[bytes], outcome: _Definite, refused: Collection[int]) -> bool:
        """Delivered, refused or dropped. False: the queue no longer had all of them."""
        if isinstance(outcome, Dropped):
            return self._drop(part, outcome.reason, outcome.error)
        self._reports.well()
        if self._ahead:  # else each message would be hashed for nothing
            self._ahead.difference_update(part)
        if isinstance(outcome, Stored):
            self._limit.stored()
            return self._ledger.settle_delivered(self._queue, self._batch, len(part)) == len(part)
        if isinstance(outcome, TooLarge):
            self._limit.refused_alone()
        for is_refused, group in groupby(range(len(part)), refused.__contains__):
            if not self._settle_some([part[at] for at in group], outcome, is_refused=is_refused):
                return False
        return True

    def _settle_some(
        self, part: Sequence[bytes], outcome: Refused | TooLarge, *, is_refused: bool
    ) -> bool:
        if not is_refused:
            return self._ledger.settle_delivered(self._queue, self._batch, len(part)) == len(part)
        # Told before it is forgotten: a flush returns when the dead letters are written.
        error = outcome.error
        for message in part:
            self._reports.refused(message, error, keeps=not self._is_suppressed(message))
        return self._ledger.settle_refused(self._queue, self._batch, len(part)) == len(part)

    def _second_opinion(
        self,
        suspect: bytes,
        parts: list[Sequence[bytes]],
        outcome: Outcome,
        failures: int,
        patience: Patience,
    ) -> Outcome:
        """The outcome for a lone event: if it may be to blame, in the light of others.

        Those that are stored meanwhile are settled when it is their turn.
        """
        if isinstance(outcome, Hold) and outcome.may_blame_event:
            for message in self._behind(suspect, parts):
                other = self._send_ahead(message, patience)
                if isinstance(other, Stored):
                    # Path and key are right, so what is answered now concerns the event.
                    return self._send([suspect], patience.time_left())
                if not (isinstance(other, Hold) and other.may_blame_event):
                    break
        elif _blames_event(outcome) and _is_suspicious(outcome, failures):
            return self._last_chances(suspect, parts, patience) or outcome
        return outcome

    def _last_chances(
        self, suspect: bytes, parts: list[Sequence[bytes]], patience: Patience
    ) -> Outcome | None:
        """The outcome for a suspect whose neighbours pass; None: it can't be known now.

        A database in trouble fails at random, too. So those behind the suspect have to pass, each
        at its first try, between the suspect's failures; only just behind it there may be more
        that fail. With few behind it, it gets the more chances.
        """
        witnesses = 0
        for message in self._behind(suspect, parts):
            other = self._send_ahead(message, patience)
            if isinstance(other, Stored):
                witnesses += 1
                again = self._tries(suspect, _TRIES_A_WITNESS, patience)
                if not isinstance(again, Refused) or witnesses == _WITNESSES:
                    return again
            elif witnesses or not _blames_event(other):
                return None
        if not witnesses:
            return None
        more = _TRIES_WITH_FEW_WITNESSES - witnesses * _TRIES_A_WITNESS
        return self._tries(suspect, more, patience)

    def _tries(self, suspect: bytes, tries: int, patience: Patience) -> Outcome | None:
        """Send a suspect so many times: refused, if all of them fail; None: there is no time."""
        refusal = None
        for number in range(tries):
            delay = self._policy.delay(number % 3 + 1, random.random()) or 0.0  # noqa: S311 - jitter
            if not patience.pause(delay):
                return None
            outcome = self._send([suspect], patience.time_left())
            if not (isinstance(outcome, Later) and outcome.may_blame_event):
                return outcome
            refusal = Refused(outcome.words, status=outcome.status)
        return refusal

    def _send_ahead(self, message: bytes, patience: Patience) -> Outcome:
        outcome = self._send([message], patience.time_left())
        if isinstance(outcome, Stored):
            self._ahead.add(message)
        return outcome

    def _behind(self, suspect: bytes, parts: list[Sequence[bytes]]) -> list[bytes]:
        """Some of the next events behind the one that is first in line, to compare it with."""
        if self._queue.depth().waiting and sum(map(len, parts)) < _NEIGHBOURS:
            # They are sent one by one: the time that an upload may take is no bound here.
            batch = self._queue.take(self._limit.bytes, MESSAGE_OVERHEAD) or Batch()
            self._batch = batch
            if batch[:1] == [suspect] and len(batch) > 1:
                parts[:] = [batch[1:]]
        behind = (message for part in reversed(parts) for message in part)
        fresh = (
            message
            for message in behind
            if message not in self._ahead and not self._is_suppressed(message)
        )
        return list(islice(fresh, _NEIGHBOURS))

    def _halves(self, part: Sequence[bytes], outcome: Outcome) -> list[Sequence[bytes]]:
        middle = len(part) // 2
        if isinstance(outcome, TooLarge):
            middle = self._limit.refused([len(message) + MESSAGE_OVERHEAD for message in part])
        return [part[:middle], part[middle:]]

    def _drop(self, part: Sequence[bytes], reason: str, error: DeliveryError) -> bool:
        self._reports.dropped(part, reason)
        if reason != SUPPRESSED:
            self._reports.failed(error, part)
        settled = self._ledger.settle_dropped(self._queue, self._batch, len(part), reason)
        return settled == len(part)

    def _give_up(self, part: Sequence[bytes], failure: Failure) -> bool:
        exhausted = RetriesExhaustedError(f"gave up after {self._policy.max_retries} retries")
        exhausted.__cause__ = error = failure.error
        self._reports.given_up = f"{error}; {failure.cure}"
        settled = self._drop(part, "retries_exhausted", exhausted)
        if not self._queue.depth().events and self._ledger.outage is None:
            self._reports.trouble.end()
        self._reports.drop_line()
        return settled

    def _wait_for(
        self, failure: Failure, attempt: int, part: Sequence[bytes], remaining: float
    ) -> float | None:
        """Seconds until the next attempt; None: give up.

        Args:
            failure: Of the attempt.
            attempt: How many have failed, from 1.
            part: What was sent.
            remaining: Seconds that a wait had still to go when it was cut short.
        """
        fraction = 0.0 if remaining else random.random()  # noqa: S311 - jitter, not a secret
        self._tell(failure, part)
        if isinstance(failure, Hold):
            wait = remaining or self._policy.probe_delay(attempt, fraction)
            return max(wait, failure.after or 0.0)
        after = failure.after if isinstance(failure, Later) else None
        delay = self._policy.delay(attempt, fraction, after)
        if delay is None:
            return None
        delay = max(delay, remaining)
        self._ledger.count_retry()
        _log.debug(
            "upload of %d events failed (%s%s); retry %d in %.1f s",
            len(part),
            failure.error,
            ", perhaps stored" if isinstance(failure, Unknown) else "",
            attempt,
            delay,
        )
        return delay
