"""What may leave under pytest: this suite runs under the plugin itself."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from rudder_logging import KeptBackError, RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.sinks import guard
from rudder_logging.testing.watch import guard_all

from ..conftest import MakeHandler, Wire
from .one_file import FileSink

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.1:8080", "[::1]"]
)
def test_loopback_may_be_reached(host: str) -> None:
    """By any of its names."""
    assert guard.refusal([f"http://{host}/v1/batch"]) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://hosted.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://user@10.0.0.1:8080",
        "http://127.0.0.1@example.com",
        "http://0.0.0.0",
        "http://[2001:db8::1]",
        "http:///v1/batch",
    ],
)
def test_nothing_else_may(url: str) -> None:
    """Nor what only looks like it."""
    assert "rudder_network" in str(guard.refusal(["http://localhost", url]))


@pytest.mark.rudder_network
def test_marked_test_may_reach_any_host() -> None:
    """It says so itself."""
    assert guard.refusal(["https://hosted.example.com"]) is None


def test_without_pytest_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor if somebody only imports the plugin's module."""
    for name in ("_rudder_logging_pytest", "rudder_logging.pytest_plugin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delenv("_RUDDER_LOGGING_KEEPS_EVENTS")
    assert guard.refusal(["https://hosted.example.com"]) is None
    guard.kept_back("hosted.example.com", 1)
    import rudder_logging.pytest_plugin  # noqa: F401

    assert guard.refusal(["https://hosted.example.com"]) is None


@pytest.mark.filterwarnings("ignore::rudder_logging.KeptBackWarning")
@pytest.mark.parametrize("way", ["program", "spawn", "forkserver"])
def test_what_a_test_starts_is_kept_too(way: str) -> None:
    """Another program, or a process that is not forked: neither loads the plugin."""
    if way == "program":
        code = f"from {__name__} import send; raise SystemExit(send())"
        ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode
    else:
        with ProcessPoolExecutor(1, multiprocessing.get_context(way)) as pool:
            ended = pool.submit(send).result(timeout=50)
    assert ended == KEPT


@pytest.mark.rudder_network
def test_what_a_marked_test_starts_is_not() -> None:
    """The mark holds for what it starts."""
    code = f"from {__name__} import send; raise SystemExit(send())"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode
    assert ended == LEFT


KEPT, LEFT = 3, 4


def send() -> int:
    """Log an event for another host, which nobody is to reach from here."""
    socket.socket.connect = lambda *_args: (_ for _ in ()).throw(  # type: ignore[method-assign]
        ConnectionRefusedError()
    )
    url = "https://192.0.2.2"
    handler = RudderHandler("key", url, max_retries=0, shutdown_timeout=1)
    handler.accept({"user_id": "1"}, "X", 0)
    handler.flush(10)
    return KEPT if handler.stats().dropped == {"kept_back": 1} else LEFT


def test_durable_queue_of_a_child_keeps_its_events(tmp_path: Path) -> None:
    """They wait on the disk for whoever may send them."""
    url, spool = "https://hosted.example.com", f"file://{tmp_path}/spool"
    code = f"""
from rudder_logging import RudderHandler
handler = RudderHandler("key", {url!r}, queue={spool!r}, shutdown_timeout=0.2)
handler.accept({{"user_id": "1"}}, "X", 0)
assert not handler.flush(0.2)
assert handler.stats().dropped == {{}}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
    spooled = [path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert any(b'"event":"X"' in text for text in spooled)


@pytest.mark.filterwarnings("ignore::rudder_logging.KeptBackWarning")
@pytest.mark.parametrize(("url", "kept"), [("kafka://broker", 1), ("kafka://localhost", 0)])
def test_sink_of_the_apps_is_kept_if_it_names_its_servers(
    tmp_path: Path, url: str, kept: int
) -> None:
    """By `urls`. Of others nobody knows the way: they are left alone."""

    class TopicSink(FileSink):
        def urls(self) -> list[str]:
            return [url]

    for sink, number in (TopicSink(tmp_path / "a"), kept), (FileSink(tmp_path / "b"), 0):
        handler = RudderHandler(sink=sink)
        handler.accept({"user_id": "1"}, "X", 0)
        assert handler.flush(10)
        assert handler.stats().dropped.get("kept_back", 0) == number
        handler.close()


def test_handler_that_was_made_before_pytest_is_guarded(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin puts its sink in, as where a command configures the app and then runs pytest."""
    with monkeypatch.context() as patch:
        patch.setattr(guard, "_PLUGINS", ())
        patch.delenv("_RUDDER_LOGGING_KEEPS_EVENTS")
        handler = RudderHandler("key", plane.url)
    sender = handler._pipeline.listener.sender
    assert not isinstance(sender.sink, guard.KeepingSink)
    guard_all()
    assert isinstance(sender.sink, guard.KeepingSink)
    guard_all()
    assert not isinstance(sender.sink.sink, guard.KeepingSink)


def test_error_survives_a_pickle() -> None:
    """As the others do, for pools that pass it on."""
    error = pickle.loads(pickle.dumps(KeptBackError("x.example.com")))
    assert (error.host, str(error)) == ("x.example.com", str(KeptBackError("x.example.com")))


@pytest.mark.filterwarnings("ignore::rudder_logging.KeptBackWarning")
def test_kept_events_are_told_to_the_app(make_handler: MakeHandler, wire: Wire) -> None:
    """As any other that is dropped: callbacks, ledger; and at once."""
    dropped: list[str] = []
    errors: list[tuple[Exception, int]] = []
    handler = make_handler(
        data_plane_url="https://hosted.example.com",
        on_drop=lambda event, reason: dropped.append(reason),
        on_error=lambda error, events: errors.append((error, len(events))),
    )
    logger = wire(handler)
    for _ in range(3):
        logger.info("X", extra={"rudder": {"user_id": "1"}})
    assert handler.flush(5)
    assert handler.stats().dropped == {"kept_back": 3}
    assert dropped == ["kept_back"] * 3
    assert [(type(error), count) for error, count in errors] == [(KeptBackError, 3)]


@pytest.mark.filterwarnings("ignore::rudder_logging.KeptBackWarning")
def test_durable_queue_delivers_once_it_may(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it keeps meanwhile is held, not dropped, and leaves when a marked test flushes."""
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _host, *rest, **more: ask("127.0.0.1", *rest, **more)
    )
    url = f"http://hosted.example.com:{plane.port}"
    handler = make_handler(data_plane_url=url, queue=f"file://{tmp_path}/spool")
    wire(handler).info("X", extra={"rudder": {"user_id": "1"}})
    assert not handler.flush(0.2)
    stats = handler.stats()
    assert (stats.pending, stats.dropped) == (1, {})
    assert (stats.holding or "").startswith("pytest keeps events from hosted.example.com")
    assert plane.requests == []
    monkeypatch.setattr(guard._network(), "keeps_events", False)
    assert handler.flush(10)
    assert handler.stats().delivered == 1
    assert handler.stats().holding is None
