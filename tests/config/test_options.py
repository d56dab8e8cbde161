"""Each option does what it says, judged by what arrives."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import http.server
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, time
from typing import Any

import pytest
import trustme

from rudder_logging import Config, ConfigError, RudderHandler, UnknownOptionError
from rudder_logging.common.hosts import hosts_of
from rudder_logging.common.schemes import SINKS
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.queues import MemoryQueue
from rudder_logging.sinks import register

from ..accounts import Arrivals
from ..conftest import WRITE_KEY, MakeHandler, Wire
from ..each import each
from ..sinks.one_file import FileSink

pytestmark = pytest.mark.usefixtures("no_jitter")


def event(number: int = 0, **fields: Any) -> dict[str, Any]:
    """An event to log, as `extra`."""
    return {"rudder": {"user_id": "u", "properties": {"n": number}, **fields}}


def numbers(plane: LocalDataPlane) -> list[int]:
    """The numbers of the events that arrived."""
    return [stored["properties"]["n"] for stored in plane.events]


def test_every_option_has_a_test_here() -> None:
    """A new option needs a test in this module: `test_<option>`."""
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {field.name for field in dataclasses.fields(Config)} <= tested


def test_unknown_option_is_refused_with_the_nearest_name(make_handler: MakeHandler) -> None:
    """A typing error in an option's name is no silent default."""
    with pytest.raises(UnknownOptionError, match="'uplod_size'; did you mean 'upload_size'"):
        make_handler(uplod_size=5)


def test_write_key(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """It travels as the user of HTTP Basic authentication, without a password."""
    handler = make_handler(write_key=WRITE_KEY)
    wire(handler).info("e", extra=event())
    assert handler.flush()
    scheme, credentials = plane.requests[0].headers["authorization"].split()
    assert (scheme, base64.b64decode(credentials)) == ("Basic", f"{WRITE_KEY}:".encode())


def test_data_plane_url(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """Events go to `/v1/batch` below it, with or without a slash at its end."""
    handler = make_handler(data_plane_url=plane.url + "/")
    wire(handler).info("e", extra=event())
    assert handler.flush()
    assert (plane.requests[0].method, plane.requests[0].path) == ("POST", "/v1/batch")


def test_upload_size(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """So many events waiting start an upload at once, however long the interval."""
    handler = make_handler(upload_size=5, upload_interval=3_600)
    logger = wire(handler)
    for number in range(5):
        logger.info("e", extra=event(number))
    plane.wait_for(5)
    assert numbers(plane) == [0, 1, 2, 3, 4]


def test_upload_interval(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """So long after the first event an upload starts, however few wait; it takes all."""
    handler = make_handler(upload_size=1_000, upload_interval=0.2)
    logger = wire(handler)
    begun = monotonic()
    for number in range(3):
        logger.info("e", extra=event(number))
    plane.wait_for(3)
    assert monotonic() - begun >= 0.2
    assert len(plane.requests) == 1


def test_max_batch_bytes(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """No upload is larger, none is needlessly small, and order is kept."""
    handler = make_handler(max_batch_bytes=5_000, max_event_bytes=2_000, upload_size=10_000)
    logger = wire(handler)
    for number in range(200):
        logger.info("e", extra=event(number))
    assert handler.flush()
    sizes = [len(request.body) for request in plane.requests]
    assert max(sizes) <= 5_000
    assert min(sizes[:-1]) > 4_500
    assert numbers(plane) == list(range(200))


def test_max_event_bytes(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, refused: list[str]
) -> None:
    """A larger event is refused at the call, with both sizes; one of just that size is sent."""
    probe = make_handler(max_event_bytes=2_000)
    logger = wire(probe)
    logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"x": ""}}})
    assert probe.flush()
    stored = dict(plane.events[0])
    del stored["sentAt"]
    room = 2_000 - len(json.dumps(stored, separators=(",", ":")))
    for size in (room, room + 1):
        properties = {"x": "x" * size}
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": properties}})
    assert probe.flush()
    assert len(plane.events) == 2
    assert refused == [
        (
            "the event has 2001 bytes, over max_event_bytes (2000); "
            "send less with it, or raise that option"
        )
    ]


def test_queue(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """An object of the queue protocol takes the place of the built-in one."""
    queue = MemoryQueue(max_events=10, max_bytes=10_000)
    handler = make_handler(queue=queue, upload_interval=3_600)
    wire(handler).info("e", extra=event(7))
    assert queue.depth().events == 1
    assert handler.flush()
    assert queue.depth().events == 0
    assert numbers(plane) == [7]


def test_sink(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path) -> None:
    """An object of the sink protocol takes the place of the upload; `tests/sinks` has the rest."""
    sink = FileSink(tmp_path / "events.jsonl")
    handler = make_handler(sink=sink)
    wire(handler).info("e", extra=event(7))
    assert handler.flush()
    (line,) = sink.path.read_text().splitlines()
    assert json.loads(line)["properties"] == {"n": 7}
    assert plane.events == []


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Config]]:
    """An engine by the name of lines: a file of each source. The value is what handlers ask for."""
    asked: list[Config] = []

    def make(config: Config) -> FileSink:
        asked.append(config)
        return FileSink(tmp_path / f"{config.source}.jsonl")

    with monkeypatch.context() as patch:
        patch.setattr(SINKS, "_makers", {})
        register("lines", make)
        yield asked


