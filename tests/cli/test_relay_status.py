"""`rudder-logging relay status`, and the commands that go to a relay's engine, at real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import time
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli.relay.status import as_document
from rudder_logging.relay.look import SourceLook, open_looker
from rudder_logging.relay.redis_engine import RedisEngine
from rudder_logging.relay.source import Lag

from ..engines import EACH_REDIS, NEEDS_REDIS, RedisCluster, RedisSentinel, RedisServer
from ..engines.redis import wait_until
from .command import complaint, environment, run

pytestmark = NEEDS_REDIS

PASSWORD = "s3cret-pa55word"


def append(url: str, count: int, source: str = "shop") -> None:
    """Have an app's events wait in an engine."""
    handler = RudderHandler(relay=url, source=source)
    try:
        for number in range(count):
            handler.accept({"user_id": f"u{number}"}, "Article Read", time())
        assert handler.flush(60)
        assert handler.stats().delivered == count
    finally:
        handler.close()


def look(url: str, name: str = "shop") -> SourceLook:
    """One source, from outside."""
    looker = open_looker(url, 20.0)
    try:
        return looker.look(name)
    finally:
        looker.close()


@pytest.mark.parametrize("version", EACH_REDIS)
def test_what_waits(version: str, tmp_path: Path) -> None:
    """Of each source. Nothing is changed, and no secret is shown."""
    with RedisServer(tmp_path / "redis", version=version, password=PASSWORD) as server:
        append(server.url, 40)
        append(server.url, 2, "blog")
        before = sorted(server.do("KEYS", "*"))
        done = run("relay", "status", server.url, "--json")
        assert done.returncode == 1  # no relay is alive
        found = json.loads(done.stdout)
        assert found["engine"] == f"redis://127.0.0.1:{server.port}/0"
        assert (found["lag_events"], found["relays"]) == (42, 0)
        blog, shop = found["sources"]
        assert (blog["source"], blog["lag_events"]) == ("blog", 2)
        assert (shop["source"], shop["lag_events"]) == ("shop", 40)
        assert shop["lag_bytes"] == sum(
            int(server.do("HGET", f"rudder:{{shop:{shard}}}:n", "bytes") or 0)
            for shard in range(16)
        )
        assert 0 < shop["lag_seconds"] < 300
        assert (shop["shards"], shop["shards_owned"], shop["owners"]) == (16, 0, {})
        told = run("relay", "status", "--source", "shop", RUDDER_RELAY=server.url)
        assert told.returncode == 1
        assert told.stderr == "shop: no relay is alive, to deliver 40 events\n"
        header, row = told.stdout.splitlines()
        assert header.split()[:4] == ["SOURCE", "SHARDS", "OWNED", "EVENTS"]
        assert row.split()[:4] == ["shop", "16", "0", "40"]
        assert PASSWORD not in done.stdout + done.stderr + told.stdout + told.stderr
        assert sorted(server.do("KEYS", "*")) == before


