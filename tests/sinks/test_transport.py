"""One upload: what is sent, and what each failure is taken for."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3.connection
import urllib3.exceptions
from urllib3.exceptions import MaxRetryError

from rudder_logging import (
    CertificateError,
    Config,
    ConfigError,
    ConnectionFailedError,
    HeldError,
    OutcomeUnknownError,
)
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.setup import check_files
from rudder_logging.sinks.gateway.network_errors import Attempt, meaning
from rudder_logging.sinks.gateway.outcomes import Answer
from rudder_logging.sinks.gateway.transport import HttpTransport

from ..conftest import WRITE_KEY, MakeHandler, Wire

BODY = b'{"batch":[{"userId":"1"}]}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"


@contextmanager
def transport_to(url: str, **options: object) -> Iterator[HttpTransport]:
    """A transport, closed in the end."""
    transport = HttpTransport(Config.load({}, write_key=WRITE_KEY, data_plane_url=url, **options))
    yield transport
    transport.close()


@contextmanager
def server(answer: Callable[[socket.socket], None], connections: int = 1) -> Iterator[str]:
    """A server that accepts so many connections and does with each what a test wants."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(connections):
                connection, _ = listening.accept()
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    """All of one request: what is left unread when a connection closes would reset it."""
    with connection.makefile("rb") as stream:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.readline()
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        return head + stream.read(int(length[1]) if length else 0)


def test_request_is_what_the_gateway_wants(plane: LocalDataPlane) -> None:
    """Compressed JSON, a user agent with version, and no more than one connection."""
    with transport_to(plane.url) as transport:
        for _ in range(3):
            assert transport.send(BODY).status == 200
    request = plane.requests[0]
    assert request.body == BODY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("rudder-logging/")


def test_connection_is_kept_alive() -> None:
    """Uploads share one connection."""
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        for _ in range(2):
            seen.append(read_request(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with server(answer) as url, transport_to(url, gzip=False) as transport:
        assert transport.send(BODY).text == "ok"
        assert transport.send(BODY).text == "ok"
    assert len(seen) == 2


def test_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stands between may have forgotten it without a word; the upload would get no answer."""
    came = []

    def answer(connection: socket.socket) -> None:
        for _ in range(2):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        came.append(connection.recv(1))  # nothing, when the other side closes it

    with server(answer) as url, transport_to(url, timeout=2.0) as transport:
        transport.send(b"{}")
        transport.send(b"{}")
        monkeypatch.setattr("rudder_logging.sinks.gateway.transport.LONGEST_IDLE", -1.0)
        with contextlib.suppress(OutcomeUnknownError):  # nobody answers a second connection
            transport.send(b"{}")
    assert came == [b""]


def test_time_of_an_upload_is_that_from_request_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting up a connection is apart, and bytes are those on the wire."""
    connect = urllib3.connection.HTTPConnection.connect

    def connect_slowly(connection: urllib3.connection.HTTPConnection) -> None:
        time.sleep(0.2)
        connect(connection)

    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", connect_slowly)

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        time.sleep(0.1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with server(answer) as url, transport_to(url) as transport:
        begun = time.monotonic()
        transport.send(b" " * 1_000)
        whole = time.monotonic() - begun
        assert 0.1 <= transport.seconds <= whole - 0.2
        assert 0 < transport.sent < 100


def test_redirects_are_not_followed() -> None:
    """Following one would send events, and the key, to somewhere else."""

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
        )

    with server(answer) as url, transport_to(url) as transport:
        assert transport.send(BODY).status == 302


def test_netrc_does_not_replace_the_key(
    plane: LocalDataPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ~/.netrc entry for the host must not win over the write key."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password word")
    monkeypatch.setenv("NETRC", str(netrc))
    with transport_to(plane.url) as transport:
        assert transport.send(BODY).status == 200


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("soon", None), ("-1", None), ("1.5", None)],
)
def test_retry_after_in_seconds(plane: LocalDataPlane, header: str, seconds: float | None) -> None:
    """A whole number of seconds is understood; nonsense counts as none."""
    plane.fail(429, retry_after=header)
    with transport_to(plane.url) as transport:
        assert transport.send(BODY).retry_after == seconds


