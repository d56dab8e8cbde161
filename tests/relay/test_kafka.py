"""The source over Kafka, at a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from rudder_logging import Config
from rudder_logging.exceptions import ConfigError
from rudder_logging.relay.kafka_source import KafkaSource
from rudder_logging.relay.source import Batch, Observer, Source, open_source
from rudder_logging.sinks import Hold, Sink, Stored, open_sink
from rudder_logging.testing import SourceContract
from rudder_logging.testing.source_contract import Watch

from ..engines.kafka import NEEDS_KAFKA, KafkaBroker, append_records
from ..engines.redis import PATIENCE, wait_until

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

    def left(self, source: Source) -> None:
        """Wait until it is no member: this broker forgets who joins while the last one leaves."""
        assert isinstance(source, KafkaSource)
        assert source._thread is not None
        source._thread.join(PATIENCE)


def test_what_is_no_message_is_counted_and_passed_over(broker: KafkaBroker) -> None:
    """Anybody may write to a topic. The rest arrives, and nothing is left."""
    wrong = [b"", b"not json", b"[1]", b"{}", b'{"userId": "u"', b"\xff"]
    right = [b'{"userId": "u", "n": %d}' % number for number in range(4)]
    append_records(broker.servers, "rudder-shop", [wrong[0], right[0], *wrong[1:], *right[1:]])
    append_records(broker.servers, "rudder-shop", wrong[:1])
    watch = Watch()
    with closing(open_source(broker.url(), "shop", watch)) as source:
        found: list[bytes] = []
        while len(found) < len(right):
            batch = source.take(1_000, PATIENCE)
            assert batch is not None
            found += batch
            source.done(batch)
        assert [message + b"}" for message in found] == right
        wait_until(lambda: watch.drops == {"unreadable": len(wrong) + 1}, "all to be counted")
        wait_until(lambda: source.lag().events == 0, "nothing to wait")


def test_a_gateway_that_holds_costs_no_partition(broker: KafkaBroker) -> None:
    """However long a batch is out, the relay stays a member of its group."""
    url = broker.url(query="max.poll.interval.ms=6000&session.timeout.ms=6000")
    append_records(broker.servers, "rudder-shop", [b'{"userId": "u"}'])
    watch = Watch()
    with closing(open_source(url, "shop", watch)) as source:
        batch = source.take(1_000, PATIENCE)
        assert batch is not None
        held_until = monotonic() + 9
        while monotonic() < held_until:
            assert source.take(1_000, 0.2) is None
            assert source.holds(batch)
        assert watch.shards == 4
        source.done(batch)
        wait_until(lambda: source.lag().events == 0, "the offset to be committed")


def test_what_is_revoked_is_finished_first(broker: KafkaBroker) -> None:
    """A relay that joins gets no partition of which a batch is out, and nothing comes twice."""
    values = [b'{"userId": "u%d", "n": %d}' % (number % 20, number) for number in range(200)]
    for user in range(20):
        append_records(broker.servers, "rudder-shop", values[user::20], key=b"u%d" % user)
    first, second = Watch(), Watch()
    with (
        closing(open_source(broker.url(), "shop", first)) as source,
        closing(open_source(broker.url(), "shop", second)) as other,
    ):
        found: list[bytes] = []
        out: list[Batch] = []
        while batch := source.take(500, 1.0 if out else PATIENCE):
            out.append(batch)
        assert first.shards == 4
        assert other.take(500, 0.1) is None
        wait_until(lambda: not all(map(source.holds, out)), "some to be revoked")
        assert second.shards == 0
        for batch in out:
            found += batch
            source.done(batch)
        wait_until(lambda: second.shards == 2, "the second relay to have its share")
        while len(found) < len(values):
            for each in (source, other):
                if batch := each.take(2_000, 0.1):
                    found += batch
                    each.done(batch)
        wait_until(lambda: source.lag().events == 0, "nothing to wait")
        assert source.take(1_000, 0.1) is other.take(1_000, 0.1) is None
    assert sorted(message + b"}" for message in found) == sorted(values)


def test_a_topic_that_is_made_later_is_read(broker: KafkaBroker) -> None:
    """Until then, the observer hears what to do."""
    watch = Watch()
    with closing(open_source(broker.url("later"), "shop", watch)) as source:
        assert source.take(1_000, 0.1) is None
        wait_until(lambda: watch.failures, "the observer to hear of it")
        assert isinstance(watch.failures[-1], Hold)
        assert "create the topic" in watch.failures[-1].cure
        broker.create("later", 1)
        append_records(broker.servers, "later", [b'{"userId": "u"}'])
        assert source.take(1_000, PATIENCE)
        assert watch.is_well


def test_a_broker_that_stands_still_is_told_and_waited_for(broker: KafkaBroker) -> None:
    """What was out is not this relay's for certain then, and comes again."""
    url = broker.url(query="session.timeout.ms=6000&socket.timeout.ms=2000")
    append_records(broker.servers, "rudder-shop", [b'{"userId": "u"}'])
    watch = Watch()
    with closing(open_source(url, "shop", watch)) as source:
        batch = source.take(1_000, PATIENCE)
        assert batch is not None
        broker.pause()
        wait_until(lambda: not source.holds(batch), "the lease to be in doubt")
        wait_until(lambda: watch.is_well is False, "the observer to hear of it")
        broker.resume()
        source.release(batch)
        again = source.take(1_000, PATIENCE)
        assert again == batch
        assert again is not None
        wait_until(lambda: watch.is_well, "the observer to hear that it is well")
        source.done(again)
        wait_until(lambda: source.lag().events == 0, "the offset to be committed")


def test_a_broker_without_its_records_is_read_from_the_beginning(broker: KafkaBroker) -> None:
    """It has lost the offsets, too. What is appended then comes."""
    with closing(open_source(broker.url(), "shop", Watch())) as source:
        append_records(
            broker.servers, "rudder-shop", [b'{"userId": "u", "n": %d}' % n for n in (1, 2)]
        )
        batch = source.take(1_000, PATIENCE)
        assert batch is not None
        source.done(batch)
        wait_until(lambda: source.lag().events == 0, "the offsets to be committed")
        broker.restart()
        broker.create("rudder-shop", 4)
        append_records(broker.servers, "rudder-shop", [b'{"userId": "u", "n": 3}'])
        assert source.take(1_000, PATIENCE) == [b'{"userId": "u", "n": 3']


def test_two_sources_do_not_read_one_topic() -> None:
    """Each would send the other's events as its own."""
    with closing(open_source("kafka://localhost:1/events", "shop", Watch())):
        with pytest.raises(ConfigError, match="shop and web would both read the topic events"):
            open_source("kafka://localhost:1/events", "web", Watch())
        open_source("kafka://localhost:1/{source}", "web", Watch()).close()
    open_source("kafka://localhost:1/events", "web", Watch()).close()


def test_a_reader_that_ends_is_told_and_begins_anew() -> None:
    """Or else its relay would look as if there was nothing to do."""
    watch = Watch()
    # The library finds only with a consumer that these do not go together.
    url = "kafka://localhost:1/x?session.timeout.ms=600000&max.poll.interval.ms=300000"
    with closing(open_source(url, "shop", watch)) as source:
        assert source.take(1_000, 0.1) is None
        wait_until(lambda: len(watch.failures) > 1, "the observer to hear of it twice")
        assert isinstance(watch.failures[-1], Hold)
        assert "max.poll.interval.ms" in watch.failures[-1].fault
