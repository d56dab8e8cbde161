"""Atomic steps: scripts in the engine's Lua.

Each reads all its keys before its first write: one that is of another type is found while nothing
has changed.
"""

from __future__ import annotations

__all__ = ["APPEND", "BEFORE", "BEHIND", "FULL", "MAKE", "STORED"]

STORED, BEFORE, FULL, BEHIND = 0, 1, 2, 3

MAKE = """
local shards = redis.call('HGET', KEYS[1], 'shards')
if not shards then
  redis.call('HSET', KEYS[1], 'shards', ARGV[1], 'version', ARGV[2])
  return {ARGV[1], ARGV[2]}
end
return {shards, redis.call('HGET', KEYS[1], 'version')}
"""
"""Make a source, unless it is there. KEYS: meta. ARGV: shards, version. Returns both."""

APPEND = f"""
local last = redis.call('GET', KEYS[3])
if last and tonumber(last) >= tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
  return {BEFORE}
end
if ARGV[2] ~= '' and last ~= ARGV[2] then return {BEHIND} end
local bytes = tonumber(redis.call('HGET', KEYS[2], 'bytes') or '0')
local most = tonumber(ARGV[5])
local is_gone = false
if most > 0 and bytes > 0 and bytes + #ARGV[4] > most then
  if redis.call('XLEN', KEYS[1]) > 0 then return {FULL} end
  is_gone = true
end
redis.call('XADD', KEYS[1], '*', 'f', ARGV[4], 'n', ARGV[3])
if is_gone then redis.call('HSET', KEYS[2], 'bytes', 0, 'events', 0) end
redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[4])
redis.call('HINCRBY', KEYS[2], 'events', ARGV[3])
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[6])
return {STORED}
"""
"""Store a frame. KEYS: queue, notes, sequence. ARGV: number, number of the frame that has to be the
last one (or nothing), messages, frame, most bytes (0: any), milliseconds for which the number is
kept. A queue that was evicted, or deleted by hand, is not full: no relay would find anything in it,
and set the counts right.

From Redis 7.2 on, and in Valkey, `WAIT` waits for what its own connection has written. So there is
a write for a frame that is there already, too: else the answer over a new connection would be about
nothing. Otherwise `XADD` is the first write: so an engine without memory refuses that.
"""