@pytest.mark.parametrize(("ahead", "low", "high"), [(100, 90, 100), (-100, 0, 0)])
def test_retry_after_as_a_date(plane: LocalDataPlane, ahead: int, low: int, high: int) -> None:
    """An HTTP date is understood, too; one in the past means now."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=ahead)
    plane.fail(503, retry_after=format_datetime(moment, usegmt=True))
    with transport_to(plane.url) as transport:
        wait = transport.send(BODY).retry_after
    assert wait is not None
    assert low <= wait <= high


def test_words_are_cut_short(plane: LocalDataPlane) -> None:
    """Of a proxy's page only the beginning is kept for reports."""
    plane.fail(502, text="é" * 5_000)
    with transport_to(plane.url) as transport:
        assert transport.send(BODY).text == "é" * 200


def test_nobody_listens() -> None:
    """Connection refused: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with transport_to(url) as transport, pytest.raises(ConnectionFailedError, match="refused"):
        transport.send(BODY)


@pytest.mark.rudder_network
def test_unknown_host() -> None:
    """A name that does not resolve: nothing was sent."""
    with transport_to("http://no-such-host.invalid") as transport:
        with pytest.raises(ConnectionFailedError):
            transport.send(BODY)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "the answer was cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "the answer was cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "the answer was cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the answer was cut short"),
        (b"HTTP/1.1 200", "the answer was cut short"),
        (CHUNKED + b"5\r\nok", "the answer was cut short"),
        (CHUNKED + b"2\r\nok\r\n", "the answer was cut short"),
        (CHUNKED + b"-5\r\nok\r\n0\r\n\r\n", "the answer is no HTTP"),
        (TWO_LENGTHS, "the answer is no HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is no HTTP"),
    ],
    ids=[
        "none",
        "part",
        "head",
        "headers",
        "header",
        "status",
        "chunk",
        "chunks",
        "negative",
        "two lengths",
        "other",
    ],
)
def test_cut_connection(answer: bytes, words: str) -> None:
    """No answer, or half of one: the outcome is unknown. Said so that anybody understands it."""

    def cut(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    with server(cut) as url, transport_to(url) as transport:
        with pytest.raises(OutcomeUnknownError) as caught:
            transport.send(BODY)
    assert str(caught.value) == words


def test_no_answer_in_time(plane: LocalDataPlane) -> None:
    """Nor is it known after a time-out; a shorter one may be given for an attempt."""
    plane.hang(times=2)
    for usual, given in ((0.05, None), (60, 0.05)):
        with (
            transport_to(plane.url, timeout=usual) as transport,
            pytest.raises(OutcomeUnknownError, match=r"^no answer within 0\.05 s$"),
        ):
            transport.send(BODY, given)


@pytest.mark.rudder_network
def test_proxy_that_is_down() -> None:
    """A dead proxy means nothing was sent."""
    with (
        transport_to(
            "https://example.invalid", proxies={"https": "http://127.0.0.1:9"}
        ) as transport,
        pytest.raises(ConnectionFailedError),
    ):
        transport.send(BODY)


@contextmanager
def proxy_that_answers(status: int) -> Iterator[str]:
    """A proxy that answers so to CONNECT."""

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 %d Word\r\n\r\n" % status)

    with server(answer) as url:
        yield url.replace("http://", "http://user:hidden@")


@pytest.mark.rudder_network
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "the proxy wants authentication (407); give user and password in its URL"),
        (301, "the proxy refuses to connect (301)"),
        (403, "the proxy refuses to connect (403); have it allow the data plane's host"),
        (405, "the proxy refuses to connect (405)"),
        (501, "the proxy refuses to connect (501)"),
    ],
)
def test_proxy_that_refuses_is_a_configuration_fault(status: int, words: str) -> None:
    """It will say so again until somebody mends it; the error says what to mend."""
    with (
        proxy_that_answers(status) as proxy,
        transport_to("https://example.invalid", proxies={"https": proxy}) as transport,
        pytest.raises(HeldError) as caught,
    ):
        transport.send(BODY)
    assert str(caught.value).startswith(words)
    assert "hidden" not in str(caught.value)


@pytest.mark.rudder_network
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_proxy_that_can_not_connect_now(status: int) -> None:
    """The data plane is away, or the proxy is busy: that passes, and nothing was sent."""
    with (
        proxy_that_answers(status) as proxy,
        transport_to("https://example.invalid", proxies={"https": proxy}) as transport,
        pytest.raises(ConnectionFailedError, match=f"the proxy could not connect: {status}"),
    ):
        transport.send(BODY)


@pytest.mark.rudder_network
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4071", ConnectionFailedError),
        ("http://no-such-host407.invalid", ConnectionFailedError),
        ("http://127.0.0.1:9/407", ConnectionFailedError),
    ],
    ids=["port", "host", "path"],
)
def test_a_url_with_407_in_it_is_no_proxy_that_wants_a_password(
    url: str, expected: type[Exception]
) -> None:
    """Errors quote the URL; only a proxy's status counts."""
    with transport_to(url) as transport, pytest.raises(expected):
        transport.send(BODY)


