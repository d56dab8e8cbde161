"""Whatever the app has put where logging lets it, is asked: by a log call and by a direct one."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from rudder_logging import EventLogger, InvalidValueError, RudderFormatter, RudderHandler
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY, MakeHandler

Call = Callable[..., object]


def _by_log_call(logger: logging.Logger, event: str, **properties: object) -> None:
    fields = {"user_id": "u1", "event": event, "properties": properties}
    logger.info(event, extra={"rudder": fields})


def _by_direct_call(logger: logging.Logger, event: str, **properties: object) -> None:
    EventLogger(logger).track("u1", event, properties)


@pytest.fixture(params=[_by_log_call, _by_direct_call], ids=["log call", "direct call"])
def call(request: pytest.FixtureRequest) -> Call:
    """One way to log an event."""
    way: Call = request.param
    return way


def _is_secret(record: logging.LogRecord) -> bool:
    return "Secret" in str(record.__dict__["rudder"])


def _masked(record: logging.LogRecord) -> logging.LogRecord:
    record = copy.copy(record)
    record.__dict__["rudder"] = {**record.__dict__["rudder"], "properties": {"email": "masked"}}
    return record


class Filtering(RudderHandler):
    """Holds some events back."""

    def filter(self, record: logging.LogRecord) -> Any:
        """Ask the app."""
        return not _is_secret(record) and super().filter(record)


class Handling(RudderHandler):
    """Holds some events back, and masks the others."""

    def handle(self, record: logging.LogRecord) -> Any:
        """Ask the app."""
        return not _is_secret(record) and super().handle(_masked(record))


class Emitting(RudderHandler):
    """Likewise."""

    def emit(self, record: logging.LogRecord) -> None:
        """Ask the app."""
        if not _is_secret(record):
            super().emit(_masked(record))


class Formatting(RudderHandler):
    """Masks what it sends."""

    def format(self, record: logging.LogRecord) -> str:
        """Ask the app."""
        return super().format(record).replace("Secret", "Open").replace("a@b.c", "masked")


class MaskingFormatter(RudderFormatter):
    """Masks what is sent."""

    def format(self, record: logging.LogRecord) -> str:
        """Ask the app."""
        return super().format(record).replace("Secret", "Open").replace("a@b.c", "masked")


class EncodingFormatter(RudderFormatter):
    """Likewise."""

    def encode(self, *args: Any) -> bytes:
        """Ask the app."""
        return super().encode(*args).replace(b"Secret", b"Open").replace(b"a@b.c", b"masked")


@pytest.fixture
def events(
    plane: LocalDataPlane, call: Call
) -> Iterator[Callable[[logging.Logger, RudderHandler], list[Any]]]:
    """Log one event that is secret and one that is not; what arrives."""
    handlers = []

    def log(logger: logging.Logger, handler: RudderHandler) -> list[Any]:
        handlers.append(handler)
        logger.setLevel(logging.INFO)
        if handler not in logger.handlers:
            logger.addHandler(handler)
        call(logger, "Secret")
        call(logger, "Open", email="a@b.c")
        assert handler.flush(10)
        assert handler.stats().balanced
        return [(one["event"], one["properties"]) for one in plane.events]

    yield log
    for handler in handlers:
        handler.close()


@pytest.fixture
def logger() -> logging.Logger:
    """One that no handler of pytest's is on the way of."""
    logger = logging.Logger("alone")  # noqa: LOG001 - nor is it anybody else's
    logger.propagate = False
    return logger


@pytest.mark.parametrize("kind", [Filtering, Handling, Emitting, Formatting])
def test_hooks_of_a_handlers_class(
    kind: type[RudderHandler],
    plane: LocalDataPlane,
    logger: logging.Logger,
    events: Callable[..., list[Any]],
) -> None:
    """What a subclass holds back, or masks, never leaves as it was."""
    handler = kind(WRITE_KEY, plane.url, context={"app": {"name": "shop"}})
    got = events(logger, handler)
    assert "Secret" not in dict(got)
    if kind is not Filtering:
        assert got[-1] == ("Open", {"email": "masked"})
    assert plane.events[-1]["context"]["app"] == {"name": "shop"}
    assert plane.events[-1]["integrations"] == {"All": True}


