"""What a relay is to reach, one row each."""

from __future__ import annotations

from collections.abc import Callable

from ..goals import FLAT, Goal
from ..results import Results
from .plan import LAGS

__all__ = ["goals"]

_LAGS = tuple(f"lag-{waiting}" for waiting in LAGS)
_RANGE = f"{LAGS[0]:,} to {LAGS[-1]:,}"
_MIB_AT_ANY_LAG = 120


def _of(name: str, engine: str, value: str) -> Callable[[Results], list[float]]:
    return lambda results: results.figures(name, engine, value)


def _peaks(engine: str) -> Callable[[Results], list[float]]:
    def peaks(results: Results) -> list[float]:
        found = [peak for name in _LAGS for peak in results.figures(name, engine, "peak_mib")]
        return [max(found)] if found else []

    return peaks


def goals(engine: str) -> tuple[Goal, ...]:
    """Those of one engine."""
    return (
        Goal(
            "events/s through a relay, gateway at 0 ms",
            _of("relay-0", engine, "events_per_second"),
            60_000,
            at_least=True,
        ),
        Goal(
            "events/s through a relay, gateway at 50 ms",
            _of("relay-50", engine, "events_per_second"),
            40_000,
            at_least=True,
        ),
        Goal(
            "an app's log call, against the same to the gateway",
            _of("calls", engine, "of_gateway"),
            1.05,
        ),
        Goal(
            "events/s into the engine by one process that logs them in a loop",
            _of("producing", engine, "events_per_second"),
            100_000,
            at_least=True,
        ),
        Goal(
            "events/s into the engine by one process, of what waits in its memory",
            _of("draining", engine, "events_per_second"),
            100_000,
            at_least=True,
        ),
        Goal(
            "until all shards flow again after SIGTERM of one of two relays",
            _of("takeover-term", engine, "seconds"),
            1,
            unit=" s",
        ),
        Goal(
            "the same after SIGKILL",
            _of("takeover-kill", engine, "seconds"),
            20,
            unit=" s",
        ),
        Goal(
            f"most memory of a relay while {_RANGE} events wait",
            _peaks(engine),
            _MIB_AT_ANY_LAG,
            unit=" MiB",
        ),
        Goal(
            f"CPU an event, relay and engine, while {_RANGE} wait: the dearest, against the fewest",
            lambda results: results.growth(_LAGS, engine, "cpu_us"),
            FLAT,
            words="flat",
        ),
    )
