"""From a batch to its outcome: acts on verdicts until every event of the batch is settled."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from itertools import islice
from time import time
from typing import TYPE_CHECKING

from ..common.clock import monotonic
from ..exceptions import (
    CertificateError,
    ConnectionFailedError,
    DeliveryError,
    HeldError,
    KeptBackError,
    OutcomeUnknownError,
    RefusedError,
    RetriesExhaustedError,
    StaleConnectionError,
    TransportError,
)
from ..queues.base import EventQueue
from ..sinks.gateway.body import FRAME, MESSAGE_OVERHEAD, WITHOUT_EVENTS, body_of
from ..sinks.gateway.guard import kept_back
from ..sinks.gateway.outcomes import (
    CURES,
    LONGEST_IDLE,
    SETTLING,
    Answer,
    PathDoubt,
    Result,
    Verdict,
    cure_of_outage,
    is_about_event,
    judge,
    said,
    shown,
)
from .batch_limit import BatchLimit, TimeLimit, Trip
from .ledger import Ledger
from .reports import Reports
from .retry import Patience, RetryPolicy

if TYPE_CHECKING:  # it imports requests, which importing the package must not
    from ..sinks.gateway.transport import Transport

__all__ = ["Delivery"]

_log = logging.getLogger("rudder_logging")

_UNTIL_ALLOWED = 86_400.0
"""Seconds until a durable queue looks again, under pytest, whether its events may leave. A flush
makes it look at once, and so does the end."""
_STALE_WITHIN = 1.0
"""Seconds. A connection that was closed while it was idle breaks at once when it is used again; one
that breaks later was cut, and the upload was perhaps stored."""
_NEIGHBOURS = 15  # that are tried at the most, behind an event that may be to blame
_WITNESSES, _TRIES_A_WITNESS = 5, 3
_TRIES_WITH_FEW_WITNESSES = 60
"""For an event to be refused over 500s. Where a server fails at random, one healthy event in 40,000
is, at the worst; with few others behind it, one in 600 if nine of ten requests fail."""


class _Disowned:
    """A transport in a forked child, in place of the parent's."""

    def send(
        self,
        body: bytes,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        *,
        plain: bool = False,  # noqa: ARG002
    ) -> Answer:
        raise ConnectionFailedError("the process has forked, and this is the parent's to send")


