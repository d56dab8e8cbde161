"""A handler that goes to a real Redis: whatever befalls the app, the engine has its events once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rudder_logging as rudder_analytics
from rudder_logging import RudderHandler
from tests.conftest import Wire
from tests.engines import NEEDS_REDIS, RedisServer

from .streams import events

pytestmark = [NEEDS_REDIS, pytest.mark.slow]

PASSWORD = "s3cret-pa55word"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """An engine with a password, which keeps what it acknowledges."""
    with RedisServer(tmp_path / "redis", "--appendonly", "yes", password=PASSWORD) as server:
        yield server


def numbers(server: RedisServer) -> list[int]:
    """The numbers of the events that it has, sorted."""
    return sorted(event["properties"]["n"] for event in events([server]))


def event(number: int) -> dict[str, Any]:
    """An event to log, as `extra`."""
    return {"rudder": {"user_id": f"u{number % 7}", "properties": {"n": number}}}


def test_sync_mode_and_send_off(server: RedisServer, wire: Wire) -> None:
    """The call has stored it when it returns; switched off, nothing is connected."""
    ways: list[Any] = [({"send": False}, []), ({"sync_mode": True}, [0])]
    for options, stored in ways:
        handler = RudderHandler(relay=server.url, source="shop", **options)
        wire(handler).info("e", extra=event(0))
        assert numbers(server) == stored
        assert handler.flush(60)
        handler.close()
        assert handler.stats().balanced


def test_the_seven_calls(server: RedisServer) -> None:
    """By two attributes of the package."""
    rudder_analytics.relay = server.url
    rudder_analytics.source = "shop"
    rudder_analytics.identify("u", {"n": 0})
    rudder_analytics.track("u", "X", {"n": 1})
    rudder_analytics.page("u", "c", "p", {"n": 2})
    rudder_analytics.screen("u", "c", "s", {"n": 3})
    rudder_analytics.group("u", "g", {"n": 4})
    rudder_analytics.alias("old", "u")
    pair = [{"type": "a", "value": "1"}, {"type": "b", "value": "2"}]
    rudder_analytics.merge("u", pair)
    assert rudder_analytics.flush(60)
    types = ["identify", "track", "page", "screen", "group", "alias", "merge"]
    stored = events([server])
    assert [one["type"] for one in stored if one.get("userId") == "u"] == types


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks(server: RedisServer, wire: Wire) -> None:
    """Children and parent, each by a connection of its own: no event twice, none lost."""
    handler = RudderHandler(relay=server.url, source="shop", shutdown_timeout=60)
    logger = wire(handler)
    for number in range(50):
        logger.info("e", extra=event(number))
    assert handler.flush()  # the parent has a connection, and numbers of frames
    children = []
    for begin in (100, 200):
        logger.info("e", extra=event(begin - 1))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for number in range(begin, begin + 50):
                    logger.info("e", extra=event(number))
                code = 0 if handler.flush(60) else 1
            finally:
                os._exit(code)
        children.append(child)
    for number in range(300, 350):
        logger.info("e", extra=event(number))
    assert handler.flush()
    handler.close()
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    expected = [*range(50), 99, *range(100, 150), 199, *range(200, 250), *range(300, 350)]
    assert numbers(server) == expected


PROGRAM = """
import logging, sys
from rudder_logging import RudderHandler
handler = RudderHandler(source="shop", upload_interval={interval}, **{options!r})
logger = logging.getLogger("app")
logger.setLevel("INFO")
logger.addHandler(handler)
for number in range({count}):
    user = "u%d" % (number % 7)
    logger.info("e", extra={{"rudder": {{"user_id": user, "properties": {{"n": number}}}}}})
print("logged", flush=True)
sys.stdin.read()
"""


@contextmanager
def logged(count: int, interval: float, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that has logged so many events; it ends when its input does."""
    options["shutdown_timeout"] = 60
    code = PROGRAM.format(count=count, interval=interval, options=options)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "logged\n"
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_drain_on_sigterm(server: RedisServer) -> None:
    """What waits in the app is in the engine when SIGTERM has ended it."""
    with logged(300, 3_600, relay=server.url, drain_on_sigterm=True, upload_size=500) as process:
        assert numbers(server) == []
        process.terminate()
        assert process.wait(120) == -signal.SIGTERM
    assert numbers(server) == list(range(300))


def test_a_durable_queue_outlives_app_and_engine(server: RedisServer, tmp_path: Path) -> None:
    """Both are killed; the next app hands the engine what the first had on its disk."""
    options = {"relay": server.url, "queue": f"file://{tmp_path}/spool"}
    server.kill()
    with logged(200, 0.01, **options) as process:
        process.kill()
    server.start()
    assert numbers(server) == []
    with logged(0, 0.01, **options) as process:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert numbers(server) == list(range(200))


def test_a_wrong_password_is_told_and_not_shown(
    server: RedisServer, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are held; neither password is in a line, in an error or in the counts."""
    errors: list[Exception] = []
    wrong = f"redis://:another-s3cret@127.0.0.1:{server.port}"
    handler = RudderHandler(
        relay=wrong, source="shop", on_error=lambda error, _: errors.append(error)
    )
    with caplog.at_level(logging.DEBUG):
        wire(handler).info("e", extra=event(0))
        assert not handler.flush(2)
        stats = handler.stats()
    assert stats.holding is not None
    assert "WRONGPASS" in stats.holding
    assert stats.pending == 1
    handler._listener.finish(0)
    handler.close()
    for text in (caplog.text, repr(errors), str(errors), repr(stats), repr(handler)):
        assert "s3cret" not in text
