"""The tests that a sink of the app's, or of a third party, has to pass.

class TestTopicSink(SinkContract):
    def make_sink(self):
        return TopicSink("localhost:9092", "events")

    def arrived(self):
        return [json.loads(line) for line in read_topic("events")]
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from ..common.clock import monotonic
from ..handler.handler import RudderHandler
from ..sinks.base import (
    MESSAGE_OVERHEAD,
    Failure,
    Outcome,
    Refused,
    Sink,
    Stored,
    TooLarge,
)

__all__ = ["SinkContract"]

_SECONDS = 20.0


class SinkContract:
    """Tests that each sink passes. Inherit them in a class that pytest collects.

    .. versionadded:: 0.1.0
    """

    # What a subclass has to say.

    def make_sink(self) -> Sink:
        """Make a sink. What its messages are stored in is empty at the beginning of a test."""
        raise NotImplementedError

    def arrived(self) -> Sequence[dict[str, Any]]:
        """All messages that are stored, in order."""
        raise NotImplementedError

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have the place where messages are stored be out of reach, until the block ends."""
        raise NotImplementedError
        yield

    # What every sink does.

    def test_says_how_much_it_takes_at_once(self) -> None:
        """`max_bytes` is a whole number with room for some event."""
        sink = self.make_sink()
        assert isinstance(sink.max_bytes, int)
        assert sink.max_bytes >= 1_000
        sink.close()

    def test_stores_messages_in_order(self) -> None:
        """They arrive whole, once each, in the order of the sendings and within them."""
        sink = self.make_sink()
        for numbers in ([0], [1, 2, 3], [4, 5]):
            outcome = sink.send(_messages(*numbers), None)
            assert isinstance(outcome, Stored), outcome
            assert outcome.requests >= 1
        self._expect(*range(6))
        sink.close()

    def test_leaves_its_messages_alone(self) -> None:
        """They may have to be sent again."""
        sink = self.make_sink()
        messages = _messages(0, 1, 2)
        before = messages.copy()
        sink.send(messages, None)
        assert messages == before
        sink.close()

    def test_adds_nothing_but_keys(self) -> None:
        """Values arrive as they were given, whatever their alphabet or depth."""
        sink = self.make_sink()
        odd = {'\u00e4 "b"': ["\U0001f600\n", None, True, 0.1, {"c": [[], {}]}], "d": 2**53}
        message = orjson.dumps({**_event(7), "context": odd})[:-1]
        assert isinstance(sink.send([message], None), Stored)
        (found,) = self._wait_for(1)
        assert found["context"] == odd
        sink.close()

    def test_takes_as_much_as_it_says(self) -> None:
        """Messages that weigh `max_bytes` together are no failure, and not too large."""
        sink = self.make_sink()
        count = 4
        size = sink.max_bytes // count - MESSAGE_OVERHEAD
        messages = [_padded(number, size) for number in range(count)]
        assert isinstance(sink.send(messages, None), Stored)
        self._expect(*range(count))
        sink.close()

    def test_a_message_over_its_limit_is_stored_or_refused(self) -> None:
        """A lone one may weigh more: it has an outcome all the same, and the next one goes."""
        sink = self.make_sink()
        outcome = sink.send([_padded(0, sink.max_bytes + 10_000)], None)
        assert isinstance(outcome, (Stored, Refused, TooLarge)), outcome
        assert isinstance(sink.send(_messages(1), None), Stored)
        numbers = [0, 1] if isinstance(outcome, Stored) else [1]
        self._expect(*numbers)
        sink.close()

    def test_opens_again_after_close(self) -> None:
        """A handler closes its sink when nothing waits, twice perhaps, and may send later on."""
        sink = self.make_sink()
        sink.close()
        for number in range(3):
            assert isinstance(sink.send(_messages(number), None), Stored)
            sink.close()
            sink.close()
        self._expect(0, 1, 2)

    def test_sends_from_any_thread(self) -> None:
        """It is made in one thread, used in another, and drained from a third."""
        sink = self.make_sink()
        outcomes: list[Outcome] = []
        for _ in range(3):
            _in_a_thread(lambda: outcomes.append(sink.send(_messages(len(outcomes)), None)))
        assert [type(outcome) for outcome in outcomes] == [Stored] * 3
        self._expect(0, 1, 2)
        sink.close()

    def test_says_what_is_wrong_and_raises_nothing(self) -> None:
        """Out of reach, it says so; the same messages are stored once it is back."""
        sink = self.make_sink()
        assert isinstance(sink.send(_messages(0), None), Stored)
        with self.away():
            outcome = sink.send(_messages(1, 2), monotonic() + 2)
            assert isinstance(outcome, Failure), outcome
            assert outcome.fault
            assert str(outcome.error)
            assert "secret-of-1" not in f"{outcome.fault} {outcome.cure} {outcome.error}"
        while not isinstance(sink.send(_messages(1, 2), None), Stored):
            time.sleep(0.05)
        found = [event["properties"]["n"] for event in self._wait_for(3)]
        assert found[:1] == [0]
        assert found[-2:] == [1, 2]
        sink.close()

    def test_keeps_its_deadline(self) -> None:
        """At the end of a process nobody waits for a place that is out of reach."""
        sink = self.make_sink()
        with self.away():
            begun = monotonic()
            sink.send(_messages(0), begun + 0.5)
            assert monotonic() - begun < 5  # some machines are slow
        sink.close()

    def test_a_handler_delivers_by_it(self) -> None:
        """Events that are logged while it is away arrive, too, in order; the ledger balances."""
        handler = RudderHandler(sink=self.make_sink(), upload_interval=0)
        try:
            _accept(handler, range(10))
            assert handler.flush(_SECONDS)
            with self.away():
                _accept(handler, range(10, 20))
                assert not handler.flush(0.5)
            assert handler.flush(_SECONDS)
            stats = handler.stats()
            assert (stats.delivered, stats.pending, stats.dropped) == (20, 0, {})
            assert stats.balanced
        finally:
            handler.close()
        found = [event["properties"]["n"] for event in self._wait_for(20)]
        assert list(dict.fromkeys(found)) == list(range(20))

    # What the tests use.

    def _expect(self, *numbers: int) -> None:
        found = self._wait_for(len(numbers))
        assert [event["properties"]["n"] for event in found] == list(numbers)

    def _wait_for(self, count: int) -> Sequence[dict[str, Any]]:
        by = monotonic() + _SECONDS
        while len(self.arrived()) < count and monotonic() < by:
            time.sleep(0.01)
        return self.arrived()


def _event(number: int) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": f"message-{number}",
        "userId": f"secret-of-{number}",
        "event": "Contract Kept",
        "properties": {"n": number},
    }


def _messages(*numbers: int) -> list[bytes]:
    return [orjson.dumps(_event(number))[:-1] for number in numbers]


def _padded(number: int, size: int) -> bytes:
    """A message of so many bytes."""
    bare = orjson.dumps({**_event(number), "pad": ""})[:-1]
    return orjson.dumps({**_event(number), "pad": "x" * (size - len(bare))})[:-1]


def _in_a_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join(_SECONDS)


def _accept(handler: RudderHandler, numbers: Sequence[int]) -> None:
    for number in numbers:
        handler.accept({"user_id": "u", "properties": {"n": number}}, "e", time.time())
