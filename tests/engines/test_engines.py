"""The real servers of tests: they start, and what befalls them is real."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import (
    EACH_REDIS,
    NEEDS_REDIS,
    NEEDS_TLS,
    Certificates,
    Line,
    RedisCluster,
    RedisSentinel,
    RedisServer,
)

NO_RETRY = Retry(NoBackoff(), 0)


@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_kill_keeps_what_is_in_the_file(tmp_path: Path, version: str) -> None:
    """With a file that is synced at each write, a killed server comes back with all of it."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with RedisServer(tmp_path / "redis", *options, version=version) as server:
        server.do("SET", "a", "1")
        server.restart()
        assert server.do("GET", "a") == b"1"
        assert f"redis_version:{version}." in server.do("INFO").decode()
        server.restart(wiped=True)
        assert server.do("GET", "a") is None


@NEEDS_REDIS
def test_users_and_passwords(tmp_path: Path) -> None:
    """A user may do what its line says; a password is wanted where there is one."""
    users = ["user app on >secret ~a* +get +ping"]
    with RedisServer(tmp_path / "users", users=users) as server:
        with server.client(username="app", password="secret") as app:
            assert app.get("a") is None
            with pytest.raises(redis.exceptions.NoPermissionError):
                app.get("b")
    with RedisServer(tmp_path / "password", password="secret") as server:
        assert server.do("PING")
        with redis.Redis(port=server.port) as client:
            with pytest.raises(redis.AuthenticationError):
                client.get("a")


@NEEDS_TLS
def test_tls_with_a_clients_certificate(tmp_path: Path) -> None:
    """The URL has all that a client needs."""
    with RedisServer(tmp_path / "redis", tls=Certificates(tmp_path / "tls")) as server:
        assert server.url.startswith("rediss://")
        assert server.do("PING")


@NEEDS_REDIS
def test_a_paused_server_does_not_answer(tmp_path: Path) -> None:
    """Until it is resumed."""
    with RedisServer(tmp_path / "redis") as server:
        with server.client(socket_timeout=0.1, retry=NO_RETRY) as client:
            client.ping()
            server.pause()
            with pytest.raises(redis.TimeoutError):
                client.ping()
            server.resume()
        assert server.do("PING")


@pytest.mark.slow
@pytest.mark.parametrize("version", EACH_REDIS)
def test_sentinels_make_a_replica_the_master(tmp_path: Path, version: str) -> None:
    """It has what the killed master had."""
    with RedisSentinel(tmp_path, version=version, sentinels=3) as group:
        first = group.master
        first.do("SET", "a", "1")
        group.wait_for_replicas()
        first.kill()
        assert group.wait_for_another(first).do("GET", "a") == b"1"


@pytest.mark.slow
@pytest.mark.parametrize("version", EACH_REDIS)
def test_slots_of_a_cluster_move(tmp_path: Path, version: str) -> None:
    """With their keys, and a client of the cluster's finds them."""
    with RedisCluster(tmp_path, version=version) as cluster:
        slot = cluster.slot("a")
        owner = cluster.owner(slot)
        with redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as client:
            client.set("a", "1")
            other = next(node for node in cluster.nodes if node is not owner)
            cluster.move(slot, other)
            assert cluster.owner(slot) is other
            assert client.get("a") == b"1"


@NEEDS_REDIS
def test_a_line_loses_answers(tmp_path: Path) -> None:
    """The server has the command; the client sees its connection end. Mended, all is well."""
    with RedisServer(tmp_path / "redis") as server, Line(server.port) as line:
        with redis.Redis(port=line.port, retry=NO_RETRY) as client:
            client.ping()
            line.lose_answers(to=b"INCR")
            with pytest.raises(redis.ConnectionError):
                client.incr("a")
            assert client.get("a") == b"1"
            line.cut()
            with pytest.raises(redis.ConnectionError):
                client.get("a")
            line.mend()
            assert client.get("a") == b"1"