def test_what_the_app_is_handling_is_no_cause(plane: LocalDataPlane) -> None:
    """With sync_mode, an event may be logged while the app handles a network error of its own."""
    plane.hang()
    with transport_to(plane.url, timeout=0.05) as transport:
        try:
            raise OSError("Tunnel connection failed: 407") from ssl.SSLError()  # noqa: TRY301
        except OSError:
            with pytest.raises(OutcomeUnknownError) as caught:
                transport.send(BODY)
    assert "Tunnel" not in str(caught.value)


@pytest.mark.rudder_network
def test_malformed_proxy_is_a_configuration_fault() -> None:
    """A proxy URL that makes no sense is held and named, not retried as if it might pass."""
    with transport_to("http://127.0.0.1:9", proxies={"http": "nonsense://x"}) as transport:
        with pytest.raises(HeldError, match="can't be made"):
            transport.send(BODY)


@pytest.mark.rudder_network
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "proxy",
    [
        "http://",
        "http://user:hidden@",
        "http://user:hidden@:8080",
        "http://[",
        "http://host:port",
        "http://host:99999",
        "http://" + "a" * 70 + ".example",
        "http://..",
        "//",
    ],
)
def test_proxy_that_can_not_be(scheme: str, proxy: str) -> None:
    """Each URL that leads nowhere is held, and named without its password; nothing was sent."""
    with (
        transport_to(f"{scheme}://example.invalid", proxies={scheme: proxy}) as transport,
        pytest.raises(HeldError) as caught,
    ):
        transport.send(BODY)
    assert "correct the proxy's URL, in proxies or in the environment" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_host_that_no_name_can_be_is_held() -> None:
    """It is as it is configured, and nothing was sent."""
    with transport_to("http://" + "a" * 70 + ".localhost") as transport:
        with pytest.raises(HeldError, match=r"can't be made: .*; correct data_plane_url"):
            transport.send(BODY)


@pytest.mark.rudder_network
def test_a_proxy_s_password_may_have_any_letters() -> None:
    """As UTF-8 where Latin-1, which requests knows, does not have them."""
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heads.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    for password, encoded in (("p€%40", "p€@".encode()), ("é", "é".encode("latin-1"))):
        with server(answer) as url:
            proxy = url.replace("http://", f"http://user:{password}@")
            with transport_to("http://example.invalid", proxies={"http": proxy}) as transport:
                assert transport.send(BODY).text == "ok"
        expected = b"Proxy-Authorization: Basic " + base64.b64encode(b"user:" + encoded)
        assert expected in heads.pop()


