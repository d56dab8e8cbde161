"""How large uploads may be to be answered in time, on simulated lines and servers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rudder_logging.delivery.upload_limits import TimeLimit
from rudder_logging.sinks.base import MESSAGE_OVERHEAD, Trip
from rudder_logging.sinks.gateway.body import FRAME

from ..conftest import examples

LARGEST_BODY = 4_000_000
TIMEOUT = 15.0


MESSAGES = [b"x" * 100] * 20_000


def trip(events: int, seconds: float) -> Trip:
    """The way of an upload of so many of `MESSAGES`."""
    size = (len(MESSAGES[0]) + MESSAGE_OVERHEAD) * events + FRAME
    return Trip(events, size, size, seconds)


@dataclass
class World:
    """A line and a server, and what an upload over them takes; all durations in seconds."""

    rate: float = 1e8
    """Bytes a second of the line."""
    an_event: float = 0.0
    latency: float = 0.0
    patience: float = 10.0
    """After which the server closes the connection. What came until then it stores."""
    compression: float = 1.0
    stored: Counter[int] = field(default_factory=Counter)
    uploads: list[int] = field(default_factory=list)
    """Their events."""
    lost: int = 0
    now: float = 0.0

    def takes(self, events: int, sent: float) -> float:
        """Seconds from the request to its answer."""
        return self.latency + sent / self.rate + events * self.an_event

    def upload(self, limit: TimeLimit, first: int, sizes: list[int]) -> bool:
        """Send these events, and tell the limit; whether an answer came."""
        size = sum(sizes) + MESSAGE_OVERHEAD * len(sizes) + FRAME
        sent = int(size * self.compression)
        seconds = self.takes(len(sizes), sent)
        self.stored.update(range(first, first + len(sizes)))
        self.uploads.append(len(sizes))
        if seconds > min(self.patience, TIMEOUT):
            seconds = min(self.patience, TIMEOUT)
            limit.lost(Trip(len(sizes), size, sent, seconds))
            self.lost += 1
            self.now += seconds
            return False
        limit.answered(Trip(len(sizes), size, sent, seconds))
        self.now += seconds
        return True

    def deliver(self, limit: TimeLimit, sizes: list[int], first: int = 0) -> None:
        """Send all, in order, in as many uploads as the limit makes of them."""
        at, attempts = 0, 0
        while at < len(sizes):
            some = sizes[at : at + 20_000]
            fitting, room = 0, min(LARGEST_BODY, limit.size) - FRAME
            for size in some:
                room -= size + MESSAGE_OVERHEAD
                if room < 0:
                    break
                fitting += 1
            count = limit.count([b"x" * size for size in some[: max(1, fitting)]])
            if self.upload(limit, first + at, sizes[at : at + count]):
                at += count
            attempts += 1
            assert attempts < 10 * len(sizes) + 100, "no progress"


def test_full_size_is_reached_within_few_uploads_on_a_fast_line() -> None:
    """A fast line gets what fits a request from its third upload on, be the server far away."""
    for latency in (0.005, 0.05, 0.2):
        world, limit = World(latency=latency, compression=0.1), TimeLimit(TIMEOUT)
        world.deliver(limit, [433] * 40_000)
        assert world.uploads[0] == 100
        assert max(world.uploads) > 8_000
        assert len(world.uploads) <= 7


@pytest.mark.parametrize("patience", [5.0, 10.0, 60.0])
@pytest.mark.parametrize(
    ("world", "sizes"),
    [
        (World(rate=30_000), [1_400] * 1_000),
        (World(rate=30_000, compression=0.1), [1_400] * 10_000),
        (World(an_event=0.002), [400] * 8_000),
        (World(an_event=0.002, rate=100_000, latency=0.2), [400, 4_000] * 3_000),
        (World(an_event=0.03, latency=0.3), [400] * 500),
    ],
)
def test_slow_way_gets_each_event_once_and_at_the_speed_it_has(
    world: World, sizes: list[int], patience: float
) -> None:
    """Uploads are answered in time from the beginning, and no time is wasted by smaller ones."""
    world = World(world.rate, world.an_event, world.latency, patience, world.compression)
    world.deliver(TimeLimit(TIMEOUT), sizes)
    assert max(world.stored.values()) == 1
    contents = sum(sizes) + MESSAGE_OVERHEAD * len(sizes)
    at_best = contents * world.compression / world.rate + len(sizes) * world.an_event
    assert world.now < 1.5 * at_best + 20 * world.latency + 5


def test_late_answers_whatever_the_size_do_not_make_uploads_small() -> None:
    """A server that takes 3 or 5 s for anything gets large uploads all the same."""
    for latency in (3.0, 5.0):
        world = World(latency=latency)
        world.deliver(TimeLimit(TIMEOUT), [400] * 20_000)
        assert not world.lost
        assert len(world.uploads) < 20


def test_lost_answer_makes_the_next_upload_smaller_down_to_one_event() -> None:
    """Nothing is learnt of a server that never answers but to send less; a lone event is the end
    of that, and comes again.
    """
    limit, sizes = TimeLimit(TIMEOUT), []
    for _ in range(12):
        sizes.append(limit.count(MESSAGES))
        limit.lost(trip(sizes[-1], 0.01))
    assert sizes[0] == 100
    assert all(after <= max(1, before / 2) for before, after in pairwise(sizes))
    assert sizes[-3:] == [1, 1, 1]


@pytest.mark.parametrize("seconds", [0.01, 10.0])
def test_what_a_lost_answer_has_taught_is_not_forgotten_after_a_success(seconds: float) -> None:
    """Several uploads of the smaller size have to be answered in time before one is larger, and
    more of them, if that was too large again.
    """
    limit = TimeLimit(TIMEOUT)
    limit.answered(trip(1_000, 0.05))
    waits = []
    for _ in range(4):
        count = limit.count(MESSAGES)
        limit.lost(trip(count, seconds))
        smaller = limit.count(MESSAGES)
        assert smaller <= count / 2
        answers = 0
        while limit.count(MESSAGES) <= smaller:
            limit.answered(trip(limit.count(MESSAGES), 0.05))
            answers += 1
        waits.append(answers)
    assert waits[0] >= 8
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]


def test_one_lost_answer_does_not_slow_a_fast_line_for_long() -> None:
    """It makes uploads smaller for a while; some uploads later they are of the full size again."""
    limit = TimeLimit(TIMEOUT)
    limit.answered(trip(8_000, 0.2))
    limit.lost(trip(8_000, 10.0))
    counts = []
    for _ in range(40):
        counts.append(limit.count(MESSAGES))
        limit.answered(trip(counts[-1], 0.2))
    assert counts[0] > 2_000
    assert counts[-1] > 8_000


def test_new_start_is_small_and_keeps_what_was_learnt() -> None:
    """After an outage the first upload is small; what was too large stays too large."""
    limit = TimeLimit(TIMEOUT)
    World().deliver(limit, [400] * 40_000)
    assert limit.count(MESSAGES) > 8_000
    limit.start_small()
    assert limit.count(MESSAGES) == 100
    limit.lost(trip(100, 10.0))
    limit.start_small()
    limit.answered(trip(40, 0.01))
    assert limit.count(MESSAGES) <= 40


def test_little_time_gives_small_uploads() -> None:
    """What is sent before the end of a process is to be answered before it."""
    limit = TimeLimit(TIMEOUT)
    World(rate=30_000).deliver(limit, [1_000] * 1_000)
    messages = [b"x" * 1_000] * 1_000
    at_ease, in_haste = limit.count(messages, 60.0), limit.count(messages, 2.0)
    assert at_ease > 100
    assert in_haste * 1_038 / 30_000 < 1.5
    assert limit.count(messages, 0.0) == 1


def test_short_timeout_is_a_server_without_patience() -> None:
    """Where the option `timeout` is 1 s, uploads take well under it."""
    limit, world = TimeLimit(1.0), World(an_event=0.002, patience=1.0)
    world.deliver(limit, [400] * 3_000)
    assert not world.lost


class Ways(RuleBasedStateMachine):
    """A sender over a way that changes in mid-course."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.limit = TimeLimit(TIMEOUT)
        self.logged = 0

    @initialize(patience=st.sampled_from([5.0, 10.0, 30.0, 60.0]))
    def server(self, patience: float) -> None:
        """How long it, or a proxy before it, takes for an upload."""
        self.world.patience = patience

    @rule(
        rate=st.sampled_from([2_000.0, 30_000.0, 1e6, 1e9]),
        an_event=st.sampled_from([0.0, 0.0001, 0.002, 0.1, 1.0]),
        latency=st.sampled_from([0.0, 0.005, 0.2, 1.0]),
        compression=st.sampled_from([0.03, 0.3, 1.0]),
    )
    def change(self, rate: float, an_event: float, latency: float, compression: float) -> None:
        """The line, the database, the distance or what is logged becomes another."""
        world = self.world
        world.rate, world.an_event, world.latency = rate, an_event, latency
        world.compression = compression
        world.stored.clear()

    @rule(patience=st.sampled_from([5.0, 10.0, 30.0, 60.0]))
    def another_server(self, patience: float) -> None:
        """Something else stands before the data plane."""
        self.world.patience = patience
        self.world.stored.clear()

    @rule()
    def outage(self) -> None:
        """Connections fail for a while."""
        self.limit.start_small()

    @rule(count=st.sampled_from([1, 5, 100, 3_000]), size=st.sampled_from([300, 1_400, 3_000]))
    def log(self, count: int, size: int) -> None:
        """Events are logged, and all delivered: each is stored a few times at the most."""
        self.world.deliver(self.limit, [size] * count, self.logged)
        self.logged += count
        assert max(self.world.stored.values()) <= 12

    @precondition(lambda self: self.world.takes(100, 64_000) < 1)
    @rule()
    def fast(self) -> None:
        """Where uploads are answered soon, they become large."""
        uploads = self.world.uploads
        self.log(6_000, 300)
        uploads.clear()
        self.log(20_000, 300)
        longest = self.world.takes(max(uploads), 300 * max(uploads) * self.world.compression)
        assert max(uploads) > 2_000 or longest > 0.25


@pytest.mark.slow
@pytest.mark.timeout(2 * examples(1.0))
def test_any_way_makes_progress_without_many_duplicates() -> None:
    """Whatever the line, the database and the server's patience become, everything is delivered;
    no event is stored more than a few times, and fast ways get large uploads.
    """
    run_state_machine_as_test(
        Ways, settings=settings(max_examples=examples(0.2), stateful_step_count=15)
    )
