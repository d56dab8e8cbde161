"""The lists of commands that users of Redis need: with these, and no others, all of it works."""

from __future__ import annotations

import re
from pathlib import Path
from time import time

import pytest

from rudder_logging import RudderHandler
from rudder_logging.relay import redis_commands
from rudder_logging.relay.forgetting import count_waiting, open_engine
from rudder_logging.relay.look import open_looker
from rudder_logging.relay.redis_commands import APPENDING, FORGETTING, LOOKING, RELAYING
from rudder_logging.relay.source import open_source
from rudder_logging.sinks.frames import unpack
from rudder_logging.sinks.redis.keys import Keys

from ..engines import EACH_REDIS, RedisServer
from ..engines.redis import wait_until
from .test_forgetting import Ears

PACKAGE = Path(redis_commands.__file__).parents[1]
LISTS = {"app": APPENDING, "relay": RELAYING, "eye": LOOKING, "eraser": FORGETTING}


@pytest.mark.parametrize("version", EACH_REDIS)
def test_users_of_these_commands_can_do_their_work(version: str, tmp_path: Path) -> None:
    """An app, a relay, whoever looks, and whoever has a person forgotten, what is buried too."""
    users = [
        f"user {name} on >secret ~rudder:* {' '.join(f'+{one.lower()}' for one in commands)}"
        for name, commands in LISTS.items()
    ]
    with RedisServer(tmp_path / "redis", version=version, users=users) as server:
        url = {name: server.url.replace("://", f"://{name}:secret@") for name in LISTS}
        handler = RudderHandler(relay=url["app"], source="shop")
        for number in range(40):
            handler.accept({"user_id": f"u{number % 4}"}, "X", time())
        assert handler.flush(60)
        handler.close()
        assert handler.stats().delivered == 40
        dead = Keys("shop").dead(0)
        queues = [Keys("shop").queue(shard) for shard in range(16)]
        frames = [entry for queue in queues for entry in server.do("XRANGE", queue, "-", "+")]
        server.do("XADD", dead, "*", "f", b"no frame", "n", 7, "reason", "unreadable")
        for _, (_, frame, _, events) in frames:
            server.do("XADD", dead, "*", "f", frame, "n", events, "reason", "deadly")
        looker, engine = open_looker(url["eye"], 20.0), open_engine(url["eraser"], "shop")
        ears = Ears()
        source = open_source(url["relay"], "shop", ears)
        try:
            assert list(looker.sources()) == ["shop"]
            assert count_waiting(engine, 16, ["u1", "u2"]) == 20
            engine.forget(["u1", "u2"])
            assert looker.look("shop").forgotten == 2
            left = [fields for _, fields in server.do("XRANGE", dead, "-", "+")]
            assert left[0] == [b"f", b"no frame", b"n", b"7", b"reason", b"unreadable"]
            texts = b"".join(b"".join(unpack(fields[1])) for fields in left[1:])
            assert (texts.count(b'"u1"'), texts.count(b'"u2"')) == (0, 0)
            assert (texts.count(b'"u0"'), texts.count(b'"u3"')) == (10, 10)
            assert sum(int(fields[3]) for fields in left[1:]) == 20
            found = 0
            while (batch := source.take(1_000_000, 10.0)) is not None:
                found += len(batch)
                source.done(batch)
                if found == 20 and not looker.look("shop").lag.events:
                    break
            assert found == 20
            wait_until(lambda: sum(n for n, _ in ears.drops) == 20, "what is left out")
            assert len(looker.look("shop").owners) == 16
            relay = open_engine(url["relay"], "shop")
            assert list(relay.forgotten()) == []
            relay.close()
            assert looker.look("shop").forgotten == 0
        finally:
            source.close()
            looker.close()
            engine.close()


def test_no_list_has_more_than_is_used() -> None:
    """Each command stands in some text of the package that is for that user."""
    texts = {
        "app": ["sinks/redis/scripts.py", "sinks/redis/link.py"],
        "relay": ["relay/redis_scripts.py", "relay/redis_engine.py", "relay/redis_tombstones.py"],
        "eye": ["relay/redis_look.py", "cli/doctor/relay_redis.py"],
        "eraser": ["relay/redis_look.py", "relay/redis_engine.py", "sinks/redis/forgetting.py"],
    }
    for name, paths in texts.items():
        text = "".join((PACKAGE / path).read_text() for path in paths)
        used = set(re.findall(r"['\"]([A-Z]{3,})['\"]", text)) | {"EVAL", "EVALSHA"}
        assert set(LISTS[name]) <= used, name