@pytest.mark.rudder_network
def test_socks_proxy_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named, and how to get it."""
    monkeypatch.setitem(sys.modules, "socks", None)
    for scheme in ("http", "https"):
        with (
            transport_to(
                f"{scheme}://example.invalid", proxies={scheme: "socks5h://127.0.0.1:9"}
            ) as transport,
            pytest.raises(HeldError, match=r"PySocks; pip install 'requests\[socks\]'"),
        ):
            transport.send(BODY)


@pytest.mark.parametrize(
    "error", [OSError("odd"), RecursionError(), MemoryError(), RuntimeError("x"), TypeError("x")]
)
def test_whatever_is_raised_is_an_outcome(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Before something was sent, no connection; after that, an answer that was lost. Never the
    error itself, which delivery would not know what to do with.
    """

    def fail(*_args: object, **_options: object) -> None:
        raise error

    for place, expected in (
        ("_Adapter.cert_verify", ConnectionFailedError),
        ("_beginning", OutcomeUnknownError),
    ):
        with transport_to(plane.url) as transport, monkeypatch.context() as patch:
            patch.setattr(f"rudder_logging.sinks.gateway.transport.{place}", fail)
            with pytest.raises(expected) as caught:
                transport.send(BODY)
            with pytest.raises(expected):
                transport.look("/health")
        assert type(caught.value) is expected
        assert str(caught.value) == type(error).__name__


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_this_machine_is_reached_without_the_environments_proxy(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where a company's proxy is set, and NO_PROXY is not, tests and local work go on as before;
    whom the option `proxies` names is asked all the same.
    """
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with transport_to(plane.url) as transport:
        assert transport.send(BODY).status == 200
        assert transport.look("/health").answer.status == 200
        assert transport.way()[0] is None
    with transport_to(plane.url, proxies={"http": "http://127.0.0.1:9"}) as transport:
        with pytest.raises(ConnectionFailedError):
            transport.send(BODY)


def test_the_environment_is_read_once_a_session(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not for each upload: it takes longer than all else that an upload is prepared by."""
    read = []
    original = requests.sessions.get_environ_proxies

    def counted(*args: Any, **kwargs: Any) -> dict[str, str]:
        read.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(requests.sessions, "get_environ_proxies", counted)
    with transport_to(plane.url) as transport:
        for _ in range(3):
            assert transport.send(BODY).status == 200
        assert len(read) == 1
        transport.close()
        assert transport.send(BODY).status == 200
        assert len(read) == 2


@pytest.mark.rudder_network
def test_an_environment_that_was_mended_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the proxy is looked for anew, as the app may have set another meanwhile."""

    def proxy_with(status: bytes) -> contextlib.AbstractContextManager[str]:
        def answer(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)

        return server(answer)

    with (
        proxy_with(b"407 Proxy Authentication Required") as strict,
        proxy_with(b"200 OK") as mild,
        transport_to("http://example.invalid") as transport,
    ):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        with pytest.raises(ConnectionFailedError):
            transport.send(BODY)
        monkeypatch.setenv("http_proxy", strict)
        assert transport.send(BODY).status == 407
        monkeypatch.setenv("http_proxy", mild)
        assert transport.send(BODY).status == 200


def test_cookies_are_neither_kept_nor_sent() -> None:
    """A balancer's that grow with each answer would end in headers that nobody takes."""
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        for number in range(3):
            heads.append(read_request(connection))
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: c%d=%s; Path=/\r\n" % (number, b"x" * 1_000)
                + b"Content-Length: 2\r\n\r\nok"
            )

    with server(answer) as url, transport_to(url, gzip=False) as transport:
        for _ in range(3):
            assert transport.send(BODY).text == "ok"
    assert len(heads) == 3
    assert not any(b"cookie" in head.lower() for head in heads)


