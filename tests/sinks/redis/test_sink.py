"""The sink of Redis: each message is stored once, whatever the engine does, and faults are told."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from rudder_logging.common.clock import monotonic
from rudder_logging.exceptions import ConfigError
from rudder_logging.relay.redis_commands import APPENDING
from rudder_logging.relay.redis_engine import RedisEngine
from rudder_logging.sinks import Hold, Later, Outcome, Stored, Unknown
from rudder_logging.sinks.frames import shard_of
from rudder_logging.sinks.redis import RedisSink
from rudder_logging.sinks.redis.keys import Keys
from tests.engines import (
    EACH_REDIS,
    NEEDS_REDIS,
    NEEDS_TLS,
    Certificates,
    Line,
    RedisCluster,
    RedisSentinel,
    RedisServer,
)

from .streams import KEYS, events, ids, make_sink, message, messages

pytestmark = NEEDS_REDIS

_PATIENCE = 120.0
_SECRET = "pass-word-7"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that saves nothing."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


def _until_stored(sink: RedisSink, upload: Sequence[bytes]) -> list[Outcome]:
    """Send an upload until it is stored, as delivery does; returns the failures before that."""
    failures: list[Outcome] = []
    deadline = monotonic() + _PATIENCE
    while not isinstance(outcome := sink.send(upload, None), Stored):
        failures.append(outcome)
        assert monotonic() < deadline, outcome
        time.sleep(0.05)
    return failures


def _shards_of(numbers: Sequence[int]) -> list[int]:
    return [shard_of(f"u{number}".encode(), 16) for number in numbers]


def test_a_users_messages_are_in_one_shard_in_order(server: RedisServer) -> None:
    """Over many uploads; several frames of a shard are in order, too."""
    sink = make_sink(server.url)
    upload = [message(number, f"user-{number % 7}", pad=9_000) for number in range(200)]
    for at in range(0, 200, 50):
        assert isinstance(sink.send(upload[at : at + 50], None), Stored)
    for shard in range(16):
        found = events([server], shard + 1)
        for user in {event["userId"] for event in found}:
            own = [event["n"] for event in found if event["userId"] == user]
            assert own in ([], [n for n in range(200) if f"user-{n % 7}" == user])
    assert ids([server]) == list(range(200))
    sink.close()


def test_the_engine_counts_what_it_has(server: RedisServer) -> None:
    """Bytes and messages of each shard are those of its frames."""
    sink = make_sink(f"{server.url}?shards=1")
    sink.send(messages(*range(50)), None)
    sink.send(messages(*range(50, 60)), None)
    with server.client(protocol=2) as client:
        stored: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(KEYS.queue(0))
        notes = client.hgetall(KEYS.notes(0))
    assert notes == {
        b"bytes": str(sum(len(fields[b"f"]) for _, fields in stored)).encode(),
        b"events": b"60",
    }
    sink.close()


@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_lost_answer_makes_no_duplicate(tmp_path: Path, version: str) -> None:
    """In whatever parts the messages come again, and behind newer ones of others."""
    with (
        RedisServer(tmp_path / "redis", version=version) as server,
        Line(server.port) as line,
    ):
        sink = make_sink(f"redis://127.0.0.1:{line.port}")
        chance = random.Random(7)
        numbers = iter(range(10_000))
        sent = 0
        for _ in range(30):
            upload = messages(*(next(numbers) for _ in range(chance.randrange(1, 60))))
            sent += len(upload)
            line.lose_answers(chance.randrange(3), to=b"EVAL")
            while upload:
                part = upload[: chance.randrange(1, len(upload) + 1)]
                outcome = sink.send(part, None)
                assert isinstance(outcome, (Stored, Unknown)), outcome
                if isinstance(outcome, Stored):
                    upload = upload[len(part) :]
        assert ids([server]) == list(range(sent))
        sink.close()


def test_order_is_kept_when_answers_are_lost(server: RedisServer) -> None:
    """A frame that may be stored goes before what is newer."""
    with Line(server.port) as line:
        sink = make_sink(f"redis://127.0.0.1:{line.port}?shards=1")
        chance = random.Random(3)
        for begin in range(0, 300, 30):
            upload = [message(number, pad=20_000) for number in range(begin, begin + 30)]
            line.lose_answers(chance.randrange(3), to=b"EVAL")
            _until_stored(sink, upload)
        assert [event["n"] for event in events([server], 1)] == list(range(300))
        sink.close()


def test_a_late_copy_of_a_frame_is_not_stored(server: RedisServer) -> None:
    """What a server that did not answer does when it goes on is done once."""
    sink = make_sink(server.url)
    assert isinstance(sink.send(messages(0), None), Stored)
    server.pause()
    for _ in range(3):
        outcome = sink.send(messages(1, 2), monotonic() + 0.1)
        assert isinstance(outcome, (Unknown, Later)), outcome
    server.resume()
    _until_stored(sink, messages(1, 2, 3))
    assert ids([server]) == [0, 1, 2, 3]
    sink.close()


# An engine that has no room.


def test_a_full_source_is_refused_and_nothing_is_stored_twice(server: RedisServer) -> None:
    """Beyond `max_bytes`, with the cure; shards that have room take theirs meanwhile."""
    sink = make_sink(f"{server.url}?shards=2&max_bytes=4000")
    texts = random.Random(1).randbytes(400_000).hex()
    upload = [
        message(number) + b',"x":"' + texts[number * 2000 : number * 2000 + 800].encode() + b'"'
        for number in range(12)
    ]
    stored = 0
    while isinstance(outcome := sink.send(upload[stored : stored + 1], None), Stored):
        stored += 1
    assert isinstance(outcome, Later)
    assert "relay_max_bytes" in outcome.cure
    assert 1 < stored < 12
    for _ in range(3):
        assert isinstance(sink.send(upload[stored:], None), Later)
    found: list[int] = []
    deadline = monotonic() + _PATIENCE
    while not isinstance(outcome, Stored):
        assert monotonic() < deadline
        found += ids([server], 2)
        server.do("DEL", *(key(shard) for key in (KEYS.queue, KEYS.notes) for shard in range(2)))
        outcome = sink.send(upload[stored:], None)
    found += ids([server], 2)
    assert len(found) == len(set(found))
    sink.close()


def test_what_comes_behind_a_frame_without_room_waits_for_it(server: RedisServer) -> None:
    """Though it would fit: a user's messages stay in order."""
    sink = make_sink(f"{server.url}?shards=1&max_bytes=200000")
    noise = random.Random(2).randbytes(150_000).hex().encode()
    large = [message(number, "u") + b',"x":"' + noise + b'"' for number in (0, 1)]
    assert isinstance(sink.send(large[:1], None), Stored)
    upload = [large[1], message(2, "u")]
    assert isinstance(sink.send(upload, None), Later)
    assert ids([server], 1) == [0]
    server.do("DEL", KEYS.queue(0), KEYS.notes(0))
    assert isinstance(sink.send(upload, None), Stored)
    assert [event["n"] for event in events([server], 1)] == [1, 2]
    sink.close()


