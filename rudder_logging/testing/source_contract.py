"""`SourceContract`: the tests that a source of the relay has to pass.

class TestTopicSource(SourceContract):
    def make_source(self, observer):
        return TopicSource("localhost:9092", "shop", observer)

    def append(self, *messages):
        write_to_topic("shop", messages)
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from ..common.clock import monotonic
from ..relay.source import Batch, Observer, Source
from ..sinks.base import MESSAGE_OVERHEAD, Failure

__all__ = ["SourceContract", "Watch"]

_PATIENCE = 90.0
_MUCH = 1_000_000


class Watch(Observer):
    """An observer that remembers."""

    def __init__(self) -> None:
        self.shards = 0
        self.drops: dict[str, int] = defaultdict(int)
        self.failures: list[Failure] = []
        self.is_well: bool | None = None
        self.is_idle = False
        self._lock = threading.Lock()

    def leases_changed(self, gained: int, lost: int) -> None:
        """Count shards."""
        with self._lock:
            self.shards += gained - lost

    def idles(self, is_idle: bool) -> None:
        """Remember it."""
        self.is_idle = is_idle

    def dropped(self, number: int, reason: str) -> None:
        """Count messages."""
        with self._lock:
            self.drops[reason] += number

    def failing(self, failure: Failure) -> None:
        """Remember it."""
        self.is_well = False
        self.failures.append(failure)

    def well(self) -> None:
        """Remember it."""
        self.is_well = True


class SourceContract:
    """Tests that each source passes. Inherit them in a class that pytest collects.

    A test has one source of an engine, which is empty at its beginning, and as many relays for it
    as it makes sources. The engine has at least two shards.

    .. versionadded:: 0.1.0
    """

    # What a subclass has to say.

    def make_source(self, observer: Observer) -> Source:
        """Make one more relay's source. The test closes it."""
        raise NotImplementedError

    def append(self, *messages: bytes) -> None:
        """Append messages, in order, as a sink for this engine does: each to its user's shard."""
        raise NotImplementedError

    def left(self, source: Source) -> None:
        """Called when a source is stopped, and has nothing out: perhaps to wait for something."""

    # One relay.

    def test_an_empty_source_has_nothing(self) -> None:
        """None is what `take` answers, when it has waited, not an empty batch."""
        source = self.make_source(Watch())
        assert source.take(_MUCH, 0.1) is None
        assert source.lag() == (0, 0, 0)
        source.close()

    def test_a_look_at_the_lag_makes_no_relay(self) -> None:
        """Who only asks for it is given no shards, and the relay keeps all of them."""
        other = self.make_source(Watch())
        assert other.lag().events == 0
        source = self.make_source(Watch())
        self.append(*_messages(range(100)))
        assert other.lag().events == 100
        assert len(_drained(source, 100)) == 100
        other.close()
        source.close()

    def test_messages_come_out_as_they_went_in(self) -> None:
        """Whole, once each, in the order of their users."""
        source = self.make_source(Watch())
        odd = json.dumps({"userId": "\u00e4 \u2028\n", "n": 0, "text": 'a\\"b'}).encode()[:-1]
        messages = [odd, *_messages(range(1, 200))]
        self.append(*messages)
        found = _drained(source, 200)
        assert sorted(found) == sorted(messages)
        assert odd in found
        _expect_order(found)
        _wait_for(lambda: source.lag().events == 0)
        assert source.take(_MUCH, 0.1) is None
        source.close()

    def test_a_batch_stays_within_the_bytes(self) -> None:
        """A first message that has more comes alone."""
        source = self.make_source(Watch())
        self.append(*_messages(range(100)))
        bound = 5 * (len(_message(99)) + MESSAGE_OVERHEAD)
        found: list[bytes] = []
        sizes = []
        for max_bytes in chain([1, bound, 1, bound, 1], repeat(bound)):
            if len(found) == 100:
                break
            batch = source.take(max_bytes, _PATIENCE)
            assert batch is not None
            sizes.append(len(batch))
            size = sum(map(len, batch)) + MESSAGE_OVERHEAD * len(batch)
            assert len(batch) == 1 or size <= max_bytes
            found += batch
            source.done(batch)
        assert sizes[0] == sizes[2] == sizes[4] == 1
        assert sorted(found) == sorted(_messages(range(100)))
        _expect_order(found)
        source.close()

    def test_a_user_is_in_one_batch_at_a_time(self) -> None:
        """Until that is settled, others get other users', or nothing."""
        source = self.make_source(Watch())
        self.append(*_messages(range(200)))
        out: list[Batch] = []
        while batch := source.take(500, 1.0 if out else _PATIENCE):
            out.append(batch)
        users = [user for batch in out for user in {_user(message) for message in batch}]
        assert len(users) == len(set(users))
        found = [message for batch in out for message in batch]
        for batch in out:
            assert source.holds(batch)
            source.done(batch)
        found += _drained(source, 200 - len(found))
        assert sorted(found) == sorted(_messages(range(200)))
        _expect_order(found)
        source.close()

    def test_what_is_released_comes_again(self) -> None:
        """It begins behind the messages that are settled, of whatever shards they are."""
        source = self.make_source(Watch())
        self.append(*_messages(range(60)))
        found: list[bytes] = []
        settled = 0
        while len(found) < 60:
            batch = source.take(_MUCH, _PATIENCE)
            assert batch is not None
            found += batch[:settled]
            if settled < len(batch):
                source.release(batch, settled)
            else:
                found += batch[settled:]
                source.done(batch)
            settled += 3
        assert sorted(found) == sorted(_messages(range(60)))
        _expect_order(found)
        source.close()

    def test_what_is_appended_later_comes_too(self) -> None:
        """Round after round, while a lane waits."""
        source = self.make_source(Watch())
        for begin in range(0, 100, 20):
            self.append(*_messages(range(begin, begin + 20)))
            found = _drained(source, 20)
            assert sorted(found) == sorted(_messages(range(begin, begin + 20)))
        source.close()

    def test_it_is_told_that_the_engine_is_well(self) -> None:
        """At its first answer, even if it has nothing."""
        watch = Watch()
        source = self.make_source(watch)
        _wait_for(lambda: source.take(_MUCH, 0.05) is None and watch.is_well is True)
        _wait_for(lambda: source.take(_MUCH, 0.05) is None and watch.shards > 0)
        source.close()

    def test_many_lanes_take_at_once(self) -> None:
        """All arrives once, in order."""
        source = self.make_source(Watch())
        self.append(*_messages(range(2_000)))
        found = _by_lanes([source] * 4, 2_000)
        assert sorted(found) == sorted(_messages(range(2_000)))
        _expect_order(found)
        source.close()

    # Several.

    def test_relays_share_a_source(self) -> None:
        """Each gets some shards, and what is appended arrives once, in order."""
        watches = [Watch(), Watch()]
        sources = [self.make_source(watch) for watch in watches]
        _wait_for(
            lambda: (
                not any(source.take(_MUCH, 0.05) for source in sources)
                and all(watch.shards > 0 for watch in watches)
            )
        )
        self.append(*_messages(range(500)))
        found = _by_lanes(sources, 500)
        assert sorted(found) == sorted(_messages(range(500)))
        _expect_order(found)
        for source in sources:
            source.close()

    def test_who_stops_leaves_the_rest_to_others(self) -> None:
        """They begin where it ended: nothing is lost, nothing comes twice."""
        source, heir = self.make_source(Watch()), self.make_source(Watch())
        self.append(*_messages(range(300)))
        batch = source.take(6_000, _PATIENCE)
        assert batch is not None
        settled = len(batch) // 2
        source.stop()
        assert source.take(_MUCH, _PATIENCE) is None
        source.release(batch, settled)
        self.left(source)
        found = [*batch[:settled], *_drained(heir, 300 - settled)]
        assert sorted(found) == sorted(_messages(range(300)))
        _expect_order(found)
        source.close()
        heir.close()

    def test_stop_ends_a_wait(self) -> None:
        """Lanes come back with nothing, soon."""
        source = self.make_source(Watch())
        results: list[Batch | None] = []
        lanes = [
            threading.Thread(target=lambda: results.append(source.take(_MUCH, 600.0)))
            for _ in range(3)
        ]
        for lane in lanes:
            lane.start()
        source.stop()
        for lane in lanes:
            lane.join(_PATIENCE)
        assert results == [None] * 3
        source.close()

    def test_close_gives_everything_up(self) -> None:
        """Even what is handed out. It may be closed twice, or unused."""
        unused = self.make_source(Watch())
        unused.close()
        source = self.make_source(Watch())
        self.append(*_messages(range(50)))
        batch = source.take(_MUCH, _PATIENCE)
        assert batch is not None
        source.close()
        source.close()
        assert not source.holds(batch)
        heir = self.make_source(Watch())
        assert sorted(_drained(heir, 50)) == sorted(_messages(range(50)))
        heir.close()


