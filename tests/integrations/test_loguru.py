"""loguru's events arrive: by the sink, and by the handler itself."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from loguru import logger

from rudder_logging import RudderHandler, bind
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.commits import Uncommitted
from rudder_logging.integrations.loguru import rudder_sink
from rudder_logging.testing import CapturedEvents

from ..conftest import MakeHandler, Wire
from .scripts import run_example

SECRET = "2401 Main Street"
EVENT = {"event": "Order Completed", "user_id": "42", "properties": {"address": SECRET}}
NAMELESS = {"user_id": "42"}
SINKS: dict[str, Callable[[RudderHandler], Any]] = {
    "rudder_sink": rudder_sink,
    "the handler": lambda handler: handler,
}
for_each_sink = pytest.mark.parametrize("kind", SINKS)


@pytest.fixture(autouse=True)
def clean_loguru() -> Iterator[None]:
    """No sink outlives a test."""
    logger.remove()
    yield
    logger.remove()
    logger.configure(extra={}, patcher=lambda _: None)


@pytest.fixture
def handler(make_handler: MakeHandler) -> RudderHandler:
    """One that delivers."""
    return make_handler()


@for_each_sink
def test_events_arrive(plane: LocalDataPlane, handler: RudderHandler, kind: str) -> None:
    """Rule 24: of each line with `rudder` in `extra`, whoever has put it there."""
    printed = io.StringIO()
    logger.add(printed, format="{level} {message}", diagnose=False)
    logger.add(SINKS[kind](handler))
    logger.info("an ordinary line, {extra}", extra="with an extra")
    logger.info("paid {}", 49.9, rudder=EVENT)
    logger.bind(rudder=EVENT).warning("paid")
    with logger.contextualize(rudder=EVENT):
        logger.success("paid")
    with logger.catch(message="not paid"), logger.contextualize(rudder=EVENT):
        raise ZeroDivisionError
    logger.bind(rudder=EVENT).catch(ZeroDivisionError)(lambda: 1 // 0)()
    logger.patch(lambda record: record["extra"].update(rudder=EVENT)).info("paid")
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Order Completed"] * 5
    assert {event["userId"] for event in plane.events} == {"42"}
    assert plane.events[0]["properties"] == {"address": SECRET}
    assert printed.getvalue().startswith("INFO an ordinary line, with an extra\nINFO paid 49.9\n")
    assert SECRET not in printed.getvalue()
    assert EVENT == {"event": "Order Completed", "user_id": "42", "properties": {"address": SECRET}}


@for_each_sink
@pytest.mark.parametrize(
    ("payload", "field"),
    [(NAMELESS, "event"), ({**NAMELESS, "type": "page"}, "name")],
    ids=["track", "page"],
)
def test_name_must_be_explicit(
    handler: RudderHandler,
    kind: str,
    payload: Any,
    field: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rule 24: the template is formatted by then; that is told once a place, and counted."""
    monkeypatch.setattr("rudder_logging.events.records._told", set())
    logger.add(SINKS[kind](handler))
    for _ in range(2):
        logger.info("paid", rudder=payload)
    (told,) = capfd.readouterr().err.splitlines()
    assert "event refused at " in told
    assert __file__ in told
    assert "loguru has put the formatted text in the template's place" in told
    assert told.endswith(f"give '{field}' with the event")
    assert handler.stats().invalid == 2


@for_each_sink
def test_types_without_a_template(plane: LocalDataPlane, handler: RudderHandler, kind: str) -> None:
    """An identify has no name: it needs none."""
    logger.add(SINKS[kind](handler))
    logger.info("signed up", rudder={**NAMELESS, "type": "identify", "traits": {"plan": "free"}})
    assert handler.flush()
    assert [event["type"] for event in plane.events] == ["identify"]


@for_each_sink
@pytest.mark.parametrize("payload", [5, "text", {"user_id": ""}, {"event": ""}, {"usr_id": "42"}])
def test_wrong_payloads_are_told(
    handler: RudderHandler, refused: list[str], wire: Wire, kind: str, payload: Any
) -> None:
    """As the handler tells them for log calls; loguru's does not raise, `catch` or not."""
    named = {"event": "Paid", **payload} if isinstance(payload, dict) else payload
    logger.add(SINKS[kind](handler), catch=False)
    logger.info("paid", rudder=named)
    wire(handler).info("paid", extra={"rudder": named})
    assert refused[0] == refused[1]
    assert handler.stats().invalid == 2


@for_each_sink
def test_enqueue(plane: LocalDataPlane, handler: RudderHandler, kind: str) -> None:
    """Rule 24: events that loguru's own queue hands to another thread arrive."""
    logger.add(SINKS[kind](handler), enqueue=True)
    logger.info("paid", rudder=EVENT)
    logger.complete()
    assert handler.flush()
    assert [event["userId"] for event in plane.events] == ["42"]


