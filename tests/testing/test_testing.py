"""`capture_events`: what would be sent, whatever logging is set up to; and texts of failures."""

from __future__ import annotations

import asyncio
import enum
import logging
import logging.config
import logging.handlers
import multiprocessing
import os
import queue
import threading
import unittest
import uuid
import warnings
from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal
from logging.handlers import MemoryHandler, QueueHandler, QueueListener
from typing import Any
from unittest import mock

import pytest

import rudder_logging
from rudder_logging import (
    EVENT_TYPES,
    EventLogger,
    InvalidValueError,
    RudderHandler,
    WarehouseWarning,
    bind,
)
from rudder_logging.config import OPTIONS
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.settings import settings as package_settings
from rudder_logging.process import ending
from rudder_logging.testing import CapturedEvents, Events, capture_events, diversion
from rudder_logging.testing.recorder import Recorder
from rudder_logging.testing.watch import Watch

from ..conftest import MakeHandler, Wire

OWN: dict[str, dict[str, Any]] = {
    "identify": {"traits": {"plan": "pro"}},
    "track": {"event": "Order Completed", "properties": {"total": Decimal("4.90")}},
    "page": {"name": "Home", "category": "Docs", "properties": {"path": "/"}},
    "screen": {"name": "Home", "properties": {"n": 2**60}},
    "group": {"group_id": "g1", "traits": {"size": 7}},
    "alias": {"previous_id": "old", "traits": {"a": None}},
    "merge": {"merge_properties": [{"type": "a", "value": "b"}, {"type": "c", "value": "d"}]},
}


def methods() -> list[Any]:
    """What `capture_events` replaces."""
    return [cls.__dict__[name] for cls, name, _method in diversion._METHODS]


def event(logger: logging.Logger, name: str = "Order Completed", **fields: Any) -> None:
    """Log one as an app does, at INFO."""
    logger.info(name, extra={"rudder": {"user_id": "1", **fields}})


# What is recorded.


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_recorded_is_what_is_sent(
    event_type: str, make_handler: MakeHandler, plane: LocalDataPlane, wire: Wire
) -> None:
    """The message is the one in the upload's body, but for `sentAt`: options and hook included."""

    def hook(message: dict[str, Any]) -> dict[str, Any]:
        message["context"]["hooked"] = True
        return message

    handler = make_handler(context={"app": {"name": "shop"}}, before_send=hook)
    records: list[logging.LogRecord] = []
    keep = logging.Handler()
    keep.emit = records.append  # type: ignore[method-assign, assignment]
    fields = {"type": event_type, "user_id": 7, "message_id": "m1", **OWN[event_type]}
    with bind(context={"ip": "1.2.3.4"}):
        wire(keep).info("Template %s", "x", extra={"rudder": fields})
        (record,) = records
        with capture_events() as events:
            handler.emit(record)
        assert plane.events == []
        handler.emit(record)
    assert handler.flush()
    (sent,) = plane.events
    assert sent.pop("sentAt")
    assert events.all == [sent]
    assert events[0]["context"]["hooked"]


def quiet(logger: logging.Logger) -> None:
    """The app runs at WARNING."""
    logger.setLevel(logging.WARNING)


def mute(logger: logging.Logger) -> None:
    """The way up to the handlers is cut."""
    logger.propagate = False


def disable(logger: logging.Logger) -> None:
    """As dictConfig leaves loggers that existed."""
    logger.disabled = True


def disable_all(logger: logging.Logger) -> None:
    """No logger does anything any more."""
    logging.disable(logging.CRITICAL)


