"""The source over Kafka, at a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rudder_logging import Config
from rudder_logging.relay.source import Observer, Source, open_source
from rudder_logging.sinks import Sink, Stored, open_sink
from rudder_logging.testing import SourceContract

from ..engines.kafka import NEEDS_KAFKA, KafkaBroker

pytestmark = [NEEDS_KAFKA, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """One with a topic of four partitions."""
    with KafkaBroker(tmp_path / "kafka") as broker:
        broker.create("rudder-shop", 4)
        yield broker


class TestKafkaSource(SourceContract):
    """Over a real broker."""

    @pytest.fixture(autouse=True)
    def _broker(self, broker: KafkaBroker) -> Iterator[None]:
        self.broker = broker
        self.sink: Sink = open_sink(Config.load({}, relay=broker.url(), source="shop"))
        yield
        self.sink.close()

    def make_source(self, observer: Observer) -> Source:
        """See `SourceContract`."""
        return open_source(self.broker.url(), "shop", observer)

    def append(self, *messages: bytes) -> None:
        """See `SourceContract`."""
        assert isinstance(self.sink.send(messages, None), Stored)
