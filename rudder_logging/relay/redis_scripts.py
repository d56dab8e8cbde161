"""The atomic steps of a relay in Redis, in its Lua.

An engine without memory refuses a script whose first write may take memory. It is the relays that
make room, so each script of theirs begins with a write that takes none. And each reads all its keys
before: one that is of another type is found while nothing has changed.
"""

from __future__ import annotations

__all__ = [
    "ACKNOWLEDGE",
    "ACQUIRE",
    "BURY",
    "ENROL",
    "LAG",
    "LEAVE",
    "OWNER",
    "RELEASE",
    "RENEW",
    "SUSPECT",
]

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_HEAD = """
local head = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
head = head and head[1]
"""

_IF_LEASED = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end"

_FREE_WRITE = "redis.call('HDEL', KEYS[3], '')"

ENROL = f"""
{_NOW}
local shards = redis.call('HGET', KEYS[1], 'shards')
local version = redis.call('HGET', KEYS[1], 'version')
local changes = redis.call('HGET', KEYS[3], '')
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local late = '(' .. (now + ARGV[2])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], late, '+inf')) do
  redis.call('ZADD', KEYS[2], now + ARGV[2], member)
end
if not shards then
  shards, version = ARGV[3], ARGV[4]
  redis.call('HSET', KEYS[1], 'shards', shards, 'version', version)
end
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
return {{shards, version, changes or '0', redis.call('ZRANGE', KEYS[2], 0, -1)}}
"""
"""KEYS: meta, relays, forgotten. ARGV: relay, milliseconds, shards, version.

A member that has longer than that was noted before the engine's clock was set back.
"""

LEAVE = "return redis.call('ZREM', KEYS[1], ARGV[1])"
"""KEYS: relays. ARGV: relay."""

ACQUIRE = f"""
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
{_HEAD}
local notes = redis.call('HMGET', KEYS[3], 'head', 'skip', 'died', 'deaths', 'owner', 'suspect')
local skip = head and notes[1] == head and tonumber(notes[2]) or 0
local deaths = head and notes[3] == head and tonumber(notes[4]) or 0
local last, this = notes[5] and string.match(notes[5], '^(.*):'), string.match(ARGV[1], '^(.*):')
{_FREE_WRITE}
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if notes[5] ~= ARGV[1] then
  if last and last ~= this and head and (deaths < 2 or notes[6] == head) then
    deaths = deaths + 1
    redis.call('HSET', KEYS[3], 'died', head, 'deaths', deaths)
  end
  redis.call('HDEL', KEYS[3], 'suspect')
  redis.call('HSET', KEYS[3], 'owner', ARGV[1])
end
return {{head or '', skip, deaths}}
"""
"""KEYS: lease, queue, notes. ARGV: token, milliseconds. `owner` is noted until it releases.

Behind the last colon of a token is what differs between those of one relay.
"""

OWNER = """
local owner = redis.call('GET', KEYS[1])
if owner and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return owner
"""
"""KEYS: lease. ARGV: milliseconds. A lease that has longer than that was given before the engine's
clock was set back, and its owner may be gone."""

RENEW = f"""
{_IF_LEASED}
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
"""KEYS: lease. ARGV: token, milliseconds."""

RELEASE = f"""
{_IF_LEASED}
redis.call('HLEN', KEYS[2])
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], 'owner', 'suspect')
return 1
"""
"""KEYS: lease, notes. ARGV: token."""

_SUBTRACT = """
redis.call('HINCRBY', KEYS[3], 'bytes', 0 - bytes)
redis.call('HINCRBY', KEYS[3], 'events', 0 - events)
if redis.call('XLEN', KEYS[2]) == 0 then redis.call('HSET', KEYS[3], 'bytes', 0, 'events', 0) end
"""

ACKNOWLEDGE = f"""
{_IF_LEASED}
local notes = redis.call('HMGET', KEYS[3], 'head', 'skip')
redis.call('XLEN', KEYS[2])
{_FREE_WRITE}
local bytes, events = 0, 0
for id, size, count in string.gmatch(ARGV[4], '(%S+) (%S+) (%S+)') do
  if redis.call('XDEL', KEYS[2], id) == 1 then bytes, events = bytes + size, events + count end
end
{_SUBTRACT}
if ARGV[2] ~= '' then
  {_HEAD}
  if head == ARGV[2] and (notes[1] ~= head or tonumber(notes[2]) < tonumber(ARGV[3])) then
    redis.call('HSET', KEYS[3], 'head', head, 'skip', ARGV[3])
  end
end
return 1
"""
"""KEYS: lease, queue, notes. ARGV: token, next entry or nothing, settled messages of that; and of
each entry to be deleted its id, bytes and messages, all in one text, which is packed in a tenth of
the time."""

SUSPECT = f"""
{_IF_LEASED}
{_HEAD}
redis.call('HDEL', KEYS[3], 'suspect')
if head then redis.call('HSET', KEYS[3], 'suspect', head) end
return 1
"""
"""KEYS: lease, queue, notes. ARGV: token."""

BURY = f"""
{_IF_LEASED}
redis.call('HLEN', KEYS[3])
redis.call('XLEN', KEYS[4])
if #redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2]) == 0 then return 1 end
local entry = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if entry[1] ~= ARGV[2] then return 0 end
local fields, bytes, events = entry[2], ARGV[3], ARGV[4]
redis.call('XDEL', KEYS[2], ARGV[2])
{_SUBTRACT}
for _, word in ipairs({{'id', ARGV[2], 'reason', ARGV[5]}}) do table.insert(fields, word) end
redis.call('XADD', KEYS[4], 'MAXLEN', ARGV[6], '*', unpack(fields))
return 1
"""
"""KEYS: lease, queue, notes, dead. ARGV: token, entry, bytes, messages, reason, most dead ones."""

LAG = f"""
{_NOW}
local notes = redis.call('HMGET', KEYS[1], 'events', 'bytes')
{_HEAD}
if not head then return {{0, 0, 0}} end
local age = now - tonumber(string.match(head, '^%d+'))
return {{tonumber(notes[1] or '0'), tonumber(notes[2] or '0'), age}}
"""
"""KEYS: notes, queue. Messages, bytes, and the age of the first entry in milliseconds. Somebody may
have deleted the queue, and not the notes."""
