"""The engine over Redis: one server, Sentinel's master, or a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..sinks.base import Failure
from ..sinks.redis import forgetting
from ..sinks.redis.appending import append_command
from ..sinks.redis.connecting import parse_address
from ..sinks.redis.errors import Fault
from ..sinks.redis.keys import VERSION, Keys
from ..sinks.redis.link import Command, Link, script
from ..sinks.redis.scripts import BEFORE, FULL
from ..sinks.redis.source import checked
from . import redis_scripts as scripts
from . import redis_tombstones
from .engine import Appended, Claim, EngineError, Entry, Look, Settlement, Tombstone, Wanted
from .leased import LeasedSource
from .source import Lag, Observer, Source

__all__ = ["RedisEngine", "open_source"]

_TIMEOUT = 2.0
"""Seconds for a connection and again for an answer: leases have to be renewed in time."""
_MOST_DEAD = 1_000
_LONGEST_LEASE = 60.0
"""Seconds, as long as nobody has said how long leases are."""


def open_source(url: str, name: str, observer: Observer) -> Source:
    """Make a source. See `relay.source.open_source`."""
    return LeasedSource(RedisEngine(url, name), observer)


class RedisEngine:
    """One source's engine in Redis, and an `Appender` to it.

    Args:
        url: As the option `relay` has it.
        source: Its name.

    Raises:
        ConfigError: The URL can't be right.
    """

    def __init__(self, url: str, source: str) -> None:
        address = parse_address(url)
        self._link = Link(address, _TIMEOUT)
        self._keys = Keys(source)
        self._wanted = address.shards
        self._shards: int | None = None
        self._lease = _LONGEST_LEASE
        self._most = address.max_bytes or 0

    def __repr__(self) -> str:
        return f"<RedisEngine {self._link.engine}>"

    # All relays of a source.

    def enrol(self, relay: str, seconds: float) -> Look:
        """Be a member for so long from now on, and look at the source."""
        keys = self._keys
        # An engine that has lost its data gets the source as it was: apps know its shards.
        wanted = self._shards or self._wanted.value
        self._lease = seconds
        shards, version, changes, members = self._one(
            script(
                scripts.ENROL,
                [keys.meta, keys.relays, keys.forgotten],
                *(relay, _milliseconds(seconds), wanted, VERSION),
            )
        )
        found = checked(self._link, self._wanted, int(shards), int(version))
        if not isinstance(found, int):
            self.leave(relay)
            raise EngineError(found)
        self._shards = found
        return Look(found, sorted(member.decode() for member in members), int(changes))

    def leave(self, relay: str) -> None:
        """Be no member any more."""
        self._one(script(scripts.LEAVE, [self._keys.relays], relay))

    def forget(self, people: Collection[str]) -> None:
        """Have the messages of persons be left out that wait now."""
        fault = forgetting.forget(self._link, self._keys, self._count(), people)
        if fault is not None:
            raise EngineError(fault)

    def forgotten(self) -> Sequence[Tombstone]:
        """The tombstones of persons of whom something may wait."""
        return redis_tombstones.forgotten(self._link, self._keys, self._count())

    def _count(self) -> int:
        """The number of shards, be the source there or not."""
        if self._shards is not None:
            return self._shards
        meta = self._keys.meta
        found = self._one(Command(meta, ("HGET", meta, "shards")))
        return int(found or self._wanted.value)

    def lag(self) -> Lag:
        """All that is stored."""
        keys = self._keys
        shards = self._count()
        parts = self._each(
            [script(scripts.LAG, [keys.notes(shard), keys.queue(shard)]) for shard in range(shards)]
        )
        for part in parts:
            if isinstance(part, Fault):
                raise EngineError(part)
        events, sizes, ages = zip(*parts, strict=True)
        return Lag(sum(events), sum(sizes), max(0.0, max(ages) / 1_000))

    # Leases.

    def owners(self, shards: Sequence[int]) -> Mapping[int, str | Failure | None]:
        """The tokens of leases that are not over."""
        most = _milliseconds(self._lease)
        leases = map(self._keys.lease, shards)
        found = self._each([script(scripts.OWNER, [lease], most) for lease in leases])
        tokens = (one.decode() if isinstance(one, bytes) else one for one in found)
        return dict(zip(shards, tokens, strict=True))

    def acquire(self, shard: int, token: str, seconds: float) -> Claim | None:
        """Take a shard that is free."""
        keys = self._of_shard(shard)
        answer = self._one(script(scripts.ACQUIRE, keys, token, _milliseconds(seconds)))
        if not answer:
            return None
        head, skip, deaths = answer
        return Claim(head or None, skip, deaths)

    def renew(self, tokens: Mapping[int, str], seconds: float) -> Mapping[int, bool | Failure]:
        """Prolong leases."""
        commands = [
            script(scripts.RENEW, [self._keys.lease(shard)], token, _milliseconds(seconds))
            for shard, token in tokens.items()
        ]
        found = map(_is_done, self._each(commands))
        return dict(zip(tokens, found, strict=True))

    def release(self, shard: int, token: str) -> None:
        """Give a shard up, in good order."""
        keys = [self._keys.lease(shard), self._keys.notes(shard)]
        self._one(script(scripts.RELEASE, keys, token))

    # A shard's entries.

    def lengths(self, shards: Sequence[int]) -> Mapping[int, int | Failure]:
        """Number of entries."""
        queues = map(self._keys.queue, shards)
        found = self._each([Command(queue, ("XLEN", queue)) for queue in queues])
        return dict(zip(shards, found, strict=True))

    def read(self, wanted: Sequence[Wanted]) -> Sequence[Sequence[Entry] | Failure]:
        """Entries, the oldest first."""
        commands = []
        for shard, after, most in wanted:
            queue = self._keys.queue(shard)
            begin = b"-" if after is None else b"(" + after
            commands.append(Command(queue, ("XRANGE", queue, begin, "+", "COUNT", most)))
        answers = self._each(commands)
        return [one if isinstance(one, Fault) else list(map(_entry, one)) for one in answers]

    def acknowledge(self, settlements: Sequence[Settlement]) -> Sequence[bool | Failure]:
        """Delete entries, and note how much of the next one is settled, in each shard."""
        commands = []
        for shard, token, settled, head, skip in settlements:
            doomed = b" ".join(
                b"%s %d %d" % (entry.id, len(entry.frame), entry.events) for entry in settled
            )
            keys = self._of_shard(shard)
            commands.append(script(scripts.ACKNOWLEDGE, keys, token, head or b"", skip, doomed))
        return [_is_done(answer) for answer in self._each(commands)]

    def suspect(self, shard: int, token: str) -> bool:
        """Note that the first entry is about to be handed out alone."""
        return bool(self._one(script(scripts.SUSPECT, self._of_shard(shard), token)))

    def bury(self, shard: int, token: str, entry: Entry, reason: str) -> bool:
        """Move an entry out of the way."""
        keys = [*self._of_shard(shard), self._keys.dead(shard)]
        facts = (entry.id, len(entry.frame), entry.events, reason, _MOST_DEAD)
        return bool(self._one(script(scripts.BURY, keys, token, *facts)))

    def append(self, shard: int, producer: str, number: int, frame: bytes, events: int) -> Appended:
        """Store a frame behind all others of a shard, once."""
        most = self._most // (self._shards or self._wanted.value)
        command = append_command(self._keys, shard, producer, number, frame, events, most=most)
        answer = self._one(command)
        return {BEFORE: Appended.BEFORE, FULL: Appended.FULL}.get(answer, Appended.STORED)

    def close(self) -> None:
        """Let go of connections."""
        self._link.close()

    # Asking.

    def _of_shard(self, shard: int) -> list[str]:
        keys = self._keys
        return [keys.lease(shard), keys.queue(shard), keys.notes(shard)]

    def _one(self, command: Command) -> Any:
        (answer,) = self._each([command])
        return answer

    def _each(self, commands: Sequence[Command]) -> list[Any]:
        """The answers. EngineError: there is none at all."""
        if not commands:
            return []
        answers = self._link.run(commands)
        if all(isinstance(answer, Fault) for answer in answers):
            raise EngineError(answers[0])
        return answers


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1_000))


def _is_done(answer: Any) -> bool | Failure:
    return answer if isinstance(answer, Fault) else bool(answer)


def _entry(answer: Any) -> Entry:
    key, fields = answer
    if fields[::2] == [b"f", b"n"] and fields[3].isdigit():  # in the order of the append
        return Entry(key, fields[1], int(fields[3]))
    return Entry(key, b"", 0)  # it is not of ours: no frame, so that a relay buries it
