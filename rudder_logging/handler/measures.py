"""The ledgers of handlers as metrics: one table, and the sums over handlers that are alike.

Prometheus (`rudder_logging.metrics`) and OpenTelemetry (`rudder_logging.integrations`) show them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..delivery.ledger import Stats
from ..queues.urls import MEMORY, is_spool_url, parse_spool_url

if TYPE_CHECKING:
    from ..config import Config
    from .handler import RudderHandler

__all__ = ["EXPECTED", "LOSSES", "MEASURES", "Measure", "Place", "Sums"]

LOSSES = (
    "queue_full",
    "before_send_failed",
    "retries_exhausted",
    "shutdown",
    "queue_failed",
    "interrupted",
    "privacy_failed",
    "rate_limited",
    "expired",
    "spool_torn",
    "spool_damaged",
    "spool_lost",
)
"""Reasons for which nobody wants to lose an event."""
EXPECTED = (
    "before_send",
    "send_off",
    "rolled_back",
    "suppressed",
    "consent",
    "denied",
    "sampled",
    "captured",
    "kept_back",
)
"""Reasons that the app asked for."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that is shown."""

    field: str
    """Of `Stats`, or of the queue's bounds."""
    prometheus: str
    """Its name there, without `_total`."""
    opentelemetry: str
    """Its name there, behind `rudder_logging.`."""
    unit: str
    """In OpenTelemetry's words."""
    doc: str
    counts: bool = True
    """It only grows."""

    def of(self, values: Mapping[str, object]) -> dict[str, int]:
        """Read it: by reason, if it has some, or else under an empty one; none if it is unknown."""
        value = values.get(self.field)
        if isinstance(value, Mapping):
            return dict(value)
        if self.unit == "{handler}":  # a text says why
            return {"": int(value is not None)}
        return {"": value} if isinstance(value, int) else {}

    @property
    def has_reasons(self) -> bool:
        """There is a number for each reason."""
        return self.field == "dropped"


def _level(field: str, prometheus: str, opentelemetry: str, unit: str, doc: str) -> Measure:
    return Measure(field, prometheus, opentelemetry, unit, doc, counts=False)


_EVENT, _REQUEST, _ERROR = "{event}", "{request}", "{error}"
MEASURES = (
    Measure("accepted", "rudder_events_accepted", "events.accepted", _EVENT, "Passed validation."),
    Measure(
        "delivered",
        "rudder_events_delivered",
        "events.delivered",
        _EVENT,
        "Stored by the data plane.",
    ),
    Measure(
        "refused",
        "rudder_events_refused",
        "events.refused",
        _EVENT,
        "Refused by the data plane for good.",
    ),
    Measure(
        "dropped",
        "rudder_events_dropped",
        "events.dropped",
        _EVENT,
        "Accepted, and not sent, by reason.",
    ),
    Measure(
        "invalid",
        "rudder_events_invalid",
        "events.invalid",
        _EVENT,
        "Refused at the call, never accepted.",
    ),
    Measure(
        "adopted",
        "rudder_events_adopted",
        "events.adopted",
        _EVENT,
        "Taken over from processes that ended.",
    ),
    _level(
        "pending",
        "rudder_events_pending",
        "queue.events",
        _EVENT,
        "In the queue, being sent, or uncommitted.",
    ),
    _level(
        "uncommitted",
        "rudder_events_uncommitted",
        "queue.uncommitted",
        _EVENT,
        "Of those pending: wait for a transaction's commit.",
    ),
    _level(
        "pending_bytes", "rudder_queue_bytes", "queue.size", "By", "Size of the pending events."
    ),
    _level(
        "max_events",
        "rudder_queue_max_events",
        "queue.max_events",
        _EVENT,
        "Events for which the queue has room.",
    ),
    _level(
        "max_bytes",
        "rudder_queue_max_bytes",
        "queue.max_size",
        "By",
        "Bytes for which the queue has room.",
    ),
    Measure("requests", "rudder_uploads", "uploads", _REQUEST, "Uploads tried."),
    Measure("retries", "rudder_uploads_retried", "uploads.retried", _REQUEST, "Tried again."),
    Measure(
        "lost_answers",
        "rudder_uploads_lost_answers",
        "uploads.lost_answers",
        _REQUEST,
        "Sent, and no answer came.",
    ),
    _level(
        "holding",
        "rudder_holding",
        "holding",
        "{handler}",
        "Handlers that hold events until a fault of configuration is mended.",
    ),
    _level(
        "outage",
        "rudder_outage",
        "outage",
        "{handler}",
        "Handlers that have delivered nothing for 10 s, though events wait.",
    ),
    Measure(
        "spool_errors",
        "rudder_spool_errors",
        "spool.errors",
        _ERROR,
        "The durable queue could not use its disk.",
    ),
    Measure(
        "callback_errors",
        "rudder_callback_errors",
        "callback.errors",
        _ERROR,
        "Callbacks of the app's raised.",
    ),
    Measure(
        "listener_restarts",
        "rudder_listener_restarts",
        "listener.restarts",
        "{restart}",
        "Dead listener threads were replaced.",
    ),
)
"""All that is shown, in the order in which an event meets it."""
_COUNTED = frozenset(measure.field for measure in MEASURES if measure.counts)