@dataclass
class Secured:
    """A data plane with TLS, and the certificates that it takes."""

    plane: LocalDataPlane
    ca: Path
    client: Path


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    """A data plane with TLS, which wants a client certificate."""
    authority = trustme.CA()
    ca, client, certificate = (tmp_path / name for name in ("ca", "client", "server"))
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("me@example.com").private_key_and_cert_chain_pem.write_to_path(str(client))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with LocalDataPlane(WRITE_KEY, certfile=str(certificate), client_ca=str(ca)) as plane:
        yield Secured(plane, ca, client)


@pytest.mark.parametrize("sync_mode", [False, True])
@pytest.mark.parametrize("missing", ["ca_bundle", "client_cert", "REQUESTS_CA_BUNDLE"])
def test_certificate_files_that_are_gone_for_a_while(
    make_handler: MakeHandler,
    wire: Wire,
    secured: Secured,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    missing: str,
    sync_mode: bool,
) -> None:
    """While a file is missing, events are held, with its name and path and without haste; the call
    raises nothing, `on_error` hears it once; once it is there, they leave.
    """
    errors: list[str] = []
    file = secured.client if missing == "client_cert" else secured.ca
    options: dict[str, object] = {"ca_bundle": secured.ca, "client_cert": secured.client}
    if missing == "REQUESTS_CA_BUNDLE":
        del options["ca_bundle"]
        monkeypatch.setenv(missing, str(file))
    handler = make_handler(
        data_plane_url=secured.plane.url,
        sync_mode=sync_mode,
        timeout=1,
        shutdown_timeout=0.2,
        on_error=lambda error, _events: errors.append(str(error)),
        **options,
    )
    away = file.rename(file.with_suffix(".away"))
    logger = wire(handler)
    for number in range(3):
        logger.info("e", extra={"rudder": {"user_id": number}})
        assert handler.flush(0.05) is False
    handler.close()
    deadline = time.monotonic() + 30
    while not (errors and handler.stats().holding) and time.monotonic() < deadline:
        time.sleep(0.01)
    words = f"{missing} names a file that does not exist: {file}"
    assert words in str(handler.stats().holding)
    assert [words in error for error in errors] == [True]
    assert handler.stats().requests < 20
    assert "delivery failed" not in caplog.text
    away.rename(file)
    assert handler.flush(20)
    arrived = dict.fromkeys(event["userId"] for event in secured.plane.events)
    assert list(arrived) == ["0", "1", "2"]  # a slow answer is one that is lost
    handler.close()


