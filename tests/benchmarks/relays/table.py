"""The results as tables: for the terminal and, in Markdown, for the guide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..goals import rows
from ..report import Report
from ..results import Results
from ..table import Cells, goals_lines, marked, plain, shown
from .goals import goals
from .plan import LAGS, UPLOADS
from .traffic import USERS

__all__ = ["RESULTS", "markdown", "text"]

RESULTS = Path(__file__).parent / "relay.json"
"""Those that the guide shows."""

_ENGINES = {
    "redis": "Redis, in memory",
    "redis-aof": "Redis with AOF, to disk each second",
    "kafka": "a broker of Kafka's protocol, in memory",
}
"""Their titles, by the name that the plan uses."""

_Drawn = Callable[[Sequence[Cells]], str]


def _cells(results: Results, name: str, engine: str, values: Sequence[str]) -> list[str]:
    spreads = [results.spread(name, engine, value) for value in values]
    return [shown(spread.middle) if spread.middle else "" for spread in spreads if spread]


def _table(
    results: Results, titles: Cells, lines: Sequence[tuple[str, str, str]], values: Sequence[str]
) -> list[Cells]:
    """A line for each title, task and engine of which something was measured."""
    found = [(title, *_cells(results, name, engine, values)) for title, name, engine in lines]
    return [titles, *(line for line in found if len(line) > 1)]


def _lags(results: Results, engine: str) -> list[Cells]:
    titles = (
        "events that wait",
        "events/s",
        "events an upload",
        "CPU of the relay, us an event",
        "CPU of the engine, us",
        "memory of the relay, MiB",
    )
    values = ("events_per_second", "events_per_upload", "relay_cpu_us", "engine_cpu_us", "peak_mib")
    return _table(results, titles, [(f"{n:,}", f"lag-{n}", engine) for n in LAGS], values)


def _uploads(results: Results, engine: str) -> list[Cells]:
    titles = (
        "events that an app appends at a time",
        "bytes an event in the engine",
        "of which frames",
        "bytes an event on the network",
        "CPU of the engine, us an event",
    )
    values = ("engine_bytes", "frame_bytes", "network_bytes", "engine_cpu_us")
    return _table(results, titles, [(f"{n:,}", f"upload-{n}", engine) for n in UPLOADS], values)


def _producing(results: Results) -> list[Cells]:
    titles = (
        "one process into the engine",
        "events/s",
        "CPU of the app with the log call, us an event",
        "CPU of the engine, us",
    )
    values = ("events_per_second", "cpu_us", "engine_cpu_us")
    lines = [(title, "producing", engine) for engine, title in _ENGINES.items()]
    return _table(results, titles, lines, values)


def _why_a_loop_is_slower(results: Results) -> str:
    """A sentence about the calls of one process."""
    call = results.spread("calls", "redis", "call_us")
    if call is None:
        return ""
    return (
        f"A log call takes {call.middle:.1f} us here, whatever takes the event: so one process logs"
        f" {1e6 / call.middle:,.0f} events/s at the most."
    )


def _setting(report: Report) -> str:
    machine = report.machine
    quick = "A quick run: fewer rounds and events. " if report.quick else ""
    return (
        f"{quick}Measured on {report.made} with engine, relays, apps and the gateway's place on "
        f"{machine['cores']} cores of {machine['processor']}, {machine['system']}, "
        f"{machine['python']}; {machine['engines']}. Messages have {report.results.message_bytes} "
        f"bytes, of {USERS:,} users."
    )


def _all(report: Report, drawn: _Drawn) -> str:
    results = report.results
    found = [
        goals_lines(rows(results, goals("redis"))),
        _lags(results, "redis"),
        _uploads(results, "redis"),
        _producing(results),
        goals_lines(rows(results, goals("kafka")), "with a broker of Kafka's protocol"),
    ]
    notes = filter(None, [_why_a_loop_is_slower(results), _setting(report)])
    return "\n\n".join([*(drawn(lines) for lines in found if len(lines) > 1), *notes])


def text(report: Report) -> str:
    """All tables, for a terminal."""
    return _all(report, plain)


def markdown(report: Report) -> str:
    """All tables, for the guide."""
    return _all(report, marked)
