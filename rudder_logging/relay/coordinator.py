"""Which shards of a source a relay owns: leases, fair shares, hand-over. No clock, no I/O.

    while (call := coordinator.next(now())) is not None:
        asked = now()
        ...  # have the engine carry it out
        coordinator.answered(call, answer, asked)  # or `failed`

All relays of a source run the same rules, and know of each other by the engine only:

- A relay's share follows from the number of members and its place among them.
- Who has less takes shards that are free, in random order. Who has more gives up shards of which
  no batch is out, and others as soon as theirs is settled.
- A lease counts from before it was asked for, less a margin. So an owner stops before anybody else
  can have the shard, as long as no clock is off by more than the margin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from ..sinks.base import Failure
from .engine import Claim, Look, relay_of

__all__ = ["Call", "Coordinator", "Lease", "Timing", "fair_share"]


class Timing(NamedTuple):
    """Durations, in seconds."""

    lease: float = 15.0
    renew: float = 5.0
    margin: float = 1.5
    """By this much sooner than in the engine a lease is over here. It covers clocks that are off by
    a tenth, and what passes between a look at the clock and the request that follows."""
    look: float = 0.3
    """Between two looks at the members; longer with many of them, so that the engine has no more
    than some 400 looks a second to answer."""
    longest_look: float = 0.8
    longest_pause: float = 2.0
    """Between two attempts while the engine does not answer."""


class Call(NamedTuple):
    """A method of the engine to be called."""

    method: str
    args: tuple[Any, ...] = ()


@dataclass
class Lease:
    """A shard that is this relay's."""

    token: str
    until: float
    """Not certain from this moment on."""
    claim: Claim
    due: float
    """It is to be renewed then."""
    is_leaving: bool = False
    """It is to be released."""
    release_at: float = -math.inf
    """The next attempt at that."""


def fair_share(shards: int, members: int, place: int) -> int:
    """Number of shards for the relay at a place, from 0, among so many."""
    each, left = divmod(shards, members)
    return each + (place < left)


_MEMBERS_WITHOUT_DELAY = 32