def test_a_key_log_that_can_not_be_written_holds(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE is a developer's leftover at times; the error names it."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "gone" / "keys"))
    options = {"ca_bundle": secured.ca, "client_cert": secured.client}
    with transport_to(secured.plane.url, **options) as transport:
        with pytest.raises(HeldError, match="SSLKEYLOGFILE names a file that can't be written"):
            transport.send(BODY)


def test_certificate_for_another_host(tmp_path: Path) -> None:
    """A certificate of a trusted CA, but for another name, is refused by name, with the cure."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    authority.issue_cert("other.example").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server")
    )
    with LocalDataPlane(WRITE_KEY, certfile=str(tmp_path / "server")) as plane:
        with transport_to(plane.url, ca_bundle=tmp_path / "ca") as transport:
            with pytest.raises(CertificateError, match=r"127\.0\.0\.1.*; .* data_plane_url"):
                transport.send(BODY)


def test_certificate_for_another_host_in_the_words_of_urllib3_1() -> None:
    """Apps that pin it have a handler all the same, and the same cure."""
    mismatch = type("CertificateError", (ValueError,), {})("hostname 'a' doesn't match 'b'")
    reason = urllib3.exceptions.SSLError(mismatch)
    error = requests.exceptions.SSLError(MaxRetryError(None, "/v1/batch", reason))  # type: ignore[arg-type]
    found = meaning(error, Attempt(sent=False, seconds=1))
    assert isinstance(found, CertificateError)
    assert "hostname 'a' doesn't match 'b'; " in str(found)
    assert str(found).endswith("it must be one that the certificate is for")


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[str]:
    """A server that answers one upload over TLS, if the handshake comes to an end."""

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as way:
            read_request(way)
            way.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with server(answer) as url:
        yield url.replace("http:", "https:")


@pytest.mark.parametrize(
    ("valid", "trusted", "words", "cure"),
    [
        (
            (-2, 2),
            False,
            "unable to get local issuer certificate",
            "name that CA's file in ca_bundle",
        ),
        ((-2, -1), True, "certificate has expired", "have it renewed"),
        ((1, 2), True, "certificate is not yet valid", "set this machine's clock right"),
    ],
    ids=["private CA", "expired", "not yet valid"],
)
def test_certificates_that_are_not_accepted(
    tmp_path: Path, valid: tuple[int, int], trusted: bool, words: str, cure: str
) -> None:
    """Each says what is wrong with it, and what mends that."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    now = datetime.now(timezone.utc)
    begins, ends = (now + timedelta(days=days) for days in valid)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=begins, not_after=ends).configure_cert(context)
    options = {"ca_bundle": tmp_path / "ca"} if trusted else {}
    with (
        tls_server(context) as url,
        transport_to(url, **options) as transport,
        pytest.raises(CertificateError, match=f"the server's .* not accepted: {words}; .*{cure}"),
    ):
        transport.send(BODY)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_missing_client_certificate(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A server that wants one says so in its way, or in TLS 1.3 may just cut the connection."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with tls_server(context) as url, transport_to(url, ca_bundle=tmp_path / "ca") as transport:
        with pytest.raises((CertificateError, OutcomeUnknownError)) as caught:
            transport.send(BODY)
    if version is ssl.TLSVersion.TLSv1_2 or isinstance(caught.value, CertificateError):
        assert str(caught.value).endswith(
            "a client certificate, give one that it trusts by client_cert"
        )


@pytest.mark.parametrize("option", ["ca_bundle", "client_cert"])
def test_certificate_file_that_holds_none(
    plane: LocalDataPlane, tmp_path: Path, option: str
) -> None:
    """It will not mend itself: a configuration fault, with the options to look at."""
    (tmp_path / "junk").write_text("no PEM")
    url = plane.url.replace("http:", "https:")
    with transport_to(url, **{option: tmp_path / "junk"}) as transport:
        with pytest.raises(HeldError, match="certificate file can't be used; ca_bundle"):
            transport.send(BODY)


def answer_without_tls(connection: socket.socket) -> None:
    """As an HTTP server answers to what is no request."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.rudder_network
def test_faults_of_a_proxy_with_tls(tmp_path: Path) -> None:
    """They are told as the proxy's, not as the server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with (
        tls_server(context) as proxy,
        transport_to("https://example.invalid", proxies={"https": proxy}) as transport,
        pytest.raises(CertificateError, match="the proxy's certificate was not accepted"),
    ):
        transport.send(BODY)
    with (
        server(answer_without_tls) as proxy,
        transport_to(
            "https://example.invalid",
            proxies={"https": proxy.replace("http://", "https://user:hidden@")},
        ) as transport,
        pytest.raises(HeldError, match="the proxy does not speak TLS") as caught,
    ):
        transport.send(BODY)
    assert "the proxy's URL" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_server_without_tls() -> None:
    """TLS spoken to a server that has none: a configuration fault, with the cure."""
    with (
        server(answer_without_tls) as url,
        transport_to(url.replace("http:", "https:")) as transport,
    ):
        with pytest.raises(HeldError, match=r"does not speak TLS .* data_plane_url.*http://"):
            transport.send(BODY)


