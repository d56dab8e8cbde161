"""People who are to be forgotten, in Redis: a tombstone for each, and what is buried rewritten.

A tombstone says how far each shard had come: relays leave out what of that person's waited by then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import orjson

from ...events.persons import Matches, concerns_unclosed
from ..frames import without
from .errors import Fault
from .keys import Keys
from .link import Command, Link, script

__all__ = ["CHANGES", "forget"]

CHANGES = ""
"""The field of the hash that counts its changes; all others are persons."""

_LAST = """
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #stream, 2 do
  if stream[at] == 'last-generated-id' then return stream[at + 1] end
end
"""
"""The id of the last entry that a shard has ever had, without its frame. KEYS: queue."""

_NOTE = """
redis.call('HGET', KEYS[1], '')
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
for at = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[at], ARGV[1]) end
return redis.call('HINCRBY', KEYS[1], '', 1)
"""
"""Note tombstones. KEYS: forgotten. ARGV: how far they reach, persons. The first write takes no
memory: an engine that has none left does it all the same."""

_REWRITE = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not found then return 0 end
redis.call('XDEL', KEYS[1], ARGV[1])
if ARGV[3] == '0' then return 1 end
local fields = found[2]
for at = 1, #fields, 2 do
  if fields[at] == 'f' then fields[at + 1] = ARGV[2] end
  if fields[at] == 'n' then fields[at + 1] = ARGV[3] end
end
redis.call('XADD', KEYS[1], '*', unpack(fields))
return 1
"""
"""Put a frame in the place of a buried one. KEYS: dead. ARGV: its id, frame, messages (0: none
is left)."""

_PERSONS_AT_ONCE = 500
_BURIED_AT_ONCE = 20


class _FailedError(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Asking:
    """The link, until a deadline. A fault is raised."""

    def __init__(self, link: Link, deadline: float | None) -> None:
        self._link = link
        self._deadline = deadline

    def __call__(self, *commands: Command) -> list[Any]:
        answers = self._link.run(commands, deadline=self._deadline)
        for one in answers:
            if isinstance(one, Fault):
                raise _FailedError(one)
        return answers


def forget(
    link: Link, keys: Keys, shards: int, people: Collection[str], deadline: float | None = None
) -> Fault | None:
    """Have relays leave out what waits of some people, and rewrite what is buried.

    Args:
        link: To the engine.
        keys: The source's.
        shards: Their number.
        people: Their ids.
        deadline: When to give up, by `time.monotonic`; None: by the usual time-out.

    Returns:
        Why it was not done, or not all of it. Called again, it does no harm.
    """
    ask = _Asking(link, deadline)
    try:
        last = ask(*(script(_LAST, [keys.queue(shard)]) for shard in range(shards)))
        through = orjson.dumps([one.decode() or None for one in last])
        names = sorted(set(people))
        for at in range(0, len(names), _PERSONS_AT_ONCE):
            some = names[at : at + _PERSONS_AT_ONCE]
            ask(script(_NOTE, [keys.forgotten], through, *some))
        matches = concerns_unclosed(people)
        for shard in range(shards):
            _rewrite_buried(ask, keys.dead(shard), matches)
    except _FailedError as failed:
        return failed.fault
    return None


def _rewrite_buried(ask: _Asking, dead: str, matches: Matches) -> None:
    for name, frame in _buried(ask, dead):
        left = without(frame, matches)
        if left is not None:
            ask(script(_REWRITE, [dead], name, *left))


def _buried(ask: _Asking, dead: str) -> Iterator[tuple[bytes, bytes]]:
    """All entries that are there at the beginning: those that are rewritten come behind them."""
    (ids,) = ask(Command(dead, ("XREVRANGE", dead, "+", "-", "COUNT", 1)))
    if not ids:
        return
    last, after = _order(ids[0][0]), "-"
    while True:
        words = ("XRANGE", dead, after, "+", "COUNT", _BURIED_AT_ONCE)
        (found,) = ask(Command(dead, words))
        for name, fields in found:
            if _order(name) > last:
                return
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            yield name, values.get(b"f", b"")
        if len(found) < _BURIED_AT_ONCE:
            return
        after = f"({found[-1][0].decode()}"


def _order(entry: bytes) -> tuple[int, ...]:
    return tuple(map(int, entry.split(b"-")))
