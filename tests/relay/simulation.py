"""A deterministic simulation of relays, producers, engine and gateway, with virtual time.

    python -m tests.relay.simulation --seed N          one seed, and all that happened in it
    python -m tests.relay.simulation --seeds 1000000   many

The code of the relay that decides is the real one: `Coordinator`, `Handout`, `assemble`. Engine and
gateway are models; threads, sockets and clocks are replaced. Requests and answers are late, or
lost; processes crash, or are paused for longer than a lease; clocks drift; engine and gateway are
away; relays come and go. After a while all is calm. Checked is

- that each message which the engine has taken reaches the gateway, each user's in order;
- that it is deleted after that only, and by the owner of its shard only;
- that it comes twice only after a lost answer, or a lease that was lost;
- that nobody is certain of a lease that is another's;
- that soon after things have calmed down each shard has an owner, each relay its share, and nothing
  waits any more.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rudder_logging.relay.batches import LeasedBatch
from rudder_logging.relay.coordinator import Call, Coordinator, Timing, fair_share
from rudder_logging.relay.engine import Appended, Claim, EngineError, Entry
from rudder_logging.relay.handout import Handout, Steps
from rudder_logging.relay.memory import MemoryEngine
from rudder_logging.sinks.base import Later
from rudder_logging.sinks.frames import pack, shard_of, unpack

__all__ = ["PROFILES", "SimulationError", "simulate"]


class SimulationError(AssertionError):
    """A rule was broken."""


class Profile(NamedTuple):
    """What a seed is made of. Ranges are the least and the most."""

    shards: tuple[int, int] = (1, 6)
    relays: tuple[int, int] = (1, 4)
    lanes: int = 2
    producers: tuple[int, int] = (1, 3)
    messages: tuple[int, int] = (20, 80)
    chaos: float = 3.0
    """Seconds until all is calm."""
    lost: float = 0.0
    """Part of the requests, and of the answers, that are lost."""
    late: float = 0.0
    """Part of the requests that arrive when nobody waits any more."""
    slow: float = 0.02
    """The usual time of a way to the engine, or back, at the most."""
    slow_gateway: float = 0.2
    crashes: tuple[int, int] = (0, 0)
    pauses: tuple[int, int] = (0, 0)
    comings: tuple[int, int] = (0, 0)
    goings: tuple[int, int] = (0, 0)
    aways: tuple[int, int] = (0, 0)
    """Times in which engine or gateway are away."""
    drift: float = 0.0
    poison: bool = False
    """A message kills each relay that hands it out."""
    max_bytes: int = 0
    timing: Timing = Timing(3.0, 1.0, 0.3, 0.3, 0.6, 0.5)


PROFILES = {
    "calm": Profile(relays=(1, 5)),
    "network": Profile(lost=0.03, late=0.03, aways=(0, 2)),
    "deaths": Profile(crashes=(1, 4), comings=(1, 3), lost=0.005),
    "pauses": Profile(pauses=(1, 4), drift=0.09, late=0.01),
    "scaling": Profile(relays=(1, 3), comings=(1, 4), goings=(1, 3)),
    "poison": Profile(poison=True, relays=(2, 3), chaos=1.0),
    "full": Profile(max_bytes=2_000, aways=(1, 2), lost=0.01),
    "everything": Profile(
        shards=(1, 8),
        relays=(1, 4),
        crashes=(0, 2),
        pauses=(0, 2),
        comings=(0, 2),
        goings=(0, 1),
        aways=(0, 2),
        lost=0.02,
        late=0.02,
        drift=0.09,
        slow=0.1,
    ),
    "real durations": Profile(
        chaos=40.0,
        crashes=(0, 1),
        pauses=(0, 1),
        goings=(0, 1),
        comings=(0, 1),
        lost=0.01,
        late=0.01,
        drift=0.09,
        timing=Timing(),
    ),
    "large": Profile(
        shards=(1_000, 1_000),
        relays=(300, 300),
        lanes=1,
        producers=(2, 2),
        messages=(300, 300),
        crashes=(0, 30),
        comings=(0, 10),
        goings=(0, 30),
        chaos=20.0,
        lost=0.001,
        timing=Timing(),
    ),
}
_RARE = {"real durations": 40, "large": 2_500}
"""Only each so manieth seed: they take long."""


def profile_of(seed: int) -> str:
    """The profile of a seed."""
    for name, every in reversed(_RARE.items()):
        if seed % every == every - 1:
            return name
    usual = [name for name in PROFILES if name not in _RARE]
    return usual[seed % len(usual)]


# A world of processes.

Process = Generator[Any, Any, None]


class Sleep(NamedTuple):
    """A process wants to wait."""

    seconds: float


class Trip(NamedTuple):
    """A process wants something to be done elsewhere, and waits for the result."""

    there: float
    run: Callable[[], Any]
    back: float


class Park(NamedTuple):
    """A process waits until it is woken."""


class Host:
    """Something that crashes, or is paused, with all its processes. Its clock may be wrong."""

    def __init__(self, world: World, name: str, rate: float = 1.0) -> None:
        self.world = world
        self.name = name
        self.rate = rate
        self.begun = world.random.random() * 1_000.0
        self.is_dead = False
        self.paused_until = 0.0

    def clock(self) -> float:
        """Seconds by its clock."""
        return self.begun + self.world.now * self.rate


class Task:
    """A process in the world."""

    def __init__(self, host: Host, process: Process) -> None:
        self.host = host
        self.process = process
        self.trip: Trip | None = None
        self.result: Any = None
        self.number = 0  # of its next event; others are void
        self.is_parked = False


class World:
    """Virtual time, and who acts when."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.events: list[tuple[float, int, Any, int]] = []
        self.count = 0
        self.steps = 0

    def at(self, moment: float, what: Any, number: int = 0) -> None:
        """Have something happen."""
        self.count += 1
        heapq.heappush(self.events, (moment, self.count, what, number))

    def start(self, host: Host, process: Process) -> Task:
        """Start a process."""
        task = Task(host, process)
        self.at(self.now, task)
        return task

    def wake(self, task: Task, seconds: float = 0.0) -> None:
        """Have a process that sleeps, or is parked, go on."""
        task.is_parked = False
        task.number += 1
        self.at(self.now + seconds, task, task.number)

    def run(self, until: Callable[[], bool] | float) -> bool:
        """Go on until a moment, or until something is so; False: there is nothing any more."""
        is_over = until if callable(until) else None
        end = 1e9 if callable(until) else until
        while self.events:
            if is_over is not None and is_over():
                return True
            moment, _, what, number = self.events[0]
            if moment > end:
                self.now = end
                return True
            heapq.heappop(self.events)
            self.now = moment
            if isinstance(what, Task):
                self._resume(what, number)
            else:
                what()
        return False

    def _resume(self, task: Task, number: int) -> None:
        if number != task.number:
            return
        host = task.host
        if (trip := task.trip) is not None:
            # It arrives, whatever became of who has sent it.
            task.trip = None
            try:
                task.result = trip.run()
            except EngineError as error:
                task.result = error
            task.number += 1
            self.at(self.now + trip.back, task, task.number)
            return
        if host.is_dead:
            return
        if self.now < host.paused_until:
            self.at(host.paused_until, task, number)
            return
        result, task.result = task.result, None
        self.steps += 1
        try:
            if isinstance(result, EngineError):
                wanted = task.process.throw(result)
            else:
                wanted = task.process.send(result)
        except StopIteration:
            return
        task.number += 1
        if isinstance(wanted, Sleep):
            self.at(self.now + wanted.seconds, task, task.number)
        elif isinstance(wanted, Trip):
            task.trip = wanted
            self.at(self.now + wanted.there, task, task.number)
        else:
            task.is_parked = True


