"""RudderHandler: from record to queue, and its life."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import logging.config
import sys
import threading
import types
import weakref
from collections import Counter
from time import monotonic
from typing import Any

import pytest

from rudder_logging import (
    EVENT_TYPES,
    EventLogger,
    InvalidEventError,
    RudderFormatter,
    RudderHandler,
)
from rudder_logging.dataplane import LocalDataPlane

from ..accounts import Arrivals
from ..conftest import WRITE_KEY, MakeHandler, Wire

OWN_FIELDS: dict[str, dict[str, Any]] = {
    "identify": {"traits": {"plan": "pro"}},
    "track": {"event": "Article Read"},
    "page": {"name": "Home"},
    "screen": {"name": "Home"},
    "group": {"group_id": "g"},
    "alias": {"previous_id": "p"},
    "merge": {
        "merge_properties": [{"type": "email", "value": "a@b"}, {"type": "phone", "value": "1"}]
    },
}


@pytest.mark.slow
def test_ten_thousand_events_among_ordinary_records_arrive_once_each_in_order(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Four threads log events of all types among other records: exactly the events arrive,
    each once, in each thread's order, with unique ids, and the ledger balances.
    """
    handler = make_handler()
    logger = wire(handler)
    types = list(EVENT_TYPES)

    def log(thread: int) -> None:
        for number in range(2_500):
            event_type = types[number % len(types)]
            fields = {
                "type": event_type,
                "user_id": f"thread-{thread}",
                "context": {"number": number},
                **OWN_FIELDS[event_type],
            }
            logger.info("an event", extra={"rudder": fields})
            logger.info("ordinary %d", number)

    threads = [threading.Thread(target=log, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush(30)

    events = plane.events
    assert len(events) == 10_000
    assert len({event["messageId"] for event in events}) == 10_000
    for thread_number in range(4):
        mine = [event for event in events if event["userId"] == f"thread-{thread_number}"]
        assert [event["context"]["number"] for event in mine] == list(range(2_500))
        assert Counter(event["type"] for event in mine) == Counter(
            types[number % len(types)] for number in range(2_500)
        )
    assert plane.problems == []
    stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.pending) == (10_000, 10_000, 0)
    assert stats.balanced


class ComparedRecord(logging.LogRecord):
    """Of an app that compares records, and so has taken their hash away."""

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


def test_records_without_a_hash_are_delivered(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record factory of the app's own may make such; the call does not raise."""
    handler = make_handler()
    logger = wire(handler)
    monkeypatch.setattr(logging, "_logRecordFactory", ComparedRecord)
    logger.info("e", extra={"rudder": {"user_id": "u"}})
    EventLogger(logger).track("u", "e")
    assert handler.flush()
    assert len(plane.events) == 2


def test_record_and_dicts_are_left_as_the_app_gave_them(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The handler changes neither the record nor the caller's dicts; caplog sees them as given."""
    handler = make_handler(
        context={"app": {"name": "shop"}},
        before_send=lambda message: message["properties"].clear() or message,
    )
    given = {
        "type": "identify",
        "userId": " 1 ",
        "traits": {"friends": [1, 2], "nested": {"n": 2**60}},
        "context": {"app": {"version": "2"}, "traits": {"old": 1}},
        "integrations": {"Amplitude": False},
    }
    given.pop("traits")
    given |= {"type": "track", "properties": {"friends": [1, 2], "nested": {"n": 2**60}}}
    before = copy.deepcopy(given)
    seen: list[dict[str, Any]] = []
    probe = logging.Handler()
    probe.emit = lambda record: seen.append(dict(record.__dict__))  # type: ignore[method-assign]
    logger = wire(probe, handler)
    logger.info("Read %s", "it", extra={"rudder": given})
    assert handler.flush()
    assert given == before
    (record,) = [record for record in caplog.records if record.name == logger.name]
    assert record.__dict__["rudder"] is given
    # pytest's own handler adds these two, after ours has run.
    assert set(record.__dict__) - set(seen[0]) <= {"message", "asctime"}
    assert {key: record.__dict__[key] for key in seen[0]} == seen[0]
    assert plane.events[0]["properties"] == {}


def test_what_was_true_at_the_call_is_what_arrives(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Changing a dict after the call changes nothing that is sent."""
    handler = make_handler()
    properties = {"items": [1]}
    wire(handler).info("e", extra={"rudder": {"user_id": 1, "properties": properties}})
    properties["items"].append(2)
    assert handler.flush()
    assert plane.events[0]["properties"] == {"items": [1]}


def test_event_name_is_the_template_never_the_text(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Each distinct event name becomes a table: arguments must not get into it."""
    handler = make_handler()
    wire(handler).info("Read %s", "secret", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert plane.events[0]["event"] == "Read %s"


def test_records_without_event_never_leave(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Ordinary records, and those whose `rudder` is None, pass untouched."""
    handler = make_handler()
    logger = wire(handler)
    logger.info("ordinary")
    logger.info("nothing", extra={"rudder": None})
    handler.emit(logging.makeLogRecord({"msg": "direct"}))
    assert handler.flush()
    assert handler.stats().accepted == 0
    assert plane.requests == []


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="no id"),
        pytest.param({"user_id": True}, id="bool id"),
        pytest.param({"user_id": "1", "usr": 1}, id="unknown field"),
        pytest.param("text", id="not a mapping"),
        pytest.param({"user_id": "1", "properties": "x" * 40_000}, id="not a mapping either"),
        pytest.param({"user_id": "1", "properties": {"x": "x" * 5_000_000}}, id="too large"),
    ],
)
def test_bad_event_is_counted_and_told_and_harms_nothing(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    capsys: pytest.CaptureFixture[str],
    given: Any,
) -> None:
    """Through logging a bad event never raises: one line on stderr, one count, the rest goes on."""
    handler = make_handler()
    logger = wire(handler)
    logger.info("bad %s", "argument", extra={"rudder": given})
    logger.info("good", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"rudder_logging: event refused at {__file__}:")
    assert "argument" not in error
    assert "xxx" not in error
    assert [event["event"] for event in plane.events] == ["good"]
    assert (handler.stats().invalid, handler.stats().accepted) == (1, 1)


def test_bad_event_is_silent_when_logging_is_told_so(
    make_handler: MakeHandler,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`logging.raiseExceptions = False` silences it, as for every stdlib handler."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = make_handler()
    wire(handler).info("bad", extra={"rudder": {}})
    assert capsys.readouterr().err == ""
    assert handler.stats().invalid == 1


def test_a_bug_behind_emit_shows_its_place_but_no_text(
    make_handler: MakeHandler,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even an exception that nobody foresaw stays out of the app, and quotes no payload."""
    payload = "secret"

    def broken(*_: object) -> bytes:
        raise RuntimeError(payload)

    monkeypatch.setattr(RudderFormatter, "encode", broken)
    handler = make_handler()
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    error = capsys.readouterr().err
    assert "RuntimeError" in error
    assert "in broken" in error
    assert "secret" not in error


def test_one_record_on_two_paths_is_sent_once(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A handler on a child logger and on its parent sends each record once."""
    handler = make_handler()
    parent = wire(handler)
    child = wire(handler, name=f"{parent.name}.child")
    for number in range(3):
        child.info("e", extra={"rudder": {"user_id": number}})
    assert handler.flush()
    assert [event["userId"] for event in plane.events] == ["0", "1", "2"]


def test_remembering_records_keeps_none_alive(make_handler: MakeHandler) -> None:
    """What a record holds (frames, by exc_info) is freed as soon as the app lets go of it."""
    handler = make_handler(send=False)
    record = logging.makeLogRecord({"msg": "e", "rudder": {"user_id": 1}})
    handler.handle(record)
    alive = weakref.ref(record)
    del record
    gc.collect()
    assert alive() is None
    handler.handle(logging.makeLogRecord({"msg": "e", "rudder": {"user_id": 1}}))
    assert handler.stats().accepted == 2


def test_level_and_filters_decide(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A handler's level and filters hold back events as they do any record."""
    handler = make_handler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: "no" not in record.getMessage())
    logger = wire(handler)
    for level, text in ((logging.INFO, "low"), (logging.ERROR, "no"), (logging.ERROR, "yes")):
        logger.log(level, text, extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["yes"]


def test_filter_that_raises_does_not_raise_into_the_app(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, refused: list[str]
) -> None:
    """What a filter raises ends in handleError and is counted; a call of ours raises it."""

    def fail(record: logging.LogRecord) -> bool:
        raise KeyError("no such user")

    handler = make_handler()
    handler.addFilter(fail)
    logger = wire(handler)
    logger.info("e", extra={"rudder": {"user_id": 1}})
    assert refused == ["'no such user'"]
    assert (handler.stats().accepted, handler.stats().invalid) == (0, 1)
    with pytest.raises(KeyError, match="no such user"):
        EventLogger(logger).track("u", "e")
    assert (handler.stats().accepted, handler.stats().invalid) == (0, 2)
    handler.removeFilter(fail)
    logger.info("well", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["well"]


def test_lock_is_there_for_those_who_take_it(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Code that takes a handler's lock works, and as nothing waits for it, harms nothing: other
    threads log and deliver meanwhile, as while `logging.shutdown` flushes.
    """
    handler = make_handler()
    logger = wire(handler)
    with handler.lock:  # type: ignore[union-attr]  # typeshed: a handler may have none
        handler.acquire()
        thread = threading.Thread(
            target=lambda: logger.info("e", extra={"rudder": {"user_id": 1}}), daemon=True
        )
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        assert handler.flush()
        acquired: list[bool] = []
        other = threading.Thread(target=lambda: acquired.append(handler.lock.acquire(timeout=0)))  # type: ignore[union-attr]
        other.start()
        other.join()
        assert acquired == [True]
        handler.release()
    assert [event["event"] for event in plane.events] == ["e"]
    handler._at_fork_reinit()  # type: ignore[attr-defined]  # as logging calls it in a child


def test_flush_says_false_while_events_wait(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """flush(timeout) tells honestly that not everything is settled, and then that it is."""
    plane.fail(503, times=None)
    handler = make_handler()
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush(0.05) is False
    assert handler.stats().pending == 1
    plane.heal()
    assert handler.flush() is True
    assert handler.stats().pending == 0


def test_flush_of_nothing_is_true(make_handler: MakeHandler) -> None:
    """With nothing accepted everything is settled, and no thread is started for it."""
    handler = make_handler()
    threads = threading.active_count()
    assert handler.flush(0) is True
    assert threading.active_count() == threads


def test_flush_may_be_told_to_wait_for_ever(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """An endless time-out is more than locks take, and yet is one."""
    handler = make_handler()
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush(float("inf"))
    assert len(plane.events) == 1


def test_closed_handler_opens_again(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """close() delivers what waits and ends the thread; the next event starts another."""
    handler = make_handler(upload_interval=30)
    logger = wire(handler)
    before = threading.active_count()
    for number in range(3):
        logger.info("e", extra={"rudder": {"user_id": number}})
        assert threading.active_count() == before + 1
        handler.close()
        assert [event["userId"] for event in plane.events] == [str(n) for n in range(number + 1)]
        assert threading.active_count() == before


def test_event_while_closing_is_not_stranded(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Threads that log while another closes over and over lose nothing."""
    handler = make_handler(upload_interval=0)
    logger = wire(handler)
    done = threading.Event()

    def close() -> None:
        while not done.is_set():
            handler.close()

    closer = threading.Thread(target=close)
    closer.start()
    for number in range(500):
        logger.info("e", extra={"rudder": {"user_id": number}})
    plane.wait_for(500)  # without a flush: no event may wait for a later one to move it
    done.set()
    closer.join()
    assert [event["userId"] for event in plane.events] == [str(n) for n in range(500)]


def test_a_subclass_may_have_attributes_of_its_own(wire: Wire, plane: LocalDataPlane) -> None:
    """Whatever an app calls them that keeps to names without an underscore."""

    class OrdersHandler(RudderHandler):
        def __init__(self) -> None:
            super().__init__(WRITE_KEY, plane.url)
            for name in ("pipeline", "queue", "listener", "ledger", "seen", "defaults"):
                setattr(self, name, "orders")

    handler = OrdersHandler()
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert len(plane.events) == 1


def test_dictconfig_with_a_batch_in_flight_returns_soon_and_loses_nothing(
    plane: LocalDataPlane,
) -> None:
    """DictConfig closes handlers under logging's own lock: it must not wait for the sender, which
    may want that lock, and the events still arrive.
    """
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "rudder": {
                "class": "rudder_logging.RudderHandler",
                "write_key": WRITE_KEY,
                "data_plane_url": plane.url,
                "shutdown_timeout": 60,
            }
        },
        "loggers": {"reconfigured": {"level": "INFO", "handlers": ["rudder"]}},
    }
    logging.config.dictConfig(config)
    logger = logging.getLogger("reconfigured")
    plane.latency = 0.5
    logger.info("first", extra={"rudder": {"user_id": 1}})
    logger.handlers[0].flush(timeout=0)  # type: ignore[call-arg]
    begun = monotonic()
    logging.config.dictConfig(config)
    assert monotonic() - begun < 30  # it would wait for 60: the sender waits for that lock, too
    logger.info("second", extra={"rudder": {"user_id": 1}})
    assert {event["event"] for event in plane.wait_for(2)} == {"first", "second"}
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def test_forgotten_handler_still_delivers_and_its_thread_ends(
    plane: LocalDataPlane, wire: Wire
) -> None:
    """A handler that is taken off its logger and never closed loses nothing and leaks nothing."""
    before = set(threading.enumerate())
    handler = RudderHandler(WRITE_KEY, plane.url, upload_interval=30)
    logger = wire(handler)
    logger.info("e", extra={"rudder": {"user_id": 1}})
    logger.removeHandler(handler)
    del handler
    gc.collect()
    plane.wait_for(1)
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


def test_what_the_sender_logs_is_not_shipped(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A filter that makes an event of every record, with the handler on root at DEBUG, does not
    make the sender feed itself.
    """
    handler = make_handler(upload_interval=0)

    def mark(record: logging.LogRecord) -> bool:
        record.rudder = {"user_id": record.name}
        return True

    class Marking(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            return mark(record)

    root = logging.getLogger()
    marking, level = Marking(), root.level
    root.handlers.insert(0, marking)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("app").info("e")
        assert handler.flush()
        plane.fail(503)
        logging.getLogger("app").info("e")
        assert handler.flush()
        logging.getLogger("rudder_logging").error("ours")
    finally:
        root.setLevel(level)
        root.removeHandler(marking)
        root.removeHandler(handler)
    handler.close()
    # The server's own thread logs, too (asyncio), and is an app's thread like any other.
    assert {"urllib3.connectionpool", "rudder_logging"}.isdisjoint(
        event["userId"] for event in plane.events
    )


def test_foreign_formatter_is_left_aside_with_a_warning(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A loop that sets one formatter on all handlers does not stop the events."""
    handler = make_handler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    assert "keeps its RudderFormatter" in caplog.text
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert plane.events[0]["event"] == "e"


def test_own_formatter_brings_defaults(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A RudderFormatter's context is merged under the handler's; None brings back the usual one."""
    handler = make_handler(context={"app": {"name": "shop"}})
    handler.setFormatter(RudderFormatter(context={"app": {"name": "x", "version": "2"}}))
    logger = wire(handler)
    logger.info("e", extra={"rudder": {"user_id": 1}})
    handler.setFormatter(None)
    logger.info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert [event["context"]["app"] for event in plane.events] == [
        {"name": "shop", "version": "2"},
        {"name": "shop"},
    ]


def test_deliver_raises_what_handle_swallows(make_handler: MakeHandler) -> None:
    """The calls go by `handle_or_raise`, which tells the caller what is wrong."""
    handler = make_handler()
    record = logging.makeLogRecord({"msg": "e", "rudder": {}})
    with pytest.raises(InvalidEventError, match="no id"):
        handler.handle_or_raise(record)


def test_reprs_hold_no_secret(make_handler: MakeHandler) -> None:
    """Neither handler nor configuration shows the write key."""
    handler = make_handler()
    assert WRITE_KEY not in repr(handler) + repr(handler.config)
    assert handler.config.data_plane_url in repr(handler)


def test_dead_listener_is_replaced_at_the_next_event(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listener thread that dies is noticed, replaced and counted; its batch is not lost."""
    handler = make_handler()
    logger = wire(handler)
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: died.set())

    def die(*_: object) -> None:
        raise SystemExit  # what C code or a debugger may inject

    with monkeypatch.context() as patch:
        patch.setattr(type(handler._listener._sender), "deliver", die)
        logger.info("first", extra={"rudder": {"user_id": 1}})
        handler._listener.hurry()
        thread = handler._listener._thread
        assert thread is not None
        thread.join(30)
    assert handler.stats().pending == 1
    logger.info("second", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["first", "second"]
    assert handler.stats().listener_restarts == 1


def test_a_bug_in_delivery_does_not_end_it(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception inside delivery is logged without its text, and the batch tried again."""
    handler = make_handler()
    sender = handler._listener._sender
    original = sender.deliver
    calls: list[int] = []

    def fail_once(*args: Any) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("secret")
        return original(*args)

    monkeypatch.setattr(sender, "deliver", fail_once)
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert len(plane.events) == 1
    assert "delivery failed with KeyError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("verb", ["take", "wait_until_settled", "depth"])
@pytest.mark.parametrize("sync_mode", [False, True])
def test_flush_and_close_raise_nothing(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    verb: str,
    sync_mode: bool,
) -> None:
    """Whatever goes wrong behind them, in a queue of the app's say, is said, in one line without
    its text, and not raised; nor is it into a call that delivers by itself.
    """
    handler = make_handler(sync_mode=sync_mode, shutdown_timeout=0.1)

    def fail(*_args: object) -> None:
        raise TypeError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(handler._pipeline.queue, verb, fail)
        calls = EventLogger(wire(handler))
        for _ in range(5):
            calls.track("1", "e")
        assert handler.flush(0.1) is False
        handler.close()
    assert caplog.text.count("delivery failed with TypeError") == 1
    assert "secret" not in caplog.text
    assert handler.flush(30)
    assert len(plane.events) == 5


def test_event_loop_is_not_blocked(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """On a loop, logging an event takes no time worth mentioning while the server hangs, and
    `aflush` and `aclose` let other tasks run.
    """
    handler = make_handler(upload_size=1, timeout=0.5)
    logger = wire(handler)
    plane.hang()

    async def main() -> tuple[bool, int]:
        for number in range(100):
            logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})
        flushing = asyncio.ensure_future(handler.aflush())
        turns = 0
        while not flushing.done():
            turns += 1
            await asyncio.sleep(0)
        await handler.aclose()
        return flushing.result(), turns

    settled, turns = asyncio.run(main())
    assert settled
    assert turns > 100
    assert Arrivals(plane).order == list(range(100))  # a slow answer is one that is lost


@pytest.mark.parametrize(
    ("options", "works"),
    [
        ({}, True),
        ({b"threads": b"2"}, True),
        ({"enable-threads": "true"}, True),
        ({b"enable-threads": True}, True),
        ({b"http": b":8000"}, False),
        ({b"enable-threads": b"false"}, False),
    ],
)
def test_uwsgi_without_threads_is_served_synchronously(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    options: dict[object, object],
    works: bool,
) -> None:
    """Where no thread gets to run, events leave with the call, and one warning names the cure."""
    monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(opt=options))
    before = threading.active_count()
    handler = make_handler()
    wire(handler).info("e", extra={"rudder": {"user_id": 1}})
    assert (threading.active_count() > before) is works
    assert ("enable-threads" in caplog.text) is not works
    assert works or len(plane.events) == 1
    handler.close()
    assert len(plane.events) == 1


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://example.com", True),
        ("http://10.0.0.1:8080", True),
        ("https://example.com", False),
        ("http://127.0.0.1:1", False),
        ("http://localhost:1", False),
        ("http://[::1]:1", False),
    ],
)
def test_unencrypted_url_is_warned_about(
    make_handler: MakeHandler,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    warned: bool,
) -> None:
    """Plain HTTP to another machine shows events and key to the network. It is said once, however
    many handlers send there, and for another data plane anew.
    """
    monkeypatch.setattr("rudder_logging.handler.setup._told_in_clear", set())
    for _ in range(3):
        make_handler(data_plane_url=url)
    assert caplog.text.count("unencrypted") == warned
    make_handler(data_plane_url="http://other.example")
    assert caplog.text.count("unencrypted") == warned + 1


def test_callbacks_may_log_events(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """An event logged by on_drop, on_error or before_send is an event like any other, and makes
    none of them call itself without end.
    """
    logger = wire()

    def note(name: str) -> None:
        logger.info(name, extra={"rudder": {"user_id": 1}})

    def before_send(message: dict[str, Any]) -> dict[str, Any]:
        note("from before_send")
        return message

    handler = make_handler(
        before_send=before_send,
        on_error=lambda error, events: note("from on_error"),
        on_drop=lambda event, reason: note("from on_drop"),
    )
    logger.addHandler(handler)
    words = "event is not a valid rudder event"
    plane.fail_for(lambda event: event["event"] == "refused", 400, words)
    note("refused")
    assert handler.flush()
    assert handler.flush()
    arrived = Counter(event["event"] for event in plane.events)
    # The hook saw three events, and not the ones that it logged itself.
    assert arrived == {"from before_send": 3, "from on_drop": 1, "from on_error": 1}

    full_logger = wire()
    full = make_handler(
        max_queue_size=1, on_drop=lambda event, reason: full_logger.info("x", extra=EXTRA)
    )
    full_logger.addHandler(full)
    plane.fail(503, times=None)
    for _ in range(3):
        full_logger.info("e", extra=EXTRA)
    assert full.stats().dropped == {"queue_full": 4}
    assert full.stats().callback_errors == 0


EXTRA = {"rudder": {"user_id": 1}}
