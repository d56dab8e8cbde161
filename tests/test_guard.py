"""What may leave under pytest: this suite runs under the plugin itself."""

from __future__ import annotations

import pickle
import socket
import sys
from pathlib import Path

import pytest

from rudder_logging import KeptBackError, _guard
from rudder_logging.dataplane import LocalDataPlane

from .conftest import MakeHandler, Wire


@pytest.mark.parametrize(
    "host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.1:8080", "[::1]"]
)
def test_loopback_may_be_reached(host: str) -> None:
    """By any of its names."""
    _guard.check_url(f"http://{host}/v1/batch")


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
    with pytest.raises(KeptBackError, match="rudder_network"):
        _guard.check_url(url)


@pytest.mark.rudder_network
def test_marked_test_may_reach_any_host() -> None:
    """It says so itself."""
    _guard.check_url("https://hosted.example.com")


def test_without_pytest_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor if somebody only imports the plugin's module."""
    for name in ("_rudder_logging_pytest", "rudder_logging.pytest_plugin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    _guard.check_url("https://hosted.example.com")
    _guard.kept_back("hosted.example.com", 1)
    import rudder_logging.pytest_plugin  # noqa: F401

    _guard.check_url("https://hosted.example.com")


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
    monkeypatch.setattr(_guard._network(), "keeps_events", False)
    assert handler.flush(10)
    assert handler.stats().delivered == 1
    assert handler.stats().holding is None