@pytest.mark.parametrize("name", ["filter", "handle", "emit", "format"])
def test_hooks_that_are_set_on_a_handler(
    name: str,
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    logger: logging.Logger,
    call: Call,
) -> None:
    """They are asked once an event, while they are there."""
    handler = make_handler()
    logger.addHandler(handler)
    method, asked = getattr(handler, name), []

    def hook(record: logging.LogRecord) -> Any:
        asked.append(record)
        return method(record)

    setattr(handler, name, hook)
    call(logger, "Asked")
    assert len(asked) == 1
    delattr(handler, name)
    call(logger, "Not Asked")
    assert len(asked) == 1
    assert handler.flush(10)
    assert [event["event"] for event in plane.events] == ["Asked", "Not Asked"]


@pytest.mark.parametrize("formatter", [MaskingFormatter, EncodingFormatter])
def test_hooks_of_a_formatter(
    formatter: type[RudderFormatter],
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    logger: logging.Logger,
    events: Callable[..., list[Any]],
) -> None:
    """What it makes of an event is sent, with what the handler adds to each."""
    handler = make_handler(context={"app": {"name": "shop"}}, integrations={"All": False})
    handler.setFormatter(formatter(context={"os": {"name": "x"}}))
    assert events(logger, handler) == [("Open", {}), ("Open", {"email": "masked"})]
    for event in plane.events:
        assert event["context"]["app"] == {"name": "shop"}
        assert event["context"]["os"] == {"name": "x"}
        assert event["context"]["library"]["name"] == "rudder-logging"
        assert event["integrations"] == {"All": False}


def test_format_that_is_set_on_a_formatter(
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    logger: logging.Logger,
    events: Callable[..., list[Any]],
) -> None:
    """Though the handler had it before."""
    handler = make_handler()
    formatter = RudderFormatter()
    handler.setFormatter(formatter)
    method = formatter.format
    formatter.format = lambda record: method(record).replace("a@b.c", "masked")  # type: ignore[method-assign]
    assert events(logger, handler)[-1] == ("Open", {"email": "masked"})