def _bounds(config: Config) -> dict[str, int]:
    """Room in the queue, as far as it is known: a buffer of the app's has bounds of its own."""
    if isinstance(config.queue, str) and is_spool_url(config.queue):
        return {"max_bytes": parse_spool_url(config.queue).max_bytes}
    if config.queue == MEMORY:
        return {"max_events": config.max_queue_size, "max_bytes": config.max_queue_bytes}
    return {}


Place = tuple[str, str]
"""The host to which events go, and the handler's name; empty where there is none."""


def _place(handler: RudderHandler) -> Place:
    relay = handler.config.relay_url
    host = urlsplit(handler.config.data_plane_url or "").hostname
    return (",".join(relay.hosts) if relay is not None else host) or "", handler.name or ""


Key = tuple[str, str]
"""A measure's field, and a reason or nothing."""


class Sums:
    """All measures of some handlers, added up where host and name are the same.

    No handler is kept alive. What one had counted when it was last looked at stays in the sums, so
    that a handler in its place goes on from there: a count that falls is taken for a new start.

    Args:
        living: The handlers at this moment.
    """

    def __init__(self, living: Callable[[], Iterable[RudderHandler]]) -> None:
        self._living = living
        self._begin()

    @classmethod
    def of(cls, handlers: Iterable[RudderHandler]) -> Sums:
        """Add up the given handlers, while they are there."""
        known = [weakref.ref(handler) for handler in handlers]
        return cls(lambda: [one for ref in known if (one := ref()) is not None])

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._seen: dict[int, tuple[weakref.ref[RudderHandler], Place, Counter[Key]]] = {}
        self._gone: dict[Place, Counter[Key]] = {}

    def take(self) -> dict[Place, Counter[Key]]:
        """Look at all of them. One that can't tell its numbers is left out."""
        if self._process != os.getpid():
            self._begin()  # a forked child counts from 0, and another thread may have had the lock
        looks = []
        for handler in self._living():
            with contextlib.suppress(Exception):  # a queue of the app's may raise; others go on
                looks.append((handler, _place(handler), _look(handler)))
        with self._lock:
            self._bury()
            sums = {place: Counter(counts) for place, counts in self._gone.items()}
            for handler, place, counts in looks:
                self._seen[id(handler)] = weakref.ref(handler), place, counts
                _add(sums.setdefault(place, Counter()), counts)
            return sums

    def _bury(self) -> None:
        for address, (handler, place, counts) in list(self._seen.items()):
            if handler() is None:
                del self._seen[address]
                counted = {key: number for key, number in counts.items() if key[0] in _COUNTED}
                _add(self._gone.setdefault(place, Counter()), counted)


def _look(handler: RudderHandler) -> Counter[Key]:
    # One that a forked child has not used has nothing to tell, and is not opened for that.
    stats = Stats() if handler._is_unused() else handler.stats()  # noqa: SLF001
    values = {**vars(stats), **_bounds(handler.config)}
    return Counter(
        {
            (measure.field, reason): number
            for measure in MEASURES
            for reason, number in measure.of(values).items()
        }
    )


def _add(sums: Counter[Key], counts: Mapping[Key, int]) -> None:
    for key, number in counts.items():  # `+` of Counters would leave out those that are 0
        sums[key] += number
