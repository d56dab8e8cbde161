"""The relay's metrics, as Prometheus reads them. Needs the extra `metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from ..common.clock import monotonic
from .accounts import BUCKETS
from .feed import Feed

__all__ = ["Metrics"]

_LAG_SECONDS = 2.0
"""A scrape waits for the lag no longer than this, whatever the number of sources."""
_BY_SOURCE = ["source"]


class Metrics(Collector):
    """Reads all numbers at each scrape. None is kept here.

    A lag that the engine does not tell in time is left out: an old one would look like a queue
    that does not move.
    """

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def page(self, accept: str) -> tuple[bytes, str]:
        """The page, and its content type, for an `Accept` header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Tell nothing in advance: `collect` would ask the engine for it."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """See `Collector.collect`."""
        yield from self._lags()
        delivered = CounterMetricFamily(
            "rudder_relay_delivered", "Events that the gateway has stored.", labels=_BY_SOURCE
        )
        refused = CounterMetricFamily(
            "rudder_relay_refused", "Events that the gateway refuses for good.", labels=_BY_SOURCE
        )
        dropped = CounterMetricFamily(
            "rudder_relay_dropped",
            "Events that were not sent, by reason.",
            labels=[*_BY_SOURCE, "reason"],
        )
        leases = CounterMetricFamily(
            "rudder_relay_lease_changes",
            "Shards that this relay has got or given.",
            labels=_BY_SOURCE,
        )
        holding = GaugeMetricFamily(
            "rudder_relay_holding",
            "1: events wait until a fault of configuration is mended.",
            labels=_BY_SOURCE,
        )
        uploads = HistogramMetricFamily(
            "rudder_relay_upload_seconds", "Time that uploads took.", labels=_BY_SOURCE
        )
        for feed in self._feeds:
            labels = [feed.name]
            settled = feed.ledger.settled()
            delivered.add_metric(labels, settled["delivered"])
            refused.add_metric(labels, settled["refused"])
            for reason, number in feed.ledger.dropped().items():
                dropped.add_metric([*labels, reason], number)
            leases.add_metric(labels, feed.lease_changes)
            holding.add_metric(labels, feed.is_held)
            times = feed.latencies.times()
            bounds = [*map(str, BUCKETS), "+Inf"]
            buckets = list(zip(bounds, accumulate(times.counts), strict=True))
            uploads.add_metric(labels, buckets, times.seconds)
        yield from (delivered, refused, dropped, leases, holding, uploads)

    def _lags(self) -> Iterable[Metric]:
        events = GaugeMetricFamily(
            "rudder_relay_lag_events", "Events in the engine.", labels=_BY_SOURCE
        )
        size = GaugeMetricFamily("rudder_relay_lag_bytes", "Their size there.", labels=_BY_SOURCE)
        age = GaugeMetricFamily(
            "rudder_relay_lag_seconds", "Age of the oldest of them.", labels=_BY_SOURCE
        )
        deadline = monotonic() + _LAG_SECONDS
        looks = [(feed, feed.lag_reader.begin()) for feed in self._feeds]
        for feed, result in looks:
            lag = result(deadline)
            if lag is not None:
                events.add_metric([feed.name], lag.events)
                size.add_metric([feed.name], lag.bytes)
                age.add_metric([feed.name], lag.seconds)
        return events, size, age
