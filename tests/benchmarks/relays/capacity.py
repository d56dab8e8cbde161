"""What a number of apps takes: arithmetic from the measured figures, as the guide shows it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import median

from ..report import Report
from ..results import Results
from ..table import marked

__all__ = ["EXAMPLES", "Example", "Figures", "markdown"]

_HEADROOM = 1.5
"""Relays for a rate half as high again: one may fail, and a backlog has to be caught up with."""
_BUSY = 0.6
"""Of one core is what a Redis, which has one thread, is to be busy at the most."""
_OUTAGE = 3_600
"""Seconds for which the engine is to hold what arrives."""
_LANES = 8


@dataclass(frozen=True)
class Figures:
    """The medians that the arithmetic needs, of one engine, with the gateway at 50 ms."""

    relay_rate: float
    """Events/s of one relay."""
    relay_cpu_us: float
    shard_rate: float
    """Events/s of one shard."""
    taken_us: float
    """The engine's CPU for an event that a relay takes out."""
    wire_bytes: float
    """To the gateway, an event."""
    stored_us: dict[int, float]
    """The engine's CPU for an event that an app appends, by the events that go together."""
    stored_bytes: dict[int, float]
    """The engine's memory for an event, likewise."""
    sent_bytes: dict[int, float]
    """On the network between app and engine, likewise."""
    taken_bytes: float
    """Between engine and relay."""

    @classmethod
    def of(cls, results: Results, engine: str, uploads: tuple[int, ...]) -> Figures:
        """Those of a run."""

        def of(name: str, value: str) -> float:
            return median(results.figures(name, engine, value))

        return cls(
            of("relay-50", "events_per_second"),
            of("relay-50", "relay_cpu_us"),
            of("shard-50", "events_per_second"),
            of("relay-50", "engine_cpu_us"),
            of("relay-50", "wire_bytes"),
            {size: of(f"upload-{size}", "engine_cpu_us") for size in uploads},
            {size: of(f"upload-{size}", "engine_bytes") for size in uploads},
            {size: of(f"upload-{size}", "network_bytes") for size in uploads},
            of("relay-50", "network_bytes"),
        )


@dataclass(frozen=True)
class Example:
    """So many processes of apps, each with so many events a second."""

    title: str
    processes: int
    rate: int
    """Events/s of each."""
    upload: int
    """Events that each of them appends at a time."""

    @property
    def events(self) -> int:
        """Of all, in a second."""
        return self.processes * self.rate


EXAMPLES = (
    Example("1,000 apps", 1_000, 200, 100),
    Example("1,000,000 events a second", 2_000, 500, 1_000),
)


def _rounded(figure: float) -> str:
    """Two digits, or all before the point."""
    return f"{figure:,.0f}" if figure >= 10 else f"{figure:.2g}"


def _large(number: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{_rounded(number / size)} {unit}"
    return f"{_rounded(number / 1e3)} kB"


def _rows(example: Example, figures: Figures) -> list[tuple[str, str, str]]:
    events, upload = example.events, example.upload
    stored, taken = figures.stored_us[upload], figures.taken_us
    size, sent, wire = (
        figures.stored_bytes[upload],
        figures.sent_bytes[upload],
        figures.wire_bytes,
    )
    relays = ceil(events * _HEADROOM / figures.relay_rate)
    cores = events * figures.relay_cpu_us / 1e6
    engine = events * (stored + taken) / 1e6
    shards = ceil(events / figures.shard_rate)
    return [
        (
            "relays",
            f"{events:,} events/s x {_HEADROOM:g} / {figures.relay_rate:,.0f} of one relay",
            f"{relays:,}",
        ),
        (
            "cores that they use",
            f"{events:,} x {figures.relay_cpu_us:.2g} us",
            _rounded(cores),
        ),
        (
            "shards, at the least",
            f"{events:,} / {figures.shard_rate:,.0f} of one shard; one for each relay",
            f"{max(shards, relays):,}",
        ),
        (
            "the engine's CPU",
            f"{events:,} x ({stored:.2g} us stored + {taken:.2g} us taken)",
            f"{_rounded(engine)} cores",
        ),
        (
            "nodes of it, each busy to 60 %",
            f"{_rounded(engine)} / {_BUSY:g}",
            f"{ceil(engine / _BUSY):,}",
        ),
        (
            "memory for an hour without a gateway",
            f"{events:,} x {_OUTAGE:,} s x {size:.0f} bytes",
            _large(events * _OUTAGE * size),
        ),
        (
            "network at the engine, in and out",
            f"{events:,} x ({sent:.0f} + {figures.taken_bytes:.0f}) bytes",
            f"{_large(events * (sent + figures.taken_bytes))}/s",
        ),
        (
            "network to the gateway",
            f"{events:,} x {wire:.0f} bytes",
            f"{_large(events * wire)}/s",
        ),
        (
            "connections to the gateway",
            f"{relays:,} relays x {_LANES} lanes",
            f"{relays * _LANES:,}, not {example.processes:,}",
        ),
    ]


def _example(example: Example, figures: Figures) -> str:
    each = (
        f"{example.processes:,} processes log {example.rate:,} events a second each, and append "
        f"{example.upload:,} at a time: {example.events:,} events a second."
    )
    table = marked([("", "arithmetic", ""), *_rows(example, figures)])
    return f"## {example.title}\n\n{each}\n\n{table}"


def markdown(report: Report) -> str:
    """All examples, in Markdown."""
    figures = Figures.of(report.results, "redis", tuple(example.upload for example in EXAMPLES))
    return "\n\n".join(_example(example, figures) for example in EXAMPLES)
