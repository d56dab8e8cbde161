"""`LeasedSource` over the engine in memory, held to the contract of all sources."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from rudder_logging.common.clock import monotonic
from rudder_logging.relay.coordinator import Timing
from rudder_logging.relay.engine import Engine, EngineError
from rudder_logging.relay.leased import LeasedSource, relay_id
from rudder_logging.relay.memory import MemoryEngine
from rudder_logging.relay.source import Observer, Source
from rudder_logging.sinks.base import Failure, Hold, Later, Unknown
from rudder_logging.sinks.frames import pack, shard_key, shard_of
from rudder_logging.testing.source_contract import SourceContract, Watch

SHARDS = 4
PATIENCE = 90.0


def append(engine: MemoryEngine, producer: str, *messages: bytes, most: int = 7) -> None:
    """Append messages as a sink does, in frames of so many messages."""
    shards: dict[int, list[bytes]] = {}
    for message in messages:
        shards.setdefault(shard_of(shard_key(message), SHARDS), []).append(message)
    for shard, own in shards.items():
        for at in range(0, len(own), most):
            frame = own[at : at + most]
            engine.append(shard, f"{producer} {at}", 0, pack(frame), len(frame))


class TestLeasedSource(SourceContract):
    """All relays and producers of a test share one engine."""

    @pytest.fixture(autouse=True)
    def _engine(self) -> None:
        self.engine = MemoryEngine(SHARDS)
        self.appended = 0

    def make_source(self, observer: Observer) -> Source:
        """Make a relay."""
        return LeasedSource(self.engine, observer)

    def append(self, *messages: bytes) -> None:
        """Append, by a new producer each time."""
        self.appended += 1
        append(self.engine, f"p{self.appended}", *messages)


class Line:
    """The way to an engine, which can be cut: by whom a test says, all of it or some methods."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.cut: Callable[[str], bool] = lambda _method: False
        self.lost: Callable[[str], bool] = lambda _method: False
        """The engine does as it is asked, and the answer does not come."""
        self.read_bytes = 0

    def __getattr__(self, method: str) -> Any:
        whole = getattr(self.engine, method)

        def call(*args: Any) -> Any:
            if self.cut(method):
                raise EngineError(Later("the line is cut"))
            result = whole(*args)
            if self.lost(method):
                raise EngineError(Unknown("the line is cut"))
            if method == "read":
                self.read_bytes += sum(len(e.frame) for entries in result for e in entries)
            return result

        return call


SHORT = Timing(lease=1.0, renew=0.3, margin=0.1, look=0.05, longest_look=0.1, longest_pause=0.1)
"""No test waits long for a lease that runs out. On a busy machine leases are lost, too."""


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[LeasedSource, Watch, Line]]]:
    """Make a relay over an engine, with its observer and its line."""
    sources: list[tuple[LeasedSource, Line]] = []

    def open_one(
        engine: MemoryEngine, timing: Timing | None = None
    ) -> tuple[LeasedSource, Watch, Line]:
        watch, line = Watch(), Line(engine)
        source = LeasedSource(cast("Engine", line), watch, timing)
        sources.append((source, line))
        return source, watch, line

    yield open_one
    for source, line in sources:
        line.cut = line.lost = lambda _method: False
        source.close()


Opened = Callable[..., tuple[LeasedSource, Watch, Line]]


def drained(source: LeasedSource, number: int) -> list[bytes]:
    """Take and settle so many messages."""
    found: list[bytes] = []
    deadline = monotonic() + PATIENCE
    while len(found) < number and monotonic() < deadline:
        if batch := source.take(2_000, 0.5):
            found += batch
            source.done(batch)
    return found


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < deadline
        time.sleep(0.01)


def messages_of(user: str, *numbers: int) -> list[bytes]:
    """A user's messages."""
    return [b'{"userId":"%s","n":%d' % (user.encode(), number) for number in numbers]


