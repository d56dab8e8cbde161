"""The engine in memory, held to the contract of all engines."""

from __future__ import annotations

import pytest

from rudder_logging.relay.engine import Appender, Engine, Wanted
from rudder_logging.relay.memory import MemoryEngine
from rudder_logging.sinks.frames import pack, unpack
from rudder_logging.testing.engine_contract import EngineContract


class TestMemoryEngine(EngineContract):
    """All relays and producers of a test share one object."""

    @pytest.fixture(autouse=True)
    def _nothing_made(self) -> None:
        self.made: MemoryEngine | None = None

    def make_engine(self, max_bytes: int = 0) -> Engine:
        """Make the one that the test has."""
        if self.made is None:
            self.made = MemoryEngine(self.SHARDS, max_bytes)
        return self.made

    def make_appender(self, engine: Engine) -> Appender:
        """It is one itself."""
        assert isinstance(engine, MemoryEngine)
        return engine


def test_what_is_buried_is_forgotten_at_once() -> None:
    """Nobody hands it out any more: it is rewritten, and gone if it has but that person."""
    engine = MemoryEngine(shards=1)
    ours, others = b'{"userId":"u"', b'{"userId":"v","anonymousId":"w"'
    for number, frame in enumerate((pack([ours, others]), pack([ours]), b"no frame")):
        engine.append(0, "p", number, frame, 2)
    assert engine.acquire(0, "a:1", 600.0)
    for _ in range(3):
        ((entry,),) = engine.read([Wanted(0, None, 1)])
        assert engine.bury(0, "a:1", entry, "deadly")
    engine.forget(["u"])
    left = [entry.frame for entry, _ in engine.buried(0)]
    assert [unpack(frame) for frame in left[:1]] == [[others]]
    assert left[1:] == [b"no frame"]