class Delivery:
    """Delivers batches, one at a time and in order, and settles them in queue and ledger."""

    def __init__(
        self,
        queue: EventQueue,
        transport: Transport,
        *,
        ledger: Ledger,
        reports: Reports,
        policy: RetryPolicy,
        max_batch_bytes: int,
        timeout: float,
    ) -> None:
        self._queue = queue
        self._transport = transport
        self._ledger = ledger
        self._reports = reports
        self._policy = policy
        self._limit = BatchLimit(max_batch_bytes)
        self._time_limit = TimeLimit(timeout)
        self._last_at = 0.0  # an upload came to its end
        self._path = PathDoubt()
        self._plain = False  # compression does not survive the way
        self._ahead: set[bytes] = set()  # accepted before their turn: not to be sent again

    @property
    def max_batch_bytes(self) -> int:
        """What a body may weigh before compression, as far as is known."""
        return min(self._limit.bytes, self._time_limit.size)

    def deliver(self, batch: Sequence[bytes], patience: Patience) -> bool:
        """Settle all events of a batch.

        Args:
            batch: What the queue handed out.
            patience: When it ends, what is not settled stays in the queue.

        Returns:
            Whether all of them are settled.
        """
        parts = [batch] if batch else []  # in order, the first one last
        self._begin()
        failures = attempt = 0
        due = 0.0
        while parts:
            part = self._next(parts, patience.time_left())
            result = self._attempt(part, patience.time_left(), failures)
            if len(part) == 1:
                result = self._second_opinion(part[0], parts, result, failures, patience)
            if result.verdict in SETTLING:
                failures = attempt = 0
                due = 0.0
                if not self._settle(part, result):
                    return False
                continue
            if isinstance(result.error, KeptBackError):
                self._keep_back(result.error, part, patience)
                return False
            if len(part) > 1 and (result.splits or result.is_suspicious(failures)):
                parts += reversed(self._halves(part, result.verdict))
                if result.splits:
                    self._reports.well()
                    continue
            else:
                parts.append(part)
            failures += 1
            # A flush ends a wait, but what it makes fail before the wait would have been over is
            # one more chance, and none of the retries.
            remaining = max(0.0, due - monotonic())
            if not remaining:
                attempt += 1
            delay = self._wait_for(result, attempt, parts[-1], remaining)
            if delay is None:
                failures = attempt = 0
                if not self._give_up(parts.pop(), result):
                    return False
                continue
            due = monotonic() + delay
            if not self._pause(delay, result, parts[-1], patience):
                return False
        return True

    def _pause(
        self, seconds: float, result: Result, part: Sequence[bytes], patience: Patience
    ) -> bool:
        """Wait between attempts, and tell of an outage when it has lasted long enough for that."""
        untold = self._reports.trouble.until_told(monotonic())
        if untold < seconds and patience.time_left() is None:
            until = monotonic() + untold
            if not patience.pause(untold):
                return False
            if monotonic() < until:
                return True  # a flush ended it
            self._tell(result, part)
            seconds -= untold
        return patience.pause(seconds)

    def _tell(self, result: Result, part: Sequence[bytes]) -> None:
        """Tell of what failed, if that is to be told by now."""
        if result.verdict is Verdict.HOLD:
            self._reports.holds(result.error, part)
        else:
            cure = cure_of_outage(result.error, result.answer)
            self._reports.failing(result.error, cure, part, self._queue.pending()[0])

    def _begin(self) -> None:
        self._limit.begin()
        self._path = PathDoubt()
        if monotonic() - self._last_at > LONGEST_IDLE:
            self._time_limit.begin_anew()

    def _next(self, parts: list[Sequence[bytes]], time_left: float | None) -> Sequence[bytes]:
        """Take what is to be sent next: as much as may go together."""
        part = parts.pop()
        size = 1  # a probe is small
        if not self._ledger.holding:
            size = self._time_limit.count(part, time_left)
            if self._ahead:
                ahead = (at for at, message in enumerate(part) if message in self._ahead)
                size = max(min(size, next(ahead, size)), 1)
        if size < len(part):
            parts.append(part[size:])
        return part[:size]

    def _keep_back(self, error: KeptBackError, part: Sequence[bytes], patience: Patience) -> None:
        """Under pytest: nobody is to wait for what will not leave. A durable queue keeps it."""
        left = self._ledger.abandon(self._queue, "kept_back")
        kept_back(error.host, len(left))
        if left:
            self._reports.dropped(left, "kept_back")
            self._reports.failed(error, left)
        else:
            self._reports.holds(error, part)
            if patience.time_left() is None:
                patience.pause(_UNTIL_ALLOWED)

    @property
    def is_kept_back(self) -> bool:
        """Whether, under pytest, nothing may leave for where it sends to, at present."""
        is_kept_back = getattr(self._transport, "is_kept_back", None)
        return is_kept_back is not None and is_kept_back()

    def disown(self) -> None:
        """Called in a forked child: nothing of the parent's is sent from here."""
        self._transport = _Disowned()

    def close(self) -> None:
        """Let go of connections; the next upload opens new ones."""
        close = getattr(self._transport, "close", None)
        if close is not None:
            close()

    def _attempt(self, part: Sequence[bytes], time_left: float | None, attempt: int) -> Result:
        """Send once, and once more without compression if that may be what is wrong."""
        if part[0] in self._ahead:
            return Result(Verdict.ACCEPTED, DeliveryError("accepted before its turn"))
        result = self._send(part, time_left, plain=self._plain)
        if self._plain or not result.blames_encoding(len(part), attempt):
            return result
        plain = self._send(part, time_left, plain=True)
        if plain.verdict is Verdict.ACCEPTED:
            self._plain = True
            _log.warning(
                "something between here and the data plane spoils compressed uploads (%s); "
                "sending uncompressed from now on",
                result.error,
            )
        return plain

    def _send(self, part: Sequence[bytes], time_left: float | None, *, plain: bool) -> Result:
        self._ledger.request()
        body = body_of(part, time())
        begun = monotonic()
        try:
            answer = self._post(body, time_left, plain=plain)
        except (HeldError, CertificateError) as fault:
            self._time_limit.begin_anew()
            return Result(Verdict.HOLD, fault)
        except TransportError as fault:
            if isinstance(fault, OutcomeUnknownError):
                self._ledger.lost_answer()
                self._time_limit.lost(self._trip(part, body, begun))
            else:
                self._time_limit.begin_anew()
            return Result(Verdict.RETRY, fault)
        finally:
            self._last_at = monotonic()
        _log.debug("upload of %d events, %d bytes: %s", len(part), len(body), shown(answer))
        verdict = judge(answer)
        self._learn(verdict, self._trip(part, body, begun))
        if verdict is Verdict.ACCEPTED:
            self._path.accepted()
        elif verdict is Verdict.SPLIT and not is_about_event(answer):
            verdict = self._path.judge_refusal(len(part))
        elif verdict in (Verdict.SPLIT, Verdict.SPLIT_BYTES) and len(part) == 1:
            verdict = Verdict.REFUSED
        text = shown(answer)
        error: DeliveryError = RefusedError(answer.status, said(answer) or answer.text, text)
        if verdict is Verdict.HOLD:
            error = HeldError(f"{text}; {CURES.get(answer.status, 'correct data_plane_url')}")
        elif verdict is Verdict.RETRY:
            error = DeliveryError(text)
        return Result(verdict, error, answer)

    def _trip(self, part: Sequence[bytes], body: bytes, begun: float) -> Trip:
        transport = self._transport
        sent = getattr(transport, "sent", len(body))
        seconds = getattr(transport, "seconds", monotonic() - begun)
        return Trip(len(part), len(body), sent, seconds)

    def _learn(self, verdict: Verdict, trip: Trip) -> None:
        """See from an answer how large an upload may be."""
        limit = self._time_limit
        if verdict is Verdict.ACCEPTED:
            limit.answered(trip)
        elif verdict is Verdict.RETRY and trip.seconds > limit.seconds:
            limit.lost(trip)  # a proxy says 502, or 504, when it gets no answer in time
        elif verdict in (Verdict.RETRY, Verdict.HOLD):
            limit.begin_anew()

    def _post(self, body: bytes, time_left: float | None, *, plain: bool) -> Answer:
        begun = monotonic()
        try:
            return self._transport.send(body, time_left, plain=plain)
        except StaleConnectionError as fault:
            if monotonic() - begun > _STALE_WITHIN:
                raise OutcomeUnknownError(str(fault)) from fault
            # The server had merely closed an idle connection. So it goes by a new one, at once, and
            # that is none of the retries that are counted.
            if time_left is not None:
                time_left -= monotonic() - begun
                if time_left <= 0:
                    raise
        self._ledger.request()
        self._ledger.retry()
        return self._transport.send(body, time_left, plain=plain)

    def _settle(self, part: Sequence[bytes], result: Result) -> bool:
        """Delivered or refused. False: the queue no longer had all of them."""
        self._reports.well()
        if self._ahead:  # else each message would be hashed for nothing
            self._ahead.difference_update(part)
        if result.verdict is Verdict.ACCEPTED:
            self._limit.accepted()
            return self._ledger.settle_delivered(self._queue, len(part)) == len(part)
        if result.answer and judge(result.answer) is Verdict.SPLIT_BYTES:
            self._limit.refused_alone()
        self._path = PathDoubt()  # the next refusal may be the path's
        refusal = result.error
        if not isinstance(refusal, RefusedError):
            answer = result.answer
            words = (said(answer) or answer.text) if answer else ""
            refusal = RefusedError(answer.status if answer else 0, words)
        # Told before it is forgotten: a flush returns when the dead letters are written.
        for message in part:
            self._reports.refused(message, refusal)
        return self._ledger.settle_refused(self._queue, len(part)) == len(part)

    def _second_opinion(
        self,
        suspect: bytes,
        parts: list[Sequence[bytes]],
        result: Result,
        failures: int,
        patience: Patience,
    ) -> Result:
        """The result for a lone event: if it may be to blame, in the light of others, or of none.

        Those that are accepted meanwhile are settled when it is their turn.
        """
        if result.is_foreign_refusal:
            if self._reaches_gateway(patience):
                self._path.accepted()
                return self._attempt([suspect], patience.time_left(), failures)
            for message in self._behind(suspect, parts):
                other = self._send_ahead(message, patience)
                if other.verdict is Verdict.ACCEPTED:
                    # Path and key are right, so what is answered now concerns the event.
                    return self._attempt([suspect], patience.time_left(), failures)
                if not other.is_foreign_refusal:
                    break
        elif result.blames_database and result.is_suspicious(failures):
            return self._last_chances(suspect, parts, patience) or result
        return result

    def _reaches_gateway(self, patience: Patience) -> bool:
        """Whether a request without events is answered in the gateway's own words for that."""
        try:
            answer = self._post(WITHOUT_EVENTS, patience.time_left(), plain=self._plain)
        except TransportError:
            return False
        return judge(answer) is Verdict.REFUSED

    def _last_chances(
        self, suspect: bytes, parts: list[Sequence[bytes]], patience: Patience
    ) -> Result | None:
        """What becomes of a suspect whose neighbours pass; None: it can't be known now.

        A database in trouble fails at random, too. So those behind the suspect have to pass, each
        at its first try, between the suspect's failures; only just behind it there may be more
        that fail. With few behind it, it gets the more chances.
        """
        witnesses = 0
        for message in self._behind(suspect, parts):
            other = self._send_ahead(message, patience)
            if other.verdict is Verdict.ACCEPTED:
                witnesses += 1
                again = self._tries(suspect, _TRIES_A_WITNESS, patience)
                if again is None or again.verdict is not Verdict.REFUSED or witnesses == _WITNESSES:
                    return again
            elif witnesses or not other.blames_database:
                return None
        if not witnesses:
            return None
        more = _TRIES_WITH_FEW_WITNESSES - witnesses * _TRIES_A_WITNESS
        return self._tries(suspect, more, patience)

    def _tries(self, suspect: bytes, tries: int, patience: Patience) -> Result | None:
        """Send a suspect so many times: refused, if all of them fail; None: there is no time."""
        for number in range(tries):
            delay = self._policy.delay(number % 3 + 1, random.random()) or 0.0  # noqa: S311 - jitter
            if not patience.pause(delay):
                return None
            result = self._send([suspect], patience.time_left(), plain=self._plain)
            if not result.blames_database:
                return result
        return Result(Verdict.REFUSED, result.error, result.answer)

    def _send_ahead(self, message: bytes, patience: Patience) -> Result:
        result = self._send([message], patience.time_left(), plain=self._plain)
        if result.verdict is Verdict.ACCEPTED:
            self._ahead.add(message)
        return result

    def _behind(self, suspect: bytes, parts: list[Sequence[bytes]]) -> list[bytes]:
        """Some of the next events behind the one that is first in line, to compare it with."""
        if self._queue.waiting() and sum(map(len, parts)) < _NEIGHBOURS:
            batch = self._queue.get(self._limit.bytes - FRAME, MESSAGE_OVERHEAD)
            if batch[:1] == [suspect] and len(batch) > 1:
                parts[:] = [batch[1:]]
        behind = (message for part in reversed(parts) for message in part)
        fresh = (message for message in behind if message not in self._ahead)
        return list(islice(fresh, _NEIGHBOURS))

    def _halves(self, part: Sequence[bytes], verdict: Verdict) -> list[Sequence[bytes]]:
        middle = len(part) // 2
        if verdict is Verdict.SPLIT_BYTES:
            middle = self._limit.refused([len(message) + MESSAGE_OVERHEAD for message in part])
        return [part[:middle], part[middle:]]

    def _give_up(self, part: Sequence[bytes], result: Result) -> bool:
        reason = "retries_exhausted"
        exhausted = RetriesExhaustedError(f"gave up after {self._policy.max_retries} retries")
        exhausted.__cause__ = error = result.error
        self._reports.given_up = f"{error}; {cure_of_outage(error, result.answer)}"
        self._reports.dropped(part, reason)
        self._reports.failed(exhausted, part)
        settled = self._ledger.settle_dropped(self._queue, len(part), reason)
        if not self._queue.pending()[0] and self._ledger.outage is None:
            self._reports.trouble.end()
        self._reports.drop_line()
        return settled == len(part)

    def _wait_for(
        self, result: Result, attempt: int, part: Sequence[bytes], remaining: float
    ) -> float | None:
        """Seconds until the next attempt; None: give up.

        Args:
            result: Of the attempt that failed.
            attempt: How many have failed, from 1.
            part: What was sent.
            remaining: Seconds that a wait had still to go when it was cut short.
        """
        fraction = 0.0 if remaining else random.random()  # noqa: S311 - jitter, not a secret
        self._tell(result, part)
        if result.verdict is Verdict.HOLD:
            return remaining or self._policy.probe_delay(attempt, fraction)
        retry_after = result.answer.retry_after if result.answer else None
        delay = self._policy.delay(attempt, fraction, retry_after)
        if delay is None:
            return None
        delay = max(delay, remaining)
        self._ledger.retry()
        unknown = isinstance(result.error, OutcomeUnknownError)
        _log.debug(
            "upload of %d events failed (%s%s); retry %d in %.1f s",
            len(part),
            result.error,
            ", perhaps stored" if unknown else "",
            attempt,
            delay,
        )
        return delay
