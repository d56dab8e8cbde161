"""RudderFormatter: events become one line of JSON on any stdlib handler."""

from __future__ import annotations

import copy
import io
import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from logging.config import DictConfigurator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from rudder_logging import RudderFormatter, __version__, bind
from rudder_logging.events.defaults import Defaults
from rudder_logging.exceptions import InvalidEventError, InvalidTypeError, InvalidValueError

LIBRARY = {"name": "rudder-logging", "version": __version__}
EVENT = {"user_id": "u1", "properties": {"title": "The Independence"}}

Wire = Callable[..., logging.Logger]


if TYPE_CHECKING:
    StringHandler = logging.StreamHandler[io.StringIO]
else:
    StringHandler = logging.StreamHandler  # before Python 3.11 it takes no brackets


class Stream(StringHandler):
    """A stdlib handler on a text in memory, which keeps what `handleError` is told."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__(io.StringIO())
        self.setFormatter(formatter)
        self.errors: list[BaseException | None] = []

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Keep the exception in flight."""
        self.errors.append(sys.exc_info()[1])

    def lines(self) -> list[str]:
        """What was written."""
        return self.stream.getvalue().splitlines()


def make_record(event: object = None, **attributes: Any) -> logging.LogRecord:
    """A record that carries an event."""
    attributes = {"msg": "Article Read", "rudder": EVENT if event is None else event, **attributes}
    return logging.makeLogRecord(attributes)


def message(event: object = None, **options: Any) -> dict[str, Any]:
    """What a formatter of these options makes of an event."""
    made: dict[str, Any] = json.loads(RudderFormatter(**options).format(make_record(event)))
    return made


# --- Events ---


def test_an_event_becomes_one_line_of_json(wire: Wire) -> None:
    """On a plain StreamHandler, with all that the data plane needs."""
    handler = Stream(RudderFormatter())
    wire(handler).info("Article Read", extra={"rudder": EVENT})
    (line,) = handler.lines()
    sent = json.loads(line)
    assert sent.pop("messageId")
    assert sent.pop("originalTimestamp")
    assert sent == {
        "type": "track",
        "channel": "server",
        "event": "Article Read",
        "userId": "u1",
        "properties": {"title": "The Independence"},
        "context": {"library": LIBRARY},
        "integrations": {"All": True},
    }
    assert not handler.errors


def test_line_ends_within_values_do_not_break_the_line(wire: Wire) -> None:
    """One event, one line: a file of them is JSON Lines."""
    handler = Stream(RudderFormatter())
    logger = wire(handler)
    logger.info("a\nb", extra={"rudder": {"user_id": "u1", "properties": {"x": "1\r\n2"}}})
    logger.info("c", extra={"rudder": EVENT})
    assert len(handler.lines()) == 2
    assert json.loads(handler.lines()[0])["event"] == "a\nb"


def test_the_event_is_the_template_not_the_text(wire: Wire) -> None:
    """Each event name is a table in a warehouse, so arguments don't go into it."""
    handler = Stream(RudderFormatter())
    wire(handler).info("%s was read", "The Independence", extra={"rudder": EVENT})
    assert json.loads(handler.lines()[0])["event"] == "%s was read"


@pytest.mark.parametrize("event_type", ["page", "screen"])
def test_a_page_is_named_by_the_template(event_type: str) -> None:
    """And by its own name, if it has one; None is no name."""
    fields = {"type": event_type, "user_id": "u1"}
    assert message(fields)["name"] == "Article Read"
    assert message({**fields, "name": "Home"})["name"] == "Home"
    assert "name" not in message({**fields, "name": None})


def test_format_and_encode_agree() -> None:
    """The line is the very bytes that the handler sends."""
    event = {**EVENT, "message_id": "m1"}
    formatter = RudderFormatter()
    queued = formatter.encode(event, "Article Read", 1_700_000_000.5, formatter.event_defaults)
    record = make_record(event, created=1_700_000_000.5)
    assert formatter.format(record).encode() == queued + b"}"


@pytest.mark.parametrize(
    ("created", "sent"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.0, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        (1_700_000_000.999, "2023-11-14T22:13:20.999Z"),
    ],
)
def test_original_timestamp_is_the_records_own_time(created: float, sent: str) -> None:
    """When the record was made, not when it was formatted: in UTC, to the millisecond."""
    record = make_record(created=created)
    assert json.loads(RudderFormatter().format(record))["originalTimestamp"] == sent


