"""From a batch to its outcome: accepted, to be retried, split, held, or refused.

`judge` is the table of outcomes (GATEWAY: decision table of a loss-free client), one row per
answer; `Delivery` acts on its verdicts until every event of the batch is settled.
"""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import Sequence
from time import time
from typing import TYPE_CHECKING, Protocol

from ._encoding import utc_milliseconds
from ._ledger import Ledger
from ._reports import Reports
from ._retry import RetryPolicy
from .exceptions import (
    CertificateError,
    DeliveryError,
    HeldError,
    OutcomeUnknownError,
    RefusedError,
    RetriesExhaustedError,
    TransportError,
)
from .queues.base import EventQueue

if TYPE_CHECKING:  # it imports requests, which importing the package must not
    from ._transport import Answer, Transport

__all__ = ["FRAME", "MESSAGE_OVERHEAD", "Delivery", "Patience", "Verdict", "body_of", "judge"]

_log = logging.getLogger("rudder_logging")

_OPENING, _CLOSING = b'{"batch":[', b"]}"
FRAME = len(_OPENING) + len(_CLOSING)
"""Bytes of a body besides its messages."""
MESSAGE_OVERHEAD = len(',"sentAt":"2026-01-31T12:00:00.000Z"},')
"""Bytes that a queued message grows by in a body."""


def body_of(messages: Sequence[bytes], now: float) -> bytes:
    """The request's JSON: each queued message closed with its `sentAt`, framed as a batch.

    The server reads `sentAt` per event only, and corrects the sender's clock by it; so it is
    the time of this attempt, not of the first.
    """
    end = b',"sentAt":"%s"}' % utc_milliseconds(now).encode()
    return _OPENING + (end + b",").join(messages) + end + _CLOSING


class Verdict(enum.Enum):
    """What an answer means for the events that were sent."""

    ACCEPTED = "stored"
    RETRY = "a fault that may pass"
    HOLD = "a configuration fault: keep everything, report, probe slowly"
    SPLIT = "one of them is bad: halve to find it"
    SPLIT_BYTES = "too large together: halve by size"
    REFUSED = "all of them are bad"


_BAD_EVENT = frozenset(
    {
        "event is not a valid rudder event",
        "request neither has anonymousId nor userId",
        "request size exceeds max limit",
    }
)
"""The gateway's words (gateway/response/response.go) for a fault of the event itself."""

_CURES = {
    200: "data_plane_url leads to something else than a data plane",
    400: "something between here and the data plane alters requests",
    401: "check write_key",
    403: "check write_key, and what stands before the data plane",
    404: "enable the source, or correct data_plane_url",
    405: "correct data_plane_url",
    407: "give the proxy's user and password in proxies",
    431: "a proxy adds too many headers, or write_key is far too long",
}


def judge(answer: Answer) -> Verdict:  # noqa: PLR0911 - one return a row
    """The verdict on one answer."""
    status, text = answer.status, answer.text
    if status == 200 and text == "ok":  # noqa: PLR2004
        return Verdict.ACCEPTED
    if status == 413:  # noqa: PLR2004
        return Verdict.SPLIT_BYTES
    if status == 400:  # noqa: PLR2004
        if text == "empty batch payload":
            return Verdict.REFUSED
        if text.lower() == "400 bad request":  # net/http's own: a header is malformed
            return Verdict.HOLD
        return Verdict.SPLIT
    if status in (408, 425, 429) or status >= 500:  # noqa: PLR2004
        return Verdict.RETRY
    # 401, 403, 404, 405, 407, 431; and redirects, other 2xx and 4xx, which no gateway sends.
    return Verdict.HOLD


