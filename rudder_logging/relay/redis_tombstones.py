"""Persons who are to be forgotten, in Redis: the tombstones that relays ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from ..sinks.redis.errors import Fault
from ..sinks.redis.forgetting import CHANGES
from ..sinks.redis.keys import Keys
from ..sinks.redis.link import Command, Link, script
from .engine import EngineError, Tombstone

__all__ = ["forgotten"]

_FIRST = """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return first and first[1] or ''
"""
"""The id of a shard's first entry. KEYS: queue."""

_REMOVE = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""
"""Remove a tombstone, unless there is a later one. KEYS: forgotten. ARGV: person, how far."""


def forgotten(link: Link, keys: Keys, shards: int) -> Sequence[Tombstone]:
    """See `Engine.forgotten`."""
    (found,) = link.run([Command(keys.forgotten, ("HGETALL", keys.forgotten))])
    if isinstance(found, Fault):
        raise EngineError(found)
    noted = {
        p: text for p, text in zip(found[::2], found[1::2], strict=True) if p.decode() != CHANGES
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
