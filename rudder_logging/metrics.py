"""The ledgers of handlers for Prometheus. Needs the extra `metrics`."""

from __future__ import annotations

from collections.abc import Iterable

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        'rudder_logging.metrics needs an extra: pip install "rudder-logging[metrics]"'
    ) from error

from .handler.handler import RudderHandler, all_handlers
from .handler.measures import LOSSES, MEASURES, Measure, Sums

__all__ = ["collector"]


def collector(*handlers: RudderHandler) -> Collector:
    """Make a collector, to be registered: `REGISTRY.register(collector())`.

    All numbers are those of `stats()`, read at each scrape. The label `server` is the data plane's
    host, or the relay's engine; `handler` is the handler's name, as `dictConfig` gives it. Handlers
    that are alike in both are added up. No label shows a write key or a password. No handler is
    kept alive, and none is opened by a scrape.

    Args:
        *handlers: Those to show; without any, all that this process has at each scrape. Give
            several to one collector: a registry takes a second one only with other names.

    Raises:
        TypeError: One is not a `RudderHandler`.

    .. versionadded:: 0.1.0
    """
    for handler in handlers:
        if not isinstance(handler, RudderHandler):
            raise TypeError(f"collector() takes RudderHandlers, not {type(handler).__name__}")
    if not handlers:
        return _Ledgers(Sums(all_handlers))
    return _Ledgers(Sums.of(handlers))


class _Ledgers(Collector):
    def __init__(self, sums: Sums) -> None:
        self._sums = sums

    def describe(self) -> Iterable[Metric]:
        """Tell the names, for a registry that looks for others of the same name."""
        return list(map(_family, MEASURES))

    def collect(self) -> Iterable[Metric]:
        """See `Collector.collect`."""
        families = {measure.field: _family(measure) for measure in MEASURES}
        for place, counts in self._sums.take().items():
            # From 0, so that the first is seen: a rate needs two values.
            losses = dict.fromkeys((("dropped", reason) for reason in LOSSES), 0)
            for (field, reason), number in {**losses, **counts}.items():
                labels = [*place, reason] if reason else place
                families[field].add_metric(labels, number)
        return families.values()


def _family(measure: Measure) -> CounterMetricFamily | GaugeMetricFamily:
    labels = ["server", "handler", *(["reason"] if measure.has_reasons else [])]
    make = CounterMetricFamily if measure.counts else GaugeMetricFamily
    return make(measure.prometheus, measure.doc, labels=labels)