class Patience(Protocol):
    """How long whoever delivers can wait."""

    def pause(self, seconds: float) -> bool:
        """Wait so long, or less. False: give up for now."""
        ...

    def time_left(self) -> float | None:
        """Seconds that an attempt may take, at least a little; None: as long as it takes."""
        ...


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
    ) -> None:
        self._queue = queue
        self._transport = transport
        self._ledger = ledger
        self._reports = reports
        self._policy = policy
        self.max_batch_bytes = max_batch_bytes
        """What a body may weigh before compression; lowered when a 413 says so."""
        self._proven = False  # something was accepted, so URL, key and path are right

    def deliver(self, batch: Sequence[bytes], patience: Patience) -> bool:
        """Settle all events of a batch.

        Args:
            batch: What the queue handed out.
            patience: When it ends, what is not settled stays in the queue.

        Returns:
            Whether all of them are settled.
        """
        parts = [batch]  # in order, the first one last
        attempt = 0
        while parts:
            part = parts.pop()
            if self._ledger.holding and len(part) > 1:
                # A probe is small: one event.
                parts.append(part[1:])
                part = part[:1]
            verdict, error, retry_after = self._attempt(part, patience.time_left())
            if verdict is Verdict.ACCEPTED:
                self._resume()
                attempt = 0
                if not self._settle_delivered(part):
                    return False
                continue
            if verdict in (Verdict.SPLIT, Verdict.SPLIT_BYTES) and len(part) > 1:
                self._resume()
                parts += reversed(self._halves(part, verdict))
                continue
            if verdict is not Verdict.HOLD and isinstance(error, RefusedError):
                attempt = 0
                if not self._refuse(part, error):
                    return False
                continue
            attempt += 1
            delay = self._wait_for(verdict, error, attempt, part, retry_after)
            if delay is None:
                attempt = 0
                if not self._give_up(part, error):
                    return False
                continue
            parts.append(part)
            if not patience.pause(delay):
                return False
        return True

    def close(self) -> None:
        """Let go of connections; the next upload opens new ones."""
        close = getattr(self._transport, "close", None)
        if close is not None:
            close()

    def _attempt(
        self, part: Sequence[bytes], time_left: float | None
    ) -> tuple[Verdict, DeliveryError, float | None]:
        """Send once. The error says why, in case the verdict is not ACCEPTED."""
        self._ledger.request()
        body = body_of(part, time())
        try:
            answer = self._transport.send(body, time_left)
        except (HeldError, CertificateError) as error:
            return Verdict.HOLD, error, None
        except TransportError as error:
            return Verdict.RETRY, error, None
        _log.debug(
            "upload of %d events, %d bytes: %d %s",
            len(part),
            len(body),
            answer.status,
            answer.text,
        )
        verdict = judge(answer)
        refusal = RefusedError(answer.status, answer.text)
        lone_of_unknown_fault = (
            verdict is Verdict.SPLIT and len(part) == 1 and answer.text not in _BAD_EVENT
        )
        if lone_of_unknown_fault and not self._proven:
            # Nothing was ever accepted here: rather the path than the event is broken.
            verdict = Verdict.HOLD
        if verdict is Verdict.HOLD:
            cure = _CURES.get(answer.status, "correct data_plane_url")
            return verdict, HeldError(f"{answer.status} {answer.text!r}; {cure}"), None
        return (
            verdict,
            refusal
            if verdict is not Verdict.RETRY
            else DeliveryError(f"{answer.status} {answer.text!r}"),
            answer.retry_after,
        )

    def _settle_delivered(self, part: Sequence[bytes]) -> bool:
        self._proven = True
        return self._ledger.settle_delivered(self._queue, len(part)) == len(part)

    def _halves(self, part: Sequence[bytes], verdict: Verdict) -> list[Sequence[bytes]]:
        middle = len(part) // 2
        if verdict is Verdict.SPLIT_BYTES:
            sizes = [len(message) + MESSAGE_OVERHEAD for message in part]
            total = sum(sizes)
            # Whoever refuses this much will refuse it again: a proxy's limit, mostly.
            self.max_batch_bytes = min(self.max_batch_bytes, max(total // 2, 1_000))
            weight = middle = 0
            while middle < len(part) - 1 and weight + sizes[middle] <= total // 2:
                weight += sizes[middle]
                middle += 1
            middle = max(middle, 1)
        return [part[:middle], part[middle:]]

    def _refuse(self, part: Sequence[bytes], error: RefusedError) -> bool:
        # Told before it is forgotten: a flush returns when the dead letters are written.
        for message in part:
            self._reports.refused(message, error)
        return self._ledger.settle_refused(self._queue, len(part)) == len(part)

    def _give_up(self, part: Sequence[bytes], error: DeliveryError) -> bool:
        reason = "retries_exhausted"
        exhausted = RetriesExhaustedError(f"gave up after {self._policy.max_retries} retries")
        exhausted.__cause__ = error
        self._reports.dropped(part, reason)
        self._reports.failed(exhausted, part)
        settled = self._ledger.settle_dropped(self._queue, len(part), reason)
        self._reports.drop_line()
        return settled == len(part)

    def _wait_for(
        self,
        verdict: Verdict,
        error: DeliveryError,
        attempt: int,
        part: Sequence[bytes],
        retry_after: float | None,
    ) -> float | None:
        fraction = random.random()  # noqa: S311 - jitter, not a secret
        if verdict is Verdict.HOLD:
            self._hold(error, part)
            return self._policy.probe_delay(attempt, fraction)
        delay = self._policy.delay(attempt, fraction, retry_after)
        if delay is not None:
            self._ledger.retry()
            unknown = isinstance(error, OutcomeUnknownError)
            _log.debug(
                "upload of %d events failed (%s%s); retry %d in %.1f s",
                len(part),
                error,
                ", perhaps stored" if unknown else "",
                attempt,
                delay,
            )
        return delay

    def _hold(self, error: DeliveryError, part: Sequence[bytes]) -> None:
        fault = str(error)
        if self._ledger.holding == fault:
            return
        self._ledger.holding = fault
        _log.error(
            "events are held, none is lost: %s. Delivery resumes by itself once that is mended",
            fault,
        )
        self._reports.failed(error, part)

    def _resume(self) -> None:
        if self._ledger.holding:
            self._ledger.holding = None
            _log.warning("delivery resumes")
