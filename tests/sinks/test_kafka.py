"""The sink of Kafka, at a real broker."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any

import pytest
from confluent_kafka import Consumer

from rudder_logging import Config, RudderHandler
from rudder_logging.exceptions import ConfigError
from rudder_logging.sinks import Later, Refused, Sink, Stored, open_sink
from rudder_logging.sinks.guard import KeepingSink
from rudder_logging.sinks.kafka import client
from rudder_logging.sinks.kafka.address import parse
from rudder_logging.testing import SinkContract

from ..engines.kafka import NEEDS_KAFKA, KafkaBroker, records
from ..engines.redis import PATIENCE, free_port, wait_until

pytestmark = [NEEDS_KAFKA, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """One with a topic of one partition."""
    with KafkaBroker(tmp_path / "kafka") as broker:
        broker.create("rudder-shop", 1)
        yield broker


class TestKafkaSink(SinkContract):
    """Over a real broker, which stands still when it is away."""

    @pytest.fixture(autouse=True)
    def _broker(self, broker: KafkaBroker) -> None:
        self.broker = broker

    def make_sink(self) -> Sink:
        """See `SinkContract`."""
        return open_sink(Config.load({}, relay=self.broker.url(), source="shop"))

    def arrived(self) -> list[dict[str, Any]]:
        """See `SinkContract`."""
        return [json.loads(one.value()) for one in records(self.broker.servers, "rudder-shop")]

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `SinkContract`."""
        self.broker.pause()
        yield
        self.broker.resume()


def test_a_killed_broker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """What is acknowledged is there when it is back, once each; so is what was on its way."""
    with KafkaBroker(tmp_path / "kafka", is_durable=True) as broker:
        broker.create("rudder-shop", 1)
        handler = RudderHandler(relay=broker.url(), source="shop", upload_interval=0)
        try:
            for number in range(60):
                if number % 20 == 10:
                    broker.kill()
                if number % 20 == 15:
                    broker.start()
                _log(handler, number)
            assert handler.flush(PATIENCE)
            assert handler.stats().delivered == 60
        finally:
            handler.close()
        assert _numbers(broker) == list(range(60))


def test_a_broker_without_its_records_is_told_the_rest(broker: KafkaBroker) -> None:
    """It knows the producer no more, and refuses it for ever: another one takes its place."""
    handler = RudderHandler(relay=broker.url(), source="shop", upload_interval=0, timeout=1)
    try:
        for number in range(5):
            _log(handler, number)
        assert handler.flush(PATIENCE)
        broker.restart()
        broker.create("rudder-shop", 1)
        for number in range(5, 10):
            _log(handler, number)
        assert handler.flush(PATIENCE)
        assert handler.stats().delivered == 10
    finally:
        handler.close()
    assert list(dict.fromkeys(_numbers(broker))) == [5, 6, 7, 8, 9]


def test_what_is_on_its_way_is_not_sent_twice(broker: KafkaBroker) -> None:
    """A sending that ends before the broker answers fails; the next ones wait for its answer."""
    sink = _sink(broker)
    messages = [_message(number) for number in range(8)]
    broker.pause()
    assert isinstance(sink.send(messages, monotonic() + 1), Later)
    broker.resume()
    for part in (messages[:3], messages[3:]):
        while not isinstance(outcome := sink.send(part, None), Stored):
            assert isinstance(outcome, Later), outcome
    assert _numbers(broker) == list(range(8))
    sink.close()


def test_a_user_has_one_partition(broker: KafkaBroker) -> None:
    """The key is the user's id, so all of a user's records stand in one partition, in order."""
    broker.create("many", 8)
    sink = _sink(broker, "many")
    messages = [_message(number, user=f"u{number % 5}") for number in range(200)]
    assert isinstance(sink.send(messages[:100], None), Stored)
    assert isinstance(sink.send(messages[100:], None), Stored)
    sink.close()
    places: dict[str, set[int]] = {}
    order: dict[str, list[int]] = {}
    for record in records(broker.servers, "many"):
        event = json.loads(record.value())
        assert record.key() == event["userId"].encode()
        places.setdefault(event["userId"], set()).add(record.partition())
        order.setdefault(event["userId"], []).append(event["properties"]["n"])
    assert {len(one) for one in places.values()} == {1}
    assert order == {f"u{user}": list(range(user, 200, 5)) for user in range(5)}


def test_a_forked_child_has_a_client_of_its_own(broker: KafkaBroker) -> None:
    """The parent's is left alone, and never waited for; both go on."""
    handler = RudderHandler(relay=broker.url(), source="shop", upload_interval=0)
    try:
        _log(handler, 0)
        assert handler.flush(PATIENCE)
        if (child := os.fork()) == 0:
            status = 1
            try:
                _log(handler, 1)
                status = 0 if handler.flush(PATIENCE) else 2
                handler.close()
                gc.collect()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        _log(handler, 2)
        assert handler.flush(PATIENCE)
    finally:
        handler.close()
    assert _numbers(broker) == [0, 1, 2]