def test_what_is_settled_while_the_engine_is_away_does_not_come_again(opened: Opened) -> None:
    """Its acknowledgement is made up for before anything else of the shard is read."""
    engine = MemoryEngine(SHARDS)
    source, watch, line = opened(engine)
    append(engine, "p", *messages_of("a", *range(10)))
    batch = source.take(300, PATIENCE)
    assert batch is not None
    first = list(batch)
    line.cut = lambda _method: True
    source.release(batch, len(batch) - 1)
    assert source.take(1_000, 0.1) is None
    wait_for(lambda: watch.is_well is False)
    assert engine.lag().events == 10
    line.cut = lambda _method: False
    assert first[:-1] + drained(source, 10 - len(first) + 1) == messages_of("a", *range(10))
    wait_for(lambda: engine.lag().events == 0)
    assert watch.is_well is True


def test_an_answer_that_is_lost_makes_no_duplicate(opened: Opened) -> None:
    """Whatever was asked."""
    engine = MemoryEngine(SHARDS)
    source, _watch, line = opened(engine)
    chance = random.Random(1)
    line.lost = lambda _method: chance.random() < 0.2
    line.cut = lambda _method: chance.random() < 0.2
    users = [f"u{number}" for number in range(6)]
    for user in users:
        append(engine, user, *messages_of(user, *range(30)))
    found = drained(source, 180)
    assert sorted(found) == sorted(m for user in users for m in messages_of(user, *range(30)))
    wait_for(lambda: engine.lag().events == 0)


def test_a_relay_that_is_cut_off_keeps_nothing_from_others(opened: Opened) -> None:
    """It sends no more of its batch, and deletes nothing, though all of that is settled."""
    engine = MemoryEngine(SHARDS)
    source, _, line = opened(engine, SHORT)
    append(engine, "p", *messages_of("a", *range(10)))
    batch = source.take(300, PATIENCE)
    assert batch is not None
    assert source.holds(batch)
    line.cut = lambda _method: True
    wait_for(lambda: not source.holds(batch))
    heir, _, _ = opened(engine)
    taken = heir.take(300, PATIENCE)
    assert taken == batch
    line.cut = lambda _method: False
    source.done(batch)
    assert engine.lag().events == 10
    assert not source.holds(batch)
    heir.close()


def test_a_frame_that_cannot_be_read_is_put_aside(opened: Opened) -> None:
    """The others of its shard arrive, those before it and those behind."""
    engine = MemoryEngine(1)
    engine.append(0, "p", 0, pack(messages_of("a", 0)), 1)
    engine.append(0, "p", 1, b"damaged", 7)
    engine.append(0, "p", 2, pack(messages_of("a", 1)), 1)
    source, watch, _ = opened(engine)
    assert drained(source, 2) == messages_of("a", 0, 1)
    assert watch.drops == {"unreadable": 7}
    assert [(entry.frame, why) for entry, why in engine.buried(0)] == [(b"damaged", "unreadable")]


def test_a_frame_of_a_later_version_waits_for_a_later_relay(opened: Opened) -> None:
    """Apps may be upgraded first. It holds its shard, and that is told, with the cure."""
    engine = MemoryEngine(2)
    frame = pack(messages_of("a", 0))
    engine.append(0, "p", 0, frame.replace(b"rf\x01", b"rf\x02", 1), 1)
    engine.append(1, "p", 0, frame, 1)
    source, watch, _ = opened(engine)
    assert drained(source, 1) == messages_of("a", 0)
    wait_for(lambda: source.take(1_000, 0.1) is None and watch.is_well is False)
    failure = watch.failures[-1]
    assert isinstance(failure, Hold)
    assert "upgrade the relay" in failure.cure
    assert (engine.lag().events, engine.buried(0), dict(watch.drops)) == (1, [], {})


