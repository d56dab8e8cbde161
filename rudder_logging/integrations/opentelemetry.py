"""observe: a handler's ledger as OpenTelemetry's metrics.

The option `trace_context`, which puts the current span's ids on events, needs nothing of this.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from urllib.parse import urlsplit

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

from .._version import __version__
from ..delivery.ledger import Stats
from ..handler.handler import RudderHandler

__all__ = ["observe"]

Read = Callable[[Stats], "int | Mapping[str, int]"]

_COUNTERS: dict[str, tuple[str, Read, str]] = {
    "events.accepted": ("{event}", lambda s: s.accepted, "Passed validation."),
    "events.delivered": ("{event}", lambda s: s.delivered, "Stored by the data plane."),
    "events.refused": ("{event}", lambda s: s.refused, "Refused by the data plane for good."),
    "events.dropped": ("{event}", lambda s: s.dropped, "Accepted, and lost, by reason."),
    "events.invalid": ("{event}", lambda s: s.invalid, "Refused at the call, never accepted."),
    "events.adopted": ("{event}", lambda s: s.adopted, "Taken over from processes that ended."),
    "uploads": ("{request}", lambda s: s.requests, "Tried."),
    "uploads.retried": ("{request}", lambda s: s.retries, "Tried again."),
    "uploads.lost_answers": ("{request}", lambda s: s.lost_answers, "Sent; no answer came."),
    "spool.errors": ("{error}", lambda s: s.spool_errors, "The durable queue's disk failed."),
    "callback.errors": ("{error}", lambda s: s.callback_errors, "Callbacks of the app's raised."),
    "listener.restarts": ("{restart}", lambda s: s.listener_restarts, "Dead threads replaced."),
}
_LEVELS: dict[str, tuple[str, Read, str]] = {
    "queue.events": ("{event}", lambda s: s.pending, "In the queue, or being sent."),
    "queue.size": ("By", lambda s: s.pending_bytes, "Their size."),
    "holding": (
        "{handler}",
        lambda s: int(s.holding is not None),
        "Hold events: a wrong key, say.",
    ),
    "outage": (
        "{handler}",
        lambda s: int(s.outage is not None),
        "Have delivered nothing for 10 s.",
    ),
}
_observed: weakref.WeakKeyDictionary[Meter, weakref.WeakSet[RudderHandler]] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def observe(handler: RudderHandler, meter: Meter | None = None) -> None:
    """Report a handler's `stats()` as metrics: `rudder_logging.events.accepted` and so on.

    Counters of events and uploads (`rudder_logging.events.dropped` by `reason`), the queue's
    length and size, and how many handlers hold events or are in an outage. `server.address` tells
    data planes apart, `rudder_logging.handler` handlers that have a name; others are added up.

    Args:
        handler: It is not kept alive. Observed twice, it counts once.
        meter: Makes the instruments; by default the global provider's.

    .. versionadded:: 0.1.0
    """
    meter = meter or _default_meter()
    with _lock:
        handlers = _observed.get(meter)
        if handlers is None:
            handlers = _observed[meter] = weakref.WeakSet()
            _make_instruments(meter, handlers)
        handlers.add(handler)


@cache
def _default_meter() -> Meter:
    """Keep the meter: another one would have a second set of instruments."""
    return get_meter("rudder_logging", __version__)


def _make_instruments(meter: Meter, handlers: weakref.WeakSet[RudderHandler]) -> None:
    for table, make in (
        (_COUNTERS, meter.create_observable_counter),
        (_LEVELS, meter.create_observable_up_down_counter),
    ):
        for name, (unit, read, doc) in table.items():
            make(f"rudder_logging.{name}", [_callback(handlers, read)], unit, doc)


def _callback(
    handlers: weakref.WeakSet[RudderHandler], read: Read
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observations(_: CallbackOptions) -> Iterable[Observation]:
        with _lock:
            living = list(handlers)
        sums: Counter[tuple[tuple[str, str], ...]] = Counter()
        for handler in living:
            attributes = _attributes(handler)
            value = read(handler.stats())
            if isinstance(value, Mapping):
                for reason, number in value.items():
                    with_reason = (*attributes, ("reason", reason))
                    sums[with_reason] += number
            else:
                sums[attributes] += value
        return [Observation(number, dict(key)) for key, number in sums.items()]

    return observations


def _attributes(handler: RudderHandler) -> tuple[tuple[str, str], ...]:
    relay = handler.config.relay_url
    address = urlsplit(handler.config.data_plane_url or "").hostname
    if relay is not None:
        address = ",".join(relay.hosts)
    attributes = {"server.address": address, "rudder_logging.handler": handler.name}
    return tuple((key, value) for key, value in attributes.items() if value)
