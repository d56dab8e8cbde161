"""Every way into a handler, and every way out: no value under a redacted name is anywhere."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import loguru
import pytest
import structlog

import rudder_logging
from rudder_logging import (
    Client,
    EventLogger,
    PrivateFormatter,
    RequestContext,
    RudderHandler,
    bind,
    bind_lazily,
    dump_bound,
    load_bound,
)
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler import commits
from rudder_logging.integrations.loguru import rudder_sink
from rudder_logging.integrations.structlog import RudderProcessor
from rudder_logging.integrations.wsgi import RudderMiddleware
from rudder_logging.relay.source import open_source
from rudder_logging.testing.source_contract import Watch

from ..conftest import WRITE_KEY, MakeHandler, Wire
from ..engines import NEEDS_REDIS, RedisServer
from ..handler.test_commits import Database

SECRET = "s3cr3t-value"
URL = f"https://jo:{SECRET}@x.example/?token={SECRET}&b=2#access_token={SECRET}"
FIELDS: dict[str, Any] = {
    "user_id": "u",
    "properties": {"password": SECRET, "url": URL, "deep": [{"otp": SECRET}], "kept": 1},
    "context": {"page": {"url": URL, "referrer": URL, "search": f"?token={SECRET}", "path": "/a"}},
    "integrations": {"X": {"api_key": SECRET}},
}
BOUND: dict[str, Any] = {"context": {"login": {"password": SECRET}}, "properties": {"pwd": SECRET}}
OPTIONS: list[dict[str, Any]] = [{}, {"action": "mask"}, {"geo": False}]

Way = Callable[[RudderHandler, logging.Logger], object]


def by_identify(_handler: RudderHandler, logger: logging.Logger) -> None:
    """Traits are in two places."""
    traits = {"password": SECRET, "note": f"token={SECRET}", "kept": 1}
    EventLogger(logger).identify("u", traits, context=FIELDS["context"])


def by_calls(_handler: RudderHandler, logger: logging.Logger) -> None:
    """The other calls of an EventLogger, with bound fields of its own."""
    events = EventLogger(logger, context={"app": {"secret": SECRET}})
    events.page("u", "Docs", "Home", {"url": URL})
    events.group("u", "g", {"token": SECRET})
    events.alias("u", "p", context={"x": {"token": SECRET}})


def by_what_is_bound(_handler: RudderHandler, logger: logging.Logger) -> None:
    """In a block, lazily, and as a task gets it."""
    with bind(**BOUND):
        logger.info("e", extra={"rudder": FIELDS})
        carried = dump_bound()
    with bind_lazily(lambda: BOUND):
        logger.info("e", extra={"rudder": {"user_id": "u"}})
    with load_bound(carried):
        logger.info("e", extra={"rudder": {"user_id": "u"}})


def by_a_request(_handler: RudderHandler, logger: logging.Logger) -> None:
    """Its query is let in by name."""

    def app(_environ: Any, start: Any) -> list[bytes]:
        logger.info("e", extra={"rudder": {"user_id": "u"}})
        start("200 OK", [])
        return []

    environ: dict[str, Any] = {"QUERY_STRING": f"token={SECRET}&b=2", "HTTP_REFERER": URL}
    setup_testing_defaults(environ)
    known = RequestContext(query=["token", "b"], extra=lambda _: {"x": {"token": SECRET}})
    list(RudderMiddleware(app, known)(environ, lambda *_: lambda _data: None))


def by_structlog(_handler: RudderHandler, logger: logging.Logger) -> None:
    """Whichever renderer comes after."""
    log = structlog.wrap_logger(
        logger, processors=[RudderProcessor(), structlog.processors.JSONRenderer()]
    )
    log.info("e", rudder=FIELDS)


def by_loguru(handler: RudderHandler, _logger: logging.Logger) -> None:
    """Its sink of ours."""
    number = loguru.logger.add(rudder_sink(handler))
    try:
        loguru.logger.bind(rudder={**FIELDS, "event": "e"}).info("e")
    finally:
        loguru.logger.complete()
        loguru.logger._core.handlers.pop(number)  # type: ignore[attr-defined]  # not closed


def by_a_commit(_handler: RudderHandler, logger: logging.Logger) -> None:
    """It waits as it may leave."""
    database = Database(True)
    commits._finders.append(database.find)
    try:
        database.begin()
        logger.info("e", extra={"rudder": FIELDS, "rudder_on_commit": True})
        assert all(SECRET.encode() not in one.message for one in database.waiting[0])
        database.commit()
    finally:
        commits._finders.remove(database.find)


def by_a_log_call(_handler: RudderHandler, logger: logging.Logger) -> None:
    """As most are."""
    for _ in range(3):
        logger.info("e", extra={"rudder": FIELDS})


WAYS: list[Way] = [
    by_a_log_call,
    by_identify,
    by_calls,
    by_what_is_bound,
    by_a_request,
    by_structlog,
    by_loguru,
    by_a_commit,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", OPTIONS, ids=["removed", "masked", "all-stages"])
def test_ways_in(
    way: Way,
    options: dict[str, Any],
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What arrives has nothing of it, whoever logs it; nor has any line of ours."""
    handler = make_handler(privacy=options, context={"app": {"token": SECRET, "name": "n"}})
    way(handler, wire(handler))
    assert handler.flush()
    assert handler.stats().invalid == 0
    assert plane.events
    assert SECRET not in json.dumps(plane.events)
    assert all(event["context"]["app"]["name"] == "n" for event in plane.events)
    ours = [line.getMessage() for line in caplog.records if line.name == "rudder_logging"]
    assert SECRET not in "".join(ours)