def test_a_full_queue_that_somebody_deletes_has_room(server: RedisServer) -> None:
    """An engine that evicts, too, takes the queue alone. No relay would ever count it anew."""
    sink = make_sink(f"{server.url}?shards=1&max_bytes=4000")
    upload = [message(0) + b',"x":"' + random.Random(4).randbytes(1_500).hex().encode() + b'"']
    while isinstance(sink.send(upload, None), Stored):
        pass
    assert isinstance(sink.send(upload, None), Later)
    server.do("DEL", KEYS.queue(0))
    engine = RedisEngine(server.url, "shop")
    assert engine.lag() == (0, 0, 0)
    assert isinstance(sink.send(upload, None), Stored)
    assert engine.lag().events == 1
    for one in (sink, engine):
        one.close()


@pytest.mark.parametrize("version", EACH_REDIS)
def test_an_engine_without_memory_is_waited_for(tmp_path: Path, version: str) -> None:
    """It refuses, nothing of the refused frames is there, and all is stored once it has memory."""
    with RedisServer(tmp_path / "redis", version=version) as server:
        sink = make_sink(server.url)
        assert isinstance(sink.send(messages(0), None), Stored)
        server.do("CONFIG", "SET", "maxmemory", "1")
        outcome = sink.send(messages(*range(1, 50)), None)
        assert isinstance(outcome, Later)
        assert "OOM" in outcome.fault
        assert "maxmemory" in outcome.cure
        assert ids([server]) == [0]
        server.do("CONFIG", "SET", "maxmemory", "0")
        assert isinstance(sink.send(messages(*range(1, 50)), None), Stored)
        assert ids([server]) == list(range(50))
        sink.close()


# An engine that ends.


