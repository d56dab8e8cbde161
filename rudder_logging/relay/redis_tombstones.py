"""Persons who are to be forgotten, in Redis: a tombstone for each, and what is buried rewritten."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson

from ..events.persons import Matches, concerns_unclosed
from ..sinks.redis.errors import Fault
from ..sinks.redis.keys import Keys
from ..sinks.redis.link import Command, Link, script
from .batches import without
from .engine import EngineError, Entry, Tombstone, order

__all__ = ["forget", "forgotten"]

_CHANGES = ""
"""The field of the hash that counts its changes; all others are persons."""

_LAST = """
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
for at = 1, #stream, 2 do
  if stream[at] == 'last-generated-id' then return stream[at + 1] end
end
"""
"""The id of the last entry that a shard has ever had, without its frame. KEYS: queue."""

_FIRST = """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return first and first[1] or ''
"""
"""The id of a shard's first entry. KEYS: queue."""

_NOTE = """
redis.call('HGET', KEYS[1], '')
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
for at = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[at], ARGV[1]) end
return redis.call('HINCRBY', KEYS[1], '', 1)
"""
"""Note tombstones. KEYS: forgotten. ARGV: how far they reach, persons. The first write takes no
memory: an engine that has none left does it all the same."""

_REMOVE = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""
"""Remove a tombstone, unless there is a later one. KEYS: forgotten. ARGV: person, how far."""

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


def forget(link: Link, keys: Keys, shards: int, people: Collection[str]) -> None:
    """See `Engine.forget`."""
    last = _all(link.run([script(_LAST, [keys.queue(shard)]) for shard in range(shards)]))
    through = orjson.dumps([one.decode() or None for one in last])
    names = sorted(set(people))
    for at in range(0, len(names), _PERSONS_AT_ONCE):
        some = names[at : at + _PERSONS_AT_ONCE]
        _all(link.run([script(_NOTE, [keys.forgotten], through, *some)]))
    matches = concerns_unclosed(people)
    for shard in range(shards):
        _rewrite_buried(link, keys.dead(shard), matches)


def forgotten(link: Link, keys: Keys, shards: int) -> Sequence[Tombstone]:
    """See `Engine.forgotten`."""
    (found,) = _all(link.run([Command(keys.forgotten, ("HGETALL", keys.forgotten))]))
    noted = {
        p: text for p, text in zip(found[::2], found[1::2], strict=True) if p.decode() != _CHANGES
    }
    if not noted:
        return []
    firsts = link.run([script(_FIRST, [keys.queue(shard)]) for shard in range(shards)])
    kept, over = [], []
    for person, text in noted.items():
        through = [one.encode() if one else None for one in orjson.loads(text)]
        tombstone = Tombstone(person.decode(), through)
        if any(_covers(tombstone, shard, first) for shard, first in enumerate(firsts)):
            kept.append(tombstone)
        else:
            over.append(script(_REMOVE, [keys.forgotten], person, text))
    if over:
        link.run(over)  # what fails is done the next time
    return kept


def _covers(tombstone: Tombstone, shard: int, first: Any) -> bool:
    """True, too, where a part of the engine is away: something may wait there."""
    return isinstance(first, Fault) or bool(first and tombstone.covers(shard, first))


def _rewrite_buried(link: Link, dead: str, matches: Matches) -> None:
    for entry in _buried(link, dead):
        left = without(entry, matches)
        if left is not entry:
            words = (entry.id, b"", 0) if left is None else (entry.id, left.frame, left.events)
            _all(link.run([script(_REWRITE, [dead], *words)]))


def _buried(link: Link, dead: str) -> Iterator[Entry]:
    """All entries that are there at the beginning: those that are rewritten come behind them."""
    (ids,) = _all(link.run([Command(dead, ("XREVRANGE", dead, "+", "-", "COUNT", 1))]))
    if not ids:
        return
    last, after = order(ids[0][0]), "-"
    while True:
        words = ("XRANGE", dead, after, "+", "COUNT", _BURIED_AT_ONCE)
        (found,) = _all(link.run([Command(dead, words)]))
        for name, fields in found:
            if order(name) > last:
                return
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            yield Entry(name, values.get(b"f", b""), int(values.get(b"n", 0)))
        if len(found) < _BURIED_AT_ONCE:
            return
        after = f"({found[-1][0].decode()}"


def _all(answers: list[Any]) -> list[Any]:
    for one in answers:
        if isinstance(one, Fault):
            raise EngineError(one)
    return answers
