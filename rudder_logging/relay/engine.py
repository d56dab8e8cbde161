"""The seam to an engine that has streams but gives no shard to a relay by itself, like Redis.

An engine keeps frames in shards, and says who owns each. It knows neither messages nor relays'
affairs: those are the coordinator's. Each method that changes something is one atomic step on the
keys of one shard, or on those of the source; one that is given several shards makes such a step for
each of them.

A request may be lost, and so may its answer; and the engine may carry out one for which nobody
waits any more, after later ones. So each method says what it does when it is called again, and none
does harm when it comes late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from ..sinks.base import Failure
from .source import Lag

__all__ = [
    "Appended",
    "Appender",
    "Claim",
    "Engine",
    "EngineError",
    "Entry",
    "Look",
    "Settlement",
    "Tombstone",
    "Wanted",
    "order",
    "relay_of",
]


class EngineError(Exception):
    """The engine did not do what it was asked, or nobody knows if it did.

    Args:
        failure: As delivery knows it: `Hold` is a fault of configuration, others may pass.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.fault)
        self.failure = failure


class Look(NamedTuple):
    """A source as all its relays see it."""

    shards: int
    members: Sequence[str]
    """Ids of the relays that are enrolled, in the order of the ids. Who asks is among them."""
    forgotten: int
    """A number that is another one when `forgotten` has changed."""


class Claim(NamedTuple):
    """A lease that was given, and the state in which the shard was left."""

    head: bytes | None
    """The id of the first entry; None: there is none."""
    skip: int
    """Messages of it that are settled: the next to be sent is behind them."""
    deaths: int
    """Owners, one after the other, that lost their lease without a release while it was first."""


class Wanted(NamedTuple):
    """Entries to be read."""

    shard: int
    after: bytes | None
    """The id behind which to begin; None: with the first entry."""
    most: int
    """Number of entries, or fewer."""


class Entry(NamedTuple):
    """A frame in a shard."""

    id: bytes
    """A number, or several with hyphens between them; greater in later entries of the shard."""
    frame: bytes
    events: int


class Tombstone(NamedTuple):
    """A person whose messages are left out, as far as they waited when that was asked for."""

    person: str
    """A user's id, or an anonymous one."""
    through: Sequence[bytes | None]
    """By shard: the id of the last entry that it had had by then; None: it had had none."""

    def covers(self, shard: int, entry: bytes) -> bool:
        """Tell if an entry of a shard waited then."""
        last = self.through[shard] if shard < len(self.through) else None
        return last is not None and order(entry) <= order(last)


def order(entry: bytes) -> tuple[int, ...]:
    """The numbers of an entry's id, which say where in its shard it stands."""
    return tuple(map(int, entry.split(b"-")))


def relay_of(token: str) -> str:
    """The id of the relay that a lease's token is of."""
    return token.rpartition(":")[0]


class Settlement(NamedTuple):
    """Entries of a shard to be deleted, and how much of the next one is settled."""

    shard: int
    token: str
    """Of the shard's lease."""
    settled: Sequence[Entry]
    """Entries to delete: these and no others, even where others are older. Those that are gone
    already are no fault, and nothing counts twice."""
    head: bytes | None
    """The entry behind them of which some messages are settled; None: there is none."""
    skip: int
    """Number of those messages. It is noted only if that entry is the first then, and never lowers
    what was noted of the same entry. `acquire` tells it."""


class Appended(Enum):
    """The result of an append."""

    STORED = "stored"
    BEFORE = "before"
    """This frame, or a later one of its producer, is there already. Nothing was stored now."""
    FULL = "full"
    """The shard has no room. Nothing was stored."""


class Appender(Protocol):
    """The producers' side of an engine. A sink has it, or is it."""

    def append(self, shard: int, producer: str, number: int, frame: bytes, events: int) -> Appended:
        """Store a frame behind all others of a shard, once.

        Atomic: the number is compared, the bound is checked, the frame is stored, the number noted.

        Args:
            shard: From 0.
            producer: Its id. No two threads append for it at once to one shard.
            number: Of the frame, growing by frame in that shard. One that is not over the last that
                was stored for this producer is `BEFORE`. That is kept for a day at least after the
                producer's last frame.
            frame: It counts with its length. One that finds a shard empty fits anyway.
            events: Number of its messages.

        A producer that got no answer sends the same frame with the same number, before any other
        one of that shard. A number that was used is never given to another frame.

        Raises:
            EngineError: It may have been stored nevertheless, if the failure is `Unknown`.
        """
        ...


