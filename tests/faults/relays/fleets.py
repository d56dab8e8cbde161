"""Many relays; and apps that want another number of shards."""

from __future__ import annotations

from ..stage import wait_until
from .stage import SHARDS, SOURCE, RelayStage

__all__ = ["crowd", "resharded"]

_CROWD = 32


def crowd(stage: RelayStage) -> None:
    """Twice as many relays as shards: each shard has an owner of its own, the others idle. They
    take over when all those end.
    """
    stage.start_engine()
    for _ in range(_CROWD):
        stage.relay()
    stage.produce("a", users=50, seconds_between=0.01)
    wait_until(lambda: stage.engine.members(SOURCE) == _CROWD, "all to be there")
    wait_until(lambda: [*stage.owners().values()] == [1] * SHARDS, "an owner for each shard")
    owners = stage.owners()
    busy = [relay for relay in stage.relays if any(map(relay.is_named, owners))]
    idle = [relay for relay in stage.relays if relay not in busy]
    assert len(busy) == SHARDS, owners
    wait_until(lambda: all("idle" in relay.process.stderr for relay in idle), "them to say so")
    for relay in busy:
        relay.end()
    wait_until(
        lambda: not owners & stage.owners() and sum(stage.owners().values()) == SHARDS,
        "the others to own all",
    )
    stage.settle()


def resharded(stage: RelayStage) -> None:
    """An app wants another number of shards than there is: it holds its events, and says so, until
    it is started with the right one. Nobody's order breaks.
    """
    stage.start_engine()
    stage.relay()
    stage.produce("a", query="?shards=16", seconds_between=0.005)
    stage.wait_for(100)
    way, queue = stage.way(), f"file://{stage.directory / 'spool'}"
    other = stage.produce("b", count=100, query="?shards=8", way=way, queue=queue)
    wait_until(lambda: "shards" in other.process.stderr, "the report")
    wait_until(lambda: len(other.journal.logged) == 100, "its events")
    assert not other.journal.acknowledged
    stage.kill_producer(other)
    stage.produce("c", count=1, way=way, queue=queue)
    stage.settle()