def test_format_that_returns_no_event(
    make_handler: MakeHandler, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is counted and told; nothing of it is shown."""
    handler = make_handler()
    handler.format = lambda record: f"masked: {record.msg}"  # type: ignore[method-assign]
    logger.addHandler(handler)
    _by_log_call(logger, "Secret")
    with pytest.raises(InvalidValueError, match="format returned no event"):
        _by_direct_call(logger, "Secret")
    assert handler.stats().invalid == 2
    told = capsys.readouterr().err
    assert "format returned no event; return what super().format(record) did" in told
    assert "Secret" not in told


def test_a_filter_may_make_the_event(
    plane: LocalDataPlane, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    """Of an ordinary line; and another of an event."""
    handler = make_handler()
    logger.addHandler(handler)

    def filter_(record: logging.LogRecord) -> bool:
        record.__dict__["rudder"] = {"user_id": "u1", "properties": {"by": "the filter"}}
        return record.msg != "held back"

    handler.addFilter(filter_)
    logger.warning("Made")
    logger.warning("held back")
    assert handler.flush(10)
    assert [(one["event"], one["properties"]) for one in plane.events] == [
        ("Made", {"by": "the filter"})
    ]


def test_a_filter_that_fails_at_an_ordinary_line(
    make_handler: MakeHandler, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, but no event was lost."""
    handler = make_handler()
    logger.addHandler(handler)
    handler.addFilter(lambda record: record.rudder)  # type: ignore[attr-defined]
    logger.warning("ordinary")
    assert "AttributeError" in capsys.readouterr().err
    assert handler.stats().invalid == 0


class HandlingLogger(logging.Logger):
    """Holds some events back, and masks the others."""

    def handle(self, record: logging.LogRecord) -> None:
        """Ask the app."""
        if not _is_secret(record):
            super().handle(_masked(record))


class PassingLogger(logging.Logger):
    """Likewise, where handlers are called."""

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ask the app."""
        if not _is_secret(record):
            super().callHandlers(_masked(record))


class FilteringLogger(logging.Logger):
    """Holds some events back."""

    def filter(self, record: logging.LogRecord) -> Any:
        """Ask the app."""
        return not _is_secret(record)


class MakingLogger(logging.Logger):
    """Masks events in its records."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - logging's
        """Ask the app."""
        return _masked(super().makeRecord(*args, **kwargs))


@pytest.mark.parametrize("kind", [HandlingLogger, PassingLogger, FilteringLogger, MakingLogger])
def test_hooks_of_a_loggers_class(
    kind: type[logging.Logger],
    make_handler: MakeHandler,
    events: Callable[..., list[Any]],
) -> None:
    """They are asked, and the other handlers get what they let through."""
    logger = kind("hooked")
    seen: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = seen.append  # type: ignore[assignment,method-assign]
    logger.addHandler(other)
    got = events(logger, make_handler())
    if kind is not MakingLogger:
        assert "Secret" not in dict(got)
    if kind is not FilteringLogger:
        assert got[-1] == ("Open", {"email": "masked"})
    assert [record.__dict__["rudder"]["event"] for record in seen] == [event for event, _ in got]


@pytest.mark.parametrize("kind", [HandlingLogger, PassingLogger])
def test_levels_do_not_stop_a_call_that_hooks_let_through(
    kind: type[logging.Logger], plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """Nor does a logger that is disabled; its own state is not touched."""
    logger = kind("hooked", logging.ERROR)
    logger.disabled = True
    handler = make_handler()
    handler.setLevel(logging.ERROR)
    logger.addHandler(handler)
    seen: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = seen.append  # type: ignore[assignment,method-assign]
    logger.addHandler(other)
    _by_direct_call(logger, "Secret")
    _by_direct_call(logger, "Open")
    assert handler.flush(10)
    assert [event["event"] for event in plane.events] == ["Open"]
    assert not seen
    assert logger.disabled
    assert logger.handlers == [handler, other]
    assert logger.propagate


def test_what_is_wrong_is_raised_through_hooks(make_handler: MakeHandler) -> None:
    """By a direct call: once, by whatever way its record went."""
    logger = HandlingLogger("hooked")
    handler = Emitting(WRITE_KEY, "http://127.0.0.1:9")
    logger.addHandler(handler)
    with pytest.raises(InvalidValueError, match="no id"):
        EventLogger(logger).track(event="Open")
    assert handler.stats().invalid == 1
    handler.close()


@pytest.mark.parametrize("name", ["handle", "callHandlers", "filter", "makeRecord"])
def test_hooks_that_are_set_on_a_logger(
    name: str,
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    logger: logging.Logger,
    call: Call,
) -> None:
    """They are asked once an event."""
    handler = make_handler()
    logger.addHandler(handler)
    method, asked = getattr(logger, name), []

    def hook(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        return method(*args, **kwargs)

    setattr(logger, name, hook)
    call(logger, "Asked")
    assert len(asked) == 1
    assert handler.flush(10)
    assert [event["event"] for event in plane.events] == ["Asked"]


class KeepingLogger(logging.Logger):
    """Keeps `extra` in one place, as some apps' do."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - logging's
        """Keep it."""
        *given, extra = args
        record = super().makeRecord(*given, **kwargs)
        record.__dict__["extra"] = extra
        return record


def test_a_logger_that_keeps_extra_elsewhere(
    plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """A call's event is sent all the same, and counted."""
    handler = make_handler()
    logger = KeepingLogger("keeping")
    logger.addHandler(handler)
    message_id = EventLogger(logger).track("u1", "Article Read")
    assert handler.flush(10)
    assert [event["messageId"] for event in plane.events] == [message_id]
    assert handler.stats().delivered == 1


@pytest.mark.parametrize("rudder", [None, {}, {"user_id": "the factory's"}])
def test_a_factory_that_sets_rudder_on_each_record(
    rudder: object,
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    logger: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call's own event is sent; logging alone would raise KeyError."""

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        record.__dict__["rudder"] = rudder
        return record

    monkeypatch.setattr(logging, "_logRecordFactory", make)
    handler = make_handler()
    logger.addHandler(handler)
    _by_direct_call(logger, "Article Read")
    assert handler.flush(10)
    assert [(event["userId"], event["event"]) for event in plane.events] == [("u1", "Article Read")]


def test_a_file_gets_what_the_formatter_makes(logger: logging.Logger, call: Call) -> None:
    """A formatter of the app's is asked by other handlers as well."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(MaskingFormatter())
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    logger.addHandler(handler)
    events_only = RudderHandler(WRITE_KEY, "http://127.0.0.1:9", send=False)
    logger.addHandler(events_only)
    call(logger, "Open", email="a@b.c")
    assert orjson.loads(lines[0])["properties"] == {"email": "masked"}
    events_only.close()


def test_emit_that_is_replaced_for_all_handlers(
    make_handler: MakeHandler, wire: Callable[..., logging.Logger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that patches `RudderHandler.emit` sees what is logged."""
    logger = wire(make_handler())
    seen: list[str] = []
    monkeypatch.setattr(RudderHandler, "emit", lambda _, record: seen.append(record.msg))
    _by_log_call(logger, "Order Completed")
    assert seen == ["Order Completed"]
