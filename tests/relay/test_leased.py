"""`LeasedSource` over the engine in memory, held to the contract of all sources."""

from __future__ import annotations

import pytest

from rudder_logging.relay.leased import LeasedSource
from rudder_logging.relay.memory import MemoryEngine
from rudder_logging.relay.source import Observer, Source
from rudder_logging.sinks.frames import pack, shard_key, shard_of
from rudder_logging.testing.source_contract import SourceContract

SHARDS = 4


def append(engine: MemoryEngine, producer: str, *messages: bytes, most: int = 7) -> None:
    """Append messages as a sink does, in frames of so many messages."""
    shards: dict[int, list[bytes]] = {}
    for message in messages:
        shards.setdefault(shard_of(shard_key(message), SHARDS), []).append(message)
    for shard, own in shards.items():
        for at in range(0, len(own), most):
            frame = own[at : at + most]
            engine.append(shard, f"{producer} {at}", 0, pack(frame), len(frame))


class TestLeasedSource(SourceContract):
    """All relays and producers of a test share one engine."""

    @pytest.fixture(autouse=True)
    def _engine(self) -> None:
        self.engine = MemoryEngine(SHARDS)
        self.appended = 0

    def make_source(self, observer: Observer) -> Source:
        """Make a relay."""
        return LeasedSource(self.engine, observer)

    def append(self, *messages: bytes) -> None:
        """Append, by a new producer each time."""
        self.appended += 1
        append(self.engine, f"p{self.appended}", *messages)