def test_time_is_that_of_the_call(plane: LocalDataPlane, handler: RudderHandler) -> None:
    """However long the line waits in loguru's queue."""
    past: list[datetime] = []

    def as_if_it_had_waited(record: Any) -> None:
        record["time"] -= timedelta(hours=1)
        past.append(record["time"])

    logger.add(rudder_sink(handler), enqueue=True)
    logger.patch(as_if_it_had_waited).info("paid", rudder=EVENT)
    logger.complete()
    assert handler.flush()
    (event,) = plane.events
    sent = datetime.fromisoformat(event["originalTimestamp"].replace("Z", "+00:00"))
    assert abs(sent - past[0]) < timedelta(milliseconds=2)


@for_each_sink
def test_bound_fields(plane: LocalDataPlane, handler: RudderHandler, kind: str) -> None:
    """What `bind()` has bound is there, as for any log call."""
    logger.add(SINKS[kind](handler))
    with bind(user_id="43", context={"ip": "203.0.113.7"}):
        logger.info("paid", rudder={"event": "Order Completed"})
    assert handler.flush()
    (event,) = plane.events
    assert (event["userId"], event["context"]["ip"]) == ("43", "203.0.113.7")


@for_each_sink
def test_on_commit(
    plane: LocalDataPlane, handler: RudderHandler, kind: str, waiting: list[Uncommitted]
) -> None:
    """An event may wait for the transaction that is open."""
    logger.add(SINKS[kind](handler))
    logger.info("paid", rudder=EVENT, rudder_on_commit="replica")
    assert handler.flush()
    assert plane.events == []
    waiting.pop().commit()
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Order Completed"]


def test_level_of_the_handler(plane: LocalDataPlane, handler: RudderHandler) -> None:
    """The sink asks for it, as a logger would."""
    handler.setLevel(logging.WARNING)
    logger.add(rudder_sink(handler))
    logger.info("paid", rudder=EVENT)
    logger.error("not paid", rudder={**EVENT, "event": "Payment Failed"})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Payment Failed"]


@for_each_sink
def test_filters_see_the_event(plane: LocalDataPlane, handler: RudderHandler, kind: str) -> None:
    """A filter of the handler's finds it where those of log calls are."""
    seen: list[Any] = []
    keep = logging.Filter()
    keep.filter = lambda record: bool(seen.append(record.__dict__.get("rudder"))) or True  # type: ignore[method-assign,func-returns-value]
    handler.addFilter(keep)
    logger.add(SINKS[kind](handler))
    logger.info("paid", rudder=EVENT)
    assert handler.flush()
    assert seen == [EVENT]
    assert len(plane.events) == 1


def test_lines_passed_on_to_logging(
    plane: LocalDataPlane, handler: RudderHandler, wire: Wire
) -> None:
    """By loguru's recipe: each record is seen once, by whatever loggers it comes."""
    inner = wire(handler, name="loguru_passes")
    wire(handler, name="loguru_passes.on")

    class PropagateHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.getLogger("loguru_passes.on").handle(record)

    logger.add(PropagateHandler(), format="{message}")
    logger.info("paid", rudder=EVENT)
    logger.info("an ordinary line")
    assert inner.handlers == [handler]
    assert handler.flush()
    assert len(plane.events) == 1


def test_other_uses_of_extra(plane: LocalDataPlane, handler: RudderHandler, wire: Wire) -> None:
    """A log call may have an `extra` of that name with anything in it."""
    log = wire(handler)
    for extra in (None, 5, "rudder", ["rudder"], {"rudder": None}, {"items": 3}):
        log.info("an ordinary line", extra={"extra": extra})
    log.info("Order Completed", extra={"extra": {"items": 3}, "rudder": NAMELESS})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Order Completed"]


@for_each_sink
def test_removal_delivers(plane: LocalDataPlane, handler: RudderHandler, kind: str) -> None:
    """`logger.remove` closes the handler; the next event opens it again."""
    for _ in range(2):
        number = logger.add(SINKS[kind](handler))
        logger.info("paid", rudder=EVENT)
        logger.remove(number)
    assert len(plane.events) == 2


def test_fixture_shows_the_events(rudder_events: CapturedEvents, handler: RudderHandler) -> None:
    """In an app's tests; with the place of the call."""
    logger.add(rudder_sink(handler))
    logger.info("paid", rudder=EVENT)
    (event,) = rudder_events
    assert event["event"] == "Order Completed"
    assert event.place.startswith("tests/integrations/test_loguru.py:")


def test_loguru_is_not_imported() -> None:
    """The sink takes what loguru gives; nobody without loguru pays for it."""
    with contextlib.suppress(KeyError):
        del sys.modules["rudder_logging.integrations.loguru"]
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("loguru")}
    try:
        from rudder_logging.integrations import loguru as anew

        assert anew.__doc__
        assert "loguru" not in sys.modules
    finally:
        sys.modules.update(kept)


@pytest.mark.slow
def test_example(plane: LocalDataPlane) -> None:
    """Rule 24: the guide's app, as a process that just ends."""
    done = run_example(plane, "examples/loguru_app.py")
    assert done.stderr.splitlines() == [
        "INFO the shop is open",
        "INFO coupon WELCOME used",
        "SUCCESS paid",
    ]
    sent = [(event["userId"], event["event"]) for event in plane.events]
    assert sent == [("42", "Coupon Used"), ("42", "Order Completed")]
