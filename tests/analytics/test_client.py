"""Clients: each has a destination of its own, and shares its events with nobody."""

from __future__ import annotations

import gc
import io
import logging
import logging.handlers
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import rudder_logging
from rudder_logging import (
    EVENT_TYPES,
    Client,
    ConfigError,
    EventLogger,
    InvalidValueError,
    NoEvents,
    RudderFormatter,
    UnknownOptionError,
)
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.testing import CapturedEvents

from ..conftest import WRITE_KEY, MakeHandler, Wire

PATIENCE = 60
OTHER_KEY = "another-write-key"


@pytest.fixture
def client(plane: LocalDataPlane) -> Iterator[Client]:
    """It sends to `plane`."""
    with Client(WRITE_KEY, plane.url, shutdown_timeout=PATIENCE) as made:
        yield made


@pytest.fixture
def other_plane() -> Iterator[LocalDataPlane]:
    """Another source's."""
    with LocalDataPlane(OTHER_KEY) as made:
        yield made


def names(plane: LocalDataPlane) -> list[str]:
    """What the events that have arrived are called."""
    return [event["event"] for event in plane.events]


def test_the_seven_calls_arrive(client: Client, plane: LocalDataPlane) -> None:
    """In the official SDK's positional order; each returns the id under which it arrives."""
    pair = [{"type": "email", "value": "a@b.c"}, {"type": "phone", "value": "1"}]
    ids = [
        client.identify("u", {"email": "name@surname.com"}),
        client.track("u", "Article Read", {"title": "The Independence"}),
        client.page("u", "Documentation", "Sample Doc", {"url": "http://rudderstack.com"}),
        client.screen("u", "Settings", "Brightness", {"from": "Settings Screen"}),
        client.group("u", "g", {"name": "Company"}),
        client.alias("previous", "u"),
        client.merge("u", pair),
    ]
    assert client.flush()
    assert [event["messageId"] for event in plane.events] == ids
    assert [event["type"] for event in plane.events] == [
        "identify",
        "track",
        "page",
        "screen",
        "group",
        "alias",
        "merge",
    ]
    assert {event["type"] for event in plane.events} == set(EVENT_TYPES)
    assert plane.events[1]["properties"] == {"title": "The Independence"}
    assert plane.problems == []


def test_two_clients_do_not_mix(
    client: Client, plane: LocalDataPlane, other_plane: LocalDataPlane
) -> None:
    """Each sends its own events, to its own source."""
    with Client(OTHER_KEY, other_plane.url, context={"app": {"name": "other"}}) as other:
        for number in range(20):
            client.track("u", f"mine {number}")
            other.track("u", f"theirs {number}")
    assert client.flush()
    assert names(plane) == [f"mine {number}" for number in range(20)]
    assert names(other_plane) == [f"theirs {number}" for number in range(20)]
    assert "app" not in plane.events[0]["context"]
    assert other_plane.events[0]["context"]["app"] == {"name": "other"}


def test_no_other_handler_has_its_events(
    client: Client,
    plane: LocalDataPlane,
    other_plane: LocalDataPlane,
    wire: Wire,
    make_handler: MakeHandler,
) -> None:
    """Neither one on the way of its logger, nor one behind a queue, nor a stream of events: they
    may lead to another source. They see an ordinary line.
    """
    theirs = {"write_key": OTHER_KEY, "data_plane_url": other_plane.url}
    behind, on_root, on_rudder = (make_handler(**theirs) for _ in range(3))
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    lines = io.StringIO()
    stream = logging.StreamHandler(lines)
    stream.setFormatter(RudderFormatter())
    listener = logging.handlers.QueueListener(records, behind)
    root = wire(on_root, logging.handlers.QueueHandler(records), stream, name="root-of-the-app")
    logger = logging.getLogger("rudder.client")
    wire(on_rudder, name="rudder").parent = root
    listener.start()
    try:
        client.track("u", "Article Read", {"title": "secret"}, on_commit=False)
    finally:
        logging.getLogger("rudder").parent = logging.root
        listener.stop()
        logger.manager._clear_cache()  # type: ignore[attr-defined]  # the levels above were others
    assert rudder_logging.flush(PATIENCE)
    assert names(plane) == ["Article Read"]
    assert other_plane.events == []
    assert '"message":"Article Read"' in lines.getvalue()
    assert "secret" not in lines.getvalue()


