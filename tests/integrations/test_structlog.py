"""RudderProcessor: structlog's events arrive, whichever renderer and logger come after."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog import stdlib
from structlog.processors import (
    EventRenamer,
    JSONRenderer,
    KeyValueRenderer,
    LogfmtRenderer,
    TimeStamper,
)

import rudder_logging
from rudder_logging import RudderHandler, bind
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.commits import Uncommitted
from rudder_logging.integrations.structlog import RudderProcessor
from rudder_logging.testing import CapturedEvents

from ..conftest import WRITE_KEY, MakeHandler, Wire
from .scripts import run_example

SECRET = "2401 Main Street"
NAMES = ("Cart Viewed", "Order Completed")  # of the example
EVENT = {"user_id": "42", "properties": {"address": SECRET}}
RENDERERS: dict[str, Callable[[], Any]] = {
    "ConsoleRenderer": lambda: structlog.dev.ConsoleRenderer(colors=False),
    "JSONRenderer": JSONRenderer,
    "KeyValueRenderer": KeyValueRenderer,
    "LogfmtRenderer": LogfmtRenderer,
}
FOR_STDLIB: dict[str, Callable[[], Any]] = {
    **RENDERERS,
    "ProcessorFormatter": lambda: stdlib.ProcessorFormatter.wrap_for_formatter,
    "render_to_log_args_and_kwargs": lambda: stdlib.render_to_log_args_and_kwargs,
    "render_to_log_kwargs": lambda: stdlib.render_to_log_kwargs,
}


@pytest.fixture(autouse=True)
def clean_structlog() -> Iterator[None]:
    """No configuration outlives a test, nor the class that it gives to loggers."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.setLoggerClass(logging.Logger)


@pytest.fixture
def printed() -> io.StringIO:
    """What a console would show."""
    return io.StringIO()


@pytest.fixture
def handler(make_handler: MakeHandler) -> RudderHandler:
    """One that delivers."""
    return make_handler()


@pytest.fixture
def logger(handler: RudderHandler, printed: io.StringIO, wire: Wire) -> logging.Logger:
    """A stdlib logger with that handler, and with one that prints all it has as JSON."""
    console = logging.StreamHandler(printed)
    console.setFormatter(
        stdlib.ProcessorFormatter(
            foreign_pre_chain=[stdlib.ExtraAdder(), RudderProcessor()],
            processors=[stdlib.ProcessorFormatter.remove_processors_meta, JSONRenderer()],
        )
    )
    return wire(handler, console)


@pytest.fixture
def of_direct_calls(handler: RudderHandler) -> RudderHandler:
    """A handler where those of direct calls are."""
    logging.getLogger("rudder").addHandler(handler)
    return handler


def by_stdlib(*processors: Any, renderer: Any = stdlib.render_to_log_kwargs) -> None:
    """Configure structlog over stdlib loggers, as its documentation has it."""
    structlog.configure(
        processors=[stdlib.filter_by_level, *processors, RudderProcessor(), renderer],
        wrapper_class=stdlib.BoundLogger,
        logger_factory=stdlib.LoggerFactory(),
    )


