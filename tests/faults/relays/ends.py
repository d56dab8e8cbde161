"""Producers and relays that are killed, ended, or stopped for a while."""

from __future__ import annotations

from ..stage import wait_until
from .engine import ALWAYS
from .stage import RelayStage

__all__ = [
    "producer_killed",
    "producer_killed_durable",
    "relay_frozen",
    "relay_killed",
    "relay_terminated",
]


def producer_killed(stage: RelayStage) -> None:
    """Twice, amid its log calls; another one and the relay go on."""
    stage.start_engine()
    stage.relay()
    stage.produce("other", seconds_between=0.005)
    for turn in range(2):
        victim = stage.produce(f"victim{turn}")
        victim.wait_for(500)
        stage.kill_producer(victim)
    stage.settle()


def producer_killed_durable(stage: RelayStage) -> None:
    """Three times, while the way to the engine loses answers; the last successor ends well."""
    stage.start_engine()
    stage.relay()
    way, queue = stage.way(), f"file://{stage.directory / 'spool'}"
    for turn in range(3):
        victim = stage.produce(f"victim{turn}", way=way, queue=queue, seconds_between=0.0005)
        victim.wait_for(300)
        stage.lose_answer(way)
        stage.kill_producer(victim)
    stage.produce("successor", way=way, queue=queue, count=10)
    stage.settle()


def _begin(stage: RelayStage) -> None:
    """Two apps, and one relay that owns all shards and delivers."""
    stage.start_engine(*ALWAYS)
    stage.relay()
    for name in ("a", "b"):
        stage.produce(name, users=20, seconds_between=0.005)
    stage.wait_for(200)


def relay_killed(stage: RelayStage) -> None:
    """While uploads that are stored have no answer yet; another one takes its shards."""
    stage.start_engine(*ALWAYS)
    gateway = stage.way(stage.plane.port)
    victim = stage.relay(gateway=gateway)
    for name in ("a", "b"):
        stage.produce(name, users=20, seconds_between=0.005)
    stage.wait_for(200)
    stage.relay()
    gateway.delay = 1.0
    seen = stage.arrivals.seen
    wait_until(lambda: stage.arrivals.seen > seen, "an upload that has no answer yet")
    victim.kill()
    stage.await_takeover(victim)
    stage.settle()


def relay_terminated(stage: RelayStage) -> None:
    """It gives its shards up before it ends, and another one takes them."""
    _begin(stage)
    stage.relay()
    wait_until(lambda: len(stage.owners()) == 2, "both to own shards")
    leaver = stage.relays[0]
    leaver.end()
    assert not any(map(leaver.is_named, stage.owners()))
    stage.await_takeover(leaver)
    stage.settle()


def relay_frozen(stage: RelayStage) -> None:
    """Amid an upload, until another one owns its shards, and has events in hand that the gateway
    does not take; then it goes on, and deletes none of them.
    """
    _begin(stage)
    sleeper = stage.relays[0]
    stage.plane.latency = 0.5
    seen = stage.arrivals.seen
    wait_until(lambda: stage.arrivals.seen > seen, "an upload")
    sleeper.freeze()
    stage.plane.latency = 0.0
    stage.relay()
    stage.await_takeover(sleeper)
    stage.plane.overloaded = True
    sleeper.thaw()
    wait_until(lambda: len(stage.owners()) == 2, "both to own shards")
    stage.plane.overloaded = False
    stage.settle()
