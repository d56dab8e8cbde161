"""The engine over Redis when that has no memory, has forgotten its scripts, or is partly away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from rudder_logging.relay.engine import Appended, Claim, EngineError, Settlement, Wanted
from rudder_logging.relay.redis_engine import RedisEngine
from rudder_logging.relay.source import open_source
from rudder_logging.sinks.base import Failure, Hold, Stored
from rudder_logging.sinks.redis.keys import Keys
from rudder_logging.testing.source_contract import Watch
from tests.engines import EACH_REDIS, NEEDS_REDIS, RedisCluster, RedisServer
from tests.sinks.redis.streams import make_sink

KEYS = Keys("shop")
_LONG = 600.0
_PATIENCE = 90.0


@pytest.fixture(params=EACH_REDIS)
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One of each version."""
    with RedisServer(tmp_path / "redis", version=request.param) as server:
        yield server


def _work(engine: RedisEngine) -> None:
    """All that relays do with shard 0, which has three entries."""
    assert engine.enrol("a", _LONG).members == ["a"]
    claim = engine.acquire(0, "a:1", _LONG)
    assert claim is not None
    (entries,) = engine.read([Wanted(0, None, 9)])
    assert not isinstance(entries, Failure)
    first, second, third = entries
    assert claim == Claim(first.id, 0, 0)
    assert engine.owners([0]) == {0: "a:1"}
    assert engine.renew({0: "a:1"}, _LONG) == {0: True}
    assert engine.suspect(0, "a:1")
    assert engine.bury(0, "a:1", first, "unreadable")
    assert list(engine.acknowledge([Settlement(0, "a:1", [], second.id, 1)])) == [True]
    assert list(engine.acknowledge([Settlement(0, "a:1", [second], third.id, 2)])) == [True]
    engine.release(0, "a:1")
    assert engine.acquire(0, "a:2", _LONG) == Claim(third.id, 2, 0)
    assert list(engine.acknowledge([Settlement(0, "a:2", [third], None, 0)])) == [True]
    assert engine.lag() == (0, 0, 0)
    engine.release(0, "a:2")
    engine.leave("a")


def _fill(engine: RedisEngine, *numbers: int) -> None:
    for number in numbers:
        frame = b"frame %d" % number
        assert engine.append(0, "p", number, frame, 3) is Appended.STORED


