"""The engine in memory: for tests and for simulations, and the shortest text of an engine's rules.

It keeps nothing beyond the process. All relays and producers of a source use the same object.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..common.clock import wall_time
from ..events.persons import Matches, concerns_unclosed
from ..sinks.frames import without
from .engine import Appended, Claim, Entry, Look, Settlement, Tombstone, Wanted, relay_of
from .source import Lag

__all__ = ["MemoryEngine"]

_MOST_DEAD = 1_000  # entries that are kept in a shard
_SEQUENCE_SECONDS = 86_400.0


@dataclass
class _Shard:
    entries: dict[bytes, tuple[Entry, float]] = field(default_factory=dict)  # and when it came
    size: int = 0
    events: int = 0
    appended: int = 0
    numbers: dict[str, tuple[int, float]] = field(default_factory=dict)  # and until when
    token: str = ""
    until: float = 0.0
    unreleased: str = ""  # the last owner's token, until it gives it up
    skip: tuple[bytes | None, int] = (None, 0)
    deaths: tuple[bytes | None, int] = (None, 0)
    suspected: bytes | None = None
    dead: deque[tuple[Entry, str]] = field(default_factory=lambda: deque(maxlen=_MOST_DEAD))

    @property
    def head(self) -> bytes | None:
        return next(iter(self.entries), None)

    def forget(self, entry: bytes) -> None:
        if found := self.entries.pop(entry, None):
            self.size -= len(found[0].frame)
            self.events -= found[0].events


def _of(noted: tuple[bytes | None, int], head: bytes | None) -> int:
    """The number noted of an entry, if it is of this one."""
    return noted[1] if head is not None and noted[0] == head else 0


class MemoryEngine:
    """One source's engine, in memory, thread-safe. It is an `Appender`, too.

    Args:
        shards: Their number.
        max_bytes: Of all frames; each shard has its part. 0: no bound.
        clock: The engine's own.
    """

    def __init__(
        self, shards: int = 16, max_bytes: int = 0, clock: Callable[[], float] = wall_time
    ) -> None:
        self._lock = threading.Lock()
        self._shards = [_Shard() for _ in range(shards)]
        self._share = max_bytes // shards
        self._clock = clock
        self._members: dict[str, float] = {}
        self._tombstones: dict[str, Tombstone] = {}
        self._version = 0

    def append(self, shard: int, producer: str, number: int, frame: bytes, events: int) -> Appended:
        """Store a frame behind all others of a shard, once."""
        with self._lock:
            place, now = self._shards[shard], self._clock()
            last, until = place.numbers.get(producer, (-1, 0.0))
            if until > now and number <= last:
                return Appended.BEFORE
            if self._share and place.entries and place.size + len(frame) > self._share:
                return Appended.FULL
            place.appended += 1
            key = b"%d" % place.appended
            place.entries[key] = Entry(key, frame, events), now
            place.size += len(frame)
            place.events += events
            place.numbers[producer] = number, now + _SEQUENCE_SECONDS
            return Appended.STORED

    def buried(self, shard: int) -> list[tuple[Entry, str]]:
        """Entries that were moved out of the way, and why."""
        with self._lock:
            return list(self._shards[shard].dead)

    def enrol(self, relay: str, seconds: float) -> Look:
        """Be a member for so long from now on, and look at the source."""
        with self._lock:
            now = self._clock()
            self._members[relay] = now + seconds
            for other in [name for name, until in self._members.items() if until <= now]:
                del self._members[other]
            return Look(len(self._shards), sorted(self._members), self._version)

    def leave(self, relay: str) -> None:
        """Be no member any more."""
        with self._lock:
            self._members.pop(relay, None)

    def forget(self, people: Collection[str]) -> None:
        """Have the messages of persons be left out that wait now."""
        with self._lock:
            through = [b"%d" % shard.appended if shard.appended else None for shard in self._shards]
            self._tombstones.update({one: Tombstone(one, through) for one in people})
            self._version += 1
            matches = concerns_unclosed(people)
            for shard in self._shards:
                kept = [(_without(entry, matches), reason) for entry, reason in shard.dead]
                shard.dead.clear()
                shard.dead.extend((entry, reason) for entry, reason in kept if entry is not None)

    def forgotten(self) -> Sequence[Tombstone]:
        """The tombstones of persons of whom something may wait."""
        with self._lock:
            heads = {n: shard.head for n, shard in enumerate(self._shards) if shard.head}
            self._tombstones = {
                name: one
                for name, one in self._tombstones.items()
                if any(one.covers(shard, head) for shard, head in heads.items())
            }
            return list(self._tombstones.values())

    def lag(self) -> Lag:
        """All that is stored."""
        with self._lock:
            ages = [next(iter(s.entries.values()))[1] for s in self._shards if s.entries]
            return Lag(
                sum(shard.events for shard in self._shards),
                sum(shard.size for shard in self._shards),
                max(0.0, self._clock() - min(ages)) if ages else 0.0,
            )

    def owners(self, shards: Sequence[int]) -> Mapping[int, str | None]:
        """The tokens of leases that are not over."""
        with self._lock:
            now = self._clock()
            places = ((number, self._shards[number]) for number in shards)
            return {n: place.token if place.until > now else None for n, place in places}

    def acquire(self, shard: int, token: str, seconds: float) -> Claim | None:
        """Take a shard that is free."""
        with self._lock:
            place, now = self._shards[shard], self._clock()
            if place.until > now and place.token != token:
                return None
            head = place.head
            died = place.unreleased and relay_of(place.unreleased) != relay_of(token)
            if died and head is not None:
                deaths = _of(place.deaths, head)
                if deaths < 2 or place.suspected == head:  # noqa: PLR2004 - the rule of `acquire`
                    place.deaths = head, deaths + 1
            if place.unreleased != token:
                place.suspected = None
            place.token, place.until, place.unreleased = token, now + seconds, token
            return Claim(head, _of(place.skip, head), _of(place.deaths, head))

    def renew(self, tokens: Mapping[int, str], seconds: float) -> Mapping[int, bool]:
        """Prolong leases."""
        with self._lock:
            until = self._clock() + seconds
            renewed = {shard: self._leased(shard, token) for shard, token in tokens.items()}
            for shard, is_leased in renewed.items():
                if is_leased:
                    self._shards[shard].until = until
            return renewed

    def release(self, shard: int, token: str) -> None:
        """Give a shard up, in good order."""
        with self._lock:
            if self._leased(shard, token):
                place = self._shards[shard]
                place.token = place.unreleased = ""
                place.until = 0.0
                place.suspected = None

    def lengths(self, shards: Sequence[int]) -> Mapping[int, int]:
        """Number of entries."""
        with self._lock:
            return {shard: len(self._shards[shard].entries) for shard in shards}

    def read(self, wanted: Sequence[Wanted]) -> Sequence[Sequence[Entry]]:
        """Entries, the oldest first."""
        with self._lock:
            return [self._read(*one) for one in wanted]

    def acknowledge(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        """Delete entries, and note how much of the next one is settled."""
        with self._lock:
            return [self._acknowledge(*one) for one in settlements]

    def suspect(self, shard: int, token: str) -> bool:
        """Note that the first entry is about to be handed out alone."""
        with self._lock:
            if not self._leased(shard, token):
                return False
            self._shards[shard].suspected = self._shards[shard].head
            return True

    def bury(self, shard: int, token: str, entry: Entry, reason: str) -> bool:
        """Move an entry out of the way."""
        with self._lock:
            place = self._shards[shard]
            if not self._leased(shard, token):
                return False
            if place.head == entry.id:
                place.forget(entry.id)
                place.dead.append((entry, reason))
            return entry.id not in place.entries

    def close(self) -> None:
        """Nothing is open."""

    def _leased(self, shard: int, token: str) -> bool:
        place = self._shards[shard]
        return place.token == token and place.until > self._clock()

    def _read(self, shard: int, after: bytes | None, most: int) -> list[Entry]:
        entries = (entry for entry, _ in self._shards[shard].entries.values())
        if after is not None:
            position = int(after)
            entries = (entry for entry in entries if int(entry.id) > position)
        return list(islice(entries, most))

    def _acknowledge(
        self, shard: int, token: str, settled: Sequence[Entry], head: bytes | None, skip: int
    ) -> bool:
        if not self._leased(shard, token):
            return False
        place = self._shards[shard]
        for entry in settled:
            place.forget(entry.id)
        if head is not None and place.head == head:
            place.skip = head, max(skip, _of(place.skip, head))
        return True


def _without(entry: Entry, matches: Matches) -> Entry | None:
    left = without(entry.frame, matches)
    if left is None:
        return entry
    return Entry(entry.id, *left) if left[1] else None