def test_a_page_is_looked_at_the_way_uploads_go(plane: LocalDataPlane) -> None:
    """With its beginning, the server's clock, and no certificate where there is no TLS."""
    with transport_to(plane.url) as transport:
        found = transport.look("/health")
        assert transport.send(BODY).status == 200
    assert found.answer.status == 200
    assert json.loads(found.body)["acceptingEvents"] == "TRUE"
    assert found.date is not None
    assert found.certificate is None


def test_a_look_shows_the_certificate(tmp_path: Path) -> None:
    """As it was verified, against the CA that the options name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    with (
        LocalDataPlane(WRITE_KEY, certfile=str(tmp_path / "server.pem")) as plane,
        transport_to(plane.url, ca_bundle=str(tmp_path / "ca.pem")) as transport,
    ):
        certificate = transport.look("/health").certificate
        assert transport.way() == (None, str(tmp_path / "ca.pem"))
    assert certificate is not None
    assert "notAfter" in certificate


def test_the_proxy_in_force_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option's wins over the environment's; `no_proxy` counts."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://from.environment:1")
    with transport_to("http://example.com", proxies={"http": "http://from.option:2"}) as transport:
        assert transport.way() == ("http://from.option:2", True)
    with transport_to("http://example.com") as transport:
        assert transport.way() == ("http://from.environment:1", True)
        monkeypatch.setenv("no_proxy", "example.com")
        assert transport.way() == (None, True)


@pytest.mark.parametrize("option", ["ca_bundle", "client_cert"])
def test_missing_files_are_told_at_construction(option: str) -> None:
    """A file that is not there is an error where the handler is made, not hours later."""
    config = Config.load(
        {}, write_key="k", data_plane_url="https://example.com", **{option: "/no/such/file"}
    )
    with pytest.raises(ConfigError, match=f"{option} names a file that does not exist"):
        check_files(config)


def test_errors_and_repr_hold_no_secret() -> None:
    """Neither the key nor a proxy's password shows."""
    proxies = {"http": "http://user:hidden@127.0.0.1:9"}
    with transport_to("http://127.0.0.1:9", proxies=proxies) as transport:
        with pytest.raises(ConnectionFailedError) as caught:
            transport.send(BODY)
        shown = str(caught.value) + repr(transport)
    assert "hidden" not in shown
    assert WRITE_KEY not in shown


def test_compression_is_deterministic_and_plain_gzip(plane: LocalDataPlane) -> None:
    """A body compresses to the same bytes each time: no clock in the header."""
    sent: list[bytes] = []
    with transport_to(plane.url) as transport:
        original = transport._session.post

        def post(url: str, **kwargs: object) -> requests.Response:
            data = kwargs["data"]
            assert isinstance(data, bytes)
            sent.append(data)
            return original(url, **kwargs)  # type: ignore[arg-type]

        transport._session.post = post  # type: ignore[assignment,method-assign]
        transport.send(BODY)
        transport.send(BODY)
    assert sent[0] == sent[1]
    assert json.loads(gzip.decompress(sent[0])) == json.loads(BODY)


