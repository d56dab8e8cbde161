"""What is in a source's streams, read by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
from redis.exceptions import MovedError

from rudder_logging import Config
from rudder_logging.sinks.frames import unpack
from rudder_logging.sinks.redis import RedisSink
from rudder_logging.sinks.redis.keys import Keys
from tests.engines import RedisServer

__all__ = ["KEYS", "events", "ids", "make_sink", "message", "messages"]

KEYS = Keys("shop")


def make_sink(url: str, *, timeout: float = 60, source: str = "shop", **options: Any) -> RedisSink:
    """Make a sink. On a busy machine, an answer may take long."""
    return RedisSink(Config.load({}, relay=url, source=source, timeout=timeout, **options))


def message(number: int, user: str = "", pad: int = 0) -> bytes:
    """A message by its number; its user is the number by default."""
    event = {"messageId": f"m{number}", "userId": user or f"u{number}", "n": number}
    return orjson.dumps({**event, "pad": "x" * pad} if pad else event)[:-1]


def messages(*numbers: int) -> list[bytes]:
    """Messages by their numbers, each of another user."""
    return [message(number) for number in numbers]


def events(servers: Sequence[RedisServer], shards: int = 16) -> list[dict[str, Any]]:
    """All that is stored, each shard's in order."""
    found: list[dict[str, Any]] = []
    for shard in range(shards):
        for server in servers:
            found += _of(server, KEYS.queue(shard))
    return found


def _of(server: RedisServer, key: str) -> list[dict[str, Any]]:
    with server.client(protocol=2) as client:
        try:
            entries: Any = client.xrange(key)
        except MovedError:
            return []
    stored = [one for _, fields in entries for one in unpack(fields[b"f"])]
    return [json.loads(one + b"}") for one in stored]


def ids(servers: Sequence[RedisServer], shards: int = 16) -> list[int]:
    """The numbers of all that is stored, sorted."""
    return sorted(event["n"] for event in events(servers, shards))