def test_relays_empty_an_engine_that_has_no_memory(server: RedisServer) -> None:
    """It refuses what producers append, and nothing of what makes room."""
    engine = RedisEngine(server.url, "shop")
    _fill(engine, 1, 2, 3)
    server.do("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(EngineError, match="OOM"):
        engine.append(0, "p", 4, b"x", 1)
    _work(engine)
    server.do("CONFIG", "SET", "maxmemory", "0")
    _fill(engine, 4)
    engine.close()


def test_an_engine_that_has_forgotten_its_scripts_is_told_them(server: RedisServer) -> None:
    """It has after each restart; nobody notices."""
    engine = RedisEngine(server.url, "shop")
    _fill(engine, 1, 2, 3)
    _work(engine)
    server.do("SCRIPT", "FLUSH")
    _fill(engine, 4, 5, 6)
    server.do("SCRIPT", "FLUSH")
    _work(engine)
    engine.close()


def test_foreign_keys_hold_and_nothing_is_changed(server: RedisServer) -> None:
    """Whichever of a shard's keys is of another type, each method says so."""
    for foreign in (KEYS.queue(0), KEYS.notes(0), KEYS.lease(0)):
        server.do("FLUSHALL")
        engine = RedisEngine(server.url, "shop")
        _fill(engine, 1)
        (entries,) = engine.read([Wanted(0, None, 9)])
        assert not isinstance(entries, Failure)
        assert engine.acquire(0, "a:1", _LONG)
        server.do("DEL", foreign)
        server.do("SADD", foreign, "theirs")
        before = {key: server.do("DUMP", key) for key in _keys(server)}
        settlement = Settlement(0, "a:1", entries, None, 0)
        for act in (
            partial(engine.acquire, 0, "a:1", _LONG),
            partial(engine.acknowledge, [settlement]),
            partial(engine.suspect, 0, "a:1"),
            partial(engine.bury, 0, "a:1", entries[0], "deadly"),
        ):
            with pytest.raises(EngineError, match="WRONGTYPE") as caught:
                act()
            assert isinstance(caught.value.failure, Hold)
        if foreign == KEYS.notes(0):
            with pytest.raises(EngineError, match="WRONGTYPE"):
                engine.release(0, "a:1")
        assert {key: server.do("DUMP", key) for key in _keys(server)} == before
        engine.close()


def test_an_entry_of_somebody_elses_is_buried_as_it_is(server: RedisServer) -> None:
    """Whoever wrote it into the stream: what is before and behind it is delivered."""
    foreign = [("hello", "world"), ("f", "x", "n", "many"), ("n", "1", "f", "x", "more", "y")]
    sink = make_sink(f"{server.url}?shards=1", source="shop")
    watch = Watch()
    assert isinstance(sink.send([b'{"userId":"u","n":0'], None), Stored)
    for fields in foreign:
        server.do("XADD", KEYS.queue(0), "*", *fields)
    assert isinstance(sink.send([b'{"userId":"u","n":1'], None), Stored)
    sink.close()
    with closing(open_source(server.url, "shop", watch)) as source:
        found: list[bytes] = []
        while len(found) < 2:
            batch = source.take(1_000_000, _PATIENCE)
            assert batch is not None
            found += batch
            source.done(batch)
        assert found == [b'{"userId":"u","n":0', b'{"userId":"u","n":1']
        assert source.lag() == (0, 0, 0)
    assert not watch.failures
    buried = server.do("XRANGE", KEYS.dead(0), "-", "+")
    assert [tuple(one.decode() for one in words[:-4]) for _, words in buried] == foreign


def _keys(server: RedisServer) -> list[bytes]:
    return sorted(server.do("KEYS", "*"))


def test_another_number_of_shards_is_no_member(server: RedisServer) -> None:
    """The URL names it; without, what the source has is right."""
    RedisEngine(f"{server.url}?shards=4", "shop").enrol("a", _LONG)
    other = RedisEngine(f"{server.url}?shards=8", "shop")
    with pytest.raises(EngineError) as caught:
        other.enrol("b", _LONG)
    assert isinstance(caught.value.failure, Hold)
    assert "shards=4" in caught.value.failure.cure
    look = RedisEngine(server.url, "shop").enrol("c", _LONG)
    assert (look.shards, list(look.members)) == (4, ["a", "c"])


@NEEDS_REDIS
def test_a_source_that_is_lost_is_made_as_it_was(server: RedisServer) -> None:
    """Apps know its shards, and would hold over another number, which no URL has named."""
    sink = make_sink(f"{server.url}?shards=3", source="shop")
    assert isinstance(sink.send([b'{"userId":"u"'], None), Stored)
    app = make_sink(server.url, source="shop")
    assert isinstance(app.send([b'{"userId":"u"'], None), Stored)
    relay = RedisEngine(server.url, "shop")
    assert relay.enrol("a", _LONG).shards == 3
    server.restart(wiped=True)
    assert relay.enrol("a", _LONG).shards == 3
    while not isinstance(outcome := app.send([b'{"userId":"v"'], None), Stored):
        assert not isinstance(outcome, Hold)
    for one in (sink, app, relay):
        one.close()


def test_an_engine_that_is_away_is_an_error(tmp_path: Path) -> None:
    """Without a password in it; back again, it answers."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(tmp_path / "redis", *options, password="pass-word-7") as server:
        engine = RedisEngine(server.url, "shop")
        _fill(engine, 1, 2, 3)
        server.kill()
        for act in (engine.lag, lambda: engine.enrol("a", 1.0), lambda: engine.lengths([0, 1])):
            with pytest.raises(EngineError) as caught:
                act()
            assert "pass-word-7" not in f"{caught.value!r} {caught.value.failure!r} {engine!r}"
        server.start()
        _work(engine)
        engine.close()


@NEEDS_REDIS
@pytest.mark.slow
def test_the_shards_of_other_nodes_go_on(tmp_path: Path) -> None:
    """Those of one that is away have a failure each."""
    more = ("--cluster-require-full-coverage", "no")
    with RedisCluster(tmp_path, *more) as cluster:
        engine = RedisEngine(cluster.url, "shop")
        every = range(16)
        assert engine.lengths(every) == dict.fromkeys(every, 0)
        away = cluster.nodes[1]
        gone = {s for s in every if cluster.owner(cluster.slot(KEYS.queue(s))) is away}
        assert 0 < len(gone) < 16
        away.kill()
        deadline = time.monotonic() + _PATIENCE
        while True:
            found = engine.lengths(every)
            failed = {shard for shard, one in found.items() if isinstance(one, Failure)}
            if failed == gone:
                break
            assert time.monotonic() < deadline, (failed, gone)
        owners = engine.owners(every)
        assert {shard for shard, one in owners.items() if one is not None} == gone
        away.start()
        cluster.wait_until_well()
        while engine.lengths(every) != dict.fromkeys(every, 0):
            assert time.monotonic() < deadline
        engine.close()