def send_until_cut(connection: socket.socket, piece: bytes, pause: float = 0.0) -> None:
    """Send a piece again and again, until the other side has had enough."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(piece)
            time.sleep(pause)


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    ],
    ids=["head", "body", "body of known length"],
)
def test_answer_that_drips_is_not_waited_for(beginning: bytes) -> None:
    """A server that sends a byte now and then does not keep the sender beyond `timeout`."""

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(beginning)
        send_until_cut(connection, b"o", 0.05)

    with server(drip) as url, transport_to(url, timeout=0.3) as transport:
        begun = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            transport.send(BODY)
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize("status", [b"502 Bad Gateway", b"302 Found\r\nLocation: /elsewhere"])
def test_endless_answer_is_cut(status: bytes) -> None:
    """Of a body without end the beginning is read; the next upload has a connection of its own."""

    def flood(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        send_until_cut(connection, b"o" * 10_000)

    with server(flood, connections=2) as url, transport_to(url, timeout=30) as transport:
        for _ in range(2):
            answer = transport.send(BODY)
            assert answer.status == int(status[:3])
            assert answer.text == "o" * 200
            assert not transport._kept_alive


def chunked(body: bytes) -> bytes:
    """A body as chunks of at most two bytes."""
    chunks = (body[at : at + 2] for at in range(0, len(body), 2))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: chunked", chunked(b"ok")),
        (b"Content-Encoding: gzip\r\nContent-Length: 22", gzip.compress(b"ok")),
        (b"Content-Encoding: deflate\r\nContent-Length: 10", zlib.compress(b"ok")),
        (b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked", chunked(gzip.compress(b"ok"))),
    ],
    ids=["chunked", "gzip", "deflate", "chunked gzip"],
)
def test_encoded_answers_are_understood_and_keep_the_connection(
    headers: bytes, body: bytes
) -> None:
    """However a proxy wraps the answer, it is read to its end, and the connection serves again."""

    def answer(connection: socket.socket) -> None:
        for _ in range(2):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n" + body)

    with server(answer) as url, transport_to(url) as transport:
        for _ in range(2):
            assert transport.send(BODY) == Answer(200, "ok")
            assert transport._kept_alive


def test_answer_that_is_not_what_its_encoding_says() -> None:
    """Nobody's gateway sends that: an answer without words, which holds the events."""

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"
        )

    with server(answer) as url, transport_to(url) as transport:
        assert transport.send(BODY) == Answer(200, "")


def refuse_unread(connection: socket.socket, length: bytes) -> None:
    """Answer that the key is wrong without having read the body."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1_024)
    connection.sendall(
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n" + length + b"\r\ninvalid write key\n"
    )


@pytest.mark.parametrize("length", [b"Content-Length: 18\r\n", b""], ids=["known", "unknown"])
def test_answer_that_comes_before_the_body_was_read(length: bytes) -> None:
    """The gateway answers a wrong key without reading the body, and closes: sending breaks, and the
    answer is there nonetheless.
    """
    with (
        server(lambda connection: refuse_unread(connection, length), connections=5) as url,
        transport_to(url, gzip=False) as transport,
    ):
        for _ in range(5):
            assert transport.send(b" " * 3_000_000) == Answer(401, "invalid write key")


def test_early_answer_over_tls(tmp_path: Path) -> None:
    """The same over TLS, where OpenSSL has another name for a broken pipe. (At times the operating
    system throws the answer away with the connection, and nobody can know.)
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def refuse(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            refuse_unread(secured, b"Content-Length: 18\r\n")

    answers: list[Answer] = []
    with server(refuse, connections=10) as base:
        url = base.replace("http:", "https:")
        with transport_to(url, gzip=False, ca_bundle=tmp_path / "ca") as transport:
            for _ in range(10):
                with contextlib.suppress(OutcomeUnknownError):
                    answers.append(transport.send(b" " * 3_000_000))
    assert answers
    assert set(answers) == {Answer(401, "invalid write key")}


def test_early_answer_holds(make_handler: MakeHandler, wire: Wire) -> None:
    """So events wait for a better key, instead of being sent anew as if the network were bad."""
    with server(lambda connection: refuse_unread(connection, b"")) as url:
        handler = make_handler(
            data_plane_url=url, gzip=False, max_event_bytes=3_500_000, shutdown_timeout=0
        )
        wire(handler).info(
            "e", extra={"rudder": {"user_id": 1, "properties": {"x": "x" * 3_000_000}}}
        )
        assert handler.flush(0) is False
    # The server has answered, and gone: what the next probe meets is not looked at.
    deadline = time.monotonic() + 30
    while handler.stats().holding is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "401 'invalid write key'" in str(handler.stats().holding)
