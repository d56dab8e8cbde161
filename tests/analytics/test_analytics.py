"""The seven calls, the package's settings, and EventLogger."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import logging.config
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import rudder_logging
from rudder_logging import (
    EVENT_TYPES,
    ConfigError,
    EventLogger,
    InvalidTypeError,
    InvalidValueError,
    UnknownOptionError,
    analytics,
    bind,
)
from rudder_logging.config import ALIASES, OPTIONS
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.settings import settings as package_settings
from rudder_logging.testing import CapturedEvents

from ..conftest import WRITE_KEY, MakeHandler, Wire

COMMON = ["context", "timestamp", "anonymous_id", "integrations", "message_id"]
SIGNATURES = {
    "identify": ["user_id", "traits", *COMMON],
    "track": ["user_id", "event", "properties", *COMMON],
    "page": ["user_id", "category", "name", "properties", *COMMON],
    "screen": ["user_id", "category", "name", "properties", *COMMON],
    "group": ["user_id", "group_id", "traits", *COMMON],
    "alias": ["previous_id", "user_id", "context", "timestamp", "integrations", "message_id"],
    "merge": ["user_id", "merge_properties", *COMMON],
}


@pytest.fixture
def configured(plane: LocalDataPlane) -> LocalDataPlane:
    """The package's settings lead to the data plane."""
    rudder_logging.write_key = WRITE_KEY
    rudder_logging.data_plane_url = plane.url
    return plane


def stored(plane: LocalDataPlane) -> list[dict[str, Any]]:
    """What has arrived, short of what every message has."""
    assert rudder_logging.flush()
    always = {"messageId", "channel", "context", "integrations", "originalTimestamp", "sentAt"}
    return [{k: v for k, v in event.items() if k not in always} for event in plane.events]


def test_documented_calls_work_with_only_the_import_changed(configured: LocalDataPlane) -> None:
    """The snippets of the official SDK's documentation arrive as they should."""
    rudder_analytics = rudder_logging
    rudder_analytics.track("developer_user_id", "Simple Track Event", {"key1": "val1"})
    rudder_analytics.identify(
        "123456", {"email": "name@surname.com", "name": "John Doe", "friends": 16}
    )
    rudder_analytics.track(
        "123456",
        "Article Read",
        {"title": "The Independence", "subtitle": "Story of the Weak", "author": "John Doe"},
    )
    rudder_analytics.page(
        "userid", "Documentation", "Sample Doc", {"url": "http://rudderstack.com"}
    )
    rudder_analytics.screen("userid", "Settings", "Brightness", {"from": "Settings Screen"})
    rudder_analytics.group("userid", "groupid", {"name": "Company", "domain": "IT"})
    rudder_analytics.alias("previousid", "userid")
    assert stored(configured) == [
        {
            "type": "track",
            "userId": "developer_user_id",
            "event": "Simple Track Event",
            "properties": {"key1": "val1"},
        },
        {
            "type": "identify",
            "userId": "123456",
            "traits": {"email": "name@surname.com", "name": "John Doe", "friends": 16},
        },
        {
            "type": "track",
            "userId": "123456",
            "event": "Article Read",
            "properties": {
                "title": "The Independence",
                "subtitle": "Story of the Weak",
                "author": "John Doe",
            },
        },
        {
            "type": "page",
            "userId": "userid",
            "category": "Documentation",
            "name": "Sample Doc",
            "properties": {"url": "http://rudderstack.com"},
        },
        {
            "type": "screen",
            "userId": "userid",
            "category": "Settings",
            "name": "Brightness",
            "properties": {"from": "Settings Screen"},
        },
        {
            "type": "group",
            "userId": "userid",
            "groupId": "groupid",
            "traits": {"name": "Company", "domain": "IT"},
        },
        {"type": "alias", "previousId": "previousid", "userId": "userid"},
    ]
    assert configured.events[1]["context"]["traits"] == configured.events[1]["traits"]
    assert configured.problems == []


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_signatures_have_the_documented_order(name: str) -> None:
    """Positional order is the official SDK's, and the first docstring line is the table's."""
    call = getattr(rudder_logging, name)
    parameters = inspect.signature(call).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == SIGNATURES[name]
    known = {field.arg for field in EVENT_TYPES[name].fields}
    assert {p.name for p in parameters} == {*known, "on_commit"}
    assert (call.__doc__ or "").startswith(EVENT_TYPES[name].doc)


