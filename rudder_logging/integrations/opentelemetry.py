"""observe: a handler's ledger as OpenTelemetry's metrics.

The option `trace_context`, which puts the current span's ids on events, needs nothing of this.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from functools import cache

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

from .._version import __version__
from ..handler.handler import RudderHandler, all_handlers
from ..handler.measures import MEASURES, Place, Sums

__all__ = ["observe"]

_observed: weakref.WeakKeyDictionary[Meter, _Observed] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def observe(handler: RudderHandler | None = None, meter: Meter | None = None) -> None:
    """Report a handler's `stats()` as metrics: `rudder_logging.events.accepted` and so on.

    Counters of events and uploads (`rudder_logging.events.dropped` by `reason`), the queue's
    length, size and room, and how many handlers hold events or are in an outage. `server.address`
    tells data planes apart, `rudder_logging.handler` handlers that have a name; others are added
    up.

    Args:
        handler: It is not kept alive. Observed twice, it counts once. Without one, all handlers
            that the process has at each export.
        meter: Makes the instruments; by default the global provider's.

    .. versionadded:: 0.1.0
    """
    meter = meter or _default_meter()
    with _lock:
        observed = _observed.get(meter)
        if observed is None:
            observed = _observed[meter] = _Observed()
            _make_instruments(meter, Sums(observed.handlers))
        observed.add(handler)


class _Observed:
    """The handlers that a meter's instruments show."""

    def __init__(self) -> None:
        self._known: list[weakref.ref[RudderHandler]] = []
        self._are_all = False

    def add(self, handler: RudderHandler | None) -> None:
        if handler is None:
            self._are_all = True
        elif handler not in self.handlers():
            known = [ref for ref in self._known if ref() is not None]
            self._known = [*known, weakref.ref(handler)]  # anew: an export may look at the old one

    def handlers(self) -> list[RudderHandler]:
        if self._are_all:
            return all_handlers()
        return [one for ref in self._known if (one := ref()) is not None]


@cache
def _default_meter() -> Meter:
    """Keep the meter: another one would have a second set of instruments."""
    return get_meter("rudder_logging", __version__)


def _make_instruments(meter: Meter, sums: Sums) -> None:
    for measure in MEASURES:
        make = (
            meter.create_observable_counter
            if measure.counts
            else meter.create_observable_up_down_counter
        )
        name = f"rudder_logging.{measure.opentelemetry}"
        make(name, [_callback(sums, measure.field)], measure.unit, measure.doc)


def _callback(sums: Sums, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observations(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(number, _attributes(place, reason))
            for place, counts in sums.take().items()
            for (measured, reason), number in counts.items()
            if measured == field
        ]

    return observations


def _attributes(place: Place, reason: str) -> dict[str, str]:
    names = ("server.address", "rudder_logging.handler", "reason")
    return {name: value for name, value in zip(names, (*place, reason), strict=True) if value}
