"""The engine in memory, held to the contract of all engines."""

from __future__ import annotations

import pytest

from rudder_logging.relay.engine import Appender, Engine
from rudder_logging.relay.memory import MemoryEngine
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

    def forget(self, engine: Engine, *people: str) -> None:
        """Tell it."""
        assert isinstance(engine, MemoryEngine)
        engine.forget(*people)
