"""Each outcome of a sink of the app's: its effect on the events, and the way to such a sink."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from rudder_logging import Config, ConfigError, HeldError, OutcomeUnknownError, RudderHandler
from rudder_logging.common import schemes
from rudder_logging.sinks import (
    Dropped,
    Hold,
    Later,
    Outcome,
    Refused,
    Stored,
    TooLarge,
    Unknown,
    register,
)

from ..conftest import Wire
from ..faults.stage import wait_until

pytestmark = pytest.mark.usefixtures("no_jitter")


class Script:
    """A sink that answers as it is told, and stores from then on."""

    max_bytes = 100_000

    def __init__(self, *outcomes: Outcome | Callable[[list[int]], Outcome]) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[list[int]] = []
        self.closed = 0
        self.forked = 0

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        numbers = [json.loads(message + b"}")["properties"]["n"] for message in messages]
        self.sent.append(numbers)
        outcome = self.outcomes.pop(0) if self.outcomes else Stored()
        return outcome(numbers) if callable(outcome) else outcome

    def close(self) -> None:
        """See `Sink.close`."""
        self.closed += 1

    def after_fork(self) -> None:
        """See `Forkable.after_fork`."""
        self.forked += 1


Open = Callable[..., RudderHandler]


@pytest.fixture
def open_() -> Iterator[Open]:
    """Make handlers with a sink; each one's ledger must balance in the end."""
    made: list[RudderHandler] = []

    def make(sink: object, **options: Any) -> RudderHandler:
        handler = RudderHandler(sink=sink, **{"upload_interval": 60, **options})
        made.append(handler)
        return handler

    yield make
    for handler in made:
        handler.close()
        assert handler.stats().balanced


def log(handler: RudderHandler, wire: Wire, count: int) -> None:
    """Log so many events, numbered from 0."""
    logger = wire(handler)
    for number in range(count):
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})


def test_stored(open_: Open, wire: Wire) -> None:
    """Neither write key nor URL is needed: the sink knows where its events go."""
    sink = Script()
    handler = open_(sink)
    log(handler, wire, 3)
    assert handler.flush()
    assert sink.sent == [[0, 1, 2]]
    assert (handler.stats().delivered, handler.stats().requests) == (3, 1)
    handler.close()
    assert sink.closed


def test_refused_ones_are_told_and_all_others_are_delivered(open_: Open, wire: Wire) -> None:
    """A sink that knows which ones are bad says so, and nothing is sent again."""
    drops: list[tuple[int, str]] = []
    sink = Script(Refused("no such topic", [1, 2], status=7))
    handler = open_(sink, on_drop=lambda event, why: drops.append((event["properties"]["n"], why)))
    log(handler, wire, 4)
    assert handler.flush()
    assert sink.sent == [[0, 1, 2, 3]]
    assert (handler.stats().delivered, handler.stats().refused) == (2, 2)
    assert drops == [(number, "refused: 7 no such topic") for number in (1, 2)]


@pytest.mark.parametrize("kind", [Refused, TooLarge])
def test_bad_one_is_found_by_halving(
    open_: Open, wire: Wire, kind: type[Refused | TooLarge]
) -> None:
    """If a sink does not know which one is bad, or too large, all others are delivered."""

    def answer(numbers: list[int]) -> Outcome:
        return kind("bad") if 2 in numbers else Stored()

    handler = open_(Script(*[answer] * 20))
    log(handler, wire, 8)
    assert handler.flush()
    assert (handler.stats().delivered, handler.stats().refused) == (7, 1)


def test_later_asks_for_a_wait(open_: Open, wire: Wire) -> None:
    """The same messages go again, not before the seconds that it names, unless somebody waits."""
    sink = Script(Later("busy", after=60.0))
    handler = open_(sink)
    log(handler, wire, 2)
    assert handler.flush(0.2) is False
    assert handler.flush()
    assert sink.sent == [[0, 1], [0, 1]]
    assert (handler.stats().delivered, handler.stats().retries) == (2, 1)


def test_later_that_blames_an_event_is_its_refusal_if_others_pass(open_: Open, wire: Wire) -> None:
    """One event that a server never takes does not keep the others waiting."""

    def answer(numbers: list[int]) -> Outcome:
        if 1 in numbers:
            return Later("it broke", may_blame_event=True, words="no", status=500)
        return Stored()

    handler = open_(Script(*[answer] * 200))
    log(handler, wire, 8)
    assert handler.flush(20)
    assert (handler.stats().delivered, handler.stats().refused) == (7, 1)