def reconfigure(logger: logging.Logger) -> None:
    """The app sets logging up anew."""
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (quiet, "the level of logger 'shop' is WARNING"),
        (mute, "no RudderHandler is on the way from logger 'shop' up"),
        (disable, "the logger 'shop' is disabled"),
        (disable_all, r"logging.disable(CRITICAL) is in force"),
        (reconfigure, "the logger 'shop' is disabled"),
    ],
)
def test_no_configuration_hides_an_event(
    change: Callable[[logging.Logger], None],
    reason: str,
    make_handler: MakeHandler,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is recorded, with what would keep it from leaving; other handlers don't get to see it."""
    handler = make_handler(context={"app": {"name": "shop"}})
    logging.getLogger("elsewhere").addHandler(handler)
    logger = wire(name="shop")
    logging.getLogger().addHandler(handler)
    try:
        with capture_events() as events:
            event(logger, "Before")
            change(logger)
            if change is reconfigure:  # which has taken it off
                logging.getLogger().addHandler(handler)
            caplog.clear()
            event(logger, "After")
            logger.debug("no event")
        assert [(one["event"], one.stopped_by) for one in events] == [
            ("Before", None),
            ("After", reason),
        ]
        assert events[1]["context"]["app"] == {"name": "shop"}
        assert (events[0].would_leave, events[1].would_leave) == (True, False)
        assert f"(would not leave: {reason})" in str(events[1])
        assert caplog.messages == []
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger("elsewhere").removeHandler(handler)
        logger.disabled, logger.propagate = False, True


def test_level_of_the_handler_hides_no_event(make_handler: MakeHandler, wire: Wire) -> None:
    """A handler at WARNING would not send it, and says so."""
    handler = make_handler()
    handler.setLevel(logging.WARNING)
    with capture_events() as events:
        event(wire(handler))
    assert events[0].stopped_by == "the level of its RudderHandler is WARNING"


def test_would_leave_asserts_it(make_handler: MakeHandler, wire: Wire) -> None:
    """Of all, or of some; the text has each with what stops it."""
    logger = wire(make_handler())
    with capture_events() as events:
        event(logger, "A")
        assert events.would_leave() is events
        logger.setLevel(logging.WARNING)
        event(logger, "B")
    events.track("A").would_leave()
    with pytest.raises(AssertionError) as caught:
        events.would_leave()
    assert str(caught.value) == (
        "1 of 2 events would not leave:\n"
        f"  track 'B' by '1', at {events[1].place}: the level of logger {logger.name!r} is WARNING"
    )


def test_what_interrupts_a_recording_reaches_the_app(
    make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Ctrl-C, or the alarm that ends a test which takes too long."""
    logger = wire(make_handler())
    with capture_events() as events:
        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "add", mock.Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                event(logger)
        event(logger, "Later")
    events.one(event="Later")


def test_events_at_the_end_of_the_process_are_recorded(
    make_handler: MakeHandler, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no thread can be relied on any more, none is needed."""
    logger = wire(make_handler())
    monkeypatch.setattr(ending, "since", 0.0)
    with capture_events() as events:
        event(logger)
    assert len(events) == 1


def test_option_send_off_hides_no_event(make_handler: MakeHandler, wire: Wire) -> None:
    """Tests are often configured not to send."""
    with capture_events() as events:
        event(wire(make_handler(send=False)))
    assert events[0].stopped_by == "the option send is off"


def test_nothing_needs_to_be_configured(caplog: pytest.LogCaptureFixture) -> None:
    """By logging, by the package's calls, by EventLogger: without a handler, key or URL."""
    logger = logging.getLogger("unconfigured")
    with capture_events() as events:
        event(logger)
        rudder_logging.track("2", "Article Read")
        EventLogger(logger, user_id="3").info("Bound", extra={"rudder": {}})
        EventLogger(logger, user_id="4").identify(traits={"a": 1})
        logging.LoggerAdapter(logger, {"rudder": {"user_id": "5"}}).info("Adapted")
    assert [one["userId"] for one in events] == ["1", "2", "3", "4", "5"]
    assert all(one.would_leave for one in events)
    assert package_settings.handlers() == []


def test_settings_of_the_package_shape_its_calls() -> None:
    """Also where they were changed meanwhile; and nothing is made of them."""
    with capture_events() as events:
        rudder_logging.context = {"app": {"name": "one"}}
        rudder_logging.track("1", "A")
        rudder_logging.context = {"app": {"name": "two"}}
        rudder_logging.track("1", "B")
    assert [one["context"]["app"]["name"] for one in events] == ["one", "two"]


SHAPING = set(diversion._StandIn._SHAPING)
DELIVERING = {
    *("write_key", "data_plane_url", "upload_size", "upload_interval", "max_batch_bytes", "queue"),
    *("sink", "relay", "source", "relay_max_bytes", "max_queue_size", "max_queue_bytes"),
    *("overflow", "block_timeout", "timeout", "max_retries", "shutdown_timeout", "gzip"),
    *("drain_on_sigterm", "proxies", "ca_bundle", "client_cert", "on_error", "on_drop"),
    *("allowed_hosts", "dead_letter", "sync_mode", "debug"),
}


def test_each_option_shapes_events_or_delivers_them() -> None:
    """Those that shape them hold in tests, too; a new option has to be one or the other."""
    assert not SHAPING & DELIVERING
    assert set(OPTIONS) == SHAPING | DELIVERING


def test_what_the_app_drops_is_not_recorded(make_handler: MakeHandler, wire: Wire) -> None:
    """Filters, of loggers and handlers, and `before_send` are the app's own code."""
    handler = make_handler(before_send=lambda message: None)
    logger = wire(handler)
    with capture_events() as events:
        event(logger)
        handler.addFilter(lambda record: False)
        event(logger)
        logger.setLevel(logging.ERROR)
        event(logger)
    assert not events


def test_what_a_logger_filters_is_not_recorded(wire: Wire) -> None:
    """Be it enabled or not."""
    logger = wire()
    logger.addFilter(lambda record: False)
    with capture_events() as events:
        event(logger)
        logger.setLevel(logging.ERROR)
        event(logger)
    assert not events


def test_one_record_is_one_event(make_handler: MakeHandler, wire: Wire) -> None:
    """Also where two handlers get it."""
    with capture_events() as events:
        event(wire(make_handler(), make_handler()))
    assert len(events) == 1


def test_handler_behind_a_queue_makes_the_message(make_handler: MakeHandler, wire: Wire) -> None:
    """Logging's QueueHandler passes a copy on: it is the same event, made as that handler does."""
    passed: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(passed, make_handler(context={"a": 1}))
    logger = wire(logging.handlers.QueueHandler(passed))
    fields = {"user_id": "1"}
    with capture_events() as events:
        listener.start()
        for _ in range(20):  # in which either may come first
            logger.info("Same", extra={"rudder": fields})
        listener.stop()
    assert [one["context"].get("a") for one in events] == [1] * 20
    with pytest.raises(AssertionError, match=r"^1 event was refused"):  # noqa: PT012 - at the end
        with capture_events():
            listener.start()
            logger.info("No id", extra={"rudder": {}})
            listener.stop()


def test_handler_behind_another_is_known(make_handler: MakeHandler, wire: Wire) -> None:
    """A MemoryHandler, or from Python 3.12 a QueueHandler with a listener, leads to it."""
    handler = make_handler(context={"a": 1})
    buffer = logging.handlers.MemoryHandler(10, target=handler)
    queued = logging.handlers.QueueHandler(queue.SimpleQueue())
    listener = logging.handlers.QueueListener(queued.queue, handler)
    queued.listener = listener  # type: ignore[attr-defined]  # from Python 3.12
    listener.start()
    for between in (buffer, queued):
        logger = wire(between)
        with capture_events() as events:
            event(logger)
            assert (events[0]["context"]["a"], events[0].stopped_by) == (1, None)
            logger.setLevel(logging.WARNING)
            event(logger)
            assert events[1].stopped_by == f"the level of logger {logger.name!r} is WARNING"
            buffer.flush()
            if between is queued:
                listener.stop()
        assert len(events) == 2
    buffer.close()


def test_threads_and_tasks_are_heard() -> None:
    """Events come from wherever; `wait_for` waits for them."""
    logger = logging.getLogger("threads")

    async def task() -> None:
        event(logger, "Task")

    with capture_events() as events:
        threads = [threading.Thread(target=event, args=(logger, "Thread")) for _ in range(5)]
        for thread in threads:
            thread.start()
        events.wait_for(5)
        for thread in threads:
            thread.join()
        asyncio.run(task())
        assert len(events.track("Thread")) == 5
        assert len(events.track("Task")) == 1
        with pytest.raises(TimeoutError, match="waited 0 s for 7 events: <6 events: track"):
            events.wait_for(7, timeout=0)


def test_everything_is_restored(make_handler: MakeHandler, wire: Wire) -> None:
    """Methods, levels, the ledger: afterwards an app is as it was, and sends again."""
    before = methods()
    handler = make_handler()
    logger = wire(handler)
    with capture_events() as outer:
        event(logger, "Outer")
        with capture_events() as inner:
            event(logger, "Both")
            rudder_logging.track("1", "Called")
        assert methods() != before
        event(logger, "Outer again")
    assert methods() == before
    assert [one["event"] for one in outer] == ["Outer", "Both", "Called", "Outer again"]
    assert [one["event"] for one in inner] == ["Both", "Called"]
    assert handler.stats().dropped == {"captured": 3}
    assert handler.stats().balanced
    assert diversion._stand_in._handler is None
    event(logger)
    assert handler.flush()
    assert handler.stats().delivered == 1


def test_everything_is_restored_after_a_failure() -> None:
    """An error in the block goes on as it is, even if an event was refused too."""
    before = methods()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what the block does is the point
        with capture_events():
            logging.getLogger("x").info("No id", extra={"rudder": {}})
            raise ZeroDivisionError
    assert methods() == before


def test_plain_calls_are_not_changed(wire: Wire) -> None:
    """Records without an event come and go by the levels, as ever; `isEnabledFor` is honest."""
    records: list[logging.LogRecord] = []
    keep = logging.Handler()
    keep.emit = records.append  # type: ignore[method-assign, assignment]
    logger = wire(keep)
    with capture_events() as events:
        logger.debug("too low")
        logger.info("seen")
        assert not logger.isEnabledFor(logging.DEBUG)
        # A plain LoggerAdapter throws the call's extra away: what is left is below the level.
        logging.LoggerAdapter(logger, {}).debug("lost", extra={"rudder": {"user_id": "1"}})
        event(logger, "Event")
    assert [record.msg for record in records] == ["seen", "Event"]
    assert [one["event"] for one in events] == ["Event"]


def test_clear_forgets() -> None:
    """What set-up code logged need not disturb."""
    with capture_events() as events:
        event(logging.getLogger("x"))
        events.clear()
        assert not events
        event(logging.getLogger("x"), "Second")
        assert [one["event"] for one in events] == ["Second"]


# Refused ones.


def test_refused_event_fails_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    """By a log call it would only be a line on stderr: the reason is told, and no value."""
    with pytest.raises(AssertionError) as caught:  # noqa: PT012 - raised at the block's end
        with capture_events() as events:
            logging.getLogger("x").info("X", extra={"rudder": {"user_id": "SECRET", "usr": 1}})
            with pytest.raises(InvalidValueError):  # loud enough
                rudder_logging.track(event="X")
            assert [refusal.raised for refusal in events.refused] == [False, True]
    text = str(caught.value)
    assert text.startswith("1 event was refused at the call, and would be lost:\n")
    assert "test_testing.py" in text
    assert "track: unknown field 'usr'; did you mean 'userId'?" in text
    assert "no id" not in text
    assert "expect_invalid" in text
    assert "SECRET" not in text


def test_refused_event_can_be_expected() -> None:
    """By logging and by a call; for the right reason; and not without any."""
    logger = logging.getLogger("x")
    with capture_events() as events:
        with events.expect_invalid("no id"):
            logger.info("X", extra={"rudder": {}})
        with events.expect_invalid():
            rudder_logging.track(event="X")
        with pytest.raises(AssertionError, match="no event was refused, and one was expected"):
            with events.expect_invalid():
                event(logger)
        with pytest.raises(AssertionError, match=r"refused, but not for 'size':\n.*no id"):
            with events.expect_invalid("size"):
                logger.info("X", extra={"rudder": {}})
        with pytest.raises(InvalidValueError):
            with events.expect_invalid():
                EventLogger(logger, user="1")  # type: ignore[call-arg]
    assert len(events) == 1


def test_ledger_that_does_not_balance_fails_the_block(
    make_handler: MakeHandler, wire: Wire
) -> None:
    """No event may vanish, not even from the books."""
    handler = make_handler()
    with pytest.raises(AssertionError, match="does not balance: Stats"):  # noqa: PT012 - as above
        with capture_events():
            event(wire(handler))
            handler._ledger.count_accepted()
    handler._ledger.count_dropped(1, "test")


# Matching.


@pytest.mark.parametrize(
    "expected",
    [
        {"type": "track", "event": "Order Completed"},
        {"user_id": "1", "userId": "1"},
        {"properties": {"total": Decimal("4.90")}},
        {"properties": {"total": 4.9, "shipped_on": date(2026, 1, 31)}},
        {"properties": {"items": [{"sku": "a"}, mock.ANY]}},
        {"properties": {"items": ({"n": 1}, {})}},
        {"properties": {"total": pytest.approx(4.9000001)}},
        {"properties": {"nothing": None, "null": None}, "anonymous_id": None},
        {"properties": {"flag": True}},
        {"timestamp": datetime(2026, 1, 31, tzinfo=timezone.utc)},
        {"user_id": "1", "context": {"library": {"name": "rudder-logging"}}},
    ],
)
def test_one_takes_what_the_app_gives(expected: dict[str, Any]) -> None:
    """Some fields suffice, at any depth, and values need not be in the wire's form."""
    with capture_events() as events:
        event(
            logging.getLogger("x"),
            timestamp=datetime(2026, 1, 31, tzinfo=timezone.utc),
            properties={
                "total": Decimal("4.90"),
                "shipped_on": date(2026, 1, 31),
                "items": [{"sku": "a", "n": 1}, {"sku": "b"}],
                "null": None,
                "flag": True,
            },
        )
        rudder_logging.identify("2")
    assert events.one(**expected) is events[0]
    assert list(events.matching(**expected)) == [events[0]]


NEAREST = """\
no track event with event='Order Completed', userId='1', properties={'total': 5, 'items': \
[{'sku': 'b'}], 'currency': 'EUR', 'flag': 1}. The nearest of 3:
  track 'Order Completed' by '1', at {place}
    properties.total is 4.9, not 5
    properties.items has 2 items, not 1
    properties.items[0].sku is 'a', not 'b'
    properties.currency is missing, not 'EUR'; there is 'curency'
    properties.flag is True, not 1
The others:
  identify by '1', at {other}
  track 'Order Cancelled' by '2', at {last}"""


def test_failure_shows_the_nearest_event_and_what_differs() -> None:
    """The text is to spare a debugger."""
    properties = {
        "total": 4.9,
        "items": [{"sku": "a"}, {}],
        "curency": "EUR",
        "flag": True,
    }
    with capture_events() as events:
        rudder_logging.identify("1")
        event(logging.getLogger("x"), properties=properties)
        rudder_logging.track("2", "Order Cancelled", properties)
    with pytest.raises(AssertionError) as caught:
        events.one(
            type="track",
            event="Order Completed",
            user_id="1",
            properties={"total": 5, "items": [{"sku": "b"}], "currency": "EUR", "flag": 1},
        )
    other, place, last = (one.place for one in events)
    expected = NEAREST
    for name, value in {"place": place, "other": other, "last": last}.items():
        expected = expected.replace(f"{{{name}}}", value)
    # The expectation itself is cut.
    assert str(caught.value).partition(". The nearest")[2] == expected.partition(". The nearest")[2]
    assert str(caught.value).startswith("no track event with event='Order Completed', userId='1', ")


@pytest.mark.parametrize(
    "other",
    [
        {"event": "Cart Viewed"},
        {"event": "Cart Viewed", "properties": {"z": 1}},
        {"event": "Cart Viewed", "properties": {"a": 5, "b": 6, "c": 7}},
        {"event": "Article Read", "properties": None},
        {"type": "page", "name": "Article Read", "properties": {"a": 5, "b": 6, "c": 7}},
    ],
)
def test_nearest_is_of_that_type_and_name(other: dict[str, Any]) -> None:
    """Then it has the most of what is expected: that properties are missing is no single fault."""
    with capture_events() as events:
        for fields in (other, {"event": "Article Read", "properties": {"a": 5, "b": 2}}, other):
            event(logging.getLogger("x"), **fields)
    with pytest.raises(AssertionError) as caught:
        events.one(type="track", event="Article Read", properties={"a": 5, "b": 6, "c": 7})
    lines = str(caught.value).splitlines()
    assert lines[1].strip() == str(events[1])
    assert lines[2:4] == ["    properties.b is 2, not 6", "    properties.c is missing, not 7"]


def test_long_texts_are_shown_where_they_differ() -> None:
    """Not from their beginning, which is the same."""
    with capture_events() as events:
        event(logging.getLogger("x"), properties={"text": "a" * 500 + "b" * 500})
    with pytest.raises(AssertionError) as caught:
        events.one(properties={"text": "a" * 500 + "c" * 500})
    assert f"...'{'a' * 20}{'b' * 60}'..., not ...'{'a' * 20}{'c' * 60}'..." in str(caught.value)


def test_several_matches_are_all_shown() -> None:
    """One was expected."""
    with capture_events() as events:
        for number in range(12):
            rudder_logging.track(number, "X")
    with pytest.raises(AssertionError) as caught:
        events.one(event="X")
    lines = str(caught.value).splitlines()
    assert lines[0] == "12 events match, not one: event with event='X'"
    assert lines[1].startswith("  track 'X' by '0', at ")
    assert lines[-1] == "  ... and 2 more"


def test_none_at_all_is_told() -> None:
    """Nothing near can be shown."""
    with capture_events() as events:
        pass
    with pytest.raises(AssertionError, match="no page event: no event was recorded"):
        events.one(type="page")
    with pytest.raises(AssertionError, match=r"^no event: <no track event among 0 events>$"):
        events.track().one()


def test_refused_event_is_told_where_it_is_missed() -> None:
    """It most likely is the one that was expected."""
    with capture_events() as events:
        with events.expect_invalid():
            rudder_logging.track(event="X")
        logging.getLogger("x").info("X", extra={"rudder": {}})
        for found in (events, events.track()):
            with pytest.raises(AssertionError, match=r"\nRefused at the call:\n  .*: no id;"):
                found.one(event="X")
        with events.expect_invalid():
            rudder_logging.track(event="X")
        del events._recorder.refusals[:]


def test_unknown_field_is_a_typing_error() -> None:
    """Or a misspelt expectation would be a misleading failure."""
    with capture_events() as events:
        with pytest.raises(TypeError, match="no field 'usr_id'; did you mean 'user_id'"):
            events.one(usr_id="1")


def test_unknown_type_is_a_typing_error() -> None:
    """It would never match."""
    with capture_events() as events:
        for wrong in ("trak", 5, None):
            with pytest.raises(ValueError, match=r"'type' must be one of identify, track, .*not "):
                events.one(type=wrong)
        rudder_logging.identify("1")
        assert events.one(type=mock.ANY)


class Customer(enum.Enum):
    """An app's own constant."""

    FIRST = 7


@pytest.mark.parametrize("given", [7, "7", " 7 ", uuid.UUID(int=7), Customer.FIRST])
def test_ids_are_expected_as_they_are_given(given: Any) -> None:
    """On the wire they are text."""
    with capture_events() as events:
        rudder_logging.group(given, given, message_id=given)
    assert events.one(user_id=given)
    assert events.one(type="group", group_id=given, message_id=given)
    assert events.matching(group_id=given)
    assert events.group(given)
    assert events.by_user(given)
    assert not events.matching(user_id=True)
    assert not events.matching(user_id="")


def test_merge_properties_are_expected_as_they_are_given() -> None:
    """They are ids, too; and some of them suffice."""
    given: list[Any] = [
        {"type": "phone", "value": 5},
        {"type": " email ", "value": uuid.UUID(int=7)},
    ]
    with capture_events() as events:
        rudder_logging.merge("1", given)
    for expected in (
        given,
        tuple(given),
        [{"value": 5}, mock.ANY],
        [mock.ANY, {"type": "email", "value": mock.ANY}],
        mock.ANY,
    ):
        assert events.one(type="merge", merge_properties=expected)
    with pytest.raises(AssertionError, match=r"mergeProperties\[0\]\.value is '5', not '6'"):
        events.one(merge_properties=[{"value": 6}, mock.ANY])


@pytest.mark.parametrize(
    "given",
    [
        "Sat, 31 Jan 2026 12:00:00 GMT",
        "2026-01-31",
        "1769860800",
        date(2026, 1, 31),
        datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
    ],
)
def test_times_are_expected_as_they_are_given(given: Any) -> None:
    """On the wire, many are another text."""
    with capture_events() as events:
        rudder_logging.track("1", "X", timestamp=given)
    assert events.one(timestamp=given)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_type_has_its_selection(event_type: str) -> None:
    """From the table of types: by type, by what tells them apart, and by user."""
    first = {
        "track": "Order Completed",
        "page": "Home",
        "screen": "Home",
        "group": "g1",
        "alias": "old",
    }.get(event_type, 7)
    with capture_events() as events:
        for name, own in OWN.items():
            fields = {"type": name, "user_id": 7, **own}
            logging.getLogger("x").info("X", extra={"rudder": fields})
        logging.getLogger("x").info("X", extra={"rudder": {"user_id": 8}})
    select: Callable[..., Events] = getattr(events, event_type)
    (found,) = select(first)
    assert found["type"] == event_type
    assert not select("another")
    assert select(user_id="7").by_user(7).all == [found]
    assert len(events.by_user("7")) == len(EVENT_TYPES)
    assert events.by_user(8).one(type="track") is events[-1]
    assert events[:2] == events.all[:2]


def test_repr_is_what_a_failed_assertion_shows() -> None:
    """`assert not events` and `assert events.track(...)` explain themselves."""
    with capture_events() as events:
        assert repr(events) == "<0 events>"
        event(logging.getLogger("x"))
    place = events[0].place
    assert repr(events) == f"<1 event: track 'Order Completed' by '1' at {place}>"
    assert repr(events.page("Home")) == f"<no page event with name='Home' among {repr(events)[1:]}"


def test_events_equal_a_list_of_them() -> None:
    """Above all, an empty one: `assert events == []` is what people write."""
    with capture_events() as events:
        assert events == []
        assert [] == events  # noqa: SIM300 - either way
        assert not events != []  # noqa: SIM202 - and `!=` with it
        event(logging.getLogger("x"))
    assert events != []
    assert events == [events[0]]
    assert events == [dict(events[0])]
    assert events == events.track()
    assert events.page() == []
    assert events != [{"type": "track", "event": "Order Completed"}]
    assert events != events.page()
    assert events != (events[0],)  # neither does a list
    with pytest.raises(AssertionError) as caught:
        assert events == []
    assert "assert <1 event: " in str(caught.value)
    assert "Left contains one more item: {'messageId': " in str(caught.value)


# Tracking plan, lint.


def test_conforms_to_names_event_path_and_reason() -> None:
    """A plan's verdict on each event that breaks it."""
    schema = {"properties": {"total": {"type": "number"}}}
    plan = {"events": [{"name": "Order Completed", "schema": schema}]}
    with capture_events() as events:
        event(logging.getLogger("x"), properties={"total": 5})
        assert events.conforms_to(plan) is events
        event(logging.getLogger("x"), properties={"total": "5"})
        event(logging.getLogger("x"), "Order Complete")
    with pytest.raises(AssertionError) as caught:
        events.conforms_to(plan)
    assert str(caught.value) == (
        "2 of 3 events do not conform to the tracking plan:\n"
        f"  {events[1]}: properties.total must be a number, and is a string\n"
        f"  {events[2]}: the plan has no track event of that name; did you mean 'Order Completed'?"
    )


def test_warehouse_lint_warns_once_an_event_name() -> None:
    """Where the app logs it; reserved columns, and names that differ only in values."""
    logger = logging.getLogger("x")
    with capture_events(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            event(logger, properties={"userId": 1})
        event(logger, "Another", properties={"userId": 1})
        event(logger, "Order 1 paid")
        event(logger, "Order 2 paid")
    assert [(one.category, one.filename) for one in caught] == [(WarehouseWarning, __file__)] * 3
    texts = [str(one.message) for one in caught]
    assert texts[0].startswith("track 'Order Completed': properties.userId is dropped")
    assert texts[1].startswith("track 'Another': properties.userId is dropped")
    assert "differ only in values" in texts[2]


def test_warehouse_lint_warns_once_for_names_that_differ_in_values() -> None:
    """An f-string in a loop is one mistake, with whatever else is wrong with its events."""
    with capture_events(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(10, 40):
            rudder_logging.track("1", f"Order #{number} paid", {"userId": 1, f"a{number}é": 1})
    texts = [str(one.message) for one in caught]
    assert sum("differ only in values" in text for text in texts) == 1
    assert sum("the event's name becomes" in text for text in texts) == 1
    assert sum("properties.userId" in text for text in texts) == 1
    assert sum("é becomes" in text for text in texts) == 30  # columns are told each


def test_warehouse_lint_lets_a_template_be_renamed() -> None:
    """It is the event's name as we recommend it; not so if the app gave that name."""
    logger = logging.getLogger("x")
    with capture_events() as events, warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.info("Coupon %s used", "A1", extra={"rudder": {"user_id": "1"}})
        assert events.one(event="Coupon %s used")
    with capture_events(), pytest.warns(WarehouseWarning, match="name becomes coupon_s_used"):
        rudder_logging.track("1", "Coupon %s used")


def test_warning_made_an_error_reaches_the_call(make_handler: MakeHandler, wire: Wire) -> None:
    """And the event is recorded, and counted, all the same."""
    handler = make_handler()
    logger = wire(handler)
    with capture_events() as events:
        with pytest.raises(WarehouseWarning):
            event(logger, properties={"userId": 1})
        with pytest.raises(WarehouseWarning):
            EventLogger(logger).track("1", "Called", {"userId": 1})
    assert len(events) == 2
    assert handler.stats().balanced


def test_captures_and_watches_may_end_in_any_order(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A module's capture may begin within a test that is watched; both see all that they are for,
    and in the end nothing is left of them.
    """
    before = {name: getattr(RudderHandler, name) for name in ("_accept", "handle_or_raise")}
    handler = make_handler()
    logger = wire(handler)
    watch = Watch()
    watch.start()
    with capture_events() as events:
        with events.expect_invalid():
            logger.info("refused", extra={"rudder": {}})
        assert len(watch.faults(plane)) == 1
        watch.stop()
        event(logger)
        EventLogger(logger).track("1", "Called")
        assert len(events) == 2
        watch.start()
    event(logger)
    assert handler.flush()
    assert len(plane.events) == 1
    watch.stop()
    assert {name: getattr(RudderHandler, name) for name in before} == before


class AppTest(unittest.TestCase):
    """Without pytest: the context manager in an ordinary TestCase."""

    def test_with_unittest(self) -> None:
        """Its failures are unittest's own."""
        with capture_events() as events:
            event(logging.getLogger("x"))
        self.assertEqual(len(events), 1)  # noqa: PT009 - as unittest's users write it
        with self.assertRaises(self.failureException):  # noqa: PT027
            events.one(user_id="2")


def test_captured_is_a_handlers_drop_that_nobody_is_told_of(
    make_handler: MakeHandler, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the ledger; no line speaks of a loss."""
    handler: RudderHandler = make_handler()
    with capture_events():
        event(wire(handler))
    handler.close()
    assert "dropped" not in caplog.text


# Behind wrappers.


def wrapped(handler: RudderHandler, how: str) -> tuple[logging.Handler, QueueListener | None]:
    """A handler of logging's own that hands records on to one of ours, as dictConfig links them."""
    if how == "memory":
        return MemoryHandler(1, target=handler), None
    messages: queue.Queue[object] = queue.Queue()
    wrapper = QueueHandler(messages)
    listener = QueueListener(messages, handler)
    wrapper.listener = listener  # type: ignore[attr-defined]  # from Python 3.12
    return wrapper, listener


@pytest.mark.parametrize("how", ["memory", "queue"])
@pytest.mark.parametrize("what", ["nothing", "level", "filter", "not started"])
def test_what_stops_an_event_on_its_way_through_a_wrapper(
    rudder_events: CapturedEvents, make_handler: MakeHandler, wire: Wire, how: str, what: str
) -> None:
    """Its level, its filter, or a listener that nobody has started: `would_leave` tells it."""
    asked: list[logging.LogRecord] = []
    wrapper, listener = wrapped(make_handler(), how)
    if what == "level":
        wrapper.setLevel(logging.ERROR)
    elif what == "filter":

        def refuse(record: logging.LogRecord) -> bool:
            asked.append(record)
            return False

        wrapper.addFilter(refuse)
    if listener is not None and what != "not started":
        listener.start()
    wire(wrapper).info("e", extra={"rudder": {"user_id": "u"}})
    if listener is not None and what != "not started":
        listener.stop()
    kind = type(wrapper).__name__
    says = {
        "level": f"the level of its {kind} is ERROR",
        "filter": f"a filter of its {kind} stops it",
        "not started": f"the QueueListener of its {kind} was not started" if listener else None,
    }.get(what)
    event = rudder_events.one()
    assert event.stopped_by == says
    assert len(asked) == (what == "filter")
    if says is None:
        rudder_events.would_leave()
    else:
        with pytest.raises(AssertionError, match=says):
            rudder_events.would_leave()


def test_a_level_behind_a_wrapper_stops_nothing_that_logging_does_not_stop(
    rudder_events: CapturedEvents, make_handler: MakeHandler, wire: Wire
) -> None:
    """A MemoryHandler looks at no level of its target."""
    handler = make_handler()
    handler.setLevel(logging.ERROR)
    wire(wrapped(handler, "memory")[0]).info("e", extra={"rudder": {"user_id": "u"}})
    assert rudder_events.one().would_leave


def test_a_queue_between_processes_makes_no_second_event(
    rudder_events: CapturedEvents, make_handler: MakeHandler, wire: Wire
) -> None:
    """What comes out of it is a copy of everything, and the same event."""
    messages: multiprocessing.Queue[object] = multiprocessing.get_context("spawn").Queue()
    wrapper = QueueHandler(messages)
    listener = QueueListener(messages, make_handler())
    logger = wire(wrapper)
    listener.start()
    for number in range(3):
        fields = {"n": number, "ratio": float("nan")}  # which equals no copy of itself
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": fields}})
    listener.stop()
    messages.close()
    messages.join_thread()
    assert [event["properties"]["n"] for event in rudder_events] == [0, 1, 2]
    rudder_events.would_leave()


def test_blocks_that_fail_show_no_way_inside() -> None:
    """A failure points to the app's test: pytest leaves out frames with `__tracebackhide__`."""
    with pytest.raises(AssertionError) as unmet, CapturedEvents().expect_invalid():
        pass
    with pytest.raises(AssertionError) as refused, capture_events():
        logging.getLogger("shop").error("e", extra={"rudder": {"user_id": " "}})
    for failure in (unmet, refused):
        ours, *inside = failure.traceback
        assert str(ours.path) == __file__
        assert inside
        assert all(entry.ishidden(failure) for entry in inside)


def test_nothing_is_started_or_left_for_captured_events(
    make_handler: MakeHandler, wire: Wire
) -> None:
    """No thread begins to deliver; a child that a value's conversion forks has a right ledger."""
    handler = make_handler()
    logger = wire(handler)

    class Forking:
        child: int | None = None

        def __repr__(self) -> str:
            self.child = os.fork()
            return "x"

    value = Forking()

    with capture_events() as events:
        event(logger, properties={"value": value})
        if value.child == 0:
            stats = handler.stats()
            os._exit((stats.accepted, stats.dropped) != (1, {"captured": 1}))
        assert value.child
        assert os.waitstatus_to_exitcode(os.waitpid(value.child, 0)[1]) == 0
    assert len(events) == 1
    assert handler._listener.unattended


def test_a_subclass_may_make_the_line_that_is_captured(plane: LocalDataPlane, wire: Wire) -> None:
    """As it makes the one that is sent."""

    class Masking(RudderHandler):
        name_of_all = "Masked"

        def format(self, record: logging.LogRecord) -> str:
            return super().format(record).replace("Order Completed", self.name_of_all)

    handler = Masking(plane.write_key, plane.url)
    logger = wire(handler)
    with capture_events() as events:
        event(logger)
    events.one(type="track", event="Masked")
    handler.close()