def natively(printed: Any, *processors: Any, renderer: Any = None) -> None:
    """Configure structlog's own loggers."""
    structlog.configure(
        processors=[*processors, RudderProcessor(), renderer or JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(printed),
    )


@pytest.mark.parametrize("name", FOR_STDLIB)
def test_each_renderer_over_stdlib_loggers(
    plane: LocalDataPlane,
    handler: RudderHandler,
    logger: logging.Logger,
    printed: io.StringIO,
    name: str,
) -> None:
    """Rule 23: the event is sent once, the line is printed without it."""
    by_stdlib(stdlib.add_log_level, TimeStamper(), renderer=FOR_STDLIB[name]())
    structlog.get_logger(logger.name).info("Order Completed", items=3, rudder=EVENT)
    assert handler.flush()
    (event,) = plane.events
    assert (event["type"], event["event"], event["userId"]) == ("track", "Order Completed", "42")
    assert event["properties"] == {"address": SECRET}
    assert "Order Completed" in printed.getvalue()
    assert "items" in printed.getvalue()
    assert "rudder" not in printed.getvalue()
    assert SECRET not in printed.getvalue()


@pytest.mark.parametrize("name", RENDERERS)
def test_each_renderer_without_stdlib(
    plane: LocalDataPlane, of_direct_calls: RudderHandler, printed: io.StringIO, name: str
) -> None:
    """Rule 23: the handler of direct calls has the event, whatever that logger's level is."""
    natively(printed, structlog.processors.add_log_level, renderer=RENDERERS[name]())
    structlog.get_logger().info("Order Completed", items=3, rudder=EVENT)
    assert of_direct_calls.flush()
    (event,) = plane.events
    assert (event["event"], event["properties"]) == ("Order Completed", {"address": SECRET})
    assert "Order Completed" in printed.getvalue()
    assert "rudder" not in printed.getvalue()
    assert SECRET not in printed.getvalue()


@pytest.mark.parametrize("kind", ["bytes", "write"])
def test_other_native_loggers(
    plane: LocalDataPlane, of_direct_calls: RudderHandler, kind: str
) -> None:
    """Rule 23: loggers that take bytes or write to files."""
    raw, text = io.BytesIO(), io.StringIO()
    factory: Any = {
        "bytes": structlog.BytesLoggerFactory(raw),
        "write": structlog.WriteLoggerFactory(text),
    }[kind]
    dumped = JSONRenderer(serializer=lambda *args, **_: json.dumps(args[0]).encode())
    structlog.configure(
        processors=[RudderProcessor(), dumped if kind == "bytes" else JSONRenderer()],
        logger_factory=factory,
    )
    structlog.get_logger().info("Order Completed", rudder=EVENT)
    assert of_direct_calls.flush()
    assert [event["event"] for event in plane.events] == ["Order Completed"]
    assert json.loads(raw.getvalue() or text.getvalue()) == {"event": "Order Completed"}


def test_settings_make_a_handler_where_there_is_none(
    plane: LocalDataPlane, printed: io.StringIO
) -> None:
    """As for direct calls."""
    rudder_logging.write_key = WRITE_KEY
    rudder_logging.data_plane_url = plane.url
    natively(printed)
    structlog.get_logger().info("Order Completed", rudder=EVENT)
    assert rudder_logging.flush()
    assert [event["event"] for event in plane.events] == ["Order Completed"]


def test_no_handler_and_no_settings_is_told(
    printed: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; the log call goes on."""
    natively(printed)
    for _ in range(2):
        structlog.get_logger().info("Order Completed", rudder=EVENT)
    assert printed.getvalue().count("Order Completed") == 2
    (told,) = caplog.messages
    assert "no RudderHandler gets what structlog logs: write_key is missing" in told


def test_levels_count(
    plane: LocalDataPlane, handler: RudderHandler, logger: logging.Logger
) -> None:
    """A line that is not logged is no event: by the logger's level, and by the handler's."""
    by_stdlib()
    log = structlog.get_logger(logger.name)
    log.debug("Too Low", rudder=EVENT)
    handler.setLevel(logging.ERROR)
    log.warning("Too Low", rudder=EVENT)
    log.error("Payment Failed", rudder=EVENT)
    log.exception("Payment Raised", rudder=EVENT)  # noqa: LOG004 - structlog allows it
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Payment Failed", "Payment Raised"]


def test_level_of_a_logger_without_filter_by_level(
    plane: LocalDataPlane, handler: RudderHandler, logger: logging.Logger
) -> None:
    """The stdlib logger would not log the line, so it is no event."""
    structlog.configure(
        processors=[RudderProcessor(), JSONRenderer()],
        wrapper_class=stdlib.BoundLogger,
        logger_factory=stdlib.LoggerFactory(),
    )
    structlog.get_logger(logger.name).debug("Too Low", rudder=EVENT)
    structlog.get_logger(logger.name).info("High Enough", rudder=EVENT)
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["High Enough"]


def test_filters_of_the_logger_are_asked(
    plane: LocalDataPlane, handler: RudderHandler, logger: logging.Logger, refused: list[str]
) -> None:
    """Who has opted out sends nothing; a filter that raises loses its event, and not the line."""
    by_stdlib()
    opted_out = logging.Filter()
    opted_out.filter = lambda record: record.__dict__.get("rudder") is None  # type: ignore[method-assign]
    logger.addFilter(opted_out)
    structlog.get_logger(logger.name).info("Order Completed", rudder=EVENT)
    assert handler.flush()
    assert plane.events == []
    assert refused == []


def test_template_names_the_event(
    plane: LocalDataPlane, handler: RudderHandler, logger: logging.Logger, printed: io.StringIO
) -> None:
    """Its arguments are formatted later: by the formatter, or by a processor further on."""
    by_stdlib(renderer=stdlib.render_to_log_args_and_kwargs)
    structlog.get_logger(logger.name).info("Coupon %s used", "WELCOME", rudder=EVENT)
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Coupon %s used"]
    assert "Coupon WELCOME used" in printed.getvalue()


def test_formatted_text_is_no_name(
    plane: LocalDataPlane,
    of_direct_calls: RudderHandler,
    printed: io.StringIO,
    refused: list[str],
) -> None:
    """Native loggers format before any processor: each text would be another name.

    A name that the event has itself does, and so does a text without arguments.
    """
    natively(printed)
    log = structlog.get_logger()

    async def log_later() -> None:
        await log.ainfo("Coupon %s used", "WELCOME", rudder=EVENT)
        await log.ainfo("Step 3 Completed", rudder=EVENT)

    log.info("Coupon %s used", "WELCOME", rudder=EVENT)
    log.info("Step 2 Completed", rudder=EVENT)
    asyncio.run(log_later())
    (told, _again) = refused
    assert told.startswith("structlog has put the formatted text in the template's place")
    assert told.endswith("give 'event' with the event")
    log.info("Coupon %s used", "WELCOME", rudder={**EVENT, "event": "Coupon Used"})
    assert of_direct_calls.flush()
    names = [event["event"] for event in plane.events]
    assert names == ["Step 2 Completed", "Step 3 Completed", "Coupon Used"]
    assert of_direct_calls.stats().invalid == 2


@pytest.mark.parametrize("payload", [5, "text", {"user_id": ""}, {"usr_id": "42"}, {}])
def test_wrong_payloads_are_told(
    handler: RudderHandler,
    logger: logging.Logger,
    refused: list[str],
    printed: io.StringIO,
    payload: Any,
) -> None:
    """As the handler tells them: the call does not raise, and its line is printed."""
    by_stdlib()
    structlog.get_logger(logger.name).info("Order Completed", rudder=payload)
    logger.info("Order Completed", extra={"rudder": payload})
    assert refused[0] == refused[1]
    assert handler.stats().invalid == 2
    assert printed.getvalue().count("Order Completed") == 2
    assert "rudder" not in printed.getvalue()


@pytest.mark.parametrize("native", [True, False])
def test_async_methods_see_what_is_bound(
    plane: LocalDataPlane,
    of_direct_calls: RudderHandler,
    printed: io.StringIO,
    wire: Wire,
    native: bool,
) -> None:
    """They log in a thread: each task's event has that task's fields and contextvars."""
    name = wire(of_direct_calls).name
    if native:
        natively(printed, structlog.contextvars.merge_contextvars)
    else:
        by_stdlib(structlog.contextvars.merge_contextvars)

    async def visit(user: int) -> None:
        with bind(user_id=user):
            structlog.contextvars.bind_contextvars(rudder={"properties": {"user": user}})
            await asyncio.sleep(0)
            await structlog.get_logger(name).ainfo("Page Seen")

    async def visits() -> None:
        await asyncio.gather(*map(visit, range(20)))

    asyncio.run(visits())
    assert of_direct_calls.flush()
    seen = [(event["userId"], event["properties"]["user"]) for event in plane.events]
    assert sorted(seen, key=lambda pair: pair[1]) == [(str(n), n) for n in range(20)]


def test_on_commit(
    plane: LocalDataPlane,
    handler: RudderHandler,
    logger: logging.Logger,
    printed: io.StringIO,
    waiting: list[Uncommitted],
) -> None:
    """An event may wait for the transaction that is open; the line does not show that."""
    by_stdlib()
    log = structlog.get_logger(logger.name)
    log.info("Order Completed", rudder=EVENT, rudder_on_commit="replica")
    assert handler.flush()
    assert plane.events == []
    waiting.pop().commit()
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Order Completed"]
    assert "rudder" not in printed.getvalue()


def test_ordinary_lines_stay_at_home(
    handler: RudderHandler, logger: logging.Logger, printed: io.StringIO
) -> None:
    """And so does one whose event is None."""
    by_stdlib()
    structlog.get_logger(logger.name).info("the shop is open")
    structlog.get_logger(logger.name).info("the shop is open", rudder=None)
    assert handler.stats().accepted == 0
    assert json.loads(printed.getvalue().splitlines()[1]) == {"event": "the shop is open"}


def test_stdlib_calls_with_an_event_are_sent_once(
    plane: LocalDataPlane, handler: RudderHandler, logger: logging.Logger, printed: io.StringIO
) -> None:
    """The handler sees their records itself: a ProcessorFormatter only leaves the event out."""
    logger.info("Order Completed", extra={"rudder": EVENT, "items": 3})
    assert handler.flush()
    assert len(plane.events) == 1
    assert json.loads(printed.getvalue()) == {"event": "Order Completed", "items": 3}


def test_processor_at_a_wrong_place_is_told(
    printed: io.StringIO, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """In the formatter of some handler it would send each event as often as that is asked."""
    console = logging.StreamHandler(printed)
    remove_meta = stdlib.ProcessorFormatter.remove_processors_meta
    console.setFormatter(
        stdlib.ProcessorFormatter(processors=[RudderProcessor(), remove_meta, JSONRenderer()])
    )
    logger = wire(console)
    logger.propagate = False
    structlog.configure(
        processors=[stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=stdlib.BoundLogger,
        logger_factory=stdlib.LoggerFactory(),
    )
    for _ in range(2):
        structlog.get_logger(logger.name).info("Order Completed", rudder=EVENT)
    (told,) = caplog.messages
    assert "put it in structlog.configure(processors=...)" in told
    line = '{"event": "Order Completed"}'
    assert printed.getvalue().splitlines() == [line, line]


def test_name_after_a_renamer_is_refused(
    handler: RudderHandler, logger: logging.Logger, refused: list[str]
) -> None:
    """The event's place in the dict is known under no other name."""
    by_stdlib(EventRenamer("msg"), renderer=JSONRenderer())
    structlog.get_logger(logger.name).info("Order Completed", rudder=EVENT)
    assert refused == ["track: 'event' is missing; give it"]
    assert handler.stats().invalid == 1


def test_fixture_shows_the_events(rudder_events: CapturedEvents, printed: io.StringIO) -> None:
    """In an app's tests, whatever logging is set up to; with the place of the call."""
    natively(printed)
    structlog.get_logger().info("Order Completed", rudder=EVENT)
    (event,) = rudder_events
    assert event["event"] == "Order Completed"
    assert event.place.startswith("tests/integrations/test_structlog.py:")


@pytest.mark.slow
def test_example(plane: LocalDataPlane) -> None:
    """Rule 23: the guide's app, as a process: lines on stdout, events of two users arrive."""
    done = run_example(plane, "examples/structlog_app.py")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines].count("Order Completed") == 2
    assert all("rudder" not in line for line in lines)
    sent = sorted((event["userId"], event["event"]) for event in plane.events)
    assert sent == [(user, name) for user in ("42", "43") for name in NAMES]