def _message(number: int) -> bytes:
    """A message of one of 17 users, which tells its place among that one's."""
    fields = {"userId": f"user-{number % 17}", "n": number, "text": "x" * 50}
    return json.dumps(fields).encode()[:-1]


def _messages(numbers: Iterable[int]) -> list[bytes]:
    return list(map(_message, numbers))


def _fields(message: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(message + b"}")
    return fields


def _user(message: bytes) -> str:
    return str(_fields(message)["userId"])


def _place(message: bytes) -> int:
    return int(_fields(message)["n"])


def _expect_order(messages: Sequence[bytes]) -> None:
    places = defaultdict(list)
    for message in messages:
        places[_user(message)].append(_place(message))
    assert {user: own for user, own in places.items() if own != sorted(own)} == {}


def _drained(source: Source, number: int) -> list[bytes]:
    """Take and settle so many messages, or more."""
    found: list[bytes] = []
    deadline = monotonic() + _PATIENCE
    while len(found) < number:
        assert monotonic() < deadline, f"{len(found)} of {number} messages came"
        batch = source.take(3_000, 1.0)
        if batch is not None:
            found += batch
            source.done(batch)
    return found


def _by_lanes(sources: Sequence[Source], number: int) -> list[bytes]:
    """Take and settle so many messages by a thread for each source given."""
    found: list[bytes] = []
    lock = threading.Lock()
    deadline = monotonic() + _PATIENCE

    def run(source: Source) -> None:
        while len(found) < number and monotonic() < deadline:
            batch = source.take(5_000, 0.2)
            if batch is not None:
                with lock:
                    found.extend(batch)
                source.done(batch)

    lanes = [threading.Thread(target=run, args=(source,)) for source in sources]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join(_PATIENCE)
    return found


def _wait_for(is_so: Callable[[], bool]) -> None:
    deadline = monotonic() + _PATIENCE
    while not is_so():
        assert monotonic() < deadline, "it is not so after all"
        time.sleep(0.01)
