"""Ways between producers, engine, relays and gateway that are slow, cut, or let nothing through."""

from __future__ import annotations

from ..stage import wait_until
from .engine import ALWAYS
from .stage import RelayStage

__all__ = ["answers_lost", "gateway_parted", "producer_parted", "relay_parted", "slow"]


def answers_lost(stage: RelayStage) -> None:
    """An app does not hear that the engine has stored a frame, ten times."""
    stage.start_engine()
    stage.relay()
    way = stage.way()
    app = stage.produce("a", way=way, seconds_between=0.002)
    for turn in range(10):
        app.wait_for(100 * turn)
        stage.lose_answer(way)
    stage.settle()


def producer_parted(stage: RelayStage, *, late: bool) -> None:
    """Nothing of an app's gets to the engine for a while, or all of it late."""
    stage.start_engine()
    stage.relay()
    way = stage.way()
    app = stage.produce("a", way=way, seconds_between=0.002)
    stage.produce("b", seconds_between=0.002)
    app.wait_for(200)
    for turn in range(2):
        stage.part(way, seconds=1 + 6 * turn, late=late)
        wait_until(lambda: app.journal.in_doubt, "the app to log more")
        app.wait_for(len(app.journal.acknowledged) + 200)
    stage.settle()


def relay_parted(stage: RelayStage, *, late: bool) -> None:
    """A relay gets nothing to the engine for longer than its leases last, while it delivers."""
    stage.start_engine(*ALWAYS)
    way = stage.way()
    victim = stage.relay(way=way)
    for name in ("a", "b"):
        stage.produce(name, users=20, seconds_between=0.005)
    stage.wait_for(200)
    stage.relay()
    wait_until(lambda: len(stage.owners()) == 2, "both to own shards")
    with stage.fault():
        way.hold()
        stage.await_takeover(victim)
        if not late:
            way.cut()
        way.mend()
        wait_until(lambda: len(stage.owners()) == 2, "both to own shards again")
    stage.settle()


def gateway_parted(stage: RelayStage) -> None:
    """A relay's uploads get to the gateway, and no answer comes, for a while; others are cut."""
    stage.start_engine()
    gateway = stage.way(stage.plane.port)
    stage.relay("--timeout", "2", gateway=gateway)
    for name in ("a", "b"):
        stage.produce(name, seconds_between=0.005)
    stage.wait_for(200)
    for late in (False, True):
        stage.part(gateway, seconds=4, late=late)
        stage.wait_for(stage.arrivals.count() + 200)
    stage.settle()


def slow(stage: RelayStage) -> None:
    """All ways take 0.1 s, there and back; nothing is sent twice for that."""
    stage.start_engine()
    ways = [stage.way(), stage.way(), stage.way(stage.plane.port)]
    for way in ways:
        way.delay = 0.1
    stage.relay(way=ways[0], gateway=ways[2])
    stage.relay(way=ways[1], gateway=ways[2])
    for name in ("a", "b"):
        stage.produce(name, way=ways[0], count=1_000)
    stage.settle()
