"""`relay status` and the doctor at a broker of Kafka's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest

from rudder_logging import ConfigError, RudderHandler
from rudder_logging.cli.doctor.findings import Severity
from rudder_logging.cli.doctor.relay import examine
from rudder_logging.cli.doctor.relay_kafka import _of_copies
from rudder_logging.relay.look import open_looker
from rudder_logging.relay.source import open_source
from rudder_logging.testing.source_contract import Watch

from ..engines.kafka import NEEDS_KAFKA, KafkaBroker
from ..relay.test_forgetting import Ears
from .command import complaint, run


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """One with a topic of four partitions, in which 40 events wait."""
    with KafkaBroker(tmp_path / "kafka") as broker:
        broker.create("rudder-shop", 4)
        handler = RudderHandler(relay=broker.url(), source="shop")
        for number in range(40):
            handler.accept({"user_id": f"u{number}"}, "X", time())
        assert handler.flush(60)
        handler.close()
        yield broker


@NEEDS_KAFKA
@pytest.mark.slow
def test_a_look_takes_nothing_and_makes_nothing(broker: KafkaBroker) -> None:
    """A relay gets all of it afterwards; a topic that is asked for is not there after."""
    done = run("relay", "status", broker.url(), "--json")
    (found,) = json.loads(done.stdout)["sources"]
    assert (found["source"], found["shards"], found["lag_events"]) == ("shop", 4, 40)
    assert done.returncode == 1
    looker = open_looker(broker.url(), 20.0)
    try:
        assert looker.look("none").shards == 0
        assert list(looker.sources()) == ["shop"]
        for _ in range(2):
            assert looker.look("shop").lag.events == 40
        codes = {one.code: one.severity for one in examine(broker.url(), "shop", 20.0)}
        assert codes == {
            "relay-reached": Severity.WELL,
            "relay-not-kept": Severity.WARNING,
            "relay-alone": Severity.WARNING,
        }
        missing = [one.code for one in examine(broker.url(), "none", 20.0)]
        assert "relay-topic" in missing
        assert list(looker.sources()) == ["shop"]
        source = open_source(broker.url(), "shop", Ears())
        try:
            count = 0
            while count < 40:
                batch = source.take(1_000_000, 60.0)
                assert batch is not None, count
                count += len(batch)
                source.done(batch)
            assert count == 40
            while looker.look("shop").lag.events:
                pass
            assert looker.look("shop").relays
            assert "relay-alone" not in {one.code for one in examine(broker.url(), "shop", 20.0)}
        finally:
            source.close()
    finally:
        looker.close()


def test_brokers_that_are_away() -> None:
    """They are told, and so is a URL that can't be; no secret is."""
    url = "kafka://user:s3cret@127.0.0.1:1/topic?security.protocol=SASL_PLAINTEXT"
    found = list(examine(url, "shop", 1.0))
    assert [one.code for one in found] == ["relay-not-reached"]
    done = run("relay", "status", url, "--source", "shop", "--timeout", "1")
    told = complaint(done, 1)
    assert "s3cret" not in told + str(found)
    wrong = list(examine("kafka://h/topic?no.such.setting=1", "shop", 1.0))
    assert [one.code for one in wrong] == ["relay-url"]


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    for name in [name for name in sys.modules if name.endswith(("kafka_look", "kafka_source"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError, match=r"pip install 'rudder-logging\[cli,kafka\]'"):
        open_looker("kafka://h/topic", 1.0)
    with pytest.raises(ConfigError, match=r"pip install 'rudder-logging\[cli,kafka\]'"):
        open_source("kafka://h/topic", "shop", Watch())


@pytest.mark.parametrize(
    ("replicas", "in_sync", "settings", "codes"),
    [
        (1, 1, {}, ["relay-not-kept"]),
        (3, 3, {"min.insync.replicas": "2"}, ["relay-kept"]),
        (3, 3, {"min.insync.replicas": "1"}, ["relay-not-kept"]),
        (3, 2, {"min.insync.replicas": "2"}, ["relay-replicas", "relay-kept"]),
        (3, 1, {"min.insync.replicas": "2"}, ["relay-replicas", "relay-kept"]),
        (
            3,
            3,
            {"min.insync.replicas": "2", "unclean.leader.election.enable": "true"},
            ["relay-kept", "relay-unclean"],
        ),
    ],
)
def test_replicas(replicas: int, in_sync: int, settings: dict[str, str], codes: list[str]) -> None:
    """What is acknowledged is on as many brokers as the topic's settings say."""
    found = list(_of_copies("it", replicas, in_sync, settings))
    assert [one.code for one in found] == codes
    is_stopped = any(one.severity is Severity.STOPS for one in found)
    assert is_stopped is (in_sync < int(settings.get("min.insync.replicas", "1")))