def test_timestamp_is_sent_only_if_given() -> None:
    """Without one the server corrects for clocks that are wrong by itself."""
    assert "timestamp" not in message()
    moment = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    assert message({**EVENT, "timestamp": moment})["timestamp"] == "2026-01-31T12:00:00+00:00"
    assert "timestamp" not in message({**EVENT, "timestamp": None})


def test_sent_at_is_left_to_delivery() -> None:
    """It has to be of each attempt, so a line that is shipped later has none."""
    assert "sentAt" not in message()


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        {"type": "identify", "user_id": "u1", "traits": {"a": {"b": 1}}, "context": {"traits": {}}},
        {**EVENT, "context": {"app": {"name": "mine"}}, "integrations": {"All": False}},
    ],
)
def test_the_record_is_not_changed(event: dict[str, Any]) -> None:
    """Other handlers see the record as it was: no attribute more, none changed."""
    record = make_record(copy.deepcopy(event), args=("x",))
    before = copy.deepcopy(record.__dict__)
    context = {"app": {"version": "1"}, "traits": {"a": {"c": 2}}}
    defaults = copy.deepcopy(context)
    with bind(context={"app": {"build": 7}}):
        RudderFormatter(context=context).format(record)
    assert record.__dict__ == before
    assert context == defaults


# --- Defaults ---


def test_the_library_is_named() -> None:
    """So that a warehouse can tell who sent an event."""
    assert message()["context"] == {"library": LIBRARY}


def test_the_library_is_named_beside_other_context() -> None:
    """Defaults merge with an event's own context; the app may even name another library."""
    own = {**EVENT, "context": {"ip": "192.0.2.1"}}
    assert message(own)["context"] == {"library": LIBRARY, "ip": "192.0.2.1"}
    other = {**EVENT, "context": {"library": {"name": "mine"}}}
    assert message(other)["context"]["library"] == {**LIBRARY, "name": "mine"}


def test_context_defaults_merge_deeply() -> None:
    """The formatter's under what is bound, under the event's own, key by key."""
    options = {"context": {"app": {"name": "a", "version": "1", "build": 1}, "ip": "192.0.2.1"}}
    with bind(context={"app": {"version": "2", "build": 2}}):
        sent = message({**EVENT, "context": {"app": {"build": 3}}}, **options)
    assert sent["context"] == {
        "library": LIBRARY,
        "app": {"name": "a", "version": "2", "build": 3},
        "ip": "192.0.2.1",
    }


@pytest.mark.parametrize(
    ("default", "own", "sent"),
    [
        (None, None, {"All": True}),
        ({}, {}, {"All": True}),
        ({"S3": False}, None, {"All": True, "S3": False}),
        ({"All": False}, None, {"All": False}),
        ({"All": False}, {"All": True}, {"All": True}),
        (None, {"All": False, "S3": True}, {"All": False, "S3": True}),
        ({"S3": {"a": 1, "b": 1}}, {"S3": {"b": 2}}, {"All": True, "S3": {"a": 1, "b": 2}}),
    ],
)
def test_integrations_defaults_merge_deeply(
    default: dict[str, Any] | None, own: dict[str, Any] | None, sent: dict[str, Any]
) -> None:
    """All destinations by default; the formatter may narrow that, and an event may widen it."""
    assert message({**EVENT, "integrations": own}, integrations=default)["integrations"] == sent


@pytest.mark.parametrize("make", [dict, MappingProxyType])
def test_defaults_may_be_any_mapping(make: Callable[[dict[str, Any]], Any]) -> None:
    """A read-only one, say."""
    sent = message(context=make({"app": make({"name": "a"})}), integrations=make({"S3": False}))
    assert sent["context"]["app"] == {"name": "a"}
    assert sent["integrations"] == {"All": True, "S3": False}


def test_other_defaults_can_be_given_to_one_call() -> None:
    """A handler has its own, which replace the formatter's."""
    formatter = RudderFormatter(context={"a": 1})
    queued = formatter.encode(EVENT, "Read", 1.0, Defaults({"b": 2}, {"All": False}))
    sent = json.loads(queued + b"}")
    assert sent["context"] == {"b": 2}
    assert sent["integrations"] == {"All": False}