def test_a_client_of_its_own(plane: LocalDataPlane) -> None:
    """And the package's calls, with its settings."""
    client = Client(WRITE_KEY, plane.url, privacy={})
    client.track("u", "e", FIELDS["properties"], FIELDS["context"])
    client.shutdown()
    rudder_logging.write_key, rudder_logging.data_plane_url = WRITE_KEY, plane.url
    rudder_logging.privacy = {}  # type: ignore[assignment]
    rudder_logging.track("u", "e", FIELDS["properties"], FIELDS["context"])
    rudder_logging.identify("u", {"password": SECRET, "kept": 1})
    assert rudder_logging.flush()
    assert len(plane.events) == 3
    assert SECRET not in json.dumps(plane.events)
    assert plane.events[0]["properties"]["url"] == "https://jo@x.example/?b=2#"


def test_callbacks_and_lines_are_told_no_more(
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of what is refused, of what is dropped, and of what is not even an event."""
    told: list[object] = []
    handler = make_handler(
        privacy={},
        on_drop=lambda *drop: told.append(drop),
        on_error=lambda *failure: told.append(failure),
        before_send=lambda event: None if event["event"] == "dropped" else event,
    )
    plane.fail_for(lambda _: True, status=400, text="invalid json")
    logger = wire(handler)
    logger.info("e", extra={"rudder": FIELDS})
    logger.info("dropped", extra={"rudder": FIELDS})
    logger.info("e", extra={"rudder": {**FIELDS, "type": "nonsense"}})
    logger.info("e", extra={"rudder": {**FIELDS, "properties": [SECRET]}})
    logger.info("e", extra={"rudder": {**FIELDS, "timestamp": SECRET}})
    assert handler.flush()
    assert (handler.stats().refused, handler.stats().invalid) == (1, 3)
    assert len(told) == 3
    assert SECRET not in repr(told)
    ours = [line.getMessage() for line in caplog.records if line.name == "rudder_logging"]
    assert SECRET not in "".join(ours)
    assert SECRET not in capsys.readouterr().err


def test_other_handlers_write_no_more(wire: Wire, make_handler: MakeHandler) -> None:
    """With a PrivateFormatter: events, other lines, and the texts of exceptions."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrivateFormatter(privacy={}))
    logger = wire(make_handler(privacy={}), handler)
    logger.info("e", extra={"rudder": FIELDS})
    logger.info("asked %s", URL, extra={"details": FIELDS})
    failure = LookupError({"password": SECRET, "kept": 1})
    logger.error("failed", exc_info=failure)
    assert len(stream.getvalue().splitlines()) == 3
    assert SECRET not in stream.getvalue()
    assert "'kept': 1" in stream.getvalue()


@pytest.mark.slow
@NEEDS_REDIS
def test_a_relay_holds_no_more(tmp_path: Path, wire: Wire) -> None:
    """In a real engine: what a relay takes out of it."""
    with RedisServer(tmp_path / "redis") as server:
        url = f"redis://127.0.0.1:{server.port}"
        handler = RudderHandler(relay=url, source="shop", privacy={}, shutdown_timeout=60)
        wire(handler).info("e", extra={"rudder": FIELDS})
        assert handler.flush(60)
        handler.close()
        source = open_source(url, "shop", Watch())
        try:
            batch = None
            while batch is None:
                batch = source.take(4_000_000, 1.0)
            (message,) = batch
            source.done(batch)
        finally:
            source.close()
    assert SECRET.encode() not in message
    assert b'"kept":1' in message