@dataclass
class Coordinator:
    """One relay's part of a source. Not safe for threads.

    Args:
        relay: Its id, unlike any other's, now or before.
        random: Chooses shards, and spreads moments.
        timing: Durations. All relays of a source have the same.
    """

    relay: str
    random: Random
    timing: Timing = field(default_factory=Timing)
    shards: int = 0
    """Their number; 0: the source has not been seen yet."""
    leases: dict[int, Lease] = field(default_factory=dict)
    """By shard, uncertain ones included."""
    out: set[int] = field(default_factory=set)
    """Shards of which a batch is being delivered, perhaps by a lease that is over."""
    share: int = 0
    """Number of shards that are this relay's due."""
    members: int = 0
    forgotten: int = -1
    """As in the last look."""
    is_stopping: bool = False
    gained: int = 0
    lost: int = 0
    """Leases since somebody set it to 0."""

    _look_at: float = -math.inf
    _retry_at: float = -math.inf
    _failures: int = 0
    _wants_owners: bool = False
    _free: list[int] = field(default_factory=list)  # to be asked for, the next one last
    _asked_for: dict[int, str] = field(default_factory=dict)  # nobody knows if they were given
    _strays: list[tuple[int, str]] = field(default_factory=list)  # leases that nobody wants
    _tokens: int = 0
    _has_left: bool = False

    # Requests.

    def next(self, now: float) -> Call | None:
        """The next request; None: nothing is due."""
        if now < self._retry_at:
            return None
        if any(now >= lease.due for lease in self.leases.values()):
            tokens = {shard: lease.token for shard, lease in self.leases.items()}
            return Call("renew", (tokens, self.timing.lease))
        if self.is_stopping and not self._has_left:
            return Call("leave", (self.relay,))
        if self._strays:
            return Call("release", self._strays[-1])
        for shard in self._leaving():
            if now >= self.leases[shard].release_at:
                return Call("release", (shard, self.leases[shard].token))
        return self._next_to_have(now)

    def _next_to_have(self, now: float) -> Call | None:
        if now >= self._look_at and not self.is_stopping:
            return Call("enrol", (self.relay, self.timing.lease))
        if self._lacks() <= 0:
            return None
        if self._wants_owners:
            return Call("owners", ([s for s in range(self.shards) if s not in self.leases],))
        if not self._free:
            return None
        shard = self._free[-1]
        if shard not in self._asked_for:
            self._tokens += 1
            self._asked_for[shard] = f"{self.relay}:{self._tokens}"
        return Call("acquire", (shard, self._asked_for[shard], self.timing.lease))

    def wake(self, now: float) -> float:
        """The moment at which `next` will have something to do, if nothing happens before."""
        moments = [lease.due for lease in self.leases.values()]
        moments += [self.leases[shard].release_at for shard in self._leaving()]
        if not self.is_stopping:
            moments.append(self._look_at)
        return max(min(moments, default=now + self.timing.look), self._retry_at)

    @property
    def is_over(self) -> bool:
        """Stopped, and nothing is left to be given up."""
        return self.is_stopping and self._has_left and not self.leases and not self._strays

    def _leaving(self) -> list[int]:
        """Shards to be released now."""
        return [
            shard
            for shard, lease in self.leases.items()
            if lease.is_leaving and shard not in self.out
        ]

    def _lacks(self) -> int:
        return self.share - sum(not lease.is_leaving for lease in self.leases.values())

    # Answers.

    def answered(self, call: Call, answer: Any, asked: float, now: float) -> None:
        """Note the engine's answer.

        Args:
            call: As `next` gave it.
            answer: The method's result.
            asked: When the request was about to be sent.
            now: When the answer was there.
        """
        self._failures = 0
        match call.method:
            case "enrol":
                self._looked(answer, now)
            case "leave":
                self._has_left = True
            case "owners":
                self._seen(answer)
            case "acquire":
                self._acquired(call, answer, asked)
            case "renew":
                self._renewed(call, answer, asked, now)
            case _:
                self._released(*call.args)

    def failed(self, call: Call, now: float) -> None:
        """Note that the engine did not answer: it may have carried out the call, or may yet."""
        self._failures += 1
        pause = min(self.timing.longest_pause, self.timing.look * 2.0 ** min(self._failures, 9))
        self._retry_at = now + pause * (0.5 + self.random.random() / 2)
        if call.method == "leave":
            self._has_left = True  # it runs out
        elif call.method == "acquire":
            if call.args[0] in self._free:
                self._free.remove(call.args[0])  # the next look shows who has it
        elif call.method == "release":
            shard, token = call.args
            lease = self.leases.get(shard)
            if lease is not None and lease.token == token and now < lease.until:
                lease.release_at = now + self.timing.longest_pause
            else:
                self._released(shard, token)  # it runs out

    def _looked(self, look: Look, now: float) -> None:
        self.shards, self.members, self.forgotten = look.shards, len(look.members), look.forgotten
        many = max(1.0, self.members / _MEMBERS_WITHOUT_DELAY)
        pause = min(self.timing.look * many, self.timing.longest_look)
        self._look_at = now + pause * (0.8 + self.random.random() * 0.2)
        for shard in [shard for shard in self.leases if shard >= look.shards]:
            self._forget(shard)
        if self.is_stopping:  # since it was asked
            return
        place = list(look.members).index(self.relay)
        self.share = fair_share(look.shards, self.members, place)
        self._settle_share()
        self._wants_owners = self._lacks() > 0
        if not self._wants_owners:
            self._strays += self._asked_for.items()
            self._asked_for.clear()

    def _seen(self, owners: Mapping[int, str | Failure | None]) -> None:
        self._wants_owners = False
        self._free = []
        for shard, owner in owners.items():
            if owner is None or owner == self._asked_for.get(shard):
                self._free.append(shard)
            elif isinstance(owner, str) and relay_of(owner) == self.relay:
                # A request for which nobody waited any more was carried out late.
                self._strays.append((shard, owner))
        self.random.shuffle(self._free)

    def _acquired(self, call: Call, claim: Claim | None, asked: float) -> None:
        shard, token, seconds = call.args
        if shard in self._free:
            self._free.remove(shard)
        # If the relay was stopped meanwhile, the lease is a stray.
        if self._asked_for.pop(shard, None) == token and claim is not None:
            until = asked + seconds - self.timing.margin
            self.leases[shard] = Lease(token, until, claim, asked + self.timing.renew)
            self.gained += 1

    def _renewed(
        self, call: Call, renewed: Mapping[int, bool | Failure], asked: float, now: float
    ) -> None:
        tokens, seconds = call.args
        for shard, token in tokens.items():
            lease, result = self.leases.get(shard), renewed[shard]
            if lease is None or lease.token != token:
                continue
            if result is True:
                lease.until = asked + seconds - self.timing.margin
                lease.due = asked + self.timing.renew
            elif result is False:
                self._forget(shard)
            else:  # that part of the engine is away
                lease.due = now + self.timing.longest_pause

    def _released(self, shard: int, token: str) -> None:
        if (shard, token) in self._strays:
            self._strays.remove((shard, token))
        self.lose(shard, token)

    # What the relay's lanes do with its shards.

    def is_certain(self, shard: int, token: str, now: float) -> bool:
        """Tell if a lease can't be over, nor another's."""
        lease = self.leases.get(shard)
        return lease is not None and lease.token == token and now < lease.until

    def lendable(self, now: float) -> list[int]:
        """Shards of which a batch may be made."""
        return [
            shard
            for shard, lease in self.leases.items()
            if shard not in self.out and not lease.is_leaving and now < lease.until
        ]

    def lend(self, shard: int) -> Lease:
        """Note that a batch of a shard is out. No other will be, whoever owns it meanwhile."""
        self.out.add(shard)
        return self.leases[shard]

    def give_back(self, shard: int) -> bool:
        """Note that it is not any more. True: the shard is to be released now."""
        self.out.discard(shard)
        self._settle_share()
        return shard in self.leases and self.leases[shard].is_leaving

    def lose(self, shard: int, token: str) -> None:
        """Note that a lease is over, and was perhaps another's meanwhile."""
        lease = self.leases.get(shard)
        if lease is not None and lease.token == token:
            self._forget(shard)

    def stop(self) -> None:
        """Give up all shards, and the place among the relays."""
        self.is_stopping = True
        self.share = 0
        self._strays += self._asked_for.items()
        self._asked_for.clear()
        self._settle_share()

    def _forget(self, shard: int) -> None:
        del self.leases[shard]
        self.lost += 1

    def _settle_share(self) -> None:
        """Have shards beyond the share leave, unless a batch of theirs is out."""
        excess = -self._lacks()
        if excess > 0:
            idle = [
                lease
                for shard, lease in self.leases.items()
                if not lease.is_leaving and shard not in self.out
            ]
            for lease in self.random.sample(idle, min(excess, len(idle))):
                lease.is_leaving = True
