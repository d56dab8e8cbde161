"""The doctor at a relay's engine: what each fault looks like, named, and cured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli.doctor import relay_redis
from rudder_logging.cli.doctor.findings import Finding, Severity
from rudder_logging.cli.doctor.relay import examine, of_source
from rudder_logging.relay.look import SourceLook
from rudder_logging.relay.redis_commands import APPENDING, LOOKING
from rudder_logging.relay.source import Lag

from ...engines import EACH_REDIS, NEEDS_REDIS, Line, RedisServer
from ..command import run

pytestmark = NEEDS_REDIS

PASSWORD = "s3cret-pa55word"
KEPT = ("--appendonly", "yes")


def look(url: str, source: str | None = "shop", timeout: float = 20.0) -> list[Finding]:
    """All findings about an engine. None shows a password."""
    found = list(examine(url, source, timeout))
    assert all(one.area == "relay" for one in found)
    assert PASSWORD not in str(found)
    return found


def faults(found: list[Finding]) -> dict[str, Severity]:
    """What is not well, by its code; each has a cure."""
    wrong = [one for one in found if one.severity is not Severity.WELL]
    assert all(one.cure for one in wrong)
    return {one.code: one.severity for one in wrong}


def append(url: str, count: int = 3, source: str = "shop") -> None:
    """Have an app's events wait in an engine."""
    handler = RudderHandler(relay=url, source=source)
    try:
        for number in range(count):
            handler.accept({"user_id": f"u{number}"}, "Article Read", 0)
        assert handler.flush(60)
        assert handler.stats().delivered == count
    finally:
        handler.close()


def with_login(url: str, login: str) -> str:
    """The URL with a user and a password."""
    return url.replace("://", f"://{login}@")


@pytest.mark.parametrize("version", EACH_REDIS)
def test_all_is_well(version: str, tmp_path: Path) -> None:
    """Each step is told. Nothing is stored."""
    with RedisServer(tmp_path / "redis", *KEPT, version=version) as server:
        found = look(server.url)
        assert {one.severity for one in found} == {Severity.WELL}
        assert [one.code for one in found] == [
            *("relay-reached", "relay-version", "relay-kept", "relay-evicts-nothing"),
            *("relay-clock", "relay-permissions", "relay-source-new"),
        ]
        assert server.do("DBSIZE") == 0
        append(server.url)
        before = sorted(server.do("KEYS", "*"))
        assert faults(look(server.url)) == {"relay-alone": Severity.WARNING}
        assert sorted(server.do("KEYS", "*")) == before


def test_each_source_is_looked_at_if_none_is_named(tmp_path: Path) -> None:
    """As whoever runs an engine wants it."""
    with RedisServer(tmp_path / "redis", *KEPT) as server:
        for source in ("shop", "blog"):
            append(server.url, source=source)
        texts = [one.text for one in look(server.url, None) if one.code == "relay-alone"]
    assert ["source blog" in text for text in texts] == [True, False]
    assert ["source shop" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("policy", "most", "severity"),
    [
        ("allkeys-lru", "100mb", Severity.STOPS),
        ("volatile-ttl", "100mb", Severity.WARNING),
        ("allkeys-lru", "0", Severity.WARNING),
        ("noeviction", "100mb", None),
    ],
)
def test_eviction(policy: str, most: str, severity: Severity | None, tmp_path: Path) -> None:
    """An engine that evicts deletes what nobody has delivered: a whole stream at once."""
    options = ("--maxmemory", most, "--maxmemory-policy", policy)
    with RedisServer(tmp_path / "redis", *KEPT, *options) as server:
        assert faults(look(server.url)).get("relay-evicts") is severity


def test_memory_that_is_almost_full(tmp_path: Path) -> None:
    """Before the engine refuses what apps append."""
    with RedisServer(tmp_path / "redis", *KEPT) as server:
        used = int(server.do("INFO", "memory").partition(b"used_memory:")[2].split(b"\r")[0])
        server.do("CONFIG", "SET", "maxmemory", used + 100_000)
        assert faults(look(server.url)) == {"relay-memory": Severity.WARNING}