def test_defaults_go_under_others() -> None:
    """Neither side changes."""
    low = Defaults({"a": {"x": 1, "y": 1}})
    assert low.under({"a": {"y": 2}}, {"All": False}) == Defaults(
        {"a": {"x": 1, "y": 2}}, {"All": False}
    )
    assert low == Defaults({"a": {"x": 1, "y": 1}})


# --- Other records ---


@pytest.mark.parametrize("extra", [None, {"rudder": None}, {"user": 7}])
def test_other_records_are_python_json_loggers(wire: Wire, extra: dict[str, Any] | None) -> None:
    """A record without an event is the usual JSON line."""
    handler = Stream(RudderFormatter())
    wire(handler).info("Served %d requests", 3, extra=extra)
    line = json.loads(handler.lines()[0])
    assert line["message"] == "Served 3 requests"
    assert "messageId" not in line
    assert line.get("user") == (extra or {}).get("user")


def test_python_json_loggers_options_apply() -> None:
    """Positional and by name; they leave events alone."""
    formatter = RudderFormatter(
        "{levelname}{message}",
        style="{",
        rename_fields={"levelname": "level"},
        static_fields={"service": "shop"},
        context={"app": {"name": "a"}},
    )
    plain = logging.makeLogRecord({"msg": "Hi", "levelname": "INFO"})
    assert json.loads(formatter.format(plain)) == {
        "level": "INFO",
        "message": "Hi",
        "service": "shop",
    }
    sent = json.loads(formatter.format(make_record()))
    assert sent["context"]["app"] == {"name": "a"}
    assert not {"service", "level", "message"} & set(sent)


def deep(levels: int) -> Any:
    """Lists in each other."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


ENDLESS: dict[str, Any] = {}
ENDLESS["self"] = ENDLESS


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\ud800 a", "\ufffd a"),
        (2**70, str(2**70)),
        ({"\udfff": [2**70, "\ud800"]}, {"\ufffd": [str(2**70), "\ufffd"]}),
        ({(1, 2): 1, None: 2}, {"[1, 2]": 1, "null": 2}),
        (float("nan"), None),
        (datetime(2026, 1, 31), "2026-01-31T00:00:00"),  # noqa: DTZ001 - as logs may mean it
        (datetime(2026, 1, 31, tzinfo=timezone.utc), "2026-01-31T00:00:00+00:00"),
        (int, "int"),
        (b"raw", "cmF3"),
    ],
)
def test_no_value_loses_a_line(wire: Wire, value: object, written: object) -> None:
    """What JSON or orjson lacks is repaired as an event's values are; the rest of it is as ever."""
    handler = Stream(RudderFormatter())
    wire(handler).info("Served", extra={"value": value})
    assert handler.errors == []
    assert json.loads(handler.lines()[0])["value"] == written


@pytest.mark.parametrize("value", [deep(150), deep(2_000), ENDLESS, [ENDLESS] * 2])
def test_no_depth_loses_a_line(value: object) -> None:
    """What is nested deeper than an event may be ends in the name of its type."""
    handler = Stream(RudderFormatter())
    # Not by a logger, whose lines pytest captures and can't hand on with a lone surrogate.
    handler.handle(logging.makeLogRecord({"msg": "Served \ud800", "value": value}))
    assert handler.errors == []
    line = json.loads(handler.lines()[0])
    assert line["message"] == "Served \ufffd"
    assert "<list>" in handler.lines()[0] or "<dict>" in handler.lines()[0]


def test_a_default_of_the_apps_own_is_asked(wire: Wire) -> None:
    """For types that orjson does not write; one that raises loses nothing."""

    def default(value: object) -> object:
        if isinstance(value, complex):
            return {"real": value.real}
        raise TypeError("not mine")

    handler = Stream(RudderFormatter(json_default=default))
    wire(handler).info("Served", extra={"value": [1j, {1}]})
    assert json.loads(handler.lines()[0])["value"] == [{"real": 0.0}, [1]]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
@pytest.mark.parametrize("errors", ["strict", "backslashreplace", "replace", "surrogateescape"])
@pytest.mark.parametrize("event", [None, EVENT])
def test_no_character_loses_a_line(
    wire: Wire, encoding: str, errors: str, event: dict[str, Any] | None
) -> None:
    """On a stream that can't encode it, it is escaped; on any other, people can read it."""
    raw = io.BytesIO()
    handler = Stream(RudderFormatter())
    handler.setStream(io.TextIOWrapper(raw, encoding, errors=errors))  # type: ignore[arg-type]
    text = "\u4e2d\U0001f600 \u00fc"
    wire(handler).info(text, extra={"rudder": event})
    wire(handler).info("\u00fc", extra={"rudder": event})
    handler.flush()
    assert handler.errors == []
    lines = raw.getvalue().decode(encoding).splitlines()
    name = "message" if event is None else "event"
    assert [json.loads(line)[name] for line in lines] == [text, "\u00fc"]
    assert ("\u00fc" in lines[1]) == (encoding != "ascii")