def test_who_delivers(tmp_path: Path) -> None:
    """Relays that are alive, with their shards; none that is silent, or whose lease is over."""
    with RedisServer(tmp_path / "redis") as server:
        engine = RedisEngine(server.url, "shop")
        try:
            for relay in ("b", "a", "c"):
                engine.enrol(relay, 600.0)
            for shard, token in ((0, "a:1"), (1, "a:2"), (5, "b:1")):
                assert engine.acquire(shard, token, 600.0)
            assert engine.acquire(7, "b:2", 0.05)
            server.do("ZADD", "rudder:{shop}:relays", 1, "silent")
            wait_until(lambda: len(look(server.url).owners) == 3, "the lease to be over")
            found = look(server.url)
            assert found.owners == {0: "a", 1: "a", 5: "b"}
            assert list(found.relays) == ["a", "b", "c"]
            assert found.idle == ["c"]
            assert not found.is_left_alone
            append(server.url, 3)
            done = run("relay", "status", server.url)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.splitlines()[-3:] == [
                "shop: a owns 2 of 16 shards",
                "shop: b owns 1 of 16 shards",
                "shop: c owns no shard",
            ]
        finally:
            engine.close()


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    """Neither a source at all, nor the one that is asked for: that is no fault."""
    with RedisServer(tmp_path / "redis") as server:
        done = run("relay", "status", server.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert "no source" in done.stdout
        assert look(server.url) == SourceLook("shop", 0, {}, [], Lag(0, 0, 0.0), 0, 0)


def test_an_engine_that_does_not_answer() -> None:
    """One line says so; the words that are wrong have another exit code."""
    done = run("relay", "status", f"redis://:{PASSWORD}@127.0.0.1:1")
    assert "redis://127.0.0.1:1 can't be reached" in complaint(done, 1)
    assert PASSWORD not in done.stderr
    assert "the schemes are" in complaint(run("relay", "status", "rabbit://h"), 2)
    assert "URL" in complaint(run("relay", "status"), 2)


@pytest.mark.slow
def test_sentinels_and_clusters(tmp_path: Path) -> None:
    """The master is asked, or each node: sources may be on any."""
    sources = ["a", "b", "c", "d"]
    with RedisCluster(tmp_path / "cluster") as cluster:
        for number, source in enumerate(sources):
            append(cluster.url, number + 1, source)
        homes = {
            cluster.owner(cluster.slot(f"rudder:{{{source}}}:meta")).port for source in sources
        }
        assert len(homes) > 1
        found = json.loads(run("relay", "status", cluster.url, "--json").stdout)
        assert [one["source"] for one in found["sources"]] == sources
        assert [one["lag_events"] for one in found["sources"]] == [1, 2, 3, 4]
    with RedisSentinel(tmp_path / "group") as group:
        append(group.url, 5)
        assert look(group.url).lag.events == 5


def test_the_document_has_the_same_keys_always() -> None:
    """Autoscalers read them: they stay, whatever there is."""
    keys = {"engine", "lag_events", "lag_bytes", "lag_seconds", "relays", "sources"}
    assert set(as_document("redis://h", [])) == keys
    owners = {0: "a", 1: "a", 2: "b"}
    lag = Lag(7, 800, 9.0)
    one = SourceLook("shop", 4, owners, ["a", "b", "c"], lag, buried=5, forgotten=6)
    other = SourceLook("blog", 1, {}, ["a"], Lag(1, 100, 11.0), 0, 0)
    found = as_document("redis://h", [one, other])
    assert set(found) == keys
    assert found["sources"][0] == {
        "source": "shop",
        "lag_events": 7,
        "lag_bytes": 800,
        "lag_seconds": 9.0,
        "shards": 4,
        "shards_owned": 3,
        "relays": 3,
        "relays_idle": 1,
        "buried": 5,
        "forgotten": 6,
        "owners": {"a": 2, "b": 1, "c": 0},
    }
    totals = {name: found[name] for name in ("lag_events", "lag_bytes", "lag_seconds", "relays")}
    assert totals == {"lag_events": 8, "lag_bytes": 900, "lag_seconds": 11.0, "relays": 3}


# --- Other commands, with a relay ---


def test_send_to_a_relay(tmp_path: Path) -> None:
    """By flags or by the environment. A data plane that is named by a flag wins over that."""
    with RedisServer(tmp_path / "redis", password=PASSWORD) as server:
        words = ("send", "track", "--user-id", "1", "--event", "X")
        for done in (
            run(*words, "--relay", server.url, "--source", "shop"),
            run(*words, RUDDER_RELAY=server.url, RUDDER_SOURCE="shop"),
        ):
            assert (done.returncode, done.stderr) == (0, "")
        assert look(server.url).lag.events == 2
        flags = ("--data-plane-url", "http://127.0.0.1:9", "--write-key", "key")
        limit = ("--shutdown-timeout", "0.2")
        done = run(*words, *flags, *limit, RUDDER_RELAY=server.url, RUDDER_SOURCE="shop")
        assert "not delivered to http://127.0.0.1:9" in complaint(done, 1)
        assert "source is missing" in complaint(run(*words, RUDDER_RELAY=server.url), 2)
        assert look(server.url).lag.events == 2
        server.kill()
        done = run(*words, *limit, RUDDER_RELAY=server.url, RUDDER_SOURCE="shop")
        assert f"redis://127.0.0.1:{server.port}/0 (source shop)" in complaint(done, 1)
        assert PASSWORD not in done.stderr


def test_replay_to_a_relay(tmp_path: Path) -> None:
    """What an app has left in files goes to the engine, and a second time is left out."""
    file = tmp_path / "events.jsonl"
    lines = [
        json.dumps({"type": "track", "userId": "u", "event": "X", "messageId": f"m{number}"})
        for number in range(30)
    ]
    file.write_text("".join(f"{line}\n" for line in lines))
    with RedisServer(tmp_path / "redis") as server:
        relay: Any = {"RUDDER_RELAY": server.url, "RUDDER_SOURCE": "shop"}
        assert run("replay", "--dry-run", file, **relay).returncode == 0
        assert look(server.url).lag.events == 0
        for _ in range(2):
            done = run("replay", file, **relay)
            assert done.returncode == 0, done.stderr
            assert look(server.url).lag.events == 30
        done = run("replay", file, **{**relay, "RUDDER_SOURCE": "blog"})
        assert "another data plane or source" in complaint(done, 2)
        done = run("replay", "--again", file, **{**relay, "RUDDER_SOURCE": "blog"})
        assert done.returncode == 0
        assert look(server.url, "blog").lag.events == 30


def test_the_spool_of_an_app_that_goes_to_a_relay(tmp_path: Path) -> None:
    """What waits on the disk is told by its engine; under another source, with what sends it."""
    spool = tmp_path / "spool"
    app = (
        "from rudder_logging import RudderHandler\n"
        f"handler = RudderHandler(queue='file://{spool}', shutdown_timeout=0.1)\n"
        "handler.accept({'user_id': '1'}, 'X', 1e9)\n"
    )
    for url, shown in (
        ("redis://{}127.0.0.1:1/0", "redis://127.0.0.1:1"),
        ("redis+sentinel://{}127.0.0.1:1,127.0.0.1:2/main/0", "redis+sentinel://127.0.0.1:1,127.0"),
    ):
        relay: Any = {"RUDDER_RELAY": url.format(""), "RUDDER_SOURCE": "shop"}
        with_password: Any = {**relay, "RUDDER_RELAY": url.format(f":{PASSWORD}@")}
        subprocess.run([sys.executable, "-c", app], env=environment(**with_password), check=True)
        own = run("spool", "list", spool, **relay)
        assert own.returncode == 0
        assert shown in own.stdout
        assert own.stderr == ""
        others = run("spool", "list", spool, **{**relay, "RUDDER_SOURCE": "blog"})
        assert f"for {shown}" in others.stderr
        assert "under another relay or source" in others.stderr
        assert PASSWORD not in own.stdout + others.stdout + others.stderr
        assert run("spool", "purge", spool, "--all", "--yes").returncode == 0