@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_killed_engine_has_what_it_acknowledged(tmp_path: Path, version: str) -> None:
    """With a file that is synced at each write; the sink goes on, and nothing is there twice."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(tmp_path / "redis", *options, version=version) as server:
        sink = make_sink(server.url)
        for begin in range(0, 60, 20):
            _until_stored(sink, messages(*range(begin, begin + 20)))
            server.kill()
            failure = sink.send(messages(begin + 20), None)
            assert isinstance(failure, (Later, Unknown)), failure
            server.start()
        assert ids([server]) == list(range(60))
        _until_stored(sink, messages(*range(60, 70)))
        assert ids([server]) == list(range(70))
        sink.close()


def test_an_engine_that_lost_its_data_is_a_new_source(server: RedisServer) -> None:
    """Its shards are noted again; what was acknowledged before is what it lost, and no more."""
    sink = make_sink(f"{server.url}?shards=3")
    _until_stored(sink, messages(*range(20)))
    server.restart(wiped=True)
    _until_stored(sink, messages(*range(20, 40)))
    assert ids([server], 3) == list(range(20, 40))
    assert server.do("HGET", KEYS.meta, "shards") == b"3"
    sink.close()


def test_a_source_that_was_made_anew_with_other_shards_is_appended_to(server: RedisServer) -> None:
    """A URL that names no number takes what is there: no app holds until somebody restarts it."""
    _until_stored(make_sink(f"{server.url}?shards=20"), messages(0))
    with Line(server.port) as line:
        sink = make_sink(f"redis://127.0.0.1:{line.port}")
        _until_stored(sink, messages(*range(1, 20)))
        line.lose_answers(1, to=b"EVAL")
        upload = messages(*range(20, 40))
        assert isinstance(sink.send(upload, None), Unknown)
        server.restart(wiped=True)
        _until_stored(make_sink(f"{server.url}?shards=2"), messages(50))
        _until_stored(sink, upload)
    assert ids([server], 2) == [*range(20, 40), 50]
    sink.close()


def test_an_engine_that_loads_is_waited_for(tmp_path: Path) -> None:
    """It says that it is loading."""
    with RedisServer(tmp_path / "redis") as server:
        sink = make_sink(server.url)
        _until_stored(sink, messages(*range(20)))
        with server.client() as client:  # it looks after clients only after each 2 MB
            client.mset({f"filler-{n}": random.randbytes(64_000) for n in range(640)})
        server.do("SAVE")
        server.kill()
        slowly = RedisServer(server.folder, "--key-load-delay", "5000", port=server.port)
        try:
            slowly.start(loaded=False)
            seen = _until_stored(sink, messages(20))
            assert any(isinstance(one, Later) and "LOADING" in one.fault for one in seen), seen
            assert ids([server]) == list(range(21))
        finally:
            slowly.kill()
        sink.close()


@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_replica_is_no_place_to_write_to(tmp_path: Path, version: str) -> None:
    """It says so, until it is a master."""
    with RedisServer(tmp_path / "redis", version=version) as server:
        sink = make_sink(server.url)
        _until_stored(sink, messages(0))
        server.do("CONFIG", "SET", "replica-serve-stale-data", "yes")
        server.do("REPLICAOF", "127.0.0.1", "1")
        outcome = sink.send(messages(1), None)
        assert isinstance(outcome, Later), outcome
        assert "READONLY" in outcome.fault
        server.do("REPLICAOF", "NO", "ONE")
        _until_stored(sink, messages(1))
        assert ids([server]) == [0, 1]
        sink.close()


@pytest.mark.slow
@pytest.mark.parametrize("version", EACH_REDIS)
def test_only_what_a_failover_loses_is_lost(tmp_path: Path, version: str) -> None:
    """With `wait=1`, that is nothing: what is acknowledged is with the replica that takes over."""
    with RedisSentinel(tmp_path, version=version, sentinels=3) as group:
        sink = make_sink(f"{group.url}?wait=1", timeout=5)
        _until_stored(sink, messages(*range(30)))
        first = group.master
        first.kill()
        assert not isinstance(sink.send(messages(30), monotonic() + 0.5), Stored)
        group.wait_for_another(first)
        with pytest.raises(AssertionError, match="replicas"):
            _alone(sink)
        first.start()
        _until_stored(sink, messages(*range(30, 40)))
        assert ids([group.master]) == list(range(40))
        sink.close()


@pytest.mark.slow
@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_master_that_becomes_a_replica_is_left(tmp_path: Path, version: str) -> None:
    """It goes on running; the sink finds the new master by the sentinels."""
    with RedisSentinel(tmp_path, version=version) as group:
        sink = make_sink(f"{group.url}?wait=1", timeout=5)
        _until_stored(sink, messages(*range(30)))
        first = group.master
        group.wait_for_replicas()
        group.begin_failover()
        for number in range(30, 60):
            _until_stored(sink, messages(number))
        group.wait_for_another(first)
        _until_stored(sink, messages(*range(60, 90)))
        assert ids([group.master]) == list(range(90))
        sink.close()


def _alone(sink: RedisSink) -> None:
    """With no replica there is no confirmation."""
    outcome = sink.send(messages(30), monotonic() + 2)
    assert isinstance(outcome, Stored), f"replicas: {outcome}"


def test_without_a_replicas_word_it_is_sent_again_and_stored_once(server: RedisServer) -> None:
    """`wait=1` with no replica: nothing counts as stored, until there is one."""
    sink = make_sink(f"{server.url}?wait=1", timeout=0.2)
    for _ in range(2):
        outcome = sink.send(messages(*range(10)), None)
        assert isinstance(outcome, Unknown), outcome
        assert "replicas" in outcome.fault
        assert ids([server]) == list(range(10))
    with RedisServer(
        server.folder / "replica",
        *("--replicaof", "127.0.0.1", str(server.port)),
        version=server.version,
    ):
        _until_stored(sink, messages(*range(10)))
    assert ids([server]) == list(range(10))
    sink.close()


def test_a_replicas_word_is_about_the_frame(server: RedisServer) -> None:
    """Over a new connection, too, on which nothing but the same frame was sent again."""
    with RedisServer(
        server.folder / "replica",
        *("--replicaof", "127.0.0.1", str(server.port)),
        version=server.version,
    ) as replica:
        sink = make_sink(f"{server.url}?wait=1", timeout=1)
        _until_stored(sink, messages(0))
        replica.pause()
        for _ in range(3):
            assert isinstance(sink.send(messages(1), None), Unknown)
            sink.close()
        replica.resume()
        _until_stored(sink, messages(1))
        assert ids([server]) == [0, 1]
        sink.close()


@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_name_that_leads_to_another_master_is_followed(tmp_path: Path, version: str) -> None:
    """Its old address is a replica by now, which keeps its connections."""
    with (
        RedisServer(tmp_path / "one", version=version) as one,
        RedisServer(tmp_path / "other", version=version) as other,
        Line(one.port) as line,
    ):
        sink = make_sink(f"redis://127.0.0.1:{line.port}/0")
        _until_stored(sink, messages(0))
        one.do("REPLICAOF", "127.0.0.1", str(other.port))
        line.lead_to(other.port)
        assert all(
            isinstance(failure, (Later, Unknown)) for failure in _until_stored(sink, [message(1)])
        )
        assert ids([other]) == [1]
        sink.close()


# A cluster.


@pytest.mark.slow
@pytest.mark.parametrize("version", EACH_REDIS)
def test_shards_that_move_between_nodes(tmp_path: Path, version: str) -> None:
    """While they move, appends wait; each message is stored once, and the others are not held."""
    with RedisCluster(tmp_path, version=version) as cluster:
        sink = make_sink(cluster.url)
        _until_stored(sink, messages(*range(100)))
        (shard,) = _shards_of([100])
        slot = cluster.slot(KEYS.queue(shard))
        owner = cluster.owner(slot)
        other = next(node for node in cluster.nodes if node is not owner)
        cluster.move(slot, other, whole=False)
        _until_stored(sink, messages(*range(100, 120)))
        cluster.move(slot, other)
        assert cluster.owner(slot) is other
        _until_stored(sink, messages(*range(120, 140)))
        assert ids(cluster.nodes) == list(range(140))
        sink.close()


@pytest.mark.slow
def test_one_node_away_holds_up_its_own_shards(tmp_path: Path) -> None:
    """What the others have stored is not stored again when it is back."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    more = ("--cluster-require-full-coverage", "no")
    with RedisCluster(tmp_path, *options, *more) as cluster:
        sink = make_sink(cluster.url, timeout=5)
        _until_stored(sink, messages(*range(100)))
        cluster.nodes[0].kill()
        assert not isinstance(sink.send(messages(*range(100, 200)), None), Stored)
        there = ids(cluster.nodes[1:])
        assert set(there) & set(range(100, 200))
        cluster.nodes[0].start()
        cluster.wait_until_well()
        _until_stored(sink, messages(*range(100, 200)))
        assert ids(cluster.nodes) == list(range(200))
        sink.close()