def test_what_is_acknowledged_and_not_kept(tmp_path: Path) -> None:
    """Neither on a disk nor by a replica. A replica keeps it, but is no place to append to."""
    with RedisServer(tmp_path / "master") as server:
        assert faults(look(server.url)) == {"relay-not-kept": Severity.WARNING}
        alone = faults(look(f"{server.url}?wait=1"))
        assert alone["relay-replicas"] is Severity.STOPS
        copy = ("--replicaof", "127.0.0.1", str(server.port))
        with RedisServer(tmp_path / "replica", *copy) as replica:
            assert server.do("WAIT", 1, 60_000) == 1
            assert faults(look(f"{server.url}?wait=1")) == {}
            assert faults(look(replica.url))["relay-replica"] is Severity.STOPS


def acl(*commands: str) -> str:
    """A user who may use these commands on the relay's keys, and nothing else."""
    return f"user app on >{PASSWORD} ~rudder:* {' '.join(f'+{name.lower()}' for name in commands)}"


@pytest.mark.parametrize("version", EACH_REDIS)
def test_permissions(version: str, tmp_path: Path) -> None:
    """What the user of the URL may do is tried, and changes nothing. An app's needs no more."""
    users = [
        acl(*APPENDING),
        acl(*set(APPENDING) - {"XADD", "EVAL"}).replace("app", "lame"),
        acl(*APPENDING, *LOOKING).replace("app", "seeing"),
    ]
    with RedisServer(tmp_path / "redis", *KEPT, version=version, users=users) as server:
        append(server.url)
        before = sorted(server.do("KEYS", "*"))
        url = {
            name: with_login(server.url, f"{name}:{PASSWORD}") for name in ("app", "lame", "seeing")
        }
        found = look(url["app"])
        assert faults(found) == {"relay-info": Severity.WARNING}
        (told,) = [one for one in found if one.code == "relay-permissions"]
        assert "may append, but not relay" in told.text
        (told,) = [one for one in look(url["lame"]) if one.code == "relay-permissions"]
        assert (told.severity, told.cure) == (Severity.STOPS, "give it +eval +xadd ~rudder:*")
        assert faults(look(url["seeing"])) == {"relay-alone": Severity.WARNING}
        assert sorted(server.do("KEYS", "*")) == before


def test_an_engine_that_refuses_or_is_away(tmp_path: Path) -> None:
    """The one is to be mended, the other may pass; both are told, and end the look."""
    with RedisServer(tmp_path / "redis", password=PASSWORD) as server:
        bare = f"redis://127.0.0.1:{server.port}"
        for url in (
            bare,
            with_login(bare, "x:wrong"),
            f"redis+cluster://:{PASSWORD}@127.0.0.1:{server.port}",
        ):
            assert faults(look(url)) == {"relay-refused": Severity.STOPS}
        with Line(server.port) as line:
            line.hold()
            url = f"redis://:{PASSWORD}@127.0.0.1:{line.port}"
            assert faults(look(url, timeout=0.5)) == {"relay-not-reached": Severity.STOPS}
            line.cut()
            assert faults(look(url)) == {"relay-not-reached": Severity.STOPS}


@pytest.mark.parametrize(
    "url",
    [
        f"redsi://:{PASSWORD}@h",
        f"redis://:{PASSWORD}@h:port",
        f"redis://:{PASSWORD}@h?shards=many",
        f"redis://:{PASSWORD}@h?no_such_parameter=1",
        f"redis+sentinel://:{PASSWORD}@h",
    ],
)
def test_a_url_that_can_not_be(url: str) -> None:
    """It is told without being quoted."""
    assert faults(look(url)) == {"relay-url": Severity.STOPS}


def test_another_number_of_shards(tmp_path: Path) -> None:
    """It is fixed when a source is made. The cure has the right one; a URL need not name it."""
    with RedisServer(tmp_path / "redis", *KEPT) as server:
        append(f"{server.url}?shards=4")
        assert "relay-shards" not in faults(look(server.url))
        found = look(f"{server.url}?shards=8")
        assert faults(found)["relay-shards"] is Severity.STOPS
        assert "shards=4" in next(one.cure for one in found if one.code == "relay-shards")
        assert "relay-shards" not in faults(look(f"{server.url}?shards=4"))


