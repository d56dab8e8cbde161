"""Relays as processes over a real Redis, from an app's call to the gateway."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli.common import ExitCode
from rudder_logging.common.clock import monotonic
from rudder_logging.config import Config
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.sinks import Stored, open_sink

from ..conftest import WRITE_KEY
from ..engines import NEEDS_KAFKA, NEEDS_REDIS, KafkaBroker, RedisServer
from .commands import Relaying, relaying
from .feeds import message, numbers, until

pytestmark = [pytest.mark.slow, NEEDS_REDIS]

KEY = {"RUDDER_WRITE_KEY": WRITE_KEY}
METRICS = ("--metrics", "127.0.0.1:0")
USERS = 40

Start = Callable[..., contextlib.AbstractContextManager[Relaying]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer(tmp_path / "redis", "--appendonly", "yes") as server:
        yield server


@pytest.fixture
def start(plane: LocalDataPlane, server: RedisServer, tmp_path: Path) -> Start:
    """Start relays of that Redis."""
    logs = iter(range(100))

    def starting(*words: object, query: str = "", **more: str) -> Any:
        log = tmp_path / f"relay-{next(logs)}"
        source = () if "--source" in words else ("--source", "shop")
        return relaying(plane, log, server.url + query, *source, *words, **{**KEY, **more})

    return starting


def append(url: str, numbers: Sequence[int], source: str = "shop") -> None:
    """Append messages of some users, as an app does."""
    sink = open_sink(Config.load({}, relay=url, source=source))
    try:
        for at in range(0, len(numbers), 200):
            some = [message(n, f"user {n % USERS}") for n in numbers[at : at + 200]]
            assert isinstance(sink.send(some, None), Stored)
    finally:
        sink.close()


def in_order(plane: LocalDataPlane) -> bool:
    """Tell if each user's events arrived in order, a repeated one where it was first."""
    newest: Counter[int] = Counter()
    seen: set[int] = set()
    for n in numbers(plane.events):
        if n not in seen and n + 1 <= newest[n % USERS]:
            return False
        seen.add(n)
        newest[n % USERS] = max(newest[n % USERS], n + 1)
    return True


def shards(*relays: Relaying, source: str = "shop") -> list[int]:
    """The shards that each relay says it has."""
    return [relay.sources()[source]["shards"] for relay in relays]


