"""`suppress()` where a relay sends: the engine is told, and relays drop what they have taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.config import Config
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.retry import RetryPolicy
from rudder_logging.relay.feed import Feed
from rudder_logging.relay.keys import WriteKey
from rudder_logging.relay.leased import LeasedSource
from rudder_logging.relay.memory import MemoryEngine
from rudder_logging.relay.redis_engine import RedisEngine
from rudder_logging.sinks.base import Stored, Unknown
from rudder_logging.sinks.redis.sink import RedisSink

from ..cli.command import run
from ..conftest import WRITE_KEY, MakeHandler
from ..engines import NEEDS_REDIS, RedisServer
from ..engines.redis import PATIENCE, wait_until
from .feeds import message
from .test_leased import SHARDS, append

FORGOTTEN = "rudder:{shop}:forgotten"


def log(handler: RudderHandler, *ids: str) -> None:
    """An event of each."""
    for one in ids:
        handler.accept({"user_id": one}, "e", time())


def relayed(server: RedisServer, plane: LocalDataPlane) -> Counter[str]:
    """Run a relay until nothing waits; whose events arrived."""
    options: Any = {"RUDDER_RELAY": server.url, "RUDDER_SOURCE": "shop"}
    done = run("relay", "--drain", plane=plane, **options)
    assert done.returncode == 0, done.stderr
    return Counter(event["userId"] for event in plane.events)


def is_forgotten(server: RedisServer, one: bytes) -> Callable[[], bool]:
    """Tells if the engine has been told."""
    return lambda: one in server.do("HKEYS", FORGOTTEN)


def relaying_handler(make_handler: MakeHandler, server: RedisServer, **more: Any) -> RudderHandler:
    """A handler that appends to it."""
    usual: dict[str, Any] = {"write_key": None, "data_plane_url": None, "shutdown_timeout": 1}
    return make_handler(**{**usual, "relay": server.url, "source": "shop", **more})


@NEEDS_REDIS
def test_what_waits_in_the_engine_never_arrives(
    tmp_path: Path, plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """Appended before is theirs no more; nothing else is touched."""
    with RedisServer(tmp_path / "redis") as server:
        handler = relaying_handler(make_handler, server)
        log(handler, "a", "b", "a")
        assert handler.flush(PATIENCE)
        assert handler.suppress("a") == 0
        wait_until(is_forgotten(server, b"a"), "the engine to be told")
        log(handler, "a", "c")
        assert handler.flush(PATIENCE)
        assert relayed(server, plane) == {"b": 1, "c": 1}
        handler.suppress("c", erase_pending=False)
        log(handler, "d")
        assert handler.flush(PATIENCE)
        assert not is_forgotten(server, b"c")()


@NEEDS_REDIS
def test_the_caller_waits_for_no_network(
    tmp_path: Path, make_handler: MakeHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine that does not answer is told later, and that is said once; so is the end of it."""
    with RedisServer(tmp_path / "redis") as server:
        handler = relaying_handler(make_handler, server, timeout=0.3)
        handler._listener.sender.errand._policy = RetryPolicy(probe_base=0.1, probe_cap=0.2)
        log(handler, "a")
        assert handler.flush(PATIENCE)
        server.kill()
        handler.suppress("a")  # it returns
        wait_until(lambda: handler._listener.sender.errand._failures > 2, "failures")
        server.start()
        wait_until(is_forgotten(server, b"a"), "the engine to be told")
        wait_until(lambda: "been told now" in caplog.text, "the line")
    said = [record.getMessage() for record in caplog.records if "engine" in record.getMessage()]
    (failed,) = (line for line in said if "was not told to forget 1 ids" in line)
    assert "tried again" in failed
    assert "'a'" not in caplog.text


