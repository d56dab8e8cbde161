"""The relay's part of a source without threads and sockets: what to ask of the engine, and when.

Three works, each in steps: a step yields what the engine is to be asked, or a function to be run,
and goes on with the answer. Whoever drives them carries that out: `LeasedSource` at once and with
threads, the simulation at virtual moments. Others may go on between two steps, none during one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ..sinks.base import Failure, Hold
from ..sinks.frames import LaterFrameError
from .batches import Forgetting, LeasedBatch, Load, Part, assemble, doomed_in
from .coordinator import Call, Coordinator, Lease
from .engine import Claim, EngineError, Entry, Settlement, Wanted

__all__ = ["Handout", "Steps", "Work"]

_SUSPECT, _DEADLY = 2, 5
"""Deaths from which on an entry is handed out alone, and from which on it is not any more."""
_LATER = Hold(
    "apps append frames of a later version than this relay knows",
    "upgrade the relay; their shards wait for it",
)
_MOST_READ = 256  # entries of a shard at once
_MOST_BYTES = 8 * 1024 * 1024  # of them, if they are like those that were read before
_SHORTEST_POLL, _LONGEST_POLL = 0.05, 0.25
_FORGETTING = 60.0
"""Seconds after which the engine is asked for tombstones again: it removes those that are over, and
with them ids of persons."""
_POLL_A_SHARD = 0.000_25
"""A poll of 1,000 shards takes some 20 ms of CPU in relay and engine: it has to be rarer."""


class Work(NamedTuple):
    """Something to be computed, which needs no lock."""

    run: Callable[[], Any]


_T = TypeVar("_T")
Steps = Generator[Call | Work, Any, _T]


@dataclass
class _Notes:
    """A shard as far as it is known."""

    length: int = 0
    """Entries that wait, at least; 0: perhaps none."""
    size: float = 256 * 1024.0
    """Bytes of an entry's messages: of the last that were read."""
    frame: int = 64 * 1024
    """Bytes of an entry: the largest of the last that were read."""
    turn: int = 0
    """The latest batch that it was in."""
    alone: int = 0
    """The next entries that go out one by one, because owners died: there may have been so many in
    their batch, and any of them may be to blame."""
    not_before: float = -math.inf
    """Its part of the engine failed."""