def test_from_an_app_to_the_gateway(
    plane: LocalDataPlane, server: RedisServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Two options in the app, which has no write key, and one command."""
    logger = logging.getLogger("shop.orders")
    handler = RudderHandler(relay=server.url, source="shop")
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "shop.orders"):
            for n in range(50):
                fields = {"type": "track", "user_id": "u", "properties": {"n": n}}
                logger.info("Order Completed", extra={"rudder": fields})
        assert handler.flush(60)
        assert handler.stats().delivered == 50
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert plane.events == []
    with start("--drain") as relay:
        stdout, code = relay.result()
    assert numbers(plane.events) == list(range(50))
    assert (code, stdout) == (ExitCode.OK, "shop: 50 delivered\n")


@NEEDS_KAFKA
def test_from_a_topic_to_the_gateway(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The same command; only the URL says that the engine is Kafka."""
    with KafkaBroker(tmp_path / "kafka") as broker:
        url = f"kafka://{broker.servers}/events"
        append(url, range(300))
        with relaying(plane, tmp_path / "log", url, "--source", "shop", "--drain", **KEY) as relay:
            stdout, code = relay.result()
    assert (code, stdout) == (ExitCode.OK, "shop: 300 delivered\n")
    assert sorted(numbers(plane.events)) == list(range(300))
    assert in_order(plane)


def test_relays_share_the_shards_and_an_odd_one_says_so(
    plane: LocalDataPlane, server: RedisServer, start: Start
) -> None:
    """Two have two each; of five, one has nothing to do until another stops."""
    few = {"query": "?shards=4"}
    with start(*METRICS, **few) as first, start(*METRICS, **few) as second:
        until(lambda: shards(first, second) == [2, 2])
        with start(*METRICS, **few) as third, start(*METRICS, **few) as fourth:
            until(lambda: shards(first, second, third, fourth) == [1, 1, 1, 1])
            with start(*METRICS, **few) as fifth:
                idle: list[Relaying] = []

                def one_idles() -> bool:
                    relays = (first, second, third, fourth, fifth)
                    idle[:] = [one for one in relays if one.sources()["shop"]["idle"]]
                    return len(idle) == 1

                until(one_idles)
                idle[0].says("shop: there are more relays than shards, so this one is idle")
                assert idle[0].get("/healthz").status_code == 200
                busy = first if idle[0] is not first else second
                assert busy.end()[1] == ExitCode.OK
                idle[0].says("shop: this relay is idle no more")
        append(server.url + "?shards=4", range(400))
        plane.wait_for(400, 90)
    assert sorted(numbers(plane.events)) == list(range(400))


def test_a_stopped_relays_shards_are_taken_over_without_duplicates(
    plane: LocalDataPlane, server: RedisServer, start: Start
) -> None:
    """In the midst of a backlog, too; and each user's events stay in order."""
    plane.latency = 0.1
    with start(*METRICS) as first, start(*METRICS) as second:
        until(lambda: shards(first, second) == [8, 8])
        append(server.url, range(4_000))
        plane.wait_for(1, 90)
        assert first.end()[1] == ExitCode.OK
        until(lambda: shards(second) == [16])
        plane.wait_for(4_000, 90)
        assert second.end()[1] == ExitCode.OK
    assert sorted(numbers(plane.events)) == list(range(4_000))
    assert in_order(plane)


def test_a_killed_relays_shards_are_taken_over(
    plane: LocalDataPlane, server: RedisServer, start: Start
) -> None:
    """Nothing is lost; what it had sent without telling the engine is sent again."""
    plane.latency = 0.1
    with start(*METRICS) as first, start(*METRICS) as second:
        until(lambda: shards(first, second) == [8, 8])
        append(server.url, range(4_000))
        plane.wait_for(1, 90)
        first.process.kill()
        until(lambda: len(set(numbers(plane.events))) == 4_000)
        assert second.end()[1] == ExitCode.OK
    assert in_order(plane)


def test_one_of_two_sources_is_held(
    plane: LocalDataPlane, server: RedisServer, start: Start, tmp_path: Path
) -> None:
    """A refused key is told with its source, and the other one goes on."""
    key = tmp_path / "web.key"
    key.write_text("another-key")
    key.chmod(0o600)
    append(server.url, range(300))
    append(server.url, range(1_000, 1_300), source="web")
    sources = ("--source", "shop", "--source", f"web={key}")
    with start(*sources, *METRICS, RUDDER_WRITE_KEY_SHOP=WRITE_KEY) as relay:
        plane.wait_for(300, 90)
        relay.says("ERROR web: events are held")
        until(lambda: 'rudder_relay_holding{source="web"} 1.0' in relay.get("/metrics").text)
        assert 'rudder_relay_holding{source="shop"} 0.0' in relay.get("/metrics").text
        assert sorted(numbers(plane.events)) == list(range(300))
        key.write_text(WRITE_KEY)
        plane.wait_for(600, 90)
        stdout, code = relay.end()
    assert code == ExitCode.OK
    assert stdout.splitlines() == [
        "shop: 300 delivered",
        "web: 300 delivered",
    ]


def test_a_poisoned_event_goes_to_the_dead_letters(
    plane: LocalDataPlane, server: RedisServer, start: Start, tmp_path: Path
) -> None:
    """It alone; and the engine is empty then."""
    plane.fail_for(lambda event: event["properties"]["n"] == 123, 400, "invalid json\n")
    append(server.url, range(500))
    file = tmp_path / "refused.jsonl"
    with start("--drain", "--dead-letter", file) as relay:
        stdout, code = relay.result()
    assert (code, stdout) == (ExitCode.OK, "shop: 499 delivered, 1 refused\n")
    assert json.loads(file.read_text())["message"]["messageId"] == "m123"
    assert sorted({*numbers(plane.events), 123}) == list(range(500))


def test_an_outage_of_the_gateway_passes(
    plane: LocalDataPlane, server: RedisServer, start: Start
) -> None:
    """It is told with what waits; then all arrives, once and in order."""
    plane.fail(503, times=None)
    append(server.url, range(600))
    with start(*METRICS) as relay:
        relay.says("WARNING shop: nothing was delivered for")
        until(lambda: 'rudder_relay_lag_events{source="shop"} 600.0' in relay.get("/metrics").text)
        plane.heal()
        plane.wait_for(600, 90)
        relay.says("WARNING shop: delivery resumes")
        assert relay.end()[1] == ExitCode.OK
    assert sorted(numbers(plane.events)) == list(range(600))
    assert in_order(plane)


def test_an_engine_that_is_away_is_waited_for(
    plane: LocalDataPlane, server: RedisServer, start: Start
) -> None:
    """At the start it is told at once, with its cure; scrapes are answered meanwhile."""
    append(server.url, range(100))
    server.kill()
    with start(*METRICS) as relay:
        relay.says("ERROR shop: the engine is of no use")
        assert relay.get("/readyz").status_code == 503
        begun = monotonic()
        page = relay.get("/metrics").text
        assert monotonic() - begun < 60
        assert 'rudder_relay_delivered_total{source="shop"} 0.0' in page
        assert "rudder_relay_lag_events{" not in page
        server.start(loaded=True)
        plane.wait_for(100, 90)
        relay.says("WARNING shop: the engine is well again")
        until(lambda: relay.get("/readyz").status_code == 200)
        assert relay.end()[1] == ExitCode.OK


def test_a_restart_of_the_engine_loses_nothing(
    plane: LocalDataPlane, server: RedisServer, start: Start
) -> None:
    """In the midst of a backlog: what was acknowledged is on its disk."""
    plane.latency = 0.05
    append(server.url, range(3_000))
    with start("--uploads", "2") as relay:
        plane.wait_for(1, 90)
        server.restart()
        until(lambda: len(set(numbers(plane.events))) == 3_000)
        assert relay.end()[1] == ExitCode.OK
    assert in_order(plane)