def test_merge_and_keywords(configured: LocalDataPlane) -> None:
    """merge() takes two identifiers; alias() has `traits` and `anonymous_id` as keywords."""
    pair = [{"type": "email", "value": "a@b.c"}, {"type": "phone", "value": "1"}]
    rudder_logging.merge("u", pair)
    rudder_logging.alias("p", anonymous_id="anon", traits={"a": 1})
    assert stored(configured) == [
        {"type": "merge", "userId": "u", "mergeProperties": pair},
        {"type": "alias", "previousId": "p", "anonymousId": "anon", "traits": {"a": 1}},
    ]


def test_call_returns_the_id_that_arrives(configured: LocalDataPlane) -> None:
    """The message id that a call returns is the message's: made, or the caller's own."""
    made = rudder_logging.track("u", "e")
    given = rudder_logging.track("u", "e", message_id="  mine ")
    number = rudder_logging.track("u", "e", message_id=7)
    assert (given, number) == ("mine", "7")
    assert rudder_logging.flush()
    assert [event["messageId"] for event in configured.events] == [made, given, number]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: rudder_logging.track(None, "e"), InvalidValueError, "no id"),
        (lambda: rudder_logging.track("u"), InvalidValueError, "'event' is missing"),
        (lambda: rudder_logging.track("u", "e", [1]), InvalidTypeError, "not list"),  # type: ignore[arg-type]
        (lambda: rudder_logging.group("u"), InvalidValueError, "'group_id' is missing"),
        (lambda: rudder_logging.alias(user_id="u"), InvalidValueError, "'previous_id'"),
        (lambda: rudder_logging.merge("u", [{}]), InvalidValueError, "exactly two"),
        (lambda: rudder_logging.track("u", "e", timestamp="soon"), InvalidValueError, "parsed"),
        (lambda: rudder_logging.track("u", "e", {"x": "x" * 10**7}), InvalidValueError, "bytes"),
    ],
)
def test_wrong_arguments_raise_at_the_call(
    configured: LocalDataPlane, call: Any, error: type[Exception], words: str
) -> None:
    """A wrong argument is a ValueError or TypeError where the call stands; nothing is sent."""
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, (ValueError, TypeError))
    assert stored(configured) == []


def test_missing_settings_are_a_clear_error() -> None:
    """Without write key or handler, the first call says what to set."""
    with pytest.raises(ConfigError, match=r"write_key is missing; give it .* RUDDER_WRITE_KEY"):
        rudder_logging.track("u", "e")


def test_environment_is_enough(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the two variables set, calls need no settings."""
    monkeypatch.setenv("RUDDER_WRITE_KEY", WRITE_KEY)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", plane.url)
    rudder_logging.track("u", "e")
    assert stored(plane) == [{"type": "track", "userId": "u", "event": "e"}]


@pytest.mark.parametrize("name", ["dataPlaneUrl", "host"])
def test_other_names_of_the_url(plane: LocalDataPlane, name: str) -> None:
    """The official SDK's names of the URL are the same setting."""
    rudder_logging.write_key = WRITE_KEY
    setattr(rudder_logging, name, plane.url)
    assert rudder_logging.data_plane_url == plane.url
    rudder_logging.track("u", "e")
    assert len(stored(plane)) == 1


def test_settings_are_checked_when_assigned() -> None:
    """A typing error, or a value out of range, is an error on its own line."""
    with pytest.raises(UnknownOptionError, match="did you mean 'upload_size'"):
        rudder_logging.uplod_size = 5  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="upload_size must be at least 1"):
        rudder_logging.upload_size = 0
    with pytest.raises(AttributeError, match="no attribute 'no_such_thing'"):
        rudder_logging.no_such_thing  # type: ignore[attr-defined]  # noqa: B018
    assert rudder_logging.upload_size is None