@pytest.mark.slow
def test_who_has_taken_a_dead_nodes_shards_is_found(tmp_path: Path) -> None:
    """Though the dead one stands first in the URL, and is the last that was known to have them."""
    with RedisCluster(tmp_path, "--cluster-require-full-coverage", "no") as cluster:
        owner, *others = cluster.nodes
        places = ",".join(f"127.0.0.1:{node.port}" for node in (owner, *others))
        source = next(
            name
            for name in (f"s{number}" for number in range(1_000))
            if cluster.owner(cluster.slot(Keys(name).meta)) is not owner
            and cluster.owner(cluster.slot(Keys(name).queue(0))) is owner
        )
        keys = Keys(source)
        slot = cluster.slot(keys.queue(0))
        sink = make_sink(f"redis+cluster://{places}?shards=1", source=source, timeout=5)
        _until_stored(sink, messages(0))
        cluster.move(slot, others[0])
        owner.kill()
        _until_stored(sink, messages(1))
        assert others[0].do("XLEN", keys.queue(0)) == 2
        sink.close()


# Configuration faults.


def _held(sink: RedisSink, words: str, *, may_be_reset: bool = False) -> Hold:
    deadline = monotonic() + 60
    outcome = sink.send(messages(1, 2), None)
    while may_be_reset and isinstance(outcome, (Later, Unknown)) and monotonic() < deadline:
        assert words in outcome.cure
        outcome = sink.send(messages(1, 2), None)
    assert isinstance(outcome, Hold), outcome
    assert words in f"{outcome.fault} {outcome.cure}"
    for text in (outcome.fault, outcome.cure, str(outcome.error), repr(outcome), repr(sink)):
        assert _SECRET not in text
        assert "messageId" not in text
    sink.close()
    return outcome


