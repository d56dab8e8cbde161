"""Scrapes as Prometheus makes them: over HTTP, read by the client's own parser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

__all__ = ["Page", "Scrape", "serving"]

PATIENCE = 60.0
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """What one scrape has read."""

    text: str
    types: dict[str, str]
    samples: dict[tuple[str, Labels], float]

    @classmethod
    def read(cls, text: str) -> Page:
        """Parse it; no sample may be there twice."""
        families = list(text_string_to_metric_families(text))
        assert len({family.name for family in families}) == len(families)
        read = [
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in families
            for sample in family.samples
        ]
        samples = dict(read)
        assert len(samples) == len(read)
        types = {sample.name: family.type for family in families for sample in family.samples}
        return cls(text, types, samples)

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples that have these labels, maybe among others; None: of none."""
        found = [
            value
            for (known, having), value in self.samples.items()
            if known == name and labels.items() <= having
        ]
        return sum(found) if found else None


class Scrape:
    """Reads a page when it is called."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, **options: Any) -> Page:
        """Scrape once."""
        answer = requests.get(self.url, timeout=PATIENCE, **options)
        assert answer.status_code == 200, answer.text
        return Page.read(answer.text)


@contextlib.contextmanager
def serving(*collectors: Collector) -> Iterator[Scrape]:
    """Serve these alone."""
    registry = CollectorRegistry(auto_describe=True)
    for one in collectors:
        registry.register(one)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        yield Scrape(f"http://127.0.0.1:{server.server_port}/metrics")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
