"""Apps and relays over Kafka, whose consumer group shares the partitions out."""

from __future__ import annotations

from .stage import RelayStage

__all__ = ["producer_killed", "relay_ended", "relay_killed"]

_PARTITIONS = 4


def _begin(stage: RelayStage) -> None:
    stage.start_broker(_PARTITIONS)
    stage.relay()
    stage.produce("a", users=20, seconds_between=0.005)
    stage.produce("b", users=20, seconds_between=0.005)
    stage.wait_for(200)


def _go_on(stage: RelayStage) -> None:
    """With another relay: it delivers what is logged from now on, of all partitions."""
    stage.wait_for_all()
    stage.wait_for(stage.arrivals.count() + 200)
    stage.settle()


def producer_killed(stage: RelayStage) -> None:
    """Amid its log calls; the other one goes on."""
    _begin(stage)
    stage.kill_producer(stage.producers["a"])
    stage.settle()


def relay_killed(stage: RelayStage) -> None:
    """Amid uploads; another one takes its partitions."""
    _begin(stage)
    stage.relay()
    stage.plane.latency = 0.5
    stage.wait_for(stage.arrivals.count() + 1)
    stage.relays[0].kill()
    stage.plane.latency = 0.0
    _go_on(stage)


def relay_ended(stage: RelayStage) -> None:
    """By SIGTERM; another one takes its partitions."""
    _begin(stage)
    stage.relay()
    stage.relays[0].end()
    _go_on(stage)
