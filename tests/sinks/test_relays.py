"""The way from the option `relay` to a sink: everything else of a handler is as it always is."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rudder_logging as rudder_analytics
from rudder_logging import Config, ConfigError, KeptBackError, RudderHandler
from rudder_logging.common.schemes import SINKS
from rudder_logging.config.relay_urls import KAFKA, REDIS
from rudder_logging.relay.source import open_source
from rudder_logging.sinks import open_sink, register
from rudder_logging.testing.source_contract import Watch

from ..conftest import Wire
from .one_file import FileSink

PASSWORD = "s3cret-pa55word"
RELAY = f"lines://app:{PASSWORD}@localhost:7000/0"

Lines = Callable[..., list[int]]


def lines_of(folder: Path, source: str = "shop") -> list[int]:
    """The numbers of the events that an engine of files has of a source, in their order."""
    path = folder / f"{source}.jsonl"
    stored = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["properties"]["n"] for line in stored]


def event(number: int) -> dict[str, Any]:
    """An event to log, as `extra`."""
    return {"rudder": {"user_id": "u", "properties": {"n": number}}}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(SINKS, "_makers", {})


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    """An engine of files, by the scheme lines. The value reads a source's numbers."""
    register("lines", lambda config: FileSink(tmp_path / f"{config.source}.jsonl"))
    return lambda source="shop": lines_of(tmp_path, source)


@pytest.fixture
def open_() -> Iterator[Callable[..., RudderHandler]]:
    """Make handlers to a relay; each is closed, and its ledger balances."""
    made: list[RudderHandler] = []

    def make(**options: Any) -> RudderHandler:
        usual = {"relay": RELAY, "source": "shop", "shutdown_timeout": 60}
        made.append(RudderHandler(**{**usual, **options}))
        return made[-1]

    yield make
    for handler in made:
        handler.close()
        assert handler.stats().balanced


Open = Callable[..., RudderHandler]


def test_delivered_means_that_the_engine_has_it(open_: Open, wire: Wire, lines: Lines) -> None:
    """Neither write key nor data plane is named anywhere."""
    handler = open_()
    logger = wire(handler)
    for number in range(250):
        logger.info("e", extra=event(number))
    assert handler.flush()
    assert lines() == list(range(250))
    assert handler.stats().delivered == 250


