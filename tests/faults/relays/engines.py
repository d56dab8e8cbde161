"""Engines that are killed, lose what they had, are full, or have another time."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from ..stage import wait_until
from .engine import ALWAYS, EVERY_SECOND
from .stage import RelayStage

__all__ = [
    "FAKETIME",
    "crashed",
    "emptied",
    "frozen",
    "full",
    "killed",
    "out_of_memory",
    "shifted",
]

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
"""What gives a program another time; Debian's package libfaketime has it."""


def _begin(stage: RelayStage, *options: str, environment: tuple[str, ...] = ()) -> None:
    stage.start_engine(*options, environment=environment)
    stage.relay()
    stage.relay()
    for name in ("a", "b"):
        stage.produce(name, users=20, seconds_between=0.003)
    stage.wait_for(200)


def killed(stage: RelayStage) -> None:
    """Three times, while apps append and relays deliver."""
    _begin(stage, *ALWAYS)
    for _ in range(3):
        stage.wait_for(stage.arrivals.count() + 200)
        stage.kill_engine()
        stage.engine.start()
    stage.settle()


def frozen(stage: RelayStage) -> None:
    """It answers nobody for longer than leases last."""
    _begin(stage, *ALWAYS)
    with stage.fault():
        stage.engine.pause()
        sleep(17)
        stage.engine.resume()
    stage.wait_for(stage.arrivals.count() + 200)
    stage.settle()


def crashed(stage: RelayStage) -> None:
    """With its machine, which had not written the last second to the disk: its log ends earlier."""
    _begin(stage, *EVERY_SECOND)
    stage.plane.overloaded = True
    known = stage.acknowledged()
    wait_until(lambda: not stage.engine.unwritten, "the log to have all that is known")
    size = stage.engine.log_size
    wait_until(lambda: len(stage.acknowledged()) > len(known) + 500, "more events")
    _stop_engine(stage)
    stage.engine_lost = stage.acknowledged() - known
    stage.engine.shorten(size)
    _start_engine(stage)


def emptied(stage: RelayStage) -> None:
    """It is started again and has nothing: no events, no leases, no number of shards."""
    _begin(stage)
    stage.plane.overloaded = True
    wait_until(lambda: len(stage.waiting()) > 500, "events that wait in the engine")
    _stop_engine(stage)
    stage.engine_lost = stage.waiting()
    stage.engine.wipe()
    _start_engine(stage)


def _stop_engine(stage: RelayStage) -> None:
    """Kill it; when this returns, apps have noted its last answers."""
    stage.engine.pause()
    logged = {name: len(app.journal.logged) for name, app in stage.producers.items()}
    wait_until(
        lambda: all(
            len(app.journal.logged) > logged[name] + 200 for name, app in stage.producers.items()
        ),
        "apps to log more",
    )
    stage.kill_engine()
    stage.doubt()


def _start_engine(stage: RelayStage) -> None:
    """Start it again, and have the gateway take events again."""
    stage.engine.start()
    stage.plane.overloaded = False
    stage.wait_for(stage.arrivals.count() + 200)
    stage.settle()


_EVENTS = 4_000


def _overfill(stage: RelayStage, words: str, query: str = "") -> None:
    """Apps log more than the engine has room for, say so, and keep the rest; then a relay comes."""
    for name in ("a", "b"):
        stage.produce(name, count=_EVENTS // 2, users=20, size=1_000, query=query)
    logged = [producer.journal for producer in stage.producers.values()]
    wait_until(lambda: sum(len(own.logged) for own in logged) == _EVENTS, "all to be logged")
    stage.wait_for_words(words)
    assert len(stage.acknowledged()) < _EVENTS
    stage.relay()
    stage.settle()


def full(stage: RelayStage) -> None:
    """The source has no room left."""
    stage.start_engine()
    _overfill(stage, "holds as much of the source as it may", "?max_bytes=320000")


def out_of_memory(stage: RelayStage) -> None:
    """The engine has no memory left, for anyone."""
    engine = stage.start_engine()
    used = engine.do("INFO", "memory").decode().split("used_memory:")[1].split("\r")[0]
    engine.do("CONFIG", "SET", "maxmemory", int(used) + 1_000_000)
    _overfill(stage, "no memory left")


def shifted(stage: RelayStage, *, hours: float) -> None:
    """The engine's clock is set, while relays own shards."""
    clock = stage.write("clock", "+0")
    _begin(
        stage,
        *ALWAYS,
        environment=(
            f"LD_PRELOAD={FAKETIME}",
            f"FAKETIME_TIMESTAMP_FILE={clock}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ),
    )
    with stage.fault():
        before = int(stage.engine.do("TIME")[0])
        stage.write("clock", f"{hours:+}h")
        assert abs(int(stage.engine.do("TIME")[0]) - before) > 1_000
        stage.wait_for(stage.arrivals.count() + 1_000)
    stage.relays[0].kill()
    stage.await_takeover(stage.relays[0])
    stage.settle()