def test_exceptions_of_other_records_are_kept() -> None:
    """`exc_info` is on the line, as that library puts it."""
    try:
        raise ZeroDivisionError("by nought")  # noqa: TRY301 - to have a traceback
    except ZeroDivisionError:
        record = logging.makeLogRecord({"msg": "Failed", "exc_info": sys.exc_info()})
    assert "by nought" in json.loads(RudderFormatter().format(record))["exc_info"]


def test_dict_config_makes_one() -> None:
    """From plain data, as logging configurations are."""
    configurator: Any = DictConfigurator({"version": 1})
    formatter = configurator.configure_formatter(
        {
            "()": "rudder_logging.RudderFormatter",
            "context": {"app": {"name": "a"}},
            "integrations": {"S3": False},
        }
    )
    assert isinstance(formatter, RudderFormatter)
    sent = json.loads(formatter.format(make_record()))
    assert sent["context"]["app"] == {"name": "a"}
    assert sent["integrations"] == {"All": True, "S3": False}


# --- Errors ---


@pytest.mark.parametrize(
    ("event", "error", "says"),
    [
        ({"properties": {}}, InvalidValueError, "give 'user_id' or 'anonymous_id'"),
        ({}, InvalidValueError, "give 'user_id' or 'anonymous_id'"),
        ({"user_id": True}, InvalidTypeError, "'user_id' must be"),
        ({"user_id": "u1", "colour": 1}, InvalidValueError, "unknown field 'colour'"),
        ("Read", InvalidTypeError, "'rudder' must be a mapping, not str"),
        ([1], InvalidTypeError, "'rudder' must be a mapping, not list"),
    ],
)
def test_an_invalid_event_ends_in_handle_error(
    wire: Wire, event: object, error: type[InvalidEventError], says: str
) -> None:
    """The log call does not raise, nothing is written, and the stdlib handler is told why."""
    handler = Stream(RudderFormatter())
    wire(handler).info("Article Read", extra={"rudder": event})
    assert handler.lines() == []
    (caught,) = handler.errors
    assert isinstance(caught, error)
    assert says in str(caught)


@pytest.mark.parametrize("event", [False, 0, "", [], ()])
def test_an_empty_value_is_no_event(event: object) -> None:
    """`rudder=False` is a mistake: it must not become an event of whoever is bound."""
    with bind(user_id="u1"), pytest.raises(InvalidTypeError, match="'rudder' must be a mapping"):
        RudderFormatter().format(make_record(event))


def test_an_event_without_end_is_refused(wire: Wire) -> None:
    """What contains itself is refused, and the next event is written."""
    handler = Stream(RudderFormatter())
    logger = wire(handler)
    endless: dict[str, Any] = {}
    endless["self"] = endless
    logger.info("a", extra={"rudder": {"user_id": "u1", "properties": endless}})
    logger.info("b", extra={"rudder": {"user_id": "u1"}})
    assert [json.loads(line)["event"] for line in handler.lines()] == ["b"]
    assert "contains itself" in str(handler.errors[0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"context": [1]}, "'context' must be a mapping, not list; give a dict"),
        ({"context": "x"}, "'context' must be a mapping, not str; give a dict"),
        ({"integrations": ["S3"]}, "'integrations' must be a mapping, not list; give a dict"),
        ({"integrations": {"All": "yes"}}, "'integrations': 'All' must be True or False, not str"),
    ],
)
def test_wrong_arguments_raise_where_they_are_given(options: dict[str, Any], says: str) -> None:
    """At construction, not at the first event."""
    with pytest.raises(TypeError) as caught:
        RudderFormatter(**options)
    assert str(caught.value) == f"RudderFormatter: {says}"


def test_an_unknown_argument_is_refused() -> None:
    """By the class below, which takes no argument that it doesn't know."""
    with pytest.raises(TypeError, match="contxt"):
        RudderFormatter(contxt={})