def test_a_parents_client_may_be_dropped_in_a_child(broker: KafkaBroker) -> None:
    """Its end asks for threads that a child has not: a consumer's would abort the process."""
    consumer = Consumer({"bootstrap.servers": broker.servers, "group.id": "g", "log_level": 0})
    consumer.subscribe(["rudder-shop"])
    consumer.poll(1)
    client.keep(consumer)
    if (child := os.fork()) == 0:
        del consumer
        gc.collect()
        os._exit(0)
    ended: list[int] = []

    def has_ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended.extend([status] if pid else [])
        return bool(ended)

    try:
        wait_until(has_ended, "the child to end")
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    client.forget(consumer)
    consumer.close()
    assert ended == [0]


def test_a_topic_that_is_missing_holds(broker: KafkaBroker) -> None:
    """It may be made later, and then what was held arrives."""
    url = broker.url("later", "allow.auto.create.topics=false")
    handler = RudderHandler(relay=url, source="shop", upload_interval=0)
    try:
        _log(handler, 0)
        wait_until(lambda: handler.stats().holding, "the handler to hold")
        assert "create the topic" in str(handler.stats().holding)
        broker.create("later", 1)
        assert handler.flush(PATIENCE)
    finally:
        handler.close()
    assert [
        json.loads(one.value())["properties"]["n"] for one in records(broker.servers, "later")
    ] == [0]


def test_a_message_over_the_limit_of_the_url_is_refused_alone(broker: KafkaBroker) -> None:
    """The others of its upload are stored, once."""
    sink = _sink(broker, query="message.max.bytes=5000")
    messages = [_message(0), _message(1, pad=6_000), _message(2)]
    outcome = sink.send(messages, None)
    assert isinstance(outcome, Refused), outcome
    assert outcome.which == [1]
    assert _numbers(broker) == [0, 2]
    sink.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("kafka://h/topic?sasl.mechnism=PLAIN", "No such configuration property"),
        ("kafka://h/topic?linger.ms=soon", "Invalid value"),
        ("kafka://h/topic?acks=0", "acks"),
        ("kafka://h/topic?partitioner=random", "partitioner"),
        ("kafka://h/topic?linger.ms=1&linger.ms=2", "twice"),
        ("kafka://h/a%20topic", "letters, digits"),
        ("kafka://h/topic?max_bytes=100000", "retention.bytes"),
        ("kafka://h/topic?ssl.ca.location=/nowhere.pem", "ssl.ca.location"),
    ],
)
def test_what_cannot_be_right_is_said_at_once(url: str, words: str) -> None:
    """When the handler is made; and the password is not quoted."""
    url = url.replace("kafka://", "kafka://app:geheim@")
    with pytest.raises(ConfigError, match=words) as caught:
        open_sink(Config.load({}, relay=url, source="shop"))
    assert "geheim" not in str(caught.value)


def test_no_password_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in an outcome, nor in a log line, nor in a repr."""
    port = free_port()
    url = f"kafka://app:geheim@127.0.0.1:{port}/topic?security.protocol=SASL_PLAINTEXT"
    with caplog.at_level(logging.DEBUG):
        sink = open_sink(Config.load({}, relay=url, source="shop"))
        outcome = sink.send([_message(0)], monotonic() + 1)
        sink.close()
    assert isinstance(outcome, Later)
    assert "geheim" not in f"{outcome!r} {sink!r} {vars(sink)!r} {caplog.text}"


def test_user_and_password_are_never_sent_in_the_clear_by_default() -> None:
    """A user means TLS, unless the URL says otherwise."""
    address = parse("kafka://a%40b:p%2Fw@h1,h2:9093/", "shop")
    assert address.servers == "h1:9092,h2:9093"
    assert address.topic == "rudder-shop"
    assert address.settings == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "a@b",
        "sasl.password": "p/w",
    }
    assert parse("kafka://h/x-{source}-y", "shop").topic == "x-shop-y"
    assert parse("kafka://[::1]:1/", "shop").urls == ["kafka://[::1]:1"]


def test_under_pytest_nothing_leaves_for_another_host() -> None:
    """The guard knows all brokers of the URL."""
    sink = open_sink(Config.load({}, relay="kafka://localhost,kafka.example.com/t", source="shop"))
    assert isinstance(sink, KeepingSink)
    assert "kafka.example.com" in str(sink.refusal())


def _message(number: int, user: str = "u", pad: int = 0) -> bytes:
    event = {"messageId": f"m{number}", "type": "track", "userId": user, "event": "Bought"}
    return json.dumps({**event, "properties": {"n": number, "pad": "x" * pad}}).encode()[:-1]


def _sink(broker: KafkaBroker, topic: str = "", query: str = "") -> Sink:
    return open_sink(Config.load({}, relay=broker.url(topic, query), source="shop"))


def _log(handler: RudderHandler, number: int) -> None:
    handler.accept({"user_id": "u", "properties": {"n": number}}, "Bought", time())


def _numbers(broker: KafkaBroker) -> list[int]:
    found = records(broker.servers, "rudder-shop")
    return [json.loads(record.value())["properties"]["n"] for record in found]


def test_it_is_imported_where_nothing_forks() -> None:
    """Windows has neither forks nor what prepares for them."""
    code = "import os; del os.fork, os.register_at_fork; import rudder_logging.sinks.kafka"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
