"""A look at Redis from outside: its sources, their shards, owners and relays."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..sinks.base import Failure
from ..sinks.redis.connecting import Address, Place, parse_address
from ..sinks.redis.keys import Keys
from ..sinks.redis.link import Command, Link, script
from .engine import EngineError
from .look import SourceLook
from .source import Lag

__all__ = ["RedisLooker", "answer", "links_to_nodes", "open_looker"]

_SHARD = """
local now = redis.call('TIME')
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return {
  first and redis.call('HGET', KEYS[2], 'events') or 0,
  first and redis.call('HGET', KEYS[2], 'bytes') or 0,
  first and first[1] or '', redis.call('GET', KEYS[3]) or '',
  redis.call('EXISTS', KEYS[4]) == 1 and redis.call('XLEN', KEYS[4]) or 0,
  now[1] * 1000 + math.floor(now[2] / 1000)
}
"""
"""Look at a shard. KEYS: queue, notes, lease, dead. The first frame stays in the engine."""

_META = re.compile(rb"rudder:\{([A-Za-z0-9._-]+)\}:meta")
_KEYS_AT_ONCE = 1_000


class RedisLooker:
    """See `Looker`. One thread at a time uses it."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self.link = Link(address, timeout)
        """The way to the engine."""

    def sources(self) -> Sequence[str]:
        """See `Looker`."""
        found: set[str] = set()
        with links_to_nodes(self.link, self._address, self._timeout) as nodes:
            for node in nodes:
                found.update(self._sources_at(node))
        return sorted(found)

    def _sources_at(self, node: Link) -> Iterator[str]:
        cursor = b"0"
        while True:
            words = ("SCAN", cursor, "MATCH", "rudder:{*}:meta", "COUNT", _KEYS_AT_ONCE)
            cursor, keys = answer(node, Command("", words))
            for key in keys:
                if match := _META.fullmatch(key):
                    yield match[1].decode()
            if cursor == b"0":
                return

    def look(self, name: str) -> SourceLook:
        """See `Looker`."""
        keys = Keys(name)
        commands = [
            Command(keys.meta, ("HGET", keys.meta, "shards")),
            Command(keys.relays, ("ZRANGE", keys.relays, 0, -1, "WITHSCORES")),
            Command(keys.forgotten, ("HKEYS", keys.forgotten)),
            Command(keys.meta, ("TIME",)),
        ]
        shards, relays, forgotten, time = _all(self.link.run(commands))
        found = self._shards(keys, int(shards or 0))
        now = int(time[0]) * 1_000 + int(time[1]) / 1_000
        alive = [
            name.decode()
            for name, until in zip(relays[::2], relays[1::2], strict=True)
            if float(until) > now
        ]
        ages = [
            (ms - int(first.partition(b"-")[0])) / 1_000 for *_, first, _, _, ms in found if first
        ]
        return SourceLook(
            name,
            len(found),
            {
                shard: owner.rpartition(b":")[0].decode()
                for shard, (_, _, _, owner, _, _) in enumerate(found)
                if owner
            },
            sorted(alive),
            Lag(
                sum(int(one[0]) for one in found),
                sum(int(one[1]) for one in found),
                max(0.0, *ages, 0.0),
            ),
            sum(one[4] for one in found),
            sum(person != b"" for person in forgotten),  # which counts the changes
        )

    def _shards(self, keys: Keys, count: int) -> list[Any]:
        if not count:
            return []
        scripts = [
            script(_SHARD, (keys.queue(n), keys.notes(n), keys.lease(n), keys.dead(n)))
            for n in range(count)
        ]
        return _all(self.link.run(scripts))

    def close(self) -> None:
        """See `Looker`."""
        self.link.close()


def open_looker(url: str, timeout: float) -> RedisLooker:
    """See `relay.look.open_looker`."""
    return RedisLooker(parse_address(url), timeout)


def answer(link: Link, command: Command) -> Any:
    """The answer to one command.

    Raises:
        EngineError: There was none, or it is an error.
    """
    return _all(link.run([command]))[0]


def _all(answers: list[Any]) -> list[Any]:
    for one in answers:
        if isinstance(one, Failure):
            raise EngineError(one)
    return answers


@contextlib.contextmanager
def links_to_nodes(link: Link, address: Address, timeout: float) -> Iterator[list[Link]]:
    """A link to each server that has keys: to a cluster's masters, or the only one there is.

    Raises:
        EngineError: The cluster does not name them.
    """
    if address.kind != "cluster":
        yield [link]
        return
    slots = answer(link, Command("", ("CLUSTER", "SLOTS")))
    places = dict.fromkeys(_place(master) for _first, _last, master, *_ in slots)
    links = [Link(_of_node(address, place), timeout) for place in places]
    try:
        yield links
    finally:
        for one in links:
            one.close()


def _place(node: Sequence[Any]) -> Place:
    return node[0].decode(), node[1]


def _of_node(address: Address, place: Place) -> Address:
    options = {**address.options, "host": place[0], "port": place[1]}
    shown = f"{place[0]}:{place[1]}"
    return replace(address, kind="server", shown=shown, places=(place,), options=options)
