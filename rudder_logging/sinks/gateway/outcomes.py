"""The table of outcomes: what each answer means for the events that were sent.

Source: rudder-server 1.83.0, gateway/response and gateway/handle.go; the rest is what proxies and
load balancers before it say. Servers before 1.46 write the same words with capitals, so words are
known by `said` alone, whatever their case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from ...exceptions import (
    CertificateError,
    ConnectionFailedError,
    HeldError,
    OutcomeUnknownError,
    TransportError,
)
from ..base import Hold, Later, Outcome, Refused, Stored, TooLarge, Unknown

__all__ = [
    "CURES",
    "DISABLED",
    "SPOILT",
    "Answer",
    "PathDoubt",
    "is_about_compression",
    "is_foreign_refusal",
    "is_of_gateway",
    "judge",
    "judge_fault",
    "said",
    "shown",
]


@dataclass(frozen=True)
class Answer:
    """An answer: status, the body's beginning, and Retry-After in seconds."""

    status: int
    text: str = ""
    retry_after: float | None = None


_STORED = "ok"
_EMPTY = "empty batch payload"
_MALFORMED = "400 Bad Request"  # net/http's own: a header is
_INVALID = "invalid json"
_UNREADABLE = "failed to read body from request"
DISABLED = "source is disabled"
SPOILT = frozenset({_INVALID, _UNREADABLE})
"""The gateway's words for a body that something on the way has altered."""
_BAD_EVENT = frozenset(
    {
        "event is not a valid rudder event",
        "request neither has anonymousId nor userId",
        "request size exceeds max limit",
    }
)
"""The gateway's words (gateway/response/response.go) for a fault of the event itself."""
_KNOWN = {
    words.casefold(): words
    for words in (
        _STORED,
        _EMPTY,
        _MALFORMED,
        *SPOILT,
        DISABLED,
        *_BAD_EVENT,
        "failed to read writekey from header",
        "failed to read writekey from query params",
        "request body is nil",
        "invalid write key",
        "404 page not found",
        "max requests limit reached",
        "Service Unavailable",
        "gateway timeout",
    )
}


def said(answer: Answer) -> str | None:
    """The gateway's words, as its newest version writes them; None: they are not the gateway's."""
    return _KNOWN.get(answer.text.strip().casefold())


def shown(answer: Answer) -> str:
    """An answer as reports may show it: words that are not the gateway's might quote the event."""
    words = said(answer)
    if words is not None:
        return f"{answer.status} {words!r}"
    return (
        f"{answer.status} with a text that is not the gateway's"
        if answer.text
        else (f"{answer.status} without a text")
    )


CURES = {
    200: "data_plane_url leads to something else than a data plane",
    400: "something between here and the data plane alters requests",
    401: "check write_key",
    403: "check write_key, and what stands before the data plane",
    404: "enable the source, or correct data_plane_url",
    405: "correct data_plane_url",
    407: "the proxy wants authentication: give user and password in its URL, by proxies",
    431: "a proxy adds too many headers, or write_key is far too long",
}
_CURE_OF_OUTAGE = "see to the data plane, or to what stands before it"
_CURE_OF_CONNECTION = (
    "see that the data plane runs and can be reached from here, or correct data_plane_url or "
    "proxies"
)
_CURE_OF_RATE = "raise the data plane's rate limit, or log less"


def judge(answer: Answer, events: int = 1) -> Outcome:
    """The outcome of an answer to an upload of that many events."""
    status, words = answer.status, said(answer)
    text, reason = shown(answer), words or answer.text
    if status == 200 and words == _STORED:  # noqa: PLR2004
        return Stored()
    if status == 413:  # noqa: PLR2004
        return TooLarge(reason, status=status, shown=text)
    if status == 400 and words != _MALFORMED:  # noqa: PLR2004
        which = range(events) if words == _EMPTY else None
        return Refused(reason, which, status=status, shown=text)
    if status in (408, 425, 429) or status >= 500:  # noqa: PLR2004
        is_too_much = status == 429  # noqa: PLR2004
        return Later(
            text,
            _CURE_OF_RATE if is_too_much else _CURE_OF_OUTAGE,
            after=answer.retry_after,
            is_too_much=is_too_much,
            # It may be what the database can't take.
            may_blame_event=status == 500 and words != _UNREADABLE,  # noqa: PLR2004
            words=reason,
            status=status,
        )
    # 401, 403, 404, 405, 407, 431; and redirects, other 2xx and 4xx, which no gateway sends.
    return Hold(text, CURES.get(status, "correct data_plane_url"))


def judge_fault(error: TransportError | HeldError) -> Outcome:
    """The outcome of an upload to which no answer came."""
    text = str(error)
    if isinstance(error, (HeldError, CertificateError)):
        fault, _, cure = text.partition("; ")
        return Hold(fault, cure, cause=error)
    if isinstance(error, OutcomeUnknownError):
        return Unknown(text, _CURE_OF_OUTAGE, cause=error)
    is_unconnected = isinstance(error, ConnectionFailedError)
    return Later(text, _CURE_OF_CONNECTION if is_unconnected else _CURE_OF_OUTAGE, cause=error)


def is_foreign_refusal(outcome: Outcome) -> TypeGuard[Refused]:
    """Tell if it is a 400 in words that are not the gateway's own on a bad event."""
    return (
        isinstance(outcome, Refused) and outcome.which is None and outcome.words not in _BAD_EVENT
    )


def is_of_gateway(answer: Answer) -> bool:
    """Tell if the gateway itself answers so to a request without events."""
    outcome = judge(answer)
    return isinstance(outcome, Stored) or (
        isinstance(outcome, Refused) and outcome.which is not None
    )


def is_about_compression(
    outcome: Outcome, events: int, *, failed_before: bool
) -> TypeGuard[Refused | Later]:
    """Tell if something on the way may have taken off, or spoilt, the compression."""
    if isinstance(outcome, Later):
        return outcome.words == _UNREADABLE and failed_before
    return isinstance(outcome, Refused) and outcome.words == _INVALID and events == 1


class PathDoubt:
    """Tells whether a foreign refusal is about an event, or about the path to the gateway.

    Rather the path is broken, unless another event was stored between such a refusal of the event
    and the one before.
    """

    def __init__(self) -> None:
        self._refused: set[int] = set()  # hashes, to keep no messages in memory
        self._is_stored_since = False

    def refused(self, messages: Sequence[bytes]) -> None:
        """Note a refusal: some of these messages are bad, or the path is."""
        if self._is_stored_since:
            self._refused, self._is_stored_since = set(), False
        self._refused.update(map(hash, messages))

    def stored(self, messages: Sequence[bytes]) -> None:
        """Note that these messages were stored."""
        if self._refused:
            self._refused.difference_update(map(hash, messages))
            self._is_stored_since = True

    def is_about(self, message: bytes) -> bool:
        """Tell if the message itself is refused."""
        return self._is_stored_since and hash(message) in self._refused