def test_hold_keeps_everything(open_: Open, wire: Wire) -> None:
    """Fault and cure are told; what a third party wrote is what operators read."""
    errors: list[Exception] = []
    sink = Script(Hold("no topic is named events", "make it"))
    handler = open_(sink, on_error=lambda error, events: errors.append(error))
    log(handler, wire, 2)
    assert handler.flush(0.2) is False
    wait_until(lambda: handler.stats().holding == "no topic is named events; make it", "a hold")
    assert handler.flush()
    assert handler.stats().delivered == 2
    assert [type(error) for error in errors] == [HeldError]
    assert str(errors[0]) == "no topic is named events; make it"


def test_hold_for_longer_than_somebody_waits_is_not_waited_for(open_: Open, wire: Wire) -> None:
    """A call that delivers itself, or the end of the process, comes back at once."""
    sink = Script(*[Hold("closed", "wait until tomorrow", after=1_000.0)] * 9)
    handler = open_(sink, sync_mode=True)
    log(handler, wire, 1)
    assert sink.sent == [[0]]
    assert handler.stats().pending == 1
    sink.outcomes.clear()


def test_unknown_is_sent_again_in_smaller_uploads(open_: Open, wire: Wire) -> None:
    """As after a lost answer of the gateway's; without a trip, delivery measures by itself."""
    sink = Script(Unknown("the connection was cut"))
    handler = open_(sink)
    log(handler, wire, 8)
    assert handler.flush()
    assert [len(numbers) for numbers in sink.sent[:2]] == [8, 4]
    stats = handler.stats()
    assert (stats.delivered, stats.lost_answers) == (8, 1)
    assert isinstance(Unknown("x").error, OutcomeUnknownError)


def test_sink_that_raises_loses_nothing(
    open_: Open, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told without the error's text, and the messages are sent again."""

    def fail(numbers: list[int]) -> Outcome:
        raise KeyError("secret")

    handler = open_(Script(fail), upload_interval=0)
    log(handler, wire, 2)
    assert handler.flush()
    assert handler.stats().delivered == 2
    assert "delivery failed with KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_dropped_ones_are_counted_by_their_reason(open_: Open, wire: Wire) -> None:
    """A sink may have no use for messages: they are no failure, and nobody waits for them."""
    errors: list[Exception] = []
    fault = HeldError("not from here")
    handler = open_(
        Script(Dropped("unwanted", fault)), on_error=lambda error, events: errors.append(error)
    )
    log(handler, wire, 3)
    assert handler.flush()
    assert handler.stats().dropped == {"unwanted": 3}
    assert errors == [fault]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_forked_child_may_leave_connections_to_the_parent(open_: Open, wire: Wire) -> None:
    """The one object is in both processes: it is told in the child, and only there."""
    sink = Script()
    handler = open_(sink, sync_mode=True)
    log(handler, wire, 1)
    child = os.fork()
    if not child:
        os._exit(sink.forked)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert sink.forked == 0


@pytest.mark.parametrize(
    ("sink", "words"),
    [
        (object(), "lacks send, close, max_bytes"),
        (Script, "give Script"),
        ("no.such:module", "can't be imported"),
        (7, "int lacks send"),
    ],
)
def test_what_is_no_sink_is_told_when_the_handler_is_made(sink: object, words: str) -> None:
    """The error names the option, what is missing, and where to read what it needs."""
    with pytest.raises(ConfigError, match=rf"^sink .*{words}"):
        RudderHandler(sink=sink)


def test_events_that_the_sink_can_not_take_are_refused_at_the_call(open_: Open) -> None:
    """Its `max_bytes` bounds an event's size, as `max_batch_bytes` does the gateway's."""
    assert open_(Script()).config.max_event_bytes == Script.max_bytes - 100
    with pytest.raises(ConfigError, match="the sink's max_bytes"):
        open_(Script(), max_event_bytes=Script.max_bytes)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(schemes.SINKS, "_makers", {})


@pytest.mark.usefixtures("registry")
def test_registered_scheme_makes_sinks(wire: Wire) -> None:
    """`data_plane_url` then takes URLs of that scheme, from the environment, too."""
    made: list[str] = []
    sink = Script()

    def make(config: Config) -> Script:
        made.append(config.data_plane_url)
        return sink

    with pytest.raises(ConfigError, match="data_plane_url must look like https"):
        RudderHandler("key", "topic://localhost/events")
    register("topic", make)
    handler = RudderHandler("key", "topic://localhost/events")
    log(handler, wire, 2)
    assert handler.flush()
    handler.close()
    assert made == ["topic://localhost/events"]
    assert sink.sent == [[0, 1]]
    register("topic", lambda config: object())  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match="lacks send, close, max_bytes"):
        RudderHandler("key", "topic://localhost/events")


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP", "", "a b"])
def test_own_schemes_stay_the_packages(scheme: str) -> None:
    """A typing error, or a scheme of the package's, is told."""
    with pytest.raises(ValueError, match="scheme"):
        register(scheme, lambda config: Script())