def test_a_wrong_password_holds(tmp_path: Path) -> None:
    """And none where one is wanted; a right one needs no restart of the app."""
    with RedisServer(tmp_path / "redis", password="another") as server:
        place = f"127.0.0.1:{server.port}/0"
        _held(make_sink(f"redis://:{_SECRET}@{place}"), "WRONGPASS")
        _held(make_sink(f"redis://user:{_SECRET}@{place}"), "WRONGPASS")
        _held(make_sink(f"redis://{place}"), "NOAUTH")
        sink = make_sink(f"redis://:{_SECRET}@{place}")
        assert isinstance(sink.send(messages(0), None), Hold)
        server.do("CONFIG", "SET", "requirepass", _SECRET)
        assert isinstance(sink.send(messages(0), None), Stored)
        sink.close()


@pytest.mark.parametrize("version", EACH_REDIS)
def test_the_least_that_a_user_must_be_allowed(tmp_path: Path, version: str) -> None:
    """With these commands an app appends; without any one of them it is held, and told which."""
    with RedisServer(tmp_path / "redis", version=version) as server:
        url = f"redis://app:{_SECRET}@127.0.0.1:{server.port}/0"
        rule = ["reset", "on", f">{_SECRET}", "~rudder:*", *(f"+{one}" for one in APPENDING)]
        server.do("ACL", "SETUSER", "app", *rule)
        sink = make_sink(url)
        for _ in range(2):
            assert isinstance(sink.send(messages(0), None), Stored)
        sink.close()
        for one in APPENDING:
            server.do("FLUSHALL")
            server.do("SCRIPT", "FLUSH")
            server.do("ACL", "SETUSER", "app", *rule, f"-{one}")
            lame = make_sink(url)
            outcomes = [lame.send(messages(1), None) for _ in range(2)]
            lame._outbox._lost.clear()
            lame.close()
            if one in ("PEXPIRE", "XLEN"):  # for a frame that is there already, or a full queue
                assert isinstance(outcomes[0], Stored)
                continue
            assert isinstance(outcomes[0], Hold), (one, outcomes)
            assert "NOPERM" in outcomes[0].fault
            assert _SECRET not in str(outcomes)
        server.do("ACL", "SETUSER", "app", *rule, "resetkeys", "~other:*")
        _held(make_sink(url), "NOPERM")


