"""The simulation: its seeds pass, and what is broken on purpose is found by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from rudder_logging.relay import batches, coordinator, handout
from rudder_logging.relay.coordinator import Call, Coordinator
from rudder_logging.relay.engine import Appended, Claim, Entry, Settlement
from rudder_logging.relay.memory import MemoryEngine

from .simulation import PROFILES, SimulationError, profile_of, simulate

SEEDS, CHUNK = 10_000, 500


def test_each_profile_passes() -> None:
    """A few seeds of each, but for the large one."""
    for seed in range(160):
        simulate(seed)


@pytest.mark.slow
@pytest.mark.timeout(1_800)  # 8 s each on a machine that has nothing else to do
@pytest.mark.parametrize("begin", range(0, SEEDS, CHUNK))
def test_seeds_pass(begin: int) -> None:
    """No event is lost, or out of order, or twice without a reason, whatever happens."""
    for seed in range(begin, begin + CHUNK):
        simulate(seed)


def test_a_seed_is_always_the_same() -> None:
    """So one that fails can be looked at."""
    assert len({simulate(47) for _ in range(3)}) == 1


def test_all_profiles_are_among_the_seeds() -> None:
    """The rare ones, too."""
    assert {profile_of(seed) for seed in range(SEEDS)} == set(PROFILES)


def test_a_failing_seed_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its command."""
    monkeypatch.setattr(MemoryEngine, "_acknowledge", lambda *_args: True)
    with pytest.raises(SimulationError, match=r"python -m tests\.relay\.simulation --seed 0$"):
        simulate(0)


# Each of these breaks one rule.


def _no_fencing(patch: pytest.MonkeyPatch) -> None:
    whole = MemoryEngine._acknowledge

    def acknowledge(
        self: MemoryEngine,
        shard: int,
        token: str,
        settled: Sequence[Entry],
        head: bytes | None,
        skip: int,
    ) -> bool:
        place = self._shards[shard]
        before = place.token, place.until
        place.token, place.until = token, 1e12
        try:
            return whole(self, shard, token, settled, head, skip)
        finally:
            place.token, place.until = before

    patch.setattr(MemoryEngine, "_acknowledge", acknowledge)


def _no_skip(patch: pytest.MonkeyPatch) -> None:
    whole = MemoryEngine.acquire

    def acquire(self: MemoryEngine, shard: int, token: str, seconds: float) -> Claim | None:
        claim = whole(self, shard, token, seconds)
        return claim and claim._replace(skip=0)

    patch.setattr(MemoryEngine, "acquire", acquire)


def _too_much_skip(patch: pytest.MonkeyPatch) -> None:
    whole = batches.Part.settlement

    def settlement(self: batches.Part, count: int) -> tuple[Settlement, int]:
        found, passed = whole(self, count)
        return (found._replace(skip=found.skip + 1) if found.head else found), passed

    patch.setattr(batches.Part, "settlement", settlement)


def _no_sequence(patch: pytest.MonkeyPatch) -> None:
    whole = MemoryEngine.append

    def append(
        self: MemoryEngine, shard: int, producer: str, number: int, frame: bytes, events: int
    ) -> Appended:
        self._shards[shard].numbers.clear()
        return whole(self, shard, producer, number, frame, events)

    patch.setattr(MemoryEngine, "append", append)


def _no_margin(patch: pytest.MonkeyPatch) -> None:
    for name, profile in PROFILES.items():
        timing = profile.timing._replace(margin=0.0)
        patch.setitem(PROFILES, name, profile._replace(timing=timing))


def _always_certain(patch: pytest.MonkeyPatch) -> None:
    def is_certain(self: Coordinator, shard: int, token: str, now: float) -> bool:
        lease = self.leases.get(shard)
        return lease is not None and lease.token == token

    patch.setattr(Coordinator, "is_certain", is_certain)


def _counted_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    whole = Coordinator.answered

    def answered(self: Coordinator, call: Call, answer: object, asked: float, now: float) -> None:
        whole(self, call, answer, now + self.timing.margin, now)

    patch.setattr(Coordinator, "answered", answered)


def _all_is_settled(patch: pytest.MonkeyPatch) -> None:
    whole = batches.Part.settlement
    patch.setattr(batches.Part, "settlement", lambda self, _count: whole(self, self.count))


def _two_batches_of_a_shard(patch: pytest.MonkeyPatch) -> None:
    def lendable(self: Coordinator, now: float) -> list[int]:
        return [shard for shard, lease in self.leases.items() if not lease.is_leaving]

    patch.setattr(Coordinator, "lendable", lendable)


def _released_while_out(patch: pytest.MonkeyPatch) -> None:
    def leaving(self: Coordinator) -> list[int]:
        return [shard for shard, lease in self.leases.items() if lease.is_leaving]

    def settle_share(self: Coordinator) -> None:
        for lease in list(self.leases.values())[: max(0, -self._lacks())]:
            lease.is_leaving = True

    patch.setattr(Coordinator, "_leaving", leaving)
    patch.setattr(Coordinator, "_settle_share", settle_share)


def _unfair(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(coordinator, "fair_share", lambda shards, members, place: shards // members)


def _innocents_are_buried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handout, "_DEADLY", 2)


def _poison_is_not_buried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handout, "_DEADLY", 999)


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        _no_fencing,
        _no_skip,
        _too_much_skip,
        _no_sequence,
        _no_margin,
        _always_certain,
        _counted_from_the_answer,
        _all_is_settled,
        _two_batches_of_a_shard,
        _released_while_out,
        _unfair,
        _innocents_are_buried,
        _poison_is_not_buried,
    ],
)
def test_a_broken_rule_is_found(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one of a few hundred seeds."""
    broken(monkeypatch)

    def simulate_some() -> None:
        for seed in range(600):
            simulate(seed)

    with pytest.raises(SimulationError):
        simulate_some()