def test_relay(make_handler: MakeHandler, wire: Wire, engine: list[Config], tmp_path: Path) -> None:
    """Events go to the engine that it names; `tests/sinks/test_relays.py` has the rest."""
    handler = make_handler(relay="lines://localhost", source="shop", data_plane_url=None)
    wire(handler).info("e", extra=event(7))
    assert handler.flush()
    (line,) = (tmp_path / "shop.jsonl").read_text().splitlines()
    assert json.loads(line)["properties"] == {"n": 7}
    assert [config.relay for config in engine] == ["lines://localhost"]


def test_source(
    make_handler: MakeHandler, wire: Wire, engine: list[Config], tmp_path: Path
) -> None:
    """It keeps apart what apps have in one engine."""
    for number, source in enumerate(("shop", "blog")):
        handler = make_handler(relay="lines://localhost", source=source)
        wire(handler).info("e", extra=event(number))
        assert handler.flush()
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.jsonl")}
    assert {name: line["properties"]["n"] for name, line in found.items()} == {"shop": 0, "blog": 1}
    assert len(engine) == 2


def test_relay_max_bytes(make_handler: MakeHandler, engine: list[Config]) -> None:
    """The engine's sink knows how much it may hold; `tests/engines` fill it."""
    make_handler(relay="lines://localhost", source="shop", relay_max_bytes=10_000)
    make_handler(relay="lines://localhost?max_bytes=20000", source="shop")
    assert [config.relay_max_bytes for config in engine] == [10_000, 20_000]


def fill(handler: RudderHandler, wire: Wire, plane: LocalDataPlane, count: int) -> None:
    """Log events while the server is away, and let it come back afterwards."""
    plane.fail(503, times=None)
    logger = wire(handler)
    for number in range(count):
        logger.info("e", extra=event(number))
    plane.heal()