def test_no_secret_is_shown(open_: Open, lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    """Neither by a handler nor by its options, its counts or its log lines."""
    with caplog.at_level(logging.DEBUG):
        handler = open_(debug=True)
    assert repr(handler) == "<RudderHandler to lines://localhost:7000/0 (source shop) (NOTSET)>"
    for text in (repr(handler), repr(handler.config), repr(handler.stats()), caplog.text):
        assert PASSWORD not in text


def test_the_calls_have_it_as_attributes(lines: Lines) -> None:
    """As all other settings; a wrong one is an error where it is set."""
    rudder_analytics.relay = RELAY
    with pytest.raises(ConfigError, match="source is missing"):
        rudder_analytics.track("u", "Too Early", {"n": 0})
    with pytest.raises(ConfigError, match="must be a name"):
        rudder_analytics.source = "a shop"
    rudder_analytics.source = "shop"
    for number in range(3):
        rudder_analytics.track("u", "Article Read", {"n": number})
    assert rudder_analytics.flush(60)
    assert lines() == [0, 1, 2]


def test_the_calls_follow_the_environment(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variables move an app that names its data plane in variables, too."""
    monkeypatch.setenv("RUDDER_WRITE_KEY", "key")
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", "http://localhost:9")
    monkeypatch.setenv("RUDDER_RELAY", RELAY)
    monkeypatch.setenv("RUDDER_SOURCE", "shop")
    rudder_analytics.track("u", "Article Read", {"n": 7})
    assert rudder_analytics.flush(60)
    assert lines() == [7]


def test_dict_config(lines: Lines) -> None:
    """The options are words of it like all others."""
    options = {"relay": RELAY, "source": "shop", "relay_max_bytes": "100000"}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"events": {"class": "rudder_logging.RudderHandler", **options}},
            "loggers": {"app.relayed": {"level": "INFO", "handlers": ["events"]}},
        }
    )
    logger = logging.getLogger("app.relayed")
    logger.info("e", extra=event(1))
    (handler,) = logger.handlers
    assert isinstance(handler, RudderHandler)
    assert handler.flush(60)
    handler.close()
    logger.removeHandler(handler)
    assert lines() == [1]


def test_sync_mode(open_: Open, wire: Wire, lines: Lines) -> None:
    """The engine has an event when the call that logs it ends."""
    logger = wire(open_(sync_mode=True))
    for number in range(3):
        logger.info("e", extra=event(number))
        assert lines() == list(range(number + 1))


def test_send_off(open_: Open, wire: Wire, lines: Lines) -> None:
    """Nothing leaves."""
    handler = open_(send=False)
    wire(handler).info("e", extra=event(1))
    assert handler.flush()
    assert handler.stats().dropped == {"send_off": 1}
    assert lines() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_sink_of_its_own(open_: Open, wire: Wire, tmp_path: Path) -> None:
    """It asks the scheme's maker anew, and the parent's backlog stays the parent's."""

    def make(config: Config) -> FileSink:
        return FileSink(tmp_path / f"{config.source}-{os.getpid()}.jsonl")

    register("lines", make)
    handler = open_(upload_interval=3_600)
    logger = wire(handler)
    logger.info("e", extra=event(0))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            logger.info("e", extra=event(1))
            code = 0 if handler.flush(60) else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert handler.flush()
    assert lines_of(tmp_path, f"shop-{os.getpid()}") == [0]
    assert lines_of(tmp_path, f"shop-{child}") == [1]


PROGRAM = """
import logging, signal, sys
from pathlib import Path
from rudder_logging import RudderHandler
from rudder_logging.config.relay_urls import KAFKA, REDIS
from rudder_logging.relay.source import open_source
from rudder_logging.sinks import open_sink, register
from rudder_logging.testing.source_contract import Watch
from tests.sinks.one_file import FileSink
register("lines", lambda config: FileSink(Path({folder!r}) / f"{{config.source}}.jsonl"))
handler = RudderHandler(upload_interval=3600, shutdown_timeout=60, **{options!r})
logger = logging.getLogger("app")
logger.setLevel("INFO")
logger.addHandler(handler)
"""
LOGGED = """
for number in range(3):
    logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})
print("logged", flush=True)
sys.stdin.read()
"""


def start(folder: Path, rest: str, **options: Any) -> subprocess.Popen[str]:
    """A program with a handler to an engine of files."""
    options = {"relay": RELAY, "source": "shop", **options}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(folder=str(folder), options=options) + rest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_drain_on_sigterm(tmp_path: Path) -> None:
    """What waits goes to the engine before SIGTERM ends the process."""
    with start(tmp_path, LOGGED, drain_on_sigterm=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "logged\n"
            process.terminate()
            assert process.wait(120) == -signal.SIGTERM
        finally:
            process.kill()
    assert lines_of(tmp_path) == [0, 1, 2]


@pytest.mark.slow
def test_a_durable_queue_is_the_sources_at_that_relay(tmp_path: Path) -> None:
    """The next process delivers what a killed one left, with another password, too.

    One of another source, database or engine, or one that sends by itself, leaves it alone.
    """
    spool = f"file://{tmp_path}/spool"
    with start(tmp_path, LOGGED, queue=spool) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "logged\n"
        finally:
            process.kill()
    others = [
        {"source": "blog"},
        {"relay": "lines://localhost:7000/1"},
        {"relay": "lines://other.localhost:7000/0"},
    ]
    for options in others:
        with start(tmp_path, "assert handler.flush(60)", queue=spool, **options) as process:
            assert process.wait(120) == 0
    assert list(tmp_path.glob("*.jsonl")) == []
    same = "lines://app:another@localhost:7000/0?max_bytes=50000"
    with start(tmp_path, "assert handler.flush(60)", queue=spool, relay=same) as process:
        assert process.wait(120) == 0
    assert lines_of(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize(
    ("url", "library", "extra"),
    [
        ("redis://localhost", "redis", "redis"),
        ("rediss://localhost", "redis", "redis"),
        ("unix:///run/redis.sock", "redis", "redis"),
        ("redis+cluster://localhost", "redis", "redis"),
        ("kafka://localhost/events", "confluent_kafka", "kafka"),
    ],
)
def test_a_library_that_is_missing_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, url: str, library: str, extra: str
) -> None:
    """Where the handler is made, with what installs it."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"pip install 'rudder-logging\[{extra}\]'$"):
        RudderHandler(relay=url, source="shop")


@pytest.mark.parametrize("scheme", [*REDIS, *KAFKA])
def test_a_relay_reads_from_where_apps_append(scheme: str) -> None:
    """Else an app's events would wait for a relay that takes their URL for none."""
    url = f"{scheme}:///run/redis.sock" if scheme == "unix" else f"{scheme}://localhost:1/master"
    open_sink(Config.load({}, relay=url, source="shop")).close()
    open_source(url, "shop", Watch()).close()


def test_under_pytest_no_relay_takes_from_another_host() -> None:
    """What is in that engine is others', and so are the relays that are to deliver it."""
    for url in ("redis://engine.example/0", "redis+cluster://localhost,h2", "kafka://k1,k2/t"):
        with pytest.raises(ConfigError, match=r"^pytest keeps events from "):
            open_source(url, "shop", Watch())


@pytest.mark.rudder_network
def test_a_relay_of_a_marked_test_may() -> None:
    """The mark holds for relays, too."""
    open_source("redis://engine.example/0", "shop", Watch()).close()


def test_a_sink_of_the_apps_comes_before_the_packages_own(open_: Open, tmp_path: Path) -> None:
    """Of two makers for a scheme, the one that the app registers counts."""
    register("kafka", lambda config: FileSink(tmp_path / f"{config.source}.jsonl"))
    handler = open_(relay="kafka://localhost/events")
    handler.accept({"user_id": "1", "properties": {"n": 5}}, "X", 0)
    assert handler.flush()
    assert lines_of(tmp_path) == [5]


def test_what_a_maker_gives_has_to_be_a_sink(open_: Open) -> None:
    """As for `data_plane_url`; the error names the option."""
    register("lines", lambda config: object())  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match="relay has a scheme whose maker gave object"):
        open_()


@pytest.mark.filterwarnings("ignore::rudder_logging.KeptBackWarning")
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("lines://engine.example:7000", "engine.example"),
        (f"lines://:{PASSWORD}@localhost,engine.example/main", "engine.example"),
        ("lines://localhost:7000,[::1]:7001", None),
        ("unix:///run/redis.sock", None),
    ],
)
def test_pytest_keeps_events_from_engines_of_other_hosts(
    open_: Open, wire: Wire, tmp_path: Path, url: str, host: str | None
) -> None:
    """Whichever of several hosts that is. A socket of this machine is none."""
    for scheme in ("lines", "unix"):
        register(scheme, lambda config: FileSink(tmp_path / f"{config.source}.jsonl"))
    errors: list[Exception] = []
    handler = open_(relay=url, on_error=lambda error, events: errors.append(error))
    wire(handler).info("e", extra=event(1))
    assert handler.flush()
    assert lines_of(tmp_path) == ([] if host else [1])
    assert [error.host for error in errors if isinstance(error, KeptBackError)] == [
        name for name in [host] if name
    ]
    assert PASSWORD not in str(errors)


def test_what_an_operator_may_want_to_know_is_told_at_info(
    open_: Open, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """A private network is the usual place of an engine, so it is no warning."""
    with caplog.at_level(logging.INFO, "rudder_logging"):
        for _ in range(2):
            open_(relay=f"lines://:{PASSWORD}@engine.test.example:7000", write_key="a-s3cret-key")
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert (
        "INFO",
        "write_key is not used with relay: leave it to the relay, and take it out here",
    ) in told
    place = "lines://engine.test.example:7000 (source shop)"
    assert told.count(("INFO", f"events go unencrypted to the relay's engine, {place}")) == 1
    assert not any(level == "WARNING" for level, _ in told)
    assert "s3cret" not in caplog.text
