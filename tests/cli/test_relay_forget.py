"""`rudder-logging relay forget`: what waits of a person never arrives, and nothing else is lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from time import time
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from ..engines import EACH_REDIS, NEEDS_REDIS, RedisServer
from .command import complaint, run

pytestmark = NEEDS_REDIS

PASSWORD = "s3cret-pa55word"
PEOPLE = ("ann", "bob", "eve")


def append(url: str, first: int, count: int = 30) -> None:
    """Have events of three people wait, each with its number."""
    handler = RudderHandler(relay=url, source="shop")
    try:
        for number in range(first, first + count):
            fields = {"user_id": PEOPLE[number % 3], "properties": {"n": number}}
            handler.accept(fields, "Article Read", time())
        assert handler.flush(60)
    finally:
        handler.close()


def relayed(url: str, plane: LocalDataPlane) -> None:
    """Run a relay until nothing waits."""
    options: Any = {"RUDDER_RELAY": url, "RUDDER_SOURCE": "shop"}
    done = run("relay", "--drain", plane=plane, **options)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", EACH_REDIS)
def test_a_person_is_forgotten(version: str, tmp_path: Path, plane: LocalDataPlane) -> None:
    """Of two persons nothing that waits arrives; what comes later does, and all of others."""
    with RedisServer(tmp_path / "redis", version=version, password=PASSWORD) as server:
        append(server.url, 0)
        words = ("relay", "forget", server.url, "ann", "bob", "--source", "shop")
        counted = run(*words)
        assert (counted.returncode, counted.stdout) == (0, "20 events of shop waiting\n")
        assert "nothing was done" in counted.stderr
        done = run(*words, "--yes", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "source": "shop",
            "ids": 2,
            "waiting": 20,
            "forgotten": True,
        }
        append(server.url, 100)
        assert PASSWORD not in counted.stderr + done.stderr
        relayed(server.url, plane)
        arrived = Counter(event["properties"]["n"] for event in plane.events)
        early_of_eve = {number for number in range(30) if number % 3 == 2}
        assert set(arrived) == early_of_eve | set(range(100, 130))
        status = json.loads(run("relay", "status", server.url, "--json").stdout)["sources"][0]
        assert (status["lag_events"], status["buried"]) == (0, 0)
        keys = server.do("HKEYS", "rudder:{shop}:forgotten")
        assert set(keys) <= {b"", b"ann", b"bob"}
        append(server.url, 200)
        relayed(server.url, plane)  # whose start finds that the tombstones are over
        assert server.do("HKEYS", "rudder:{shop}:forgotten") == [b""]
        arrived = Counter(event["properties"]["n"] for event in plane.events)
        assert set(range(200, 230)) <= set(arrived)


def test_without_yes_all_of_it_arrives(tmp_path: Path, plane: LocalDataPlane) -> None:
    """A look changes nothing."""
    with RedisServer(tmp_path / "redis") as server:
        append(server.url, 0)
        before = sorted(server.do("KEYS", "*"))
        options: Any = {"RUDDER_RELAY": server.url, "RUDDER_SOURCE": "shop"}
        done = run("relay", "forget", "ann", "--json", **options)
        assert json.loads(done.stdout)["waiting"] == 10
        assert sorted(server.do("KEYS", "*")) == before
        relayed(server.url, plane)
        assert {event["properties"]["n"] for event in plane.events} == set(range(30))


@pytest.mark.parametrize("version", EACH_REDIS)
def test_an_engine_without_memory_forgets(version: str, tmp_path: Path) -> None:
    """It takes no event any more; who is to be forgotten need not wait for that."""
    with RedisServer(tmp_path / "redis", version=version) as server:
        append(server.url, 0)
        server.do("CONFIG", "SET", "maxmemory", 1)
        handler = RudderHandler(relay=server.url, source="shop", shutdown_timeout=0.5)
        handler.accept({"user_id": "ann"}, "X", time())
        assert not handler.flush(0.5)
        handler._listener.finish(0)
        handler.close()
        done = run("relay", "forget", server.url, "ann", "--source", "shop", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "10 events will not be delivered\n"


def test_words_that_can_not_be(tmp_path: Path) -> None:
    """Each is told in one line, before anything is done."""
    assert WRITE_KEY
    with RedisServer(tmp_path / "redis") as server:
        of_shop = ("--source", "shop", "--yes")
        assert "no source shop" in complaint(run("relay", "forget", server.url, "a", *of_shop), 2)
        assert server.do("DBSIZE") == 0
        assert "name the ids" in complaint(run("relay", "forget", server.url, *of_shop), 2)
        assert "none may be empty" in complaint(
            run("relay", "forget", server.url, " ", *of_shop), 2
        )
        assert "--source" in complaint(run("relay", "forget", server.url, "a"), 2)
        assert "must be a name" in complaint(
            run("relay", "forget", server.url, "a", "--source", "a b"), 2
        )
    assert "RUDDER_RELAY" in complaint(run("relay", "forget", "a", *of_shop), 2)
    away = run("relay", "forget", f"redis://:{PASSWORD}@127.0.0.1:1", "a", *of_shop)
    assert "can't be reached" in complaint(away, 1)
    assert PASSWORD not in away.stderr
    kafka = run("relay", "forget", "kafka://127.0.0.1:1/topic", "a", *of_shop)
    assert "kafka can't" in complaint(kafka, 2)