def test_a_clock_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by how much, and to which side."""
    with RedisServer(tmp_path / "redis", *KEPT) as server:
        now = time.time
        monkeypatch.setattr(relay_redis, "wall_time", lambda: now() - 3_600)
        found = look(server.url)
        assert faults(found) == {"relay-clock-skew": Severity.WARNING}
        (told,) = [one for one in found if one.code == "relay-clock-skew"]
        assert "3600 s behind" in told.text or "3599 s behind" in told.text


@pytest.mark.parametrize(
    ("info", "name", "severity"),
    [
        ({"redis_version": "6.0.16"}, "Redis 6.0.16", Severity.STOPS),
        ({"redis_version": "6.2.0"}, "Redis 6.2.0", Severity.WELL),
        ({"redis_version": "10.1"}, "Redis 10.1", Severity.WELL),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.1"}, "Valkey 8.0.1", Severity.WELL),
        ({}, "Redis ", Severity.STOPS),
    ],
)
def test_versions(info: dict[str, str], name: str, severity: Severity) -> None:
    """Redis from 6.2, and Valkey, which calls itself by a Redis' number, too."""
    told = relay_redis._of_version(info, "it")
    assert (told.severity, name in told.text) == (severity, True)


@contextmanager
def a_look(**changes: object) -> Iterator[dict[str, Severity]]:
    """Faults of a source of four shards, which two relays own, but for these changes."""
    owners = {0: "a", 1: "a", 2: "b", 3: "b"}
    well = SourceLook("shop", 4, owners, ["a", "b"], Lag(100, 4_000, 1.0), 0, 0)
    yield faults(list(of_source(well._replace(**changes), max_bytes=5_000)))  # type: ignore[arg-type]


def test_what_waits_and_who_delivers_it() -> None:
    """Few events of a moment ago, and an owner for each shard: that is well."""
    with a_look(lag=Lag(100, 3_900, 1.0)) as found:
        assert found == {}
    with a_look() as found:
        assert found == {"relay-almost-full": Severity.WARNING}
    with a_look(lag=Lag(1, 50, 61.0)) as found:
        assert found == {"relay-lag": Severity.WARNING}
    with a_look(lag=Lag(1, 50, 61.0), relays=[], owners={}) as found:
        assert found == {"relay-alone": Severity.WARNING}
    with a_look(lag=Lag(0, 0, 0.0), owners={0: "a"}) as found:
        assert found == {"relay-unowned": Severity.WARNING}
    with a_look(lag=Lag(0, 0, 0.0), buried=2) as found:
        assert found == {"relay-buried": Severity.WARNING}
    with a_look(lag=Lag(0, 0, 0.0), relays=["a", "b", "c"]) as found:
        assert found == {}


def test_an_app_that_goes_to_a_relay(tmp_path: Path) -> None:
    """The way to its engine is checked in place of the gateway; without flags, too."""
    with RedisServer(tmp_path / "redis", *KEPT) as server:
        wrong = with_login(server.url, f"x:{PASSWORD}")
        relay: Any = {"RUDDER_RELAY": wrong, "RUDDER_SOURCE": "shop"}
        done = run("doctor", "--json", **relay)
        assert done.returncode == 1, done.stderr
        found = json.loads(done.stdout)["findings"]
        assert [one["code"] for one in found if one["severity"] == "stops"] == ["relay-refused"]
        assert PASSWORD not in done.stdout + done.stderr
        done = run("doctor", "--json", **{**relay, "RUDDER_RELAY": server.url})
        assert (done.returncode, done.stderr) == (0, "")
        codes = [one["code"] for one in json.loads(done.stdout)["findings"]]
        assert "relay-source-new" in codes
        assert not {"write-key", "name-resolved"} & set(codes)
        offline = run("doctor", "--offline", **relay)
        assert offline.returncode == 0
        by_flags = run("doctor", "--relay", server.url, "--source", "shop")
        assert by_flags.returncode == 0
        assert "it has nothing" not in by_flags.stdout


def test_a_data_plane_that_is_named_by_a_flag() -> None:
    """It is what is asked about, whatever the environment says of a relay."""
    flags = ("--data-plane-url", "http://127.0.0.1:9", "--write-key", "key")
    done = run("doctor", "--json", *flags, RUDDER_RELAY="redis://127.0.0.1:9", RUDDER_SOURCE="shop")
    areas = {one["area"] for one in json.loads(done.stdout)["findings"]}
    assert "network" in areas
    assert "relay" not in areas