def test_a_frame_at_which_relays_die_is_put_aside(opened: Opened) -> None:
    """After five deaths, and alone; its neighbours arrive."""
    engine = MemoryEngine(1)
    for number in range(6):
        engine.append(0, "p", number, pack(messages_of("a", number)), 1)
    deadly = messages_of("a", 3)[0]
    found: list[bytes] = []
    deaths = 0
    watch = Watch()
    while len(found) < 5:
        source, watch, line = opened(engine, SHORT)
        while batch := source.take(10_000, PATIENCE):
            if deadly in batch:
                deaths += 1
                line.cut = lambda _method: True  # as good as dead
                break
            found += batch
            source.done(batch)
            if len(found) == 5:
                break
    assert found == messages_of("a", 0, 1, 2, 4, 5)
    assert 5 <= deaths <= 12
    assert watch.drops == {"deadly": 1}
    assert [why for _, why in engine.buried(0)] == ["deadly"]


def test_of_frames_that_may_be_deadly_one_is_out_at_a_time(opened: Opened) -> None:
    """Else all would share the blame. Lanes wait for it meanwhile, and do not ask all the time."""
    engine = MemoryEngine(2)
    for shard in range(2):
        engine.append(shard, "p", 0, pack(messages_of("a", shard)), 1)
        for owner in range(2):
            engine.acquire(shard, f"dead-{owner}:1", 0.0)
    source, _, _ = opened(engine)
    batch = source.take(1_000, PATIENCE)
    assert batch is not None
    assert len(batch) == 1
    assert source.take(1_000, 0.5) is None
    assert not source._handout.has_work()
    source.done(batch)
    other = source.take(1_000, PATIENCE)
    assert other is not None
    assert sorted(batch + other) == messages_of("a", 0, 1)


def test_more_relays_than_shards_say_that_they_idle(opened: Opened) -> None:
    """Until another one leaves."""
    engine = MemoryEngine(1)
    some = [opened(engine) for _ in range(2)]

    def look() -> list[bool]:
        for source, _, _ in some:
            source.take(1, 0.02)
        return [watch.is_idle for _, watch, _ in some]

    wait_for(lambda: sorted(look()) == [False, True] and sum(w.shards for _, w, _ in some) == 1)
    idle, busy = sorted(some, key=lambda one: not one[1].is_idle)
    busy[0].close()
    wait_for(lambda: idle[0].take(1, 0.02) is None and not idle[1].is_idle)
    wait_for(lambda: idle[0].take(1, 0.02) is None and idle[1].shards == 1)


def test_what_the_observer_hears_is_in_order() -> None:
    """A thread that tells of a failure late must not have the last word: all would be well then,
    and look as if it failed, until it fails again.
    """
    begun, may_end = threading.Event(), threading.Event()
    heard: list[str] = []

    class Slow(Watch):
        def failing(self, failure: Failure) -> None:
            begun.set()
            may_end.wait(PATIENCE)
            heard.append("failing")

        def well(self) -> None:
            heard.append("well")

    source = LeasedSource(MemoryEngine(1), Slow())
    source._handout.told.append(("failing", (Later("it is away"),)))
    teller = threading.Thread(target=source._tell)
    teller.start()
    assert begun.wait(PATIENCE)
    source._handout.told.append(("well", ()))
    source._tell()
    may_end.set()
    teller.join(PATIENCE)
    assert heard == ["failing", "well"]
    source.close()


def test_a_batch_reads_little_of_what_waits(opened: Opened) -> None:
    """However much there is: memory is bounded."""
    engine = MemoryEngine(1)
    message = b'{"userId":"a","text":"%s"' % random.Random(2).randbytes(6_000).hex().encode()
    frame = pack([message] * 20)
    for number in range(1_000):
        engine.append(0, "p", number, frame, 20)
    source, _, line = opened(engine)
    for _ in range(20):
        batch = source.take(1_000_000, PATIENCE)
        assert batch is not None
        before, line.read_bytes = line.read_bytes, 0
        assert before < 1_000_000
        source.done(batch)


def test_its_id_tells_people_which_process_it_is() -> None:
    """Host and process; a second one has another."""
    one, other = relay_id(), relay_id()
    assert one != other
    assert str(os.getpid()) in one.split("-")
    assert ":" not in one