class Handout:
    """A relay's work on a source. Not safe for threads.

    Args:
        coordinator: It says which shards are this relay's.
        clock: Seconds of the clock that the coordinator is asked with.
    """

    def __init__(self, coordinator: Coordinator, clock: Callable[[], float]) -> None:
        self.coordinator = coordinator
        self._clock = clock
        self.waiting = 0
        """Number of lanes that wait for messages."""
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        """Methods of the observer to be called, with their arguments."""
        self._notes: dict[int, _Notes] = {}
        self._debts: dict[int, Settlement] = {}
        """By shard: it is settled, and the engine does not know it yet. That is mended before more
        is read, be it by a later lease: so an engine that was away makes no duplicates."""
        self._forgetting: Forgetting | None = None
        self._forgotten = -1
        self._ask_again_at = math.inf  # whom to forget
        self._turn = 0
        self._suspect: int | None = None  # the shard of which one is out
        self._poll_at = -math.inf
        self._poll = _SHORTEST_POLL
        self._is_well: bool | None = None
        self._failed: dict[str, float] = {}  # methods, and until when that counts
        self._is_idle = False
        self._pause = 0.0
        self._take_at = -math.inf

    def has_work(self) -> bool:
        """Tell if `taking` would find something."""
        now = self._clock()
        return now >= self._take_at and any(self._is_ready(s) for s in self._lendable(now))

    def _is_ready(self, shard: int) -> bool:
        """Tell if a shard has messages, and none that have to wait for another suspect."""
        if not self._of(shard).length:
            return False
        return self._suspect is None or not self._is_suspect(shard)

    def wake(self) -> float:
        """The moment at which `tending` has to go on."""
        now = self._clock()
        moment = self.coordinator.wake(now)
        if self.waiting:
            moment = min(moment, max(self._poll_at, self._take_at))
        return min(moment, self._take_at) if self._debts and self._owing(now) else moment

    def _of(self, shard: int) -> _Notes:
        notes = self._notes.get(shard)
        if notes is None:
            notes = self._notes[shard] = _Notes()
        return notes

    def _lendable(self, now: float) -> list[int]:
        if self._forgotten < 0:
            return []
        return [s for s in self.coordinator.lendable(now) if now >= self._of(s).not_before]

    def _owing(self, now: float) -> list[int]:
        """Shards of which something is to be acknowledged, and no batch is out."""
        if now < self._take_at:
            return []
        return [shard for shard in self._lendable(now) if shard in self._debts]

    # Leases, and a look at what waits.

    def tending(self) -> Steps[None]:
        """Do all that is due: look, acquire, renew, release, and see which shards have messages."""
        coordinator = self.coordinator
        while (call := coordinator.next(self._clock())) is not None:
            asked = self._clock()
            try:
                if call.method == "release":
                    yield from self._pay([call.args[0]])
                answer = yield call
            except EngineError as error:
                coordinator.failed(call, self._clock())
                self._failing(call.method, error.failure)
            else:
                coordinator.answered(call, answer, asked, self._clock())
                results = answer.values() if call.method in ("owners", "renew") else ()
                self._answered(call.method, results)
            self._tell_changes()
            is_new = coordinator.forgotten != self._forgotten
            if not coordinator.is_stopping and (is_new or self._clock() >= self._ask_again_at):
                yield from self._learn_whom_to_forget()
        if owing := self._owing(self._clock()):
            try:
                yield from self._pay(owing)
            except EngineError as error:
                self._failing("acknowledge", error.failure, hold_up=True)
        if self.waiting and self._clock() >= max(self._poll_at, self._take_at):
            yield from self._polling()

    def _tell_changes(self) -> None:
        coordinator = self.coordinator
        if coordinator.gained or coordinator.lost:
            self.told.append(("leases_changed", (coordinator.gained, coordinator.lost)))
            coordinator.gained = coordinator.lost = 0
        is_idle = bool(coordinator.shards) and not coordinator.share and not coordinator.is_stopping
        if is_idle != self._is_idle:
            self._is_idle = is_idle
            self.told.append(("idles", (is_idle,)))

    def _learn_whom_to_forget(self) -> Steps[None]:
        number = self.coordinator.forgotten
        try:
            tombstones = yield Call("forgotten")
        except EngineError as error:
            self._failing("forgotten", error.failure)
        else:
            self._answered("forgotten")
            self._forgetting = Forgetting(tombstones) if tombstones else None
            self._forgotten = number
            self._ask_again_at = self._clock() + _FORGETTING if tombstones else math.inf

    def doomed_in(self, batch: LeasedBatch) -> frozenset[bytes]:
        """Messages of a batch whose persons are to be forgotten since it was made."""
        if self._forgetting is not batch.forgetting:
            batch.forgetting = self._forgetting
            if self._forgetting is not None:
                batch.doomed |= doomed_in(batch, self._forgetting)
        return batch.doomed

    def _polling(self) -> Steps[None]:
        shards = [s for s in self._lendable(self._clock()) if not self._of(s).length]
        found = False
        if shards:
            try:
                lengths = yield Call("lengths", (shards,))
            except EngineError as error:
                self._failing("lengths", error.failure, hold_up=True)
                return
            self._answered("lengths", lengths.values())
            for shard, length in lengths.items():
                if isinstance(length, Failure):
                    self._away(shard)
                elif length:
                    self._of(shard).length, found = length, True
        self._poll = _SHORTEST_POLL if found else min(self._poll * 1.3, _LONGEST_POLL)
        self._poll_at = self._clock() + max(self._poll, _POLL_A_SHARD * len(shards))

    # Batches.

    def taking(self, max_bytes: int) -> Steps[LeasedBatch | None]:
        """Make a batch of what is known to wait; None: there is nothing, or the engine fails."""
        shards = self._chosen(max_bytes)
        if not shards:
            return None
        batch = None
        try:
            yield from self._pay(list(shards))
            batch = yield from self._making(shards, max_bytes)
        except EngineError as error:
            self._failing("read", error.failure, hold_up=True)
        finally:
            out = {part.shard for part in batch.parts} if batch else set()
            for shard in shards:
                if shard not in out:
                    self._give_back(shard)
        if batch is not None and not batch:  # all of them are of forgotten persons
            yield from self.settling(batch, 0)
            return None
        return batch

    def _chosen(self, max_bytes: int) -> dict[int, int]:
        """Lend the shards whose turn it is, as many as a batch of that size needs.

        Returns:
            By shard the number of entries to be read.
        """
        now = self._clock()
        if now < self._take_at or self.coordinator.is_stopping:
            return {}
        ready = [shard for shard in self._lendable(now) if self._is_ready(shard)]
        chosen: dict[int, int] = {}
        room = float(max_bytes)
        self._turn += 1
        for shard in sorted(ready, key=lambda shard: self._of(shard).turn):
            if self._is_suspect(shard):
                if not chosen:
                    self._suspect = shard
                    chosen[shard] = 1
                    break
                continue
            notes = self._of(shard)
            chosen[shard] = self._most(notes, room)
            room -= min(notes.length, chosen[shard]) * notes.size
            if room <= 0:
                break
        for shard in chosen:
            self.coordinator.lend(shard)
            self._of(shard).turn = self._turn
        return chosen

    def _is_suspect(self, shard: int) -> bool:
        return self.coordinator.leases[shard].claim.deaths >= _SUSPECT or self._of(shard).alone > 0

    @staticmethod
    def _most(notes: _Notes, max_bytes: float) -> int:
        """Number of entries to be read for so many bytes."""
        most = min(max_bytes / max(notes.size, 1.0) + 1, _MOST_BYTES / max(notes.frame, 1))
        return max(1, min(_MOST_READ, int(most)))

    def _making(self, shards: Mapping[int, int], max_bytes: int) -> Steps[LeasedBatch | None]:
        leases = {s: lease for s in shards if (lease := self.coordinator.leases.get(s))}
        wanted = [Wanted(shard, None, shards[shard]) for shard in leases]
        found = yield Call("read", (wanted,))
        self._answered("read", found)
        loads = []
        for one, entries in zip(wanted, found, strict=True):
            lease = leases[one.shard]
            if isinstance(entries, Failure):
                self._away(one.shard)
                continue
            if not entries:
                self._of(one.shard).length = 0
                continue
            if entries[0].id != lease.claim.head:
                lease.claim = Claim(entries[0].id, 0, 0)
            notes = self._of(one.shard)
            if lease.claim.deaths >= _SUSPECT:
                notes.alone = max(notes.alone, self._most(notes, max_bytes))
            if not notes.alone or (yield from self._dares(one.shard, lease, entries[0])):
                loads.append(Load(Part(one.shard, lease.token, lease.claim.skip), entries))
        batch: LeasedBatch
        batch, unreadable = yield Work(partial(assemble, loads, self._forgetting, max_bytes))
        for load, error in unreadable:
            if isinstance(error, LaterFrameError):
                self._away(load.part.shard)
                self._failing("later frames", _LATER)
            else:
                yield from self._burying(load.part.shard, load.part.token, load.entries[0])
        self._note(wanted, loads)
        now = self._clock()
        if any(not self._certain(part, now) for part in batch.parts):
            return None  # lost meanwhile: rare, and the messages of others are taken again
        return batch

    def _note(self, wanted: Sequence[Wanted], loads: Sequence[Load]) -> None:
        """Learn from what was read how much there is."""
        most = {one.shard: one.most for one in wanted}
        for part, entries in loads:
            notes = self._of(part.shard)
            used = len(part.entries) - part.is_cut
            seen = len(entries)
            if seen < most[part.shard]:
                notes.length = seen - used
            else:  # perhaps more than is known
                notes.length = max(notes.length - used, seen - used, 1)
            if part.entries:
                handed = sum(entry.events for entry in part.entries)
                notes.frame = max(len(entry.frame) for entry in entries)
                if handed:
                    notes.size = part.size / len(part.entries)

    def _dares(self, shard: int, lease: Lease, entry: Entry) -> Steps[bool]:
        """Have the first entry, at which owners died, go out alone, or not at all."""
        if lease.claim.deaths >= _DEADLY:
            yield from self._burying(shard, lease.token, entry, "deadly")
            return False
        may: bool = yield Call("suspect", (shard, lease.token))
        if not may:
            self.coordinator.lose(shard, lease.token)
        return may

    def _burying(
        self, shard: int, token: str, entry: Entry, reason: str = "unreadable"
    ) -> Steps[None]:
        lease = self.coordinator.leases.get(shard)
        if (yield Call("bury", (shard, token, entry, reason))):
            skip = 0
            if lease is not None and lease.token == token:
                skip = lease.claim.skip
                lease.claim = Claim(None, 0, 0)
            self.told.append(("dropped", (entry.events - skip, reason)))
        else:
            self.coordinator.lose(shard, token)

    def _certain(self, part: Part, now: float) -> bool:
        return self.coordinator.is_certain(part.shard, part.token, now)

    def holds(self, batch: LeasedBatch) -> bool:
        """Tell if all shards of a batch are this relay's for certain."""
        now = self._clock()
        return bool(batch.parts) and all(self._certain(part, now) for part in batch.parts)

    def settling(self, batch: LeasedBatch, settled: int) -> Steps[None]:
        """Acknowledge the first messages of a batch, and free its shards."""
        parts, batch.parts = batch.parts, []
        debts = []
        suppressed = 0
        for part in parts:
            count = min(settled, part.count)
            settled -= count
            notes = self._of(part.shard)
            if count < part.count:
                notes.length = max(notes.length, 1)
            settlement, passed = part.settlement(count)
            notes.alone = max(0, notes.alone - len(settlement.settled))
            if settlement.settled or settlement.head:
                self._debts[part.shard] = settlement
                debts.append(part.shard)
                suppressed += passed
        if suppressed:
            self.told.append(("dropped", (suppressed, "suppressed")))
        try:
            yield from self._pay(debts)
        except EngineError as error:
            self._failing("acknowledge", error.failure, hold_up=True)
        finally:
            for part in parts:
                self._give_back(part.shard)

    def _pay(self, shards: Sequence[int]) -> Steps[None]:
        """Acknowledge what is settled, by the leases of now."""
        debts = {s: debt for s in shards if (debt := self._debts.get(s))}
        leases = self.coordinator.leases
        due = [d._replace(token=leases[s].token) for s, d in debts.items() if s in leases]
        if not due:
            return
        results = yield Call("acknowledge", (due,))
        self._answered("acknowledge", results)
        failure = None
        for one, result in zip(due, results, strict=True):
            if isinstance(result, Failure):
                failure = result
                self._away(one.shard)
            elif not result:
                self.coordinator.lose(one.shard, one.token)
            elif self._debts.get(one.shard) is debts[one.shard]:
                del self._debts[one.shard]
                self._paid(one)
        if failure is not None:
            raise EngineError(failure)

    def _paid(self, debt: Settlement) -> None:
        """Know the first entry, and what of it is settled, as the engine does."""
        lease = self.coordinator.leases.get(debt.shard)
        if lease is None or lease.token != debt.token:
            return
        claim = lease.claim
        if claim.head == debt.head is not None:
            lease.claim = claim._replace(skip=max(claim.skip, debt.skip))
        elif any(entry.id == claim.head for entry in debt.settled):
            lease.claim = Claim(debt.head, debt.skip, 0)

    def _give_back(self, shard: int) -> None:
        if self._suspect == shard:
            self._suspect = None
        self.coordinator.give_back(shard)

    def abandon(self) -> None:
        """Free the shards of all batches: nobody will settle them."""
        for shard in list(self.coordinator.out):
            self._give_back(shard)

    # The engine's health.

    def _away(self, shard: int) -> None:
        self._of(shard).not_before = self._clock() + self.coordinator.timing.longest_pause

    def _failing(self, method: str, failure: Failure, *, hold_up: bool = False) -> None:
        now, timing = self._clock(), self.coordinator.timing
        self._is_well = False
        self._failed[method] = now + 2 * timing.longest_pause
        self.told.append(("failing", (failure,)))
        if hold_up:  # no other lane has to find out at once
            self._pause = min(max(self._pause * 2, _SHORTEST_POLL), timing.longest_pause)
            self._take_at = now + self._pause * (0.5 + self.coordinator.random.random() / 2)

    def _answered(self, method: str, results: Iterable[object] = ()) -> None:
        """Note that the engine did as it was asked, unless some result is a failure.

        It is well when each method that failed has been answered, or was not asked for a while.
        """
        for result in results:
            if isinstance(result, Failure):
                self._failing(method, result)
                return
        self._failed.pop(method, None)
        now = self._clock()
        if not self._is_well and not any(now < until for until in self._failed.values()):
            self._is_well = True
            self._pause = 0.0
            self.told.append(("well", ()))