def test_caplog_sees_a_line(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO, of the logger `rudder.client`, from the line that calls. The event is not on it."""
    caplog.set_level(logging.INFO)
    client.track("u", "Article Read", {"title": "secret"})
    client.alias("previous", "u")
    assert [record.getMessage() for record in caplog.records] == ["Article Read", "alias"]
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("rudder.client", logging.INFO)
    assert (record.pathname, record.funcName) == (__file__, "test_caplog_sees_a_line")
    assert "secret" not in repr(vars(record))


def test_captured_events_have_those_of_clients(rudder_events: CapturedEvents) -> None:
    """Each once, with what its client adds; nothing is sent."""
    first = Client("first", "http://127.0.0.1:9", context={"app": {"name": "first"}})
    second = Client("second", "http://127.0.0.1:9", before_send=lambda message: None)
    first.track("u", "Article Read")
    second.track("u", "Dropped")
    rudder_logging.write_key, rudder_logging.data_plane_url = "third", "http://127.0.0.1:9"
    rudder_logging.track("u", "By the package")
    event = rudder_events.one(event="Article Read")
    assert event["context"]["app"] == {"name": "first"}
    assert len(rudder_events) == 2


def test_levels_and_filters(client: Client, plane: LocalDataPlane) -> None:
    """Events leave whatever the levels are; a filter of the logger `rudder.client` is asked."""
    logger = logging.getLogger("rudder.client")
    logging.disable(logging.CRITICAL)
    client.track("u", "disabled")
    logging.disable(logging.NOTSET)
    logger.setLevel(logging.ERROR)
    client.track("u", "level")
    only_others = NoEvents()
    logger.addFilter(only_others)
    try:
        client.track("u", "filtered")
    finally:
        logger.removeFilter(only_others)
        logger.setLevel(logging.NOTSET)
    assert client.flush()
    assert names(plane) == ["disabled", "level"]


def test_the_package_speaks_for_clients_too(client: Client, plane: LocalDataPlane) -> None:
    """`flush`, `shutdown` and `suppress`."""
    client.track("u", "flushed")
    assert rudder_logging.flush(PATIENCE)
    assert names(plane) == ["flushed"]
    rudder_logging.suppress("somebody")
    client.track("somebody", "suppressed")
    client.track("u", "shut down")
    rudder_logging.shutdown()
    assert names(plane) == ["flushed", "shut down"]


@pytest.mark.parametrize("end", ["join", "shutdown"])
def test_it_delivers_when_it_ends_and_can_be_used_again(plane: LocalDataPlane, end: str) -> None:
    """Nothing is left in memory, and nothing is lost afterwards."""
    client = Client(WRITE_KEY, plane.url, upload_interval=60, shutdown_timeout=PATIENCE)
    client.track("u", "one")
    getattr(client, end)()
    assert names(plane) == ["one"]
    assert client.handler._listener.unattended
    client.track("u", "two")
    client.shutdown()
    assert names(plane) == ["one", "two"]
    stats = client.stats()
    assert (stats.accepted, stats.delivered) == (2, 2)


def test_the_end_of_a_block_delivers(plane: LocalDataPlane) -> None:
    """Also if the block raises, which is not changed."""

    def fail() -> None:
        with Client(WRITE_KEY, plane.url, shutdown_timeout=PATIENCE) as client:
            client.track("u", "e")
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert names(plane) == ["e"]


def test_a_forgotten_client_loses_nothing(plane: LocalDataPlane) -> None:
    """What it has queued arrives though nobody has flushed it or shut it down."""
    client = Client(WRITE_KEY, plane.url, upload_interval=60)
    client.track("u", "e")
    del client
    gc.collect()
    assert [event["event"] for event in plane.wait_for(1, PATIENCE)] == ["e"]


OFFICIAL = {
    "debug": False,
    "max_queue_size": 5,
    "send": True,
    "on_error": print,
    "gzip": False,
    "max_retries": 3,
    "sync_mode": True,
    "timeout": 20.0,
    "proxies": {"https": "http://proxy.example:3128"},
    "thread": 1,
    "upload_size": 50,
    "upload_interval": 0.1,
}


@pytest.mark.parametrize("by_position", [True, False])
def test_the_official_options_are_taken(by_position: bool) -> None:
    """By name, and in the official SDK's order."""
    url = "https://example.com"
    options: dict[str, Any] = OFFICIAL
    client = Client("k", url, *OFFICIAL.values()) if by_position else Client("k", url, **options)
    config = client.handler.config
    assert config.write_key == "k"
    assert config.data_plane_url == url
    for name, value in OFFICIAL.items():
        assert name == "thread" or getattr(config, name) == value, name


@pytest.mark.parametrize("name", ["host", "dataPlaneUrl", "data_plane_url"])
def test_names_of_the_url(plane: LocalDataPlane, name: str) -> None:
    """The official SDK's, as among the package's settings."""
    url: Any = {name: plane.url}
    with Client(write_key=WRITE_KEY, **url) as client:
        client.track("u", "e")
    assert names(plane) == ["e"]


def test_environment_is_enough(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the two variables set, a client needs no arguments."""
    monkeypatch.setenv("RUDDER_WRITE_KEY", WRITE_KEY)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", plane.url)
    with Client() as client:
        client.track("u", "e")
    assert names(plane) == ["e"]


def test_what_is_wrong_is_said_when_it_is_made() -> None:
    """In the words of the options, or of Python's calls."""
    wrong: Any = {"uplod_size": 5}
    with pytest.raises(UnknownOptionError, match="did you mean 'upload_size'"):
        Client("k", "https://example.com", **wrong)
    with pytest.raises(ConfigError, match="write_key is missing"):
        Client(data_plane_url="https://example.com")
    with pytest.raises(ConfigError, match="data_plane_url was given twice"):
        Client("k", "https://example.com", host="https://example.com")
    with pytest.raises(TypeError, match="'debug' twice: by position, and by name"):
        Client("k", "https://example.com", True, debug=True)
    with pytest.raises(TypeError, match="up to 14 options by position"):
        Client("k", "https://example.com", *OFFICIAL.values(), True)


def test_thread_has_no_effect_and_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The number of 1, the official default, is nothing to speak of."""
    caplog.set_level(logging.INFO)
    Client("k", "https://example.com", thread=1)
    assert caplog.messages == []
    Client("k", "https://example.com", thread=4)
    assert "thread has no effect" in caplog.text


def test_wrong_arguments_raise_at_the_call(client: Client, plane: LocalDataPlane) -> None:
    """As the package's calls do, and nothing is sent."""
    with pytest.raises(InvalidValueError, match="no id"):
        client.track(None, "e")
    with pytest.raises(InvalidValueError, match="'group_id' is missing"):
        client.group("u")
    assert client.flush()
    assert plane.events == []


def test_repr_names_the_destination_alone() -> None:
    """The write key is a secret."""
    assert repr(Client("secret", "https://example.com")) == "<Client to https://example.com>"


def test_calls_of_others_are_not_changed_by_clients(
    client: Client, plane: LocalDataPlane, other_plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """A handler on the logger `rudder` has the package's calls, and not the client's."""
    handler = make_handler(write_key=OTHER_KEY, data_plane_url=other_plane.url)
    logger = logging.getLogger("rudder")
    logger.addHandler(handler)
    rudder_logging.track("u", "package")
    EventLogger(logger).track("u", "logger")
    client.track("u", "client")
    assert handler.flush(PATIENCE)
    assert client.flush()
    assert names(other_plane) == ["package", "logger"]
    assert names(plane) == ["client"]


SCRIPT = """
import os, sys, warnings
from rudder_logging import Client
client = Client(shutdown_timeout=60, upload_interval=60)
def track(*numbers):
    for number in numbers:
        client.track("u", "e", {"n": number})
track(*range(50))
"""
FORK = """
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: just what we test
child = os.fork()
if child == 0:
    track(*range(100, 110))
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "more"),
    [
        ("", []),
        ("del client", []),
        pytest.param(
            FORK,
            list(range(100, 110)),
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
        ),
    ],
    ids=["it ends", "the client is forgotten", "it forks"],
)
def test_a_process_that_just_ends_loses_nothing(
    plane: LocalDataPlane, ending: str, more: list[int]
) -> None:
    """Nor does a forked child, to which the parent's backlog does not belong."""
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
    }
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT + ending],
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    arrived = {event["messageId"]: event["properties"]["n"] for event in plane.events}
    assert sorted(arrived.values()) == [*range(50), *more]