@NEEDS_REDIS
def test_an_end_before_it_is_told_is_said(
    tmp_path: Path, make_handler: MakeHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """With the command that does it."""
    with RedisServer(tmp_path / "redis") as server:
        handler = relaying_handler(make_handler, server, timeout=0.3, shutdown_timeout=0.3)
        server.kill()
        handler.suppress("a")
        handler._listener.finish(0)
        assert "rudder-logging relay forget does it" in caplog.text


@NEEDS_REDIS
def test_a_frame_on_its_way_comes_before_the_request(
    tmp_path: Path, plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """Nobody knows if it is stored: it is sent again as it was, and covered by the tombstone."""
    with RedisServer(
        tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always"
    ) as server:
        handler = relaying_handler(make_handler, server, timeout=0.3)
        handler._listener.sender.errand._policy = RetryPolicy(probe_base=0.1, probe_cap=0.2)
        log(handler, "b")
        assert handler.flush(PATIENCE)
        server.pause()
        log(handler, "a", "b")
        handler.flush(0)
        wait_until(lambda: handler.stats().retries, "a lost answer")
        handler.suppress("a")
        server.kill()
        server.start()
        wait_until(is_forgotten(server, b"a"), "the engine to be told")
        assert handler.flush(PATIENCE)
        assert handler.stats().dropped == {"suppressed": 1}
        assert relayed(server, plane) == {"b": 2}


def test_an_engine_that_can_not_forget_is_told_of(
    make_handler: MakeHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka delivers what it has."""
    pytest.importorskip("confluent_kafka")
    handler = make_handler(
        write_key=None, data_plane_url=None, relay="kafka://127.0.0.1:1/t", source="shop"
    )
    handler.suppress("a")
    handler.suppress("b")
    assert caplog.text.count("the relay's engine can't forget people") == 1


class Forgetful:
    """A sink of an app's that can be asked to forget."""

    max_bytes = 100_000

    def __init__(self) -> None:
        self.forgotten: set[str] = set()

    def send(self, messages: Any, deadline: float | None) -> Any:
        """Store them."""
        assert messages
        return Stored()

    def forget(self, people: Any, deadline: float | None) -> None:
        """Note it."""
        self.forgotten |= people

    def close(self) -> None:
        """Nothing is open."""


def test_a_sink_of_the_app_s_may_forget(make_handler: MakeHandler) -> None:
    """It is asked by the thread that delivers; hashed ids go by their hashes, too."""
    sink = Forgetful()
    handler = make_handler(sink=sink, privacy={"hash": ["ids"], "hmac_key": "k"})
    handler.suppress("a")
    wait_until(lambda: len(sink.forgotten) == 2, "the sink to be asked")
    assert "a" in sink.forgotten


def test_a_relay_drops_what_it_has_taken(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the next attempt; what came behind it, and what others sent, is delivered."""
    from rudder_logging.relay import lanes

    policy = RetryPolicy(base=0.02, cap=0.1)
    monkeypatch.setattr(lanes, "_POLICY", policy)
    engine = MemoryEngine(SHARDS)
    plane.fail(503, times=None)
    config = Config.load({}, write_key=WRITE_KEY, data_plane_url=plane.url)
    key = WriteKey("shop", text=WRITE_KEY)
    feed = Feed("shop", config, key, lambda observer: LeasedSource(engine, observer), lanes=1)
    feed.start()
    try:
        append(engine, "early", *(message(n, "ab"[n % 2]) for n in range(10)))
        wait_until(lambda: feed.is_busy and plane.requests, "a batch")
        engine.forget(["a"])
        source: Any = feed.source
        wait_until(lambda: source._handout._forgetting is not None, "the relay to learn of it")
        before = len(plane.requests)  # the next attempt may have begun already
        wait_until(lambda: len(plane.requests) >= before + 2, "an attempt that knows")
        plane.heal()
        wait_until(lambda: not engine.lag().events, "the rest")
    finally:
        feed.stop()
        feed.finish(time() + PATIENCE)
    assert sorted(event["properties"]["n"] for event in plane.events) == [1, 3, 5, 7, 9]
    assert feed.ledger.dropped() == {"suppressed": 5}


class Silent:
    """An observer that notes nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@NEEDS_REDIS
def test_a_frame_that_nobody_knows_of_is_stored_before_the_tombstone(tmp_path: Path) -> None:
    """Whatever its upload does meanwhile: stored behind it, its events would be delivered."""
    with RedisServer(
        tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always"
    ) as server:
        sink = RedisSink(Config.load({}, relay=server.url, source="shop", timeout=0.3))
        try:
            wait_until(lambda: isinstance(sink.send([message(0, "b")], None), Stored), "Redis")
            server.pause()
            lost = [message(1, "a"), message(2, "b")]
            assert isinstance(sink.send(lost, None), Unknown)
            server.kill()
            server.start()
            wait_until(lambda: sink.forget(["a"], None) is None, "the tombstone")
            late = [*lost[1:], message(3, "a")]  # what is suppressed by now is not sent again
            wait_until(lambda: isinstance(sink.send(late, None), Stored), "the rest")
        finally:
            sink.close()
        engine = RedisEngine(server.url, "shop")
        source = LeasedSource(engine, Silent())
        try:
            found = []
            while engine.lag().events:
                batch = source.take(3_000, 0.5)
                if batch is not None:
                    found += [json.loads(one + b"}")["properties"]["n"] for one in batch]
                    source.done(batch)
        finally:
            source.close()
            engine.close()
    assert sorted(found) == [0, 2, 3]
