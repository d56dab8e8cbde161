"""The table of outcomes: what each answer means for the events that were sent.

Source: rudder-server 1.83.0, gateway/response and gateway/handle.go; the rest is what proxies and
load balancers before it say. Servers before 1.46 write the same words with capitals, so words are
known by `said` alone, whatever their case.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ...exceptions import ConnectionFailedError, DeliveryError, OutcomeUnknownError

__all__ = [
    "CURES",
    "DISABLED",
    "LONGEST_IDLE",
    "SETTLING",
    "SPOILT",
    "Answer",
    "PathDoubt",
    "Result",
    "Verdict",
    "cure_of_outage",
    "is_about_event",
    "judge",
    "said",
    "shown",
]

LONGEST_IDLE = 60.0
"""Seconds for which a connection is idle, and is used again all the same. What stands before a data
plane forgets one after 4 to 15 minutes without a word, and its next upload gets no answer."""


@dataclass(frozen=True)
class Answer:
    """What came back: status, the body's beginning, and Retry-After in seconds."""

    status: int
    text: str = ""
    retry_after: float | None = None


class Verdict(enum.Enum):
    """What an answer means for the events that were sent."""

    ACCEPTED = "stored"
    RETRY = "a fault that may pass"
    HOLD = "a configuration fault: keep everything, report, probe slowly"
    SPLIT = "one of them is bad: halve to find it"
    SPLIT_BYTES = "too large together: halve by size"
    REFUSED = "all of them are bad"


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


def is_about_event(answer: Answer) -> bool:
    """Tell if it says that an event itself is bad."""
    return said(answer) in _BAD_EVENT


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


_CURES_OF_OUTAGES = {
    OutcomeUnknownError: "see to the data plane, or to what stands before it",
    ConnectionFailedError: "see that the data plane runs and can be reached from here, or correct "
    "data_plane_url or proxies",
}


def cure_of_outage(error: DeliveryError, answer: Answer | None) -> str:
    """Name the cure of a fault that should have passed by itself."""
    if answer is not None and answer.status == 429:  # noqa: PLR2004
        return "raise the data plane's rate limit, or log less"
    cures = (cure for kind, cure in _CURES_OF_OUTAGES.items() if isinstance(error, kind))
    return next(cures, _CURES_OF_OUTAGES[OutcomeUnknownError])


def judge(answer: Answer) -> Verdict:  # noqa: PLR0911 - one return a row
    """The verdict on one answer."""
    status, words = answer.status, said(answer)
    if status == 200 and words == _STORED:  # noqa: PLR2004
        return Verdict.ACCEPTED
    if status == 413:  # noqa: PLR2004
        return Verdict.SPLIT_BYTES
    if status == 400:  # noqa: PLR2004
        if words == _EMPTY:
            return Verdict.REFUSED
        if words == _MALFORMED:
            return Verdict.HOLD
        return Verdict.SPLIT
    if status in (408, 425, 429) or status >= 500:  # noqa: PLR2004
        return Verdict.RETRY
    # 401, 403, 404, 405, 407, 431; and redirects, other 2xx and 4xx, which no gateway sends.
    return Verdict.HOLD


SETTLING = (Verdict.ACCEPTED, Verdict.REFUSED)
_ATTEMPTS_BEFORE_SUSPICION = {429: 1, 500: 3}
"""Failures by status after which a batch is halved: the gateway always refuses one that costs more
than its rate limit, and one event may be what its database can't take."""


@dataclass(frozen=True)
class Result:
    """What came of one attempt."""

    verdict: Verdict
    error: DeliveryError
    answer: Answer | None = None

    @property
    def splits(self) -> bool:
        """Whether a batch is to be halved at once."""
        return self.verdict in (Verdict.SPLIT, Verdict.SPLIT_BYTES)

    @property
    def is_foreign_refusal(self) -> bool:
        """Whether it is a lone event's 400 that is held because no gateway has been heard yet."""
        return (
            self.verdict is Verdict.HOLD
            and self.answer is not None
            and judge(self.answer) is Verdict.SPLIT
        )

    @property
    def blames_database(self) -> bool:
        """Whether it is a 500 with the database's own words, which an event may have provoked."""
        return (
            self.answer is not None
            and self.answer.status == 500  # noqa: PLR2004
            and said(self.answer) != _UNREADABLE
        )

    def is_suspicious(self, failures: int) -> bool:
        """Whether, after so many failures before this one, the events may be at fault."""
        if self.verdict is not Verdict.RETRY or self.answer is None:
            return False
        enough = _ATTEMPTS_BEFORE_SUSPICION.get(self.answer.status)
        return enough is not None and failures >= enough and said(self.answer) != _UNREADABLE

    def blames_encoding(self, events: int, failures: int) -> bool:
        """Whether something on the way may have taken off, or spoilt, the compression."""
        if self.answer is None:
            return False
        if said(self.answer) == _UNREADABLE:
            return failures > 0
        return self.answer.status == 400 and said(self.answer) == _INVALID and events == 1  # noqa: PLR2004


class PathDoubt:
    """Whether a 400 in words that are not the gateway's own on a bad event is about an event.

    Rather the path is broken, unless another event was accepted between such a refusal and the one
    before it.
    """

    def __init__(self) -> None:
        self._is_refused = self._is_accepted_since = False

    def accepted(self) -> None:
        """Something was accepted."""
        self._is_accepted_since = self._is_refused

    def judge_refusal(self, events: int) -> Verdict:
        """The verdict on the refusal of so many events."""
        if self._is_accepted_since and events == 1:
            return Verdict.REFUSED
        self._is_refused, self._is_accepted_since = True, False
        return Verdict.SPLIT if events > 1 else Verdict.HOLD
