"""The sink of RudderStack's gateway: uploads over HTTP, and their outcomes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from time import time

from ...common.clock import monotonic
from ...config import Config
from ...exceptions import HeldError, OutcomeUnknownError, StaleConnectionError, TransportError
from ..base import Failure, Hold, Outcome, Refused, Stored, TooLarge, Trip, Unknown
from .body import FRAME, WITHOUT_EVENTS, body_of
from .outcomes import (
    CURES,
    Answer,
    PathDoubt,
    is_about_compression,
    is_foreign_refusal,
    is_of_gateway,
    judge,
    judge_fault,
    shown,
)
from .transport import HttpTransport, Transport
from .untraced import untraced

__all__ = ["GatewaySink"]

_log = logging.getLogger("rudder_logging")

_STALE_WITHIN = 1.0
"""Seconds. A connection that was closed while it was idle breaks at once when it is used again; one
that breaks later was cut, and the upload was perhaps stored."""
_SHORTEST_UPLOAD = 0.05
_SECONDS_BETWEEN_PROBES = 1.0


class GatewaySink:
    """Uploads messages to a gateway.

    Args:
        config: Where to, and how.
        transport: In place of HTTP.
    """

    def __init__(self, config: Config, transport: Transport | None = None) -> None:
        self.max_bytes = config.max_batch_bytes - FRAME
        self._transport = transport or HttpTransport(config)
        self._plain = not config.gzip  # or compression does not survive the way
        self._path = PathDoubt()
        self._has_failed = False
        self._probed_at = float("-inf")
        self._requests = self._retries = 0

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        self._requests = self._retries = 0
        with untraced():
            outcome = self._upload(messages, deadline)
            if is_foreign_refusal(outcome):
                outcome = self._examine(messages, outcome, deadline)
        if isinstance(outcome, Stored):
            self._path.stored(messages)
        elif len(messages) == 1 and isinstance(outcome, (Refused, TooLarge)):
            self._path = PathDoubt()  # the next refusal may be the path's
        self._has_failed = isinstance(outcome, Failure)
        return replace(outcome, requests=self._requests, retries=self._retries)

    def close(self) -> None:
        """See `Sink.close`."""
        self._transport.close()

    def urls(self) -> list[str]:
        """The URLs of all servers that it connects to: the gateway's, and a proxy's."""
        return self._transport.urls()

    def _examine(
        self, messages: Sequence[bytes], refusal: Refused, deadline: float | None
    ) -> Outcome:
        """The outcome of a refusal that may be the path's instead of an event's."""
        if len(messages) == 1 and self._path.is_about(messages[0]):
            return refusal
        self._path.refused(messages)
        if len(messages) > 1:
            return refusal
        if self._reaches_gateway(deadline):
            return self._upload(messages, deadline)  # what is answered now concerns the event
        return Hold(refusal.shown or "", CURES[400], may_blame_event=True)

    def _reaches_gateway(self, deadline: float | None) -> bool:
        """Tell if a request without events is answered in the gateway's own words for that."""
        if monotonic() - self._probed_at < _SECONDS_BETWEEN_PROBES:
            return False  # asked for each of many events, the answer would be the same
        self._probed_at = monotonic()
        counts = self._requests, self._retries
        try:
            return is_of_gateway(self._post(WITHOUT_EVENTS, deadline, plain=self._plain))
        except (TransportError, HeldError):
            return False
        finally:
            self._requests, self._retries = counts  # it brings no messages, so it is no upload

    def _upload(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """Send once, and once more without compression if that may be what is wrong."""
        outcome = self._request(messages, deadline, plain=self._plain)
        if self._plain or not is_about_compression(
            outcome, len(messages), failed_before=self._has_failed
        ):
            return outcome
        plain = self._request(messages, deadline, plain=True)
        if isinstance(plain, Stored):
            self._plain = True
            _log.warning(
                "something between here and the data plane spoils compressed uploads (%s); "
                "sending uncompressed from now on",
                outcome.error,
            )
        return plain

    def _request(
        self, messages: Sequence[bytes], deadline: float | None, *, plain: bool
    ) -> Outcome:
        body = body_of(messages, time())
        try:
            answer = self._post(body, deadline, plain=plain)
        except (HeldError, TransportError) as fault:
            outcome = judge_fault(fault)
            if not isinstance(outcome, Unknown):
                return outcome
        else:
            _log.debug("upload of %d events, %d bytes: %s", len(messages), len(body), shown(answer))
            outcome = judge(answer, len(messages))
        sent, seconds = self._transport.sent, self._transport.seconds
        return replace(outcome, trip=Trip(len(messages), len(body), sent, seconds))

    def _post(self, body: bytes, deadline: float | None, *, plain: bool) -> Answer:
        begun = monotonic()
        self._requests += 1
        try:
            return self._transport.send(body, _until(deadline, begun), plain=plain)
        except StaleConnectionError as fault:
            now = monotonic()
            if now - begun > _STALE_WITHIN:
                raise OutcomeUnknownError(str(fault)) from fault
            # The server had merely closed an idle connection. So it goes by a new one, at once, and
            # that is none of the retries that are counted.
            if deadline is not None and deadline <= now:
                raise
        self._requests += 1
        self._retries += 1
        return self._transport.send(body, _until(deadline, monotonic()), plain=plain)


def _until(deadline: float | None, now: float) -> float | None:
    """Seconds that a request may take."""
    return None if deadline is None else max(_SHORTEST_UPLOAD, deadline - now)