def test_a_setting_of_none_in_words_wins_over_the_environment(
    configured: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`none` says that there is no limit; None says nothing, and leaves it to the environment."""
    monkeypatch.setenv("RUDDER_MAX_RETRIES", "3")
    for given, retries in ((None, 3), ("none", None)):
        rudder_logging.max_retries = given  # type: ignore[assignment]  # text is taken, too
        handler = package_settings.make_handler()
        assert handler.config.max_retries == retries


def test_settings_take_effect_after_the_first_call(configured: LocalDataPlane) -> None:
    """Settings may change at any time: from the next call on they are in force, nothing is lost."""
    rudder_logging.upload_interval = 60
    rudder_logging.track("u", "before")
    rudder_logging.context = {"app": {"name": "shop"}}
    rudder_logging.send = True
    rudder_logging.track("u", "after")
    assert rudder_logging.flush()
    events = {event["event"]: event for event in configured.wait_for(2)}
    assert "app" not in events["before"]["context"]
    assert events["after"]["context"]["app"] == {"name": "shop"}
    del rudder_logging.context
    rudder_logging.gzip = False
    rudder_logging.track("u", "last")
    assert rudder_logging.flush()
    assert "app" not in configured.events[-1]["context"]
    assert "content-encoding" not in configured.requests[-1].headers


def test_every_option_is_a_setting() -> None:
    """The package declares exactly the option table, for editors and type checkers."""
    source = Path(rudder_logging.__file__).read_text()
    declared = set()
    for line in source.split("if TYPE_CHECKING:")[1].split("__all__")[0].splitlines():
        name, colon, _ = line.strip().partition(": ")
        if colon and name.isidentifier():
            declared.add(name)
    assert declared == {*OPTIONS, *ALIASES}


def test_package_can_be_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's test may replace a call, and take settings back."""
    monkeypatch.setattr(rudder_logging, "track", lambda *args: "patched")
    assert rudder_logging.track("u", "e") == "patched"
    monkeypatch.undo()
    assert rudder_logging.track is analytics.track
    monkeypatch.delattr(rudder_logging, "track")
    assert not hasattr(rudder_logging, "track")


@pytest.mark.parametrize("before", [None, 7])
@pytest.mark.parametrize("name", ["upload_size", "write_key", "host"])
def test_a_setting_that_is_patched_for_a_while_is_what_it_was(
    monkeypatch: pytest.MonkeyPatch, name: str, before: int | None
) -> None:
    """By `mock.patch`, by pytest's monkeypatch, set before or not, and by either of its names."""
    patched, given = ("http://patched", "http://a") if name == "host" else ("8", "7")
    if before is not None:
        setattr(rudder_logging, name, given)
    original = getattr(rudder_logging, name)
    assert (original is None) == (before is None)
    with mock.patch(f"rudder_logging.{name}", patched):
        assert str(getattr(rudder_logging, name)) == patched
    assert getattr(rudder_logging, name) == original
    monkeypatch.setattr(rudder_logging, name, patched)
    assert str(getattr(rudder_logging, name)) == patched
    monkeypatch.undo()
    assert getattr(rudder_logging, name) == original
    monkeypatch.delattr(rudder_logging, name)
    assert not hasattr(rudder_logging, name)
    with pytest.raises(AttributeError):
        delattr(rudder_logging, name)
    monkeypatch.undo()
    assert getattr(rudder_logging, name) == original


def test_a_room_may_have_the_name_of_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """To import it changes no setting, though the import system sets it as the package's."""
    monkeypatch.delitem(sys.modules, "rudder_logging.integrations", raising=False)
    rudder_logging.integrations = {"All": True}
    assert importlib.import_module("rudder_logging.integrations").__doc__
    assert rudder_logging.integrations == {"All": True}


def test_the_package_shows_its_names_and_settings() -> None:
    """And nothing that it only imports."""
    shown = {name for name in dir(rudder_logging) if not name.startswith("_")}
    assert shown == {*rudder_logging.__all__, *OPTIONS, *ALIASES} - {"__version__"}
    assert "__version__" in dir(rudder_logging)


@pytest.mark.parametrize("hindrance", ["level", "disable", "disabled", "root level"])
def test_calls_deliver_whatever_the_levels(configured: LocalDataPlane, hindrance: str) -> None:
    """Analytics are no diagnostics: levels, logging.disable and dictConfig don't stop them."""
    rudder = logging.getLogger("rudder")
    root = logging.getLogger()
    before = root.level
    try:
        if hindrance == "level":
            rudder.setLevel(logging.CRITICAL)
        elif hindrance == "disable":
            logging.disable(logging.CRITICAL)
        elif hindrance == "disabled":
            config = {"version": 1, "disable_existing_loggers": True}
            handlers = list(root.handlers)
            logging.config.dictConfig(config)
            root.handlers[:] = handlers
            assert rudder.disabled
        else:
            root.setLevel(logging.WARNING)
        rudder_logging.track("u", "e")
        assert len(stored(configured)) == 1
    finally:
        root.setLevel(before)


def test_calls_are_seen_by_caplog(
    configured: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """A call is a record of the logger `rudder` at INFO, with the fields and the caller's place."""
    caplog.set_level(logging.INFO)
    rudder_logging.track("u", "100% read", {"a": 1})
    rudder_logging.identify("u", {"a": 1})
    track, identify = caplog.records
    assert (track.name, track.levelname, track.message) == ("rudder", "INFO", "100% read")
    assert (track.pathname, track.funcName) == (__file__, "test_calls_are_seen_by_caplog")
    fields = dict(track.__dict__["rudder"])
    del fields["message_id"]
    assert fields == {"type": "track", "event": "100% read", "user_id": "u", "properties": {"a": 1}}
    assert identify.message == "identify"


def test_other_handlers_see_calls_as_levels_say(
    configured: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """The event leaves whatever the level, but the app's log files stay as quiet as it wants."""
    logging.getLogger("rudder").setLevel(logging.WARNING)
    rudder_logging.track("u", "e")
    assert [record for record in caplog.records if record.name == "rudder"] == []
    assert len(stored(configured)) == 1


def test_page_without_name_gets_none(configured: LocalDataPlane) -> None:
    """The log line of a call does not become the page's name."""
    rudder_logging.page("u", "Docs")
    assert stored(configured) == [{"type": "page", "userId": "u", "category": "Docs"}]


def test_configured_handler_is_used_and_each_event_sent_once(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """With a RudderHandler on the path, calls go by it, once, and no settings are needed."""
    handler = make_handler()
    wire(handler, name="rudder")
    rudder_logging.track("u", "e")
    assert stored(plane) == [{"type": "track", "userId": "u", "event": "e"}]
    assert handler.stats().accepted == 1
    assert package_settings.handler is None


def test_logger_filters_can_hold_back_calls(
    configured: LocalDataPlane, request: pytest.FixtureRequest
) -> None:
    """A filter on the logger `rudder` (for consent, say) decides over calls, too."""
    rudder = logging.getLogger("rudder")

    def consent(record: logging.LogRecord) -> bool:
        return bool(record.__dict__["rudder"]["user_id"] != "no")

    rudder.addFilter(consent)
    request.addfinalizer(lambda: rudder.removeFilter(consent))
    rudder_logging.track("no", "e")
    rudder_logging.track("yes", "e")
    assert [event["userId"] for event in stored(configured)] == ["yes"]


def test_shutdown_delivers_and_the_next_call_starts_again(configured: LocalDataPlane) -> None:
    """shutdown() is no end: what comes later is delivered as well."""
    rudder_logging.upload_interval = 60
    rudder_logging.track("u", "one")
    rudder_logging.shutdown()
    assert [event["event"] for event in configured.events] == ["one"]
    rudder_logging.track("u", "two")
    assert rudder_logging.flush(10)
    assert [event["event"] for event in configured.events] == ["one", "two"]


@pytest.mark.parametrize("call", ["flush", "aflush", "shutdown"])
def test_flush_and_shutdown_speak_for_all_handlers(
    configured: LocalDataPlane,
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    wire: Wire,
    call: str,
) -> None:
    """For the calls' own, and for one that no call reaches; as `flushing()` does."""
    other = make_handler(upload_interval=60, shutdown_timeout=0.1)
    logger = wire(other)
    plane.fail(503, times=None)
    rudder_logging.shutdown_timeout = 0.1
    rudder_logging.track("u", "by a call")
    logger.info("by a logger", extra={"rudder": {"user_id": "u"}})
    if call == "shutdown":
        rudder_logging.shutdown()
        assert other.stats().pending == 1
        plane.heal()
        assert rudder_logging.flush(30)
    elif call == "flush":
        assert not rudder_logging.flush(0.1)
        plane.heal()
        assert rudder_logging.flush(30)
    else:
        assert not asyncio.run(rudder_logging.aflush(0.1))
        plane.heal()
        assert asyncio.run(rudder_logging.aflush(30))
    assert {event["event"] for event in plane.events} == {"by a call", "by a logger"}
    assert configured is plane


def test_shutdown_closes_handlers_that_no_call_reaches(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """What they hold is delivered, and their thread ends."""
    handler = make_handler(upload_interval=60)
    wire(handler).info("e", extra={"rudder": {"user_id": "u"}})
    rudder_logging.shutdown()
    assert len(plane.events) == 1
    assert handler._listener.unattended


def test_flush_without_handlers_is_true() -> None:
    """Nothing was ever sent: nothing is unsettled, and shutdown has nothing to do."""
    assert rudder_logging.flush()
    rudder_logging.shutdown()


@pytest.mark.filterwarnings("ignore::rudder_logging.WarehouseWarning")  # of the template as a name
def test_event_logger_merges_bound_fields(wire: Wire, rudder_events: CapturedEvents) -> None:
    """Bound fields are merged into calls and into log calls' extra; explicit ones win, and
    `bind()` comes below both.
    """
    events = EventLogger(
        wire(), user_id="bound", context={"app": {"name": "shop"}}, properties={"a": 1}
    )
    events.track(event="call", properties={"b": 2})
    events.identify("explicit", {"t": 1})
    with bind(user_id="lower", anonymous_id="anon", context={"app": {"name": "x", "build": 3}}):
        given = {"userId": "camel", "properties": {"a": 3}}
        events.info("log %s", "call", extra={"rudder": given, "other": 1})
        events.warning("ordinary", extra={"other": 1})
        events.info("no extra")
    assert given == {"userId": "camel", "properties": {"a": 3}}
    call = rudder_events.one(event="call", user_id="bound")
    assert call["properties"] == {"a": 1, "b": 2}
    assert call["context"]["app"] == {"name": "shop"}
    rudder_events.one(type="identify", user_id="explicit", properties=None)
    log = rudder_events.one(event="log %s", user_id="camel", anonymous_id="anon")
    assert log["properties"] == {"a": 3}
    assert log["context"]["app"] == {"name": "shop", "build": 3}
    assert len(rudder_events) == 3


def test_event_logger_keeps_extra_and_caller(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """Unlike a plain LoggerAdapter it keeps the call's extra; the record names the real caller."""
    EventLogger(wire(), user_id="u").info("x", extra={"color": "red"})
    (record,) = caplog.records
    assert record.__dict__["color"] == "red"
    assert record.funcName == "test_event_logger_keeps_extra_and_caller"


def test_event_logger_with_bad_event_does_not_raise_in_log_calls(
    make_handler: MakeHandler, wire: Wire, refused: list[str]
) -> None:
    """A log call never raises, whatever stands in `rudder`."""
    events = EventLogger(wire(make_handler()), user_id="u")
    bad_ones: list[Any] = [{"type": []}, {"type": "trak"}, {1: 2}, [1]]
    for bad in bad_ones:
        events.info("e", extra={"rudder": bad})
    assert len(refused) == 4


def test_event_logger_takes_a_logger_and_bindable_fields() -> None:
    """What can't be bound, or is no logger, is said at once."""
    with pytest.raises(TypeError, match=r"takes a logging\.Logger, not str"):
        EventLogger("name")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="'usr_id' can't be bound; did you mean 'user_id'"):
        EventLogger(logging.getLogger("x"), usr_id=1)  # type: ignore[call-arg]


def test_event_logger_uses_the_settings_where_no_handler_is(
    configured: LocalDataPlane, wire: Wire
) -> None:
    """Without a RudderHandler on its logger's path, the package's settings make one."""
    EventLogger(wire(), user_id="u").track(event="e")
    assert stored(configured) == [{"type": "track", "userId": "u", "event": "e"}]


def test_flush_waits_for_events_from_before_a_setting_changed(configured: LocalDataPlane) -> None:
    """The handler that a new setting replaces is flushed, too."""
    configured.latency = 0.3
    rudder_logging.track("u", "before")
    rudder_logging.upload_size = 5
    assert rudder_logging.flush()
    assert [event["event"] for event in configured.events] == ["before"]
