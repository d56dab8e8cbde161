"""What is measured of the relay: how often, and with how many events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..plan import Task

__all__ = ["LAGS", "UPLOADS", "full", "quick"]

LAGS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
"""Events that wait."""
UPLOADS = (1, 10, 100, 1_000, 10_000)
"""Events that an app appends at a time."""


_ROOMY = {"redis": "max_bytes=16000000000", "redis-aof": "max_bytes=16000000000", "kafka": ""}
"""Behind the `?` of the engine's URL: nothing is refused."""


def _task(name: str, engine: str, measure: str, rounds: int, **arguments: Any) -> Task:
    arguments.setdefault("query", _ROOMY[engine])
    return Task(name, engine, measure, rounds, arguments)


def _relays(engine: str, rounds: int, waiting: int) -> Iterator[Task]:
    for milliseconds in (0, 50):
        yield _task(
            f"relay-{milliseconds}",
            engine,
            "relaying",
            rounds,
            waiting=waiting,
            latency=milliseconds / 1000,
        )


def _lags(engine: str, rounds: int, most: int) -> Iterator[Task]:
    for waiting in LAGS:
        if waiting > most:
            continue
        yield _task(
            f"lag-{waiting}",
            engine,
            "relaying",
            1 if waiting > 1_000_000 else rounds,
            waiting=waiting,
            cycles=max(1, 10_000 // waiting),
            seconds=6.0,
        )


def _uploads(engine: str, rounds: int, most: int) -> Iterator[Task]:
    for upload in UPLOADS:
        events = min(most, max(upload * 10, min(upload * 1_000, 20_000)))
        yield _task(f"upload-{upload}", engine, "producing", rounds, events=events, upload=upload)


def _takeovers(engine: str, rounds: int) -> Iterator[Task]:
    yield _task("takeover-term", engine, "takeover", rounds, kill=False)
    yield _task("takeover-kill", engine, "takeover", rounds, kill=True)


def _rates(engine: str, rounds: int, events: int) -> Iterator[Task]:
    yield from _relays(engine, rounds, 2 * events)
    yield _task("producing", engine, "producing", rounds, events=events)
    yield _task("draining", engine, "draining", rounds, events=events)
    yield _task("calls", engine, "calling", rounds, turns=200, calls=50)


def _all(engine: str, rounds: int, events: int, lag: int) -> Iterator[Task]:
    yield from _rates(engine, rounds, events)
    yield from _takeovers(engine, rounds)
    yield from _uploads(engine, rounds, events)
    yield from _lags(engine, rounds, lag)


def _shard(rounds: int, waiting: int) -> Task:
    """One shard, of which one upload at a time is on its way."""
    arguments = {"waiting": waiting, "latency": 0.05, "query": f"shards=1&{_ROOMY['redis']}"}
    return _task("shard-50", "redis", "relaying", rounds, **arguments)


def full() -> list[Task]:
    """All of it, in some 20 minutes."""
    return [
        *_all("redis", 3, 200_000, LAGS[-1]),
        _shard(3, 100_000),
        _task("producing", "redis-aof", "producing", 3, events=200_000),
        *_rates("kafka", 3, 100_000),
    ]


def quick() -> list[Task]:
    """An impression, in a few minutes."""
    return [
        *_all("redis", 1, 40_000, 100_000),
        _shard(1, 40_000),
        _task("producing", "redis-aof", "producing", 1, events=40_000),
        *_rates("kafka", 1, 40_000),
    ]