def test_max_queue_size(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """So many events wait in memory, those being sent included; further ones are dropped."""
    handler = make_handler(max_queue_size=5)
    fill(handler, wire, plane, 8)
    assert handler.flush()
    assert numbers(plane) == [0, 1, 2, 3, 4]
    assert handler.stats().dropped == {"queue_full": 3}


def test_max_queue_bytes(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """Their bytes are bounded, too."""
    handler = make_handler(max_queue_bytes=2_000, max_event_bytes=500, upload_interval=60)
    logger = wire(handler)
    for number in range(20):
        logger.info("e", extra=event(number))
        assert handler.stats().pending_bytes <= 2_000
    stats = handler.stats()
    assert 0 < stats.pending < 20
    assert stats.dropped == {"queue_full": 20 - stats.pending}


@pytest.mark.parametrize(("policy", "kept"), [("drop_new", [0, 1, 2]), ("drop_old", [7, 8, 9])])
def test_overflow(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, policy: str, kept: list[int]
) -> None:
    """`drop_new` keeps the oldest events, `drop_old` the newest; each drop is told, with reason."""
    dropped: list[tuple[int, str]] = []
    handler = make_handler(
        max_queue_size=3,
        upload_size=1,
        upload_interval=3_600,
        overflow=policy,
        on_drop=lambda lost, reason: dropped.append((lost["properties"]["n"], reason)),
    )
    # Nothing is handed out yet, so that it is certain which events wait.
    handler._listener.ensure_running = lambda: True  # type: ignore[method-assign]
    logger = wire(handler)
    for number in range(10):
        logger.info("e", extra=event(number))
    del handler._listener.ensure_running
    assert handler.flush()
    assert numbers(plane) == kept
    assert dropped == [(n, "queue_full") for n in range(10) if n not in kept]
    assert handler.stats().dropped == {"queue_full": 7}


def test_overflow_never_evicts_what_is_being_sent(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """`drop_old` drops the oldest that waits; a batch in flight is settled by its answer alone."""
    handler = make_handler(
        max_queue_size=3, upload_size=3, overflow="drop_old", upload_interval=3_600, timeout=1.0
    )
    plane.hang()
    logger = wire(handler)
    for number in range(3):
        logger.info("e", extra=event(number))
    plane.wait_for_requests(1)
    logger.info("e", extra=event(3))
    assert handler.flush()
    assert Arrivals(plane).order == [0, 1, 2]  # a slow answer is one that is lost
    assert handler.stats().dropped == {"queue_full": 1}


def test_overflow_block_waits_for_room(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """`block` holds the caller until there is room, and then loses nothing."""
    handler = make_handler(max_queue_size=5, overflow="block", block_timeout=30)
    logger = wire(handler)
    for number in range(100):
        logger.info("e", extra=event(number))
    assert handler.flush()
    assert numbers(plane) == list(range(100))


def test_block_timeout(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """`block` holds the caller for so long at the most; then the event is dropped and counted."""
    handler = make_handler(max_queue_size=1, overflow="block", block_timeout=0.1)
    plane.fail(503, times=None)
    logger = wire(handler)
    begun = monotonic()
    for number in range(3):
        logger.info("e", extra=event(number))
    assert 0.2 <= monotonic() - begun < 2
    assert handler.stats().dropped == {"queue_full": 2}
    plane.heal()
    assert handler.flush()


def test_timeout(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """An answer is waited for so long, then the upload is tried again."""
    handler = make_handler(timeout=0.5)
    plane.hang(times=2)
    wire(handler).info("e", extra=event())
    assert handler.flush()
    statuses = [request.status for request in plane.requests]
    assert statuses[:2] == [None, None]
    assert statuses[-1] == 200


def test_max_retries(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """So many further attempts are made; none are, with 0."""
    handler = make_handler(max_retries=0)
    plane.fail(503)
    wire(handler).info("e", extra=event())
    assert handler.flush()
    assert handler.stats().dropped == {"retries_exhausted": 1}
    assert len(plane.requests) == 1


def test_shutdown_timeout(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """close() waits so long at the most; what is left goes on being delivered."""
    handler = make_handler(shutdown_timeout=0.1)
    plane.fail(503, times=None)
    wire(handler).info("e", extra=event(1))
    begun = monotonic()
    handler.close()
    assert 0.1 <= monotonic() - begun < 8  # it would be ten without
    assert handler.stats().pending == 1
    plane.heal()
    plane.wait_for(1)
    assert numbers(plane) == [1]


def test_drain_on_sigterm(make_handler: MakeHandler, caplog: pytest.LogCaptureFixture) -> None:
    """The default action alone is taken over, in the main thread; elsewhere, a line says so. The
    fault matrix has what then happens.
    """
    theirs = signal.getsignal(signal.SIGTERM)
    assert threading.current_thread() is threading.main_thread()
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        make_handler()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        thread = threading.Thread(target=make_handler, kwargs={"drain_on_sigterm": True})
        thread.start()
        thread.join(30)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert "drain_on_sigterm does nothing" in caplog.text
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        make_handler(drain_on_sigterm=True)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        make_handler(drain_on_sigterm=True)
        assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, theirs)


@pytest.mark.parametrize("on", [True, False])
def test_gzip(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, on: bool) -> None:
    """On, uploads are compressed; off, they go as they are."""
    handler = make_handler(gzip=on, upload_interval=60)
    logger = wire(handler)
    for number in range(50):
        logger.info("e", extra=event(number))
    assert handler.flush()
    (request,) = plane.requests
    assert request.headers.get("content-encoding") == ("gzip" if on else None)
    assert (request.wire_bytes < len(request.body) / 5) is on
    assert numbers(plane) == list(range(50))


class _Proxy(http.server.BaseHTTPRequestHandler):
    """Forwards a POST with an absolute URL, as an HTTP proxy does, and notes who came."""

    protocol_version = "HTTP/1.1"
    credentials: list[str | None]

    def do_POST(self) -> None:
        self.credentials.append(self.headers.get("Proxy-Authorization"))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        host, _, path = self.path.removeprefix("http://").partition("/")
        upstream = http.client.HTTPConnection(host, timeout=10)
        headers = {k: v for k, v in self.headers.items() if k != "Proxy-Authorization"}
        upstream.request("POST", f"/{path}", body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str | None]]]:
    """A forwarding proxy: its host and port, and the credentials that it was given."""
    handler = type("Proxy", (_Proxy,), {"credentials": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}", handler.credentials  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def test_proxies(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    proxy: tuple[str, list[str | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Uploads go by the proxy given, with its credentials, whatever the environment says."""
    address, credentials = proxy
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    handler = make_handler(proxies={"http": f"http://user:word@{address}"})
    wire(handler).info("e", extra=event(3))
    assert handler.flush()
    assert numbers(plane) == [3]
    assert credentials == ["Basic " + base64.b64encode(b"user:word").decode()]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Files of a private CA, a server certificate and a client certificate, by name."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    client = authority.issue_cert("client@example.com")
    authority.cert_pem.write_to_path(str(folder / "ca"))
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server"))
    client.private_key_pem.write_to_path(str(folder / "client-key"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client-cert"))
    return lambda name: str(folder / name)


def test_ca_bundle(make_handler: MakeHandler, wire: Wire, ca: Callable[[str], str]) -> None:
    """A server certificate of a private CA is trusted with it; without it events are held."""
    with LocalDataPlane(WRITE_KEY, certfile=ca("server")) as plane:
        trusting = make_handler(data_plane_url=plane.url, ca_bundle=ca("ca"))
        wire(trusting).info("e", extra=event(1))
        assert trusting.flush()
        held = threading.Event()
        doubting = make_handler(
            data_plane_url=plane.url, shutdown_timeout=0.1, on_error=lambda *_: held.set()
        )
        wire(doubting).info("e", extra=event(2))
        assert held.wait(20)
        assert "certificate" in str(doubting.stats().holding)
        assert numbers(plane) == [1]
        trusting.close()


@pytest.mark.parametrize("as_pair", [True, False])
def test_client_cert(
    make_handler: MakeHandler,
    wire: Wire,
    ca: Callable[[str], str],
    tmp_path: Path,
    as_pair: bool,
) -> None:
    """A server that demands a certificate gets it, from one file or from two."""
    pair = (ca("client-cert"), ca("client-key"))
    single = tmp_path / "client.pem"
    single.write_text("".join(Path(name).read_text() for name in pair))
    with LocalDataPlane(WRITE_KEY, certfile=ca("server"), client_ca=ca("ca")) as plane:
        handler = make_handler(
            data_plane_url=plane.url,
            ca_bundle=ca("ca"),
            client_cert=pair if as_pair else str(single),
        )
        wire(handler).info("e", extra=event(1))
        assert handler.flush()
        assert numbers(plane) == [1]
        handler.close()


def raising(*_: Any) -> None:
    """A callback with a bug."""
    raise KeyError("secret")


def test_on_error(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It gets error and events; if it raises, that is logged, counted, and harms nothing."""
    told: list[tuple[Exception, list[dict[str, Any]]]] = []
    for callback in (lambda error, events: told.append((error, events)), raising):
        handler = make_handler(on_error=callback)
        plane.fail(401)
        wire(handler).info("e", extra=event(4))
        handler.flush(0.05)
        assert handler.flush()
    ((error, (stored,)),) = told
    assert "401" in str(error)
    assert stored["properties"] == {"n": 4}
    assert handler.stats().callback_errors == 1
    assert "callback raising raised KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_on_drop(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """It gets each dropped event and the reason; if it raises, the rest goes on."""
    handler = make_handler(on_drop=raising, max_queue_size=1)
    fill(handler, wire, plane, 3)
    assert handler.flush()
    assert numbers(plane) == [0]
    assert handler.stats().callback_errors == 2


@pytest.mark.parametrize("callback", ["on_error", "on_drop"])
def test_callbacks_cannot_end_the_listener(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, callback: str
) -> None:
    """Whatever they raise: else what waits behind the event would wait for ever."""
    handler = make_handler(
        upload_interval=3_600, **{callback: lambda *_: sys.exit("as a script does")}
    )
    plane.fail_for(lambda sent: sent["properties"]["n"] == 1, 413, "no")
    logger = wire(handler)
    for number in range(4):
        logger.info("e", extra=event(number))
    assert handler.flush()
    assert numbers(plane) == [0, 2, 3]
    stats = handler.stats()
    assert (stats.refused, stats.callback_errors, stats.listener_restarts) == (1, 1, 0)


@pytest.mark.parametrize(
    ("reason", "options", "status"),
    [
        ("queue_full", {"max_queue_size": 1, "overflow": "drop_new"}, 200),
        ("queue_full", {"max_queue_size": 1, "overflow": "drop_old"}, 200),
        ("before_send", {"before_send": lambda _message: None}, 200),
        ("send_off", {"send": False}, 200),
        ("refused: 413 no", {}, 413),
        ("retries_exhausted", {"max_retries": 0}, 503),
    ],
)
def test_counts_balance_inside_on_drop(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    reason: str,
    options: dict[str, Any],
    status: int,
) -> None:
    """An app that keeps its metrics there sees the drop that it is told of, and nothing amiss."""
    seen: list[tuple[str, bool]] = []
    handler: RudderHandler = make_handler(
        **options,
        upload_interval=3_600,
        on_drop=lambda _event, reason: seen.append((reason, handler.stats().balanced)),
    )
    if status != 200:
        plane.fail(status, times=None, text="no")
    logger = wire(handler)
    for number in range(2):
        logger.info("e", extra=event(number))
    handler.flush()
    assert set(seen) == {(reason, True)}


def test_drops_are_told_in_one_line(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thousand drops make no thousand lines: one at once, one with the rest at the end."""
    handler = make_handler(max_queue_size=1)
    plane.fail(503, times=None)
    logger = wire(handler)
    logger.propagate = False
    for number in range(1_001):
        logger.info("e", extra=event(number))
    plane.heal()
    handler.close()
    lines = [r.getMessage() for r in caplog.records if r.name == "rudder_logging"]
    first, last = lines
    assert first.startswith("dropped 1 events (queue_full: 1); ")
    cures = ('overflow="block"', "block_timeout", "max_queue_size", "max_queue_bytes", "file://")
    assert all(cure in first for cure in (*cures, "max_bytes"))
    assert last == "dropped 999 events (queue_full: 999)"


def test_before_send_may_give_ids_as_apps_have_them(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A number becomes text, as in a call, so that tools find the user by it."""
    handler = make_handler(before_send=lambda message: {**message, "userId": 42})
    wire(handler).info("e", extra=event())
    assert handler.flush()
    assert [stored["userId"] for stored in plane.events] == ["42"]


def redact(message: dict[str, Any]) -> dict[str, Any] | None:
    """What an app might do before sending."""
    n = message["properties"]["n"]
    if n == 1:
        return None
    if n == 2:
        raise KeyError("secret")
    if n == 3:
        del message["userId"]
    if n == 4:
        return "text"  # type: ignore[return-value]
    message["properties"]["n"] = n * 10
    message["sentAt"] = "1970-01-01T00:00:00Z"
    return message


def test_before_send(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, refused: list[str]
) -> None:
    """It changes the message or drops it; what it spoils is refused; if it raises, the event stays
    back, since the hook may be what removes personal data.
    """
    dropped: list[str] = []
    handler = make_handler(
        before_send=redact, on_drop=lambda message, reason: dropped.append(reason)
    )
    logger = wire(handler)
    for number in range(6):
        logger.info("e", extra=event(number))
    assert handler.flush()
    assert numbers(plane) == [0, 50]
    assert plane.events[0]["sentAt"] > "2020"
    assert dropped == ["before_send", "before_send_failed"]
    stats = handler.stats()
    assert stats.dropped == {"before_send": 1, "before_send_failed": 1}
    assert (stats.callback_errors, stats.invalid) == (1, 2)
    assert "no id" in refused[0]
    assert "before_send must return the message or None, not str" in refused[1]


def test_dead_letter(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """An event that the server refuses for good is a line of the file."""
    handler = make_handler(dead_letter=tmp_path / "dead.jsonl")
    plane.fail(413)
    wire(handler).info("e", extra=event(5))
    assert handler.flush()
    letter = json.loads((tmp_path / "dead.jsonl").read_text())
    assert letter["message"]["properties"] == {"n": 5}
    assert (letter["status"], letter["reason"]) == (413, "request size exceeds max limit")


def test_context(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """It is merged under every event's own, level by level."""
    handler = make_handler(context={"app": {"name": "shop", "version": "1"}, "locale": "de"})
    wire(handler).info("e", extra=event(context={"app": {"version": "2"}}))
    assert handler.flush()
    context = plane.events[0]["context"]
    assert context["app"] == {"name": "shop", "version": "2"}
    assert context["locale"] == "de"
    assert context["library"]["name"] == "rudder-logging"


def test_integrations(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """It is merged under every event's own; the event wins."""
    handler = make_handler(integrations={"All": False, "Amplitude": True})
    wire(handler).info("e", extra=event(integrations={"Amplitude": False, "Slack": True}))
    assert handler.flush()
    assert plane.events[0]["integrations"] == {"All": False, "Amplitude": False, "Slack": True}


def test_trace_context(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """On: the current span's ids. Off: none; and none where there is no span."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

    on, off = make_handler(trace_context=True), make_handler()
    logger = wire(on, off)
    with use_span(NonRecordingSpan(SpanContext(trace_id=0xABC, span_id=0xD, is_remote=False))):
        logger.info("e", extra=event())
    logger.info("e", extra=event())
    assert on.flush()
    assert off.flush()
    contexts = [sent["context"] for sent in plane.events]
    ids = {(context.get("traceId"), context.get("spanId")) for context in contexts}
    assert ids == {(f"{'0' * 29}abc", f"{'0' * 15}d"), (None, None)}
    assert sum("traceId" in context for context in contexts) == 1


def test_send(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, refused: list[str]
) -> None:
    """Off: events are checked and counted, and nothing leaves."""
    threads = threading.active_count()
    handler = make_handler(send=False)
    logger = wire(handler)
    logger.info("e", extra=event())
    logger.info("bad", extra={"rudder": {}})
    assert handler.flush()
    assert plane.requests == []
    assert handler.stats().dropped == {"send_off": 1}
    assert len(refused) == 1
    assert threading.active_count() == threads


def test_sync_mode(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """An event has arrived when the call returns, from the calling thread."""
    threads = threading.active_count()
    handler = make_handler(sync_mode=True)
    logger = wire(handler)
    for number in range(3):
        logger.info("e", extra=event(number))
        assert numbers(plane) == list(range(number + 1))
    assert threading.active_count() == threads


def test_sync_mode_with_a_fault_keeps_the_event(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A fault does not raise, nor hold the caller for ever: the event goes with the next one."""
    handler = make_handler(sync_mode=True, timeout=2)  # shorter than any wait after a 401
    logger = wire(handler)
    plane.fail(401)
    logger.info("e", extra=event(0))
    assert handler.stats().pending == 1
    logger.info("e", extra=event(1))
    assert Arrivals(plane).order == [0, 1]
    plane.fail(401)
    logger.info("e", extra=event(2))
    assert handler.flush()
    plane.fail(401)
    logger.info("e", extra=event(3))
    handler.close()
    assert Arrivals(plane).order == [0, 1, 2, 3]


def test_sync_mode_from_threads_and_callbacks(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Threads take turns, and an event that a callback logs is delivered, too."""
    logger = wire()
    handler = make_handler(
        sync_mode=True,
        on_error=lambda error, events: logger.info("from callback", extra=event(-1)),
    )
    logger.addHandler(handler)
    plane.fail(413)
    logger.info("refused", extra=event(0))
    assert numbers(plane) == [-1]

    def log(thread: int) -> None:
        for number in range(20):
            logger.info("e", extra=event(100 * thread + number))

    threads = [threading.Thread(target=log, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {100 * thread + number for thread in range(1, 4) for number in range(20)}
    assert sorted(numbers(plane)) == [-1, *sorted(expected)]


def test_debug(make_handler: MakeHandler, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    """The package's own DEBUG lines are shown, on stderr where logging has no handler for them."""
    ours = logging.getLogger("rudder_logging")
    ours.propagate = False
    handler = make_handler(debug=True)
    wire(handler).info("e", extra=event())
    assert handler.flush()
    handler.close()
    assert "upload of 1 events" in capsys.readouterr().err


def test_queue_object_that_raises_is_counted(
    make_handler: MakeHandler, wire: Wire, refused: list[str]
) -> None:
    """What a queue of the user's raises is told, as is the event; the ledger still balances."""
    drops: list[str] = []

    class Broken(MemoryQueue):
        def put(self, message: bytes) -> int:
            raise OSError("disk on fire")

    handler = make_handler(
        queue=Broken(max_events=1, max_bytes=1_000),
        on_drop=lambda _event, reason: drops.append(reason),
    )
    wire(handler).info("e", extra=event())
    assert refused == ["disk on fire"]
    assert handler.stats().dropped == {"queue_failed": 1}
    assert drops == ["queue_failed"]


@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_inside_a_put_is_counted_by_what_came_of_it(
    make_handler: MakeHandler, plane: LocalDataPlane, kept: bool
) -> None:
    """An event that got into the queue leaves as any other; one that did not is told."""

    class Interrupted(MemoryQueue):
        def put(self, message: bytes) -> int:
            if kept:
                super().put(message)
            raise KeyboardInterrupt

    drops: list[str] = []
    handler = make_handler(
        queue=Interrupted(max_events=10, max_bytes=10_000),
        on_drop=lambda _event, reason: drops.append(reason),
    )
    with pytest.raises(KeyboardInterrupt):
        handler.accept(event(7)["rudder"], "e", time())
    assert handler.flush()
    assert numbers(plane) == [7] * kept
    assert drops == ["interrupted"] * (not kept)
    assert handler.stats().dropped == ({} if kept else {"interrupted": 1})


def test_ctrl_c_while_block_waits_for_room_is_counted(
    make_handler: MakeHandler, plane: LocalDataPlane
) -> None:
    """It is what a user does whose app seems to hang."""

    class Full(MemoryQueue):
        def wait_for_room(self, size: int, timeout: float) -> bool:
            raise KeyboardInterrupt

    plane.fail(503, times=None)
    handler = make_handler(queue=Full(max_events=1, max_bytes=10_000), overflow="block")
    handler.accept(event(0)["rudder"], "e", time())
    with pytest.raises(KeyboardInterrupt):
        handler.accept(event(1)["rudder"], "e", time())
    assert handler.stats().dropped == {"interrupted": 1}


def test_before_send_cannot_lose_the_id(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A hook that rebuilds the message keeps its id, by which duplicates can be removed."""
    handler = make_handler(
        before_send=lambda message: {"type": "track", "event": "new", "userId": "u"}
    )
    plane.cut(accepted=True)
    wire(handler).info("e", extra=event(message_id="mine"))
    assert handler.flush()
    assert [stored["messageId"] for stored in plane.events] == ["mine", "mine"]


def test_large_events_are_sent_and_told_once_a_name(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """An order of many lines or a page's HTML is over the 32 KiB that RudderStack documents."""
    handler = make_handler()
    logger = wire(handler)
    for event in ("Order Made", "Order Made", "Page Kept"):
        logger.info(event, extra={"rudder": {"user_id": "u", "properties": {"x": "x" * 100_000}}})
    largest = handler.config.max_event_bytes - 1_000
    logger.info("Page Kept", extra={"rudder": {"user_id": "u", "properties": {"x": "x" * largest}}})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["Order Made", "Order Made"] + (
        ["Page Kept"] * 2
    )
    told = [text for text in caplog.messages if "32768" in text]
    assert len(told) == 2
    assert "track 'Order Made' has 100" in told[0]
    assert "xxx" not in caplog.text


def test_large_events_keep_within_the_queues_memory(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """However large they are, what waits and what is sent is within `max_queue_bytes`."""
    handler = make_handler(
        max_queue_bytes=1_000_000, upload_interval=60, upload_size=10_000, overflow="drop_new"
    )
    logger = wire(handler)
    for _ in range(50):
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"x": "x" * 100_000}}})
    assert handler.stats().pending_bytes <= 1_000_000
    assert handler.stats().dropped == {"queue_full": 41}
    assert handler.flush()
    assert len(plane.events) == 9


def test_privacy(make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane) -> None:
    """A mapping of its options does, as JSON has it; `tests/privacy` has the rest."""
    handler = make_handler(privacy={"redact": ["Secret"], "action": "mask"})
    wire(handler).info("e", extra=event(7, context={"secret": 1}))
    assert handler.flush()
    assert numbers(plane) == [7]
    assert plane.events[0]["context"]["secret"] == "***"


@pytest.mark.parametrize(
    ("allowed", "url", "host"),
    [
        (["127.0.0.1"], "http://127.0.0.1:9", None),
        (["*.eu.example", "eu.example"], "https://a.b.EU.example/x", None),
        ("*.eu.example, eu.example", "https://eu.example.", None),
        (["*.eu.example"], "https://eu.example", "eu.example"),
        (["*.eu.example"], "https://eu.example.evil.test", "eu.example.evil.test"),
        (["*.eu.example"], "https://noteu.example", "noteu.example"),
        (["::1"], "http://[::1]:8080", None),
        (["localhost"], "http://127.0.0.1", "127.0.0.1"),
    ],
)
def test_allowed_hosts(allowed: Any, url: str, host: str | None) -> None:
    """A data plane elsewhere is an error at construction, which says where it is."""
    if host is None:
        Config(write_key="k", data_plane_url=url, allowed_hosts=allowed)
        return
    with pytest.raises(ConfigError, match=f"data_plane_url is at {host}, and allowed_hosts"):
        RudderHandler("k", url, allowed_hosts=allowed)


@each(
    ("relay", "elsewhere"),
    [
        ("redis://a.eu.example:6379/0", None),
        ("rediss://user:p%40us.example@A.eu.example.:6379/0", None),
        ("redis://us.example/0", "us.example"),
        ("redis://a.eu.example:pass@us.example/0", "us.example"),
        ("redis+sentinel://a.eu.example,b.eu.example:26379/main/0", None),
        ("redis+sentinel://a.eu.example,us.example/main/0", "us.example"),
        ("redis+cluster://a.eu.example:7000,us.example:7001", "us.example"),
        ("rediss+cluster://us.example", "us.example"),
        ("redis://[2001:db8::1]:6379/0", None),
        ("redis://[2001:db8::2]:6379/0", "2001:db8::2"),
        ("unix:///run/redis.sock", None),
        ("kafka://a.eu.example:9092,b.eu.example/topic", None),
        ("kafka://a.eu.example:9092,us.example/topic", "us.example"),
        ("mq://a.eu.example/q", None),
        ("mq://us.example/q", "us.example"),
        ("mq:///q", "names no host"),
    ],
)
def test_allowed_hosts_of_relays(relay: str, elsewhere: str | None) -> None:
    """All hosts of the URL count, whatever its scheme; a socket of this machine leads nowhere.

    The nodes that a sentinel, a cluster or a broker names are its own affair.
    """
    SINKS.register("mq", lambda _config: Nowhere())
    try:
        given: Any = {"relay": relay, "source": "s"}
        allowed = ["*.eu.example", "2001:db8::1"]
        if elsewhere is None:
            Config.load({}, **given, allowed_hosts=allowed)
            return
        where = elsewhere if "names" in elsewhere else f"is at {elsewhere}"
        with pytest.raises(ConfigError, match=f"^relay {where}, and allowed_hosts") as error:
            Config.load({}, **given, allowed_hosts=allowed)
        assert "pass" not in str(error.value)
    finally:
        SINKS._makers.pop("mq")


class Nowhere:
    """A sink of an app's."""

    max_bytes = 100_000

    def send(self, messages: Any, deadline: float | None) -> Any:
        """Nothing is sent."""

    def close(self) -> None:
        """Nothing is open."""


class Somewhere(Nowhere):
    """One that says where it leads."""

    def __init__(self, *urls: str) -> None:
        self.urls = lambda: urls


def test_allowed_hosts_of_a_sink_of_the_app_s() -> None:
    """One that says where it leads is held to it; of others, nobody knows but the app."""
    allowed: Any = ["*.eu.example"]
    for sink in (Nowhere(), Somewhere("https://a.eu.example/x")):
        Config.load({}, sink=sink, allowed_hosts=allowed)
    with pytest.raises(ConfigError, match=r"^sink is at us\.example"):
        Config.load(
            {}, sink=Somewhere("https://a.eu.example", "x://us.example:1"), allowed_hosts=allowed
        )


@each(
    ("url", "proxies", "is_allowed"),
    [
        ("https://eu.example", {"https": "http://us.example:3128"}, True),
        ("http://eu.example", {"https": "http://us.example:3128"}, True),
        ("http://eu.example", {"http": "http://us.example:3128"}, False),
        ("http://eu.example", {"all": "http://user:pass@us.example"}, False),
        ("http://eu.example", {"http": "http://eu.example:3128"}, True),
    ],
)
def test_allowed_hosts_of_proxies(url: str, proxies: dict[str, str], is_allowed: bool) -> None:
    """One elsewhere may pass on what it can't read, and nothing else."""
    given: Any = {"data_plane_url": url, "proxies": proxies, "allowed_hosts": ["eu.example"]}
    if is_allowed:
        Config(write_key="k", **given)
        return
    with pytest.raises(ConfigError, match=r"^proxies is at us\.example"):
        Config(write_key="k", **given)


def test_allowed_hosts_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code may name the data plane: who runs it says where it may be."""
    monkeypatch.setenv("RUDDER_ALLOWED_HOSTS", "*.eu.example, eu.example")
    RudderHandler("k", "https://eu.example").close()
    with pytest.raises(ConfigError, match=r"data_plane_url is at us\.example"):
        RudderHandler("k", "https://us.example")
    with pytest.raises(ConfigError, match=r"relay is at us\.example"):
        RudderHandler(relay="redis://us.example", source="s")


@pytest.mark.parametrize("malformed", ["", ["https://x"], ["a:443"], [7], 7, {"a": 1}, ["*"]])
def test_allowed_hosts_that_are_none(malformed: Any) -> None:
    """Names alone, without scheme and port."""
    with pytest.raises(ConfigError, match="allowed_hosts must be a list of hosts"):
        Config(write_key="k", data_plane_url="http://x", allowed_hosts=malformed)


def test_hosts_of_engines() -> None:
    """A URL may name several."""
    assert hosts_of("kafka://user:pass@a.example:9092,B.example:9092/topic") == [
        "a.example",
        "b.example",
    ]