# Engine and gateway.


class Model(MemoryEngine):
    """The engine in memory, which sees who does what."""

    def __init__(self, simulation: Simulation, shards: int, max_bytes: int) -> None:
        super().__init__(shards, max_bytes, lambda: simulation.world.now + 1_000.0)
        self.simulation = simulation
        self.ended_badly: set[str] = set()
        """Tokens of leases that ran out."""

    def holder(self, shard: int) -> str | None:
        """Who has a shard, truly."""
        place = self._shards[shard]
        return place.token if place.until > self._clock() else None

    def acquire(self, shard: int, token: str, seconds: float) -> Claim | None:
        """Note whose lease has run out."""
        before = self._shards[shard].unreleased
        claim = super().acquire(shard, token, seconds)
        if claim is not None and before not in ("", token):
            self.ended_badly.add(before)
            for relay in self.simulation.relays:
                if relay.handout.coordinator.is_certain(shard, before, relay.clock()):
                    self.simulation.fail(f"{relay.name} is certain of shard {shard}, as {token} is")
        return claim

    def _acknowledge(
        self, shard: int, token: str, settled: Sequence[Entry], head: bytes | None, skip: int
    ) -> bool:
        place = self._shards[shard]
        holder = self.holder(shard)
        there, before = [e.id for e in settled if e.id in place.entries], place.skip
        result = super()._acknowledge(shard, token, settled, head, skip)
        gone = [key for key in there if key not in place.entries]
        if token != holder and (place.skip != before or gone):
            self.simulation.fail(f"{token} changed shard {shard} of {holder}")
        for key in gone:
            self.simulation.deleted(shard, key)
        return result

    def bury(self, shard: int, token: str, entry: Entry, reason: str) -> bool:
        """See that only poison is buried."""
        holder, was_there = self.holder(shard), entry.id in self._shards[shard].entries
        result = super().bury(shard, token, entry, reason)
        if was_there and entry.id not in self._shards[shard].entries:
            if token != holder:
                self.simulation.fail(f"{token} buried in shard {shard} of {holder}")
            self.simulation.buried(shard, entry.id)
        return result