@pytest.mark.parametrize("version", EACH_REDIS)
def test_foreign_keys_hold_and_nothing_is_changed(tmp_path: Path, version: str) -> None:
    """A key of the source that is of another type, whichever it is."""
    with RedisServer(tmp_path / "redis", version=version) as server:
        keys = [KEYS.meta, *map(KEYS.queue, range(16)), *map(KEYS.notes, range(16))]
        for foreign in ([KEYS.meta], keys[1:17], keys[17:]):
            server.do("FLUSHALL")
            for key in foreign:
                server.do("SET", key, "theirs")
            _held(make_sink(server.url), "WRONGTYPE")
            present = {key for key in keys if server.do("EXISTS", key)} - set(foreign)
            assert present <= {KEYS.meta}


def test_another_number_of_shards_holds(server: RedisServer) -> None:
    """One that is named; a URL without takes what is there."""
    _until_stored(make_sink(f"{server.url}?shards=4"), messages(0))
    _held(make_sink(f"{server.url}?shards=5"), "shards=4")
    sink = make_sink(server.url)
    _until_stored(sink, messages(*range(1, 40)))
    assert ids([server], 4) == list(range(40))
    assert not server.do("EXISTS", *map(KEYS.queue, range(4, 16)))
    sink.close()


def test_a_later_layout_holds(server: RedisServer) -> None:
    """Nothing is appended to what a later version of this package has made."""
    server.do("HSET", KEYS.meta, "shards", 16, "version", 99)
    _held(make_sink(server.url), "update rudder-logging")


def test_a_database_that_is_not_there_holds(server: RedisServer) -> None:
    """Redis has 16 unless it is told otherwise."""
    _held(make_sink(f"redis://127.0.0.1:{server.port}/99"), "number")


@pytest.mark.slow
def test_a_cluster_wants_its_own_scheme(tmp_path: Path) -> None:
    """A URL of one server holds, with the cure."""
    with RedisCluster(tmp_path) as cluster:
        _held(make_sink(f"redis://127.0.0.1:{cluster.nodes[0].port}/0"), "redis+cluster")


@NEEDS_TLS
def test_tls_with_a_clients_certificate(tmp_path: Path) -> None:
    """Without it, or with another authority, events are held, and the cure says what to give."""
    certificates = Certificates(tmp_path / "tls")
    with RedisServer(tmp_path / "redis", tls=certificates) as server:
        sink = make_sink(server.url)
        assert isinstance(sink.send(messages(0), None), Stored)
        assert sink._config.relay_url is not None
        assert sink._config.relay_url.is_encrypted
        sink.close()
        place = f"rediss://127.0.0.1:{server.port}/0"
        # On a busy machine, the server's reset may overtake what it says of the certificate.
        without = make_sink(f"{place}?ssl_ca_certs={certificates.authority}")
        _held(without, "ssl_certfile", may_be_reset=True)
        _held(make_sink(place), "ssl_ca_certs")
        another = Certificates(tmp_path / "another")
        _held(make_sink(f"{place}?{another.query}"), "ssl_ca_certs")


def test_a_socket_of_this_machine(tmp_path: Path) -> None:
    """By `unix://`, with the number of a database."""
    with RedisServer(tmp_path / "redis", "--unixsocket", "socket") as server:
        sink = make_sink(f"unix://{tmp_path}/redis/socket?db=3")
        assert isinstance(sink.send(messages(0), None), Stored)
        assert server.do("DBSIZE") == 0
        sink.close()


# URLs.


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"redis://:{_SECRET}@host?shards=0", "shards"),
        (f"redis://:{_SECRET}@host?shards=many", "shards"),
        (f"redis://:{_SECRET}@host?wait=-1", "wait"),
        (f"redis://:{_SECRET}@host?colour={_SECRET}", "colour"),
        (f"redis://:{_SECRET}@host?socket_timeout={_SECRET}", "socket_timeout"),
        (f"redis+sentinel://:{_SECRET}@host", "master"),
    ],
)
def test_urls_that_cannot_be_right(url: str, words: str) -> None:
    """They are refused when the sink is made; the parameter is named, and no value is shown."""
    with pytest.raises(ConfigError) as caught:
        make_sink(url)
    assert words in str(caught.value)
    assert _SECRET not in str(caught.value)
    assert _SECRET not in repr(caught.value.__cause__)


def test_no_repr_shows_the_password() -> None:
    """Nor do those of what the sink is made of."""
    sink = make_sink(f"redis://user:{_SECRET}@host:1/0")
    for one in (sink, sink._link, sink._link._address, sink._outbox):
        assert _SECRET not in repr(one)
    assert sink.urls() == ["//host"]
    with suppress(Exception):
        sink.close()