class Engine(Protocol):
    """One source in an engine, for a relay. Any number of threads may call at once.

    Durations are seconds by the engine's own clock. No call lasts over some 4 s: leases have to be
    renewed in time. Shards are numbers from 0.

    A method that is given several shards answers for each of them: where only some can be reached,
    the others have their `Failure` as the result.

    Raises:
        EngineError: Any method may, if nothing at all was answered.
    """

    # All relays of a source.

    def enrol(self, relay: str, seconds: float) -> Look:
        """Be a member for so long from now on, and look at the source.

        Atomic: members whose time is over are forgotten, this one is noted, all are returned. A new
        source is made, with its number of shards; another number than the one wanted is a `Hold`.
        Called again, it prolongs.
        """
        ...

    def leave(self, relay: str) -> None:
        """Be no member any more. Nothing happens if it is none."""
        ...

    def forget(self, people: Collection[str]) -> None:
        """Have the messages of persons be left out that wait now, be their frames buried.

        Each person gets a tombstone; of two for one person, the later counts. `Look.forgotten` is
        another number then. Nobody has to be enrolled, and the source need not be there.
        """
        ...

    def forgotten(self) -> Sequence[Tombstone]:
        """The tombstones of persons of whom something may wait.

        Those that cover nothing any more, in no shard, are gone from the engine, too.
        """
        ...

    def lag(self) -> Lag:
        """All that is stored, in all shards. A source that nobody has made has nothing.

        An entry counts whole until it is deleted, and its age runs from the append.
        """
        ...

    # Leases. A token is unique for each lease; it begins with its relay's id and a colon.

    def owners(self, shards: Sequence[int]) -> Mapping[int, str | Failure | None]:
        """The tokens of leases that are not over; None: the shard is free."""
        ...

    def acquire(self, shard: int, token: str, seconds: float) -> Claim | None:
        """Take a shard that is free for so long. None: it is another's.

        Atomic. If the token has the lease already, that is prolonged, and the answer is as it was.

        If the last owner did not release the shard, and was another relay (see `relay_of`), it
        counts as dead at the entry that is the first now, provided there is one: `deaths` is 1, or
        one more if that was the entry at which the last one died. From 2 on it is one more only if
        that owner had called `suspect`.
        """
        ...

    def renew(self, tokens: Mapping[int, str], seconds: float) -> Mapping[int, bool | Failure]:
        """Prolong leases: each, by its shard, lasts for so long from now on.

        False: the token has not the lease, and does not get it, not even if the shard is free.
        """
        ...

    def release(self, shard: int, token: str) -> None:
        """Give a shard up, in good order. Nothing happens if the token has not the lease.

        Deaths of its first entry are kept. That it was suspected is not.
        """
        ...

    # A shard's entries.

    def lengths(self, shards: Sequence[int]) -> Mapping[int, int | Failure]:
        """Number of entries. It is asked several times a second."""
        ...

    def read(self, wanted: Sequence[Wanted]) -> Sequence[Sequence[Entry] | Failure]:
        """Entries, the oldest first, for each thing wanted. No lease is asked for."""
        ...

    def acknowledge(self, settlements: Sequence[Settlement]) -> Sequence[bool | Failure]:
        """Delete entries, and note how much of the next one is settled, in each shard.

        Atomic for each. False: nothing at all was changed, because the token has not the lease.
        """
        ...

    def suspect(self, shard: int, token: str) -> bool:
        """Note that the first entry is about to be handed out alone. False: no lease."""
        ...

    def bury(self, shard: int, token: str, entry: Entry, reason: str) -> bool:
        """Move an entry out of the way, to where the last thousand or so of its kind are kept.

        Atomic. It happens only if the entry is the first one. True: the token has the lease, and
        the entry is there no more, perhaps since an earlier call.
        """
        ...

    def close(self) -> None:
        """Let go of connections. The next call opens new ones."""
        ...