@dataclass
class Gateway:
    """All that arrived."""

    simulation: Simulation
    tokens: dict[bytes, str] = field(default_factory=dict)
    """Of the leases by which messages arrived first."""
    last: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: -1))
    doubtful: set[bytes] = field(default_factory=set)
    """Messages of uploads that got no answer."""

    def store(self, messages: Sequence[tuple[bytes, str]]) -> bool:
        """Take messages, each with its lease's token."""
        simulation = self.simulation
        for message, token in messages:
            first = self.tokens.get(message)
            if first is not None:
                ended_badly = simulation.engine.ended_badly & {first, token}
                if message not in self.doubtful and not ended_badly:
                    simulation.fail(f"{message!r} came twice: by {first}, and by {token}")
                continue
            self.tokens[message] = token
            user, number = simulation.made[message]
            if number != self.last[user] + 1:
                missing = set(range(self.last[user] + 1, number))
                if not missing <= simulation.given_up[user]:
                    simulation.fail(f"{message!r} came after {self.last[user]} of its user")
            self.last[user] = number
        return True


# Who takes part.


class Relay(Host):
    """A relay's process."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        drift = simulation.profile.drift
        world = simulation.world
        super().__init__(world, f"r{number}", 1.0 + world.random.uniform(-drift, drift))
        self.simulation = simulation
        coordinator = Coordinator(
            self.name, random.Random(world.random.random()), simulation.profile.timing
        )
        self.handout = Handout(coordinator, self.clock)
        self.parked: list[Task] = []
        self.sleeps_until = 0.0
        self.tender = world.start(self, self._tend())
        for _ in range(simulation.profile.lanes):
            lane: list[Task] = []
            lane.append(world.start(self, self._lane(lane)))

    @property
    def is_stopping(self) -> bool:
        """It was asked to end."""
        return self.handout.coordinator.is_stopping

    def stop(self) -> None:
        """Have it end in good order."""
        self.simulation.log("%s stops", self.name)
        self.handout.coordinator.stop()
        self._wake()
        for task in self.parked:
            self.world.wake(task)
        self.parked.clear()

    def _drive(self, steps: Steps[Any]) -> Generator[Any, Any, Any]:
        """Carry out a work, at virtual moments."""
        answer: Any = None
        error: EngineError | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                self.handout.told.clear()
                return end.value
            answer = error = None
            if isinstance(step, Call):
                try:
                    answer = yield from self.simulation.request(self, step)
                except EngineError as failed:
                    error = failed
            else:
                answer = step.run()

    def _tend(self) -> Process:
        handout = self.handout
        while not handout.coordinator.is_over:
            yield from self._drive(handout.tending())
            if self.parked and handout.has_work():
                for task in self.parked:
                    self.world.wake(task)
                self.parked.clear()
            moment = handout.wake()
            self.sleeps_until = moment
            yield Sleep(max(0.0, moment - self.clock()) / self.rate + 0.001)
            self.sleeps_until = 0.0
        self.simulation.log("%s is over", self.name)
        self.is_dead = True

    def _wake(self) -> None:
        if self.handout.wake() < self.sleeps_until:
            self.sleeps_until = 0.0
            self.world.wake(self.tender, 0.001)

    def _lane(self, own: list[Task]) -> Process:
        handout, chance = self.handout, self.world.random
        while not self.is_stopping:
            batch = yield from self._drive(handout.taking(chance.choice((60, 300, 2_000))))
            if batch is None:
                handout.waiting += 1
                self._wake()
                self.parked.append(own[0])
                yield Park()
                handout.waiting -= 1
                continue
            settled = yield from self._deliver(batch)
            yield from self._drive(handout.settling(batch, settled))
            self._wake()

    def _deliver(self, batch: LeasedBatch) -> Generator[Any, Any, int]:
        """Send a batch in some uploads; say how many messages are settled."""
        simulation, chance = self.simulation, self.world.random
        tokens = [
            (message, part.token)
            for part, at in _with_begins(batch)
            for message in batch[at : at + part.count]
        ]
        if simulation.poison in batch:
            yield Sleep(0.01)
            simulation.crash(self)
            simulation.come(1.0)
            yield Park()
        settled = failures = 0
        while settled < len(batch):
            if chance.random() < (0.5 if self.is_stopping else 0.03):
                break
            if not self.handout.holds(batch):
                break
            for part in batch.parts:
                if simulation.engine.holder(part.shard) != part.token:
                    simulation.fail(f"{self.name} is certain of shard {part.shard}")
            count = chance.randint(1, len(batch) - settled)
            if (yield from simulation.upload(self, tokens[settled : settled + count])):
                settled += count
                failures = 0
            else:
                failures += 1
                yield Sleep(chance.random() * 0.2 * 2.0 ** min(failures, 4))
        return settled


def _with_begins(batch: LeasedBatch) -> Iterator[tuple[Any, int]]:
    at = 0
    for part in batch.parts:
        yield part, at
        at += part.count


class Producer(Host):
    """An app's process: it appends a few users' messages, in order."""

    def __init__(self, simulation: Simulation, number: int, messages: int) -> None:
        super().__init__(simulation.world, f"p{number}")
        self.simulation = simulation
        by_shard: dict[int, list[bytes]] = defaultdict(list)
        users = [f"{self.name}u{user}" for user in range(4)]
        counts: dict[str, int] = defaultdict(int)
        for _ in range(messages):
            user = self.world.random.choice(users)
            message = b'{"userId":"%s","n":%d' % (user.encode(), counts[user])
            simulation.made[message] = user, counts[user]
            counts[user] += 1
            by_shard[shard_of(user.encode(), simulation.shards)].append(message)
        self.unfinished = len(by_shard)
        for shard, own in by_shard.items():
            self.world.start(self, self._append(shard, own))

    def _append(self, shard: int, messages: list[bytes]) -> Process:
        simulation, chance = self.simulation, self.world.random
        number = at = 0
        yield Sleep(chance.random() * 0.5)
        while at < len(messages):
            own = messages[at : at + chance.randint(1, 8)]
            at += len(own)
            number += 1
            frame = pack(own)
            while True:
                call = Call("append", (shard, self.name, number, frame, len(own)))
                try:
                    result = yield from simulation.request(self, call)
                except EngineError:
                    result = None
                if result in (Appended.STORED, Appended.BEFORE):
                    simulation.accepted.update(own)
                    break
                yield Sleep(0.05 + chance.random() * 0.2)
            yield Sleep(chance.random() * simulation.profile.chaos / 8)
        self.unfinished -= 1


class Simulation:
    """One seed."""

    def __init__(self, seed: int, profile: Profile, *, is_told: bool = False) -> None:
        self.seed = seed
        self.profile = profile
        self.is_told = is_told
        self.world = world = World(seed)
        self.random = world.random
        self.shards = self.random.randint(*profile.shards)
        self.engine = Model(self, self.shards, profile.max_bytes * self.shards)
        self.gateway = Gateway(self)
        self.made: dict[bytes, tuple[str, int]] = {}
        self.accepted: set[bytes] = set()
        self.given_up: dict[str, set[int]] = defaultdict(set)
        self.contents: dict[tuple[int, bytes], list[bytes]] = {}
        self.relays: list[Relay] = []
        self.is_calm = False
        self.away_until = {"engine": 0.0, "gateway": 0.0}
        self.poison = b""
        for _ in range(self.random.randint(*profile.relays)):
            self.come(0.2)
        self.producers = [
            Producer(self, number, self.random.randint(*profile.messages))
            for number in range(self.random.randint(*profile.producers))
        ]
        if profile.poison:
            self.poison = self.random.choice(list(self.made))
        self._plan()

    def log(self, words: str, *args: object) -> None:
        """Tell something, if somebody wants to know."""
        if self.is_told:
            print(f"{self.world.now:8.3f} {words % args}")  # noqa: T201 - it was asked for

    def fail(self, words: str) -> None:
        """A rule is broken."""
        raise SimulationError(f"at {self.world.now:.3f}: {words}")

    # Faults.

    def _plan(self) -> None:
        profile, chance = self.profile, self.random

        def sometimes(count: tuple[int, int], what: Callable[[], None]) -> None:
            for _ in range(chance.randint(*count)):
                self.world.at(chance.random() * profile.chaos, what)

        sometimes(profile.crashes, lambda: self._pick(self.crash))
        sometimes(profile.crashes, self._crash_producer)
        sometimes(profile.pauses, lambda: self._pick(self.pause))
        sometimes(profile.comings, lambda: self.come(0.0))
        sometimes(profile.goings, lambda: self._pick(Relay.stop))
        sometimes(profile.aways, lambda: self._go_away("engine"))
        sometimes(profile.aways, lambda: self._go_away("gateway"))

    @property
    def alive(self) -> list[Relay]:
        """Relays that are neither dead nor ending."""
        return [relay for relay in self.relays if not (relay.is_dead or relay.is_stopping)]

    def _pick(self, what: Callable[[Relay], None]) -> None:
        if alive := self.alive:
            what(self.random.choice(alive))

    def come(self, within: float) -> None:
        """Have one more relay."""

        def begin() -> None:
            self.relays.append(Relay(self, len(self.relays)))
            self.log("%s comes", self.relays[-1].name)

        self.world.at(self.world.now + self.random.random() * within, begin)

    def crash(self, relay: Relay) -> None:
        """Have a relay die at once."""
        self.log("%s dies", relay.name)
        relay.is_dead = True

    def _crash_producer(self) -> None:
        if self.producers:
            self.random.choice(self.producers).is_dead = True

    def pause(self, relay: Relay) -> None:
        """Stop a relay for a while, perhaps for longer than a lease."""
        seconds = self.random.random() * 2 * self.profile.timing.lease
        self.log("%s is paused for %.1f s", relay.name, seconds)
        relay.paused_until = self.world.now + seconds

    def _go_away(self, what: str) -> None:
        seconds = self.random.random() ** 2 * 1.5 * self.profile.timing.lease
        self.log("the %s is away for %.1f s", what, seconds)
        self.away_until[what] = self.world.now + seconds

    # The network.

    def request(self, host: Host, call: Call) -> Generator[Any, Any, Any]:
        """Ask the engine."""

        def run() -> Any:
            answer = getattr(self.engine, call.method)(*call.args)
            if call.method == "append" and answer is Appended.STORED:
                self._remember(*call.args)
            return answer

        return (yield from self._trip(host, "engine", call.method, run))

    def _trip(
        self, host: Host, place: str, name: str, run: Callable[[], Any]
    ) -> Generator[Any, Any, Any]:
        profile, chance = self.profile, self.random
        timeout = profile.timing.lease / 4
        slow = profile.slow if place == "engine" else profile.slow_gateway
        there, back = chance.random() * slow, chance.random() * slow
        fault = 1.0 if self.is_calm else chance.random()
        lost = profile.lost
        if self.world.now < self.away_until[place]:
            yield Sleep(0.01)
        elif fault < lost:
            self.log("%s: %s is lost", host.name, name)
            yield Sleep(timeout)
        elif fault < 2 * lost:
            self.log("%s: the answer to %s is lost", host.name, name)
            yield Trip(there, run, timeout)
        elif fault < 2 * lost + profile.late:
            self.log("%s: %s comes late", host.name, name)
            self.world.at(self.world.now + timeout + chance.random() * timeout * 4, run)
            yield Sleep(timeout)
        else:
            return (yield Trip(there, run, back))
        raise EngineError(Later("away"))

    def upload(
        self, relay: Relay, messages: Sequence[tuple[bytes, str]]
    ) -> Generator[Any, Any, bool]:
        """Send messages to the gateway; True: it has answered."""
        try:
            yield from self._trip(
                relay, "gateway", "an upload", lambda: self.gateway.store(messages)
            )
        except EngineError:
            self.gateway.doubtful.update(message for message, _ in messages)
            return False
        return True

    # Entries.

    def _remember(self, shard: int, _producer: str, _number: int, frame: bytes, _n: int) -> None:
        key = list(self.engine._shards[shard].entries)[-1]
        self.contents[shard, key] = unpack(frame)

    def deleted(self, shard: int, key: bytes) -> None:
        """An entry was deleted: was all of it delivered?"""
        for message in self.contents[shard, key]:
            if message not in self.gateway.tokens:
                self.fail(f"{message!r} was deleted, and not delivered")

    def buried(self, shard: int, key: bytes) -> None:
        """An entry was moved away: did it deserve that?"""
        messages = self.contents[shard, key]
        if self.poison not in messages:
            self.fail(f"an innocent entry of shard {shard} was buried")
        for message in messages:
            user, number = self.made[message]
            self.given_up[user].add(number)

    # The course of events.

    def run(self) -> None:
        """Let it all happen."""
        world, timing = self.world, self.profile.timing
        world.run(self.profile.chaos)
        self.log("all is calm from now on")
        self.is_calm = True
        self.away_until.update(engine=0.0, gateway=0.0)
        for relay in self.relays:
            relay.paused_until = min(relay.paused_until, world.now)
        if not self.alive:
            self.come(0.0)
        bound = timing.lease * 1.1 + 4 * timing.longest_look + timing.longest_pause
        bound += timing.lease / 2  # a request or an upload that was lost before is waited for
        bound += timing.lease * 10 if self.poison else 0.0
        self._expect(self._shares, bound)
        self._expect(self._leftovers, 60.0)  # a lone shard and tiny batches take their time
        self._expect(self._shares, bound)

    def _expect(self, wrong: Callable[[], str], bound: float) -> None:
        """Go on until nothing is wrong; it has to be so within some seconds."""
        end = self.world.now + bound
        while words := wrong():
            if self.world.now >= end:
                self.fail(f"{words}, {bound:.1f} s after all is calm")
            self.world.run(min(end, self.world.now + 0.25))

    def _shares(self) -> str:
        names = sorted(relay.name for relay in self.alive)
        owned: dict[str, int] = dict.fromkeys(names, 0)
        for shard in range(self.shards):
            name = (self.engine.holder(shard) or "nobody").partition(":")[0]
            owned[name] = owned.get(name, 0) + 1
        fair = {name: fair_share(self.shards, len(names), at) for at, name in enumerate(names)}
        return "" if owned == fair else f"shards are owned like {owned}, and not {fair}"

    def _leftovers(self) -> str:
        if any(producer.unfinished and not producer.is_dead for producer in self.producers):
            return "a producer has not appended all"
        lag = self.engine.lag()
        return f"the engine still has {lag}" if lag.events or lag.bytes else self._missing()

    def _missing(self) -> str:
        for message in self.accepted - self.gateway.tokens.keys():
            user, number = self.made[message]
            if number not in self.given_up[user]:
                self.fail(f"{message!r} was accepted, is deleted, and has not arrived")
        return ""


def simulate(seed: int, *, is_told: bool = False) -> int:
    """Run a seed; return the number of its steps.

    Raises:
        SimulationError: A rule was broken. It says how to see it again.
    """
    name = profile_of(seed)
    try:
        simulation = Simulation(seed, PROFILES[name], is_told=is_told)
        simulation.run()
    except Exception as error:
        raise SimulationError(
            f"{type(error).__name__}: {error}\nprofile {name}; to see it again:\n"
            f"python -m tests.relay.simulation --seed {seed}"
        ) from error
    return simulation.world.steps


def main() -> int:
    """Run seeds."""
    parser = argparse.ArgumentParser(description="Simulate relays.")
    parser.add_argument("--seed", type=int, help="this one, and tell of it")
    parser.add_argument("--seeds", type=int, default=10_000, help="so many")
    parser.add_argument("--begin", type=int, default=0, help="the first of them")
    given = parser.parse_args()
    begun = time.monotonic()
    if given.seed is not None:
        simulate(given.seed, is_told=True)
        return 0
    failed = steps = 0
    for seed in range(given.begin, given.begin + given.seeds):
        try:
            steps += simulate(seed)
        except SimulationError as error:  # noqa: PERF203 - nearly all the time is in the try
            failed += 1
            print(error, file=sys.stderr)  # noqa: T201 - a command
    seconds = time.monotonic() - begun
    print(f"{given.seeds:,} seeds, {steps:,} steps, {seconds:.1f} s, {failed} failed")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
