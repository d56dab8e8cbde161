"""The doctor on the network: what each fault looks like, named, and cured."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from rudder_logging import Config
from rudder_logging.cli.doctor.findings import Finding, Severity
from rudder_logging.cli.doctor.network import examine, masked
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.dataplane.dialects import NEWEST, spoken
from rudder_logging.dataplane.gateway import Answer
from rudder_logging.sinks.gateway import compression

from ...conftest import EACH_DIALECT, WRITE_KEY
from ...faults.stage import PATIENCE
from ...sinks.test_transport import read_request, server

WORDS = "empty batch payload"
HEALTHY = '{"server":"UP","acceptingEvents":"TRUE"}'


@pytest.fixture(autouse=True)
def usual_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that the machine's environment names."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=EACH_DIALECT)
def plane(plane: LocalDataPlane, request: pytest.FixtureRequest) -> LocalDataPlane:
    """A data plane in the words of older servers, and of newer ones: the judgement is the same."""
    plane.dialect = request.param
    return plane


def look(url: str, *, patience: float = PATIENCE, **options: Any) -> list[Finding]:
    """All findings for a configuration. None shows the key."""
    config = Config.load({}, **{"write_key": WRITE_KEY, "data_plane_url": url, **options})
    found = list(examine(config, timeout=patience))
    assert all(one.area == "network" for one in found)
    assert WRITE_KEY not in str(found)
    return found


def fault(found: list[Finding], code: str, severity: Severity = Severity.STOPS) -> Finding:
    """The one that is not well, and of what kind it is."""
    (finding,) = [one for one in found if one.severity is not Severity.WELL]
    assert (finding.severity, finding.code) == (severity, code)
    assert finding.cure
    return finding


def test_all_is_well(plane: LocalDataPlane) -> None:
    """Each step is told; no event is sent, and nothing is stored."""
    found = look(plane.url)
    assert {one.severity for one in found} == {Severity.WELL}
    codes = [one.code for one in found]
    assert codes == ["name-resolved", "clock", "health", "write-key", "answer-time"]
    assert plane.events == []
    (request,) = plane.requests
    assert request.body == b'{"batch":[]}'


@pytest.mark.parametrize(
    ("status", "words", "code", "cure"),
    [
        (401, "invalid write key", "not-taken", "write_key"),
        (404, "source is disabled", "source-disabled", "source"),
        (404, "404 page not found", "not-taken", "data_plane_url"),
        (403, "<html>", "not-taken", "write_key"),
        (200, "welcome", "not-taken", "data_plane_url"),
        (301, "", "redirect", "data_plane_url"),
        (429, "max requests limit reached", "not-now", "wait"),
        (503, "Service Unavailable", "not-now", "wait"),
        (500, "failed to read body from request", "not-now", "wait"),
        (418, "", "not-taken", "data_plane_url"),
    ],
)
def test_answers_to_an_empty_batch(
    plane: LocalDataPlane, status: int, words: str, code: str, cure: str
) -> None:
    """The gateway says `empty batch payload` if key and route are right, and this if not."""
    plane.fail(status, times=None, text=spoken(plane.dialect, Answer(status, words)).text)
    finding = fault(look(plane.url), code)
    assert str(status) in finding.text
    if code != "not-now":  # the gateway's own words are shown, others' are not
        assert bool(words and words in finding.text) is (status in (401, 404))
    assert cure in finding.cure


def test_wrong_key(plane: LocalDataPlane) -> None:
    """As the local data plane's own rules say."""
    assert "invalid write key" in fault(look(plane.url, write_key="wrong"), "not-taken").text


def test_disabled_source(plane: LocalDataPlane) -> None:
    """As the local data plane's own rules say."""
    plane.source_enabled = False
    assert "source is disabled" in fault(look(plane.url), "source-disabled").text


def test_overload(plane: LocalDataPlane) -> None:
    """`/health` is refused, too."""
    plane.overloaded = True
    health, key = (one for one in look(plane.url) if one.severity is not Severity.WELL)
    assert (health.severity, key.severity) == (Severity.WARNING, Severity.STOPS)
    assert (health.code, key.code) == ("health-unknown", "not-now")
    assert "503" in health.text


def test_wrong_path(plane: LocalDataPlane) -> None:
    """A base URL that leads elsewhere."""
    found = [one for one in look(plane.url + "/api") if one.severity is not Severity.WELL]
    assert found[-1].code == "not-taken"
    assert "404 page not found" in found[-1].text
    assert "data_plane_url" in found[-1].cure


def test_nobody_listens() -> None:
    """Host and port are named."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    finding = fault(look(f"http://127.0.0.1:{port}"), "not-connected")
    assert f"127.0.0.1:{port} " in finding.text
    assert "Connection refused" in finding.text


def test_unknown_host() -> None:
    """A name that is in no DNS: nothing else is tried."""
    finding = fault(look("https://data-plane.invalid"), "name-unresolved")
    assert "data-plane.invalid" in finding.text


def test_no_answer(plane: LocalDataPlane) -> None:
    """Connected, and then nothing for as long as the doctor waits."""
    plane.hang()
    assert "0.5 s" in fault(look(plane.url, patience=0.5), "no-answer").text


def test_network_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over http:// to another machine, anyone may read events and key."""
    with server(lambda connection: None, 0) as url:
        port = url.rpartition(":")[2]
        first, *_ = look("http://data-plane.invalid:" + port)
    assert (first.severity, first.code) == (Severity.WARNING, "unencrypted")


def test_short_timeout(plane: LocalDataPlane) -> None:
    """Under the gateway's own, events are sent twice."""
    assert "2 s" in fault(look(plane.url, timeout=2), "timeout-short", Severity.WARNING).text


def answers(*pages: tuple[bytes, bytes]) -> Callable[[socket.socket], None]:
    """Answer the requests of one connection: headers and body."""

    def answer(connection: socket.socket) -> None:
        for head, body in pages:
            read_request(connection)
            length = b"Content-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + b"\r\n" + length + body)

    return answer


def refusal(words: str, dialect: str = NEWEST) -> tuple[bytes, bytes]:
    """A 400 in a dialect's words."""
    text = spoken(dialect, Answer(400, words)).text
    return b"HTTP/1.1 400 Bad Request", f"{text}\n".encode()


EMPTY = refusal(WORDS)


@pytest.mark.parametrize(("seconds", "side"), [(3_600, "behind"), (-3_600, "ahead of")])
def test_clock_skew(seconds: int, side: str) -> None:
    """The server's clock tells by how much this machine's is wrong."""
    date = formatdate(time.time() + seconds, usegmt=True).encode()
    page = (b"HTTP/1.1 200 OK\r\nDate: " + date, HEALTHY.encode())
    with server(answers(page, EMPTY)) as url:
        finding = fault(look(url), "clock-skew", Severity.WARNING)
    assert side in finding.text
    assert "NTP" in finding.cure


@pytest.mark.parametrize("date", [b"", b"\r\nDate: yesterday"])
def test_server_without_a_clock(date: bytes) -> None:
    """Nothing is said where nothing is known."""
    page = (b"HTTP/1.1 200 OK" + date, HEALTHY.encode())
    with server(answers(page, EMPTY)) as url:
        assert not {"clock", "clock-skew"} & {one.code for one in look(url)}


def test_health_that_takes_no_events() -> None:
    """The gateway's own word for it."""
    page = (b"HTTP/1.1 200 OK", HEALTHY.replace("TRUE", "FALSE").encode())
    with server(answers(page, EMPTY)) as url:
        fault(look(url), "health-takes-nothing", Severity.WARNING)


@pytest.mark.parametrize("body", [b"[" * 2_000, b'{"a":' * 600 + b"1", b"\xff", b"1" * 2_000])
def test_health_that_can_not_be_read(body: bytes) -> None:
    """However deep, or else wrong, it is told, and the key is looked at all the same."""
    with server(answers((b"HTTP/1.1 200 OK", body), EMPTY)) as url:
        found = look(url)
    assert "200" in fault(found, "health-unknown", Severity.WARNING).text
    assert "write-key" in [one.code for one in found]


def test_health_with_a_deep_word() -> None:
    """What is not `TRUE` says that it takes nothing, however deep it is."""
    body = b'{"acceptingEvents":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    with server(answers((b"HTTP/1.1 200 OK", body), EMPTY)) as url:
        fault(look(url), "health-takes-nothing", Severity.WARNING)


def test_isal_that_is_missing(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with the extra that brings it, to those whose uploads are compressed."""
    monkeypatch.setattr(compression, "compress", compression.by_zlib)
    (finding,) = [one for one in look(plane.url) if one.code == "isal-missing"]
    assert finding.severity is Severity.WELL  # it works without
    assert "rudder-logging[fast]" in finding.cure
    assert "isal-missing" not in [one.code for one in look(plane.url, gzip=False)]


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_spoilt_compression(dialect: str) -> None:
    """Something on the way takes compression off: found by a second, plain batch."""
    page = (b"HTTP/1.1 200 OK", HEALTHY.encode())
    said = (refusal("invalid json", dialect), refusal(WORDS, dialect))
    with server(answers(page, *said)) as url:
        finding = fault(look(url), "compression-spoilt", Severity.WARNING)
    assert "gzip" in finding.cure


def test_proxy_in_force(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it comes from is told, and its password is not."""
    proxy = plane.url.replace("http://", "http://user:hidden@")
    found = look("http://data-plane.invalid", proxies={"http": proxy})
    assert "hidden" not in str(found)
    texts = {one.code: one.text for one in found}
    assert f"{masked(proxy)} " in texts["proxy"]
    assert "option proxies" in texts["proxy"]
    assert "the proxy, 127.0.0.1," in texts["name-resolved"]
    monkeypatch.setenv("http_proxy", proxy)
    texts = {one.code: one.text for one in look("http://data-plane.invalid")}
    assert "http_proxy" in texts["proxy"]


def test_proxy_that_is_down() -> None:
    """The proxy is named, not the data plane."""
    found = look("http://127.0.0.2:9", proxies={"http": "http://u:hidden@127.0.0.1:9"})
    finding = fault(found, "not-connected")
    assert "http://***@127.0.0.1:9 " in finding.text
    assert "no_proxy" in finding.cure
    assert "hidden" not in str(finding)


@pytest.mark.rudder_network
@pytest.mark.parametrize("proxy", ["http://u:hidden@", "http://["])
def test_proxy_that_has_no_host(proxy: str) -> None:
    """The cause is named, not a name that isn't there."""
    finding = fault(look("http://127.0.0.2:9", proxies={"http": proxy}), "misconfigured")
    assert "the proxy's URL" in finding.cure
    assert "hidden" not in str(finding)


def test_certificates_file_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that names it is named."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    finding = fault(look("https://127.0.0.1:9"), "misconfigured")
    assert "REQUESTS_CA_BUNDLE" in finding.text
    assert "/no/such/file" in finding.text


def test_proxy_that_wants_a_password() -> None:
    """As the proxy says, before anything of the data plane is reached."""

    def refuse(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        )

    with server(refuse) as proxy:
        finding = fault(look("https://127.0.0.2", proxies={"https": proxy}), "misconfigured")
    assert "authentication" in finding.text
    assert "proxies" in finding.cure


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:word@host:1", "http://***@host:1"),
        ("http://user@host", "http://***@host"),
        ("user:word@host", "***@host"),
        ("http://a:b@c@host", "http://***@host"),
        ("http://host:3128", "http://host:3128"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    """Neither user nor password."""
    assert masked(url) == shown


@contextmanager
def secure_plane(
    directory: Path, host: str = "127.0.0.1", days: float = 100, **options: Any
) -> Iterator[LocalDataPlane]:
    """A data plane with TLS, its CA's file beside it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    until = datetime.now(timezone.utc) + timedelta(days=days)
    authority.issue_cert(host, not_after=until).private_key_and_cert_chain_pem.write_to_path(
        str(directory / "server.pem")
    )
    with LocalDataPlane(WRITE_KEY, certfile=str(directory / "server.pem"), **options) as plane:
        yield plane


def test_tls_that_is_well(tmp_path: Path) -> None:
    """The day on which the certificate ends is told, and who vouches for it."""
    with secure_plane(tmp_path) as plane:
        found = look(plane.url, ca_bundle=str(tmp_path / "ca.pem"))
    assert {one.severity for one in found} == {Severity.WELL}
    texts = {one.code: one.text for one in found}
    assert "99 days" in texts["certificate"]
    assert "ca.pem" in texts["ca-bundle"]
    assert "option ca_bundle" in texts["ca-bundle"]


def test_certificate_that_ends_soon(tmp_path: Path) -> None:
    """A warning, days before it stops everything."""
    with secure_plane(tmp_path, days=3.5) as plane:
        found = look(plane.url, ca_bundle=str(tmp_path / "ca.pem"))
    assert "3 days" in fault(found, "certificate-ends-soon", Severity.WARNING).text


@pytest.mark.parametrize(
    ("how", "trusted", "words", "cure"),
    [
        ({"days": -1}, True, "expired", "renewed"),
        ({"host": "other.example"}, True, "mismatch", "data_plane_url"),
        ({}, False, "unable to get local issuer", "ca_bundle"),
    ],
    ids=["expired", "wrong host", "private CA"],
)
def test_certificates_that_are_not_accepted(
    tmp_path: Path, how: dict[str, Any], words: str, cure: str, *, trusted: bool
) -> None:
    """Each with a cure of its own."""
    options: dict[str, Any] = {"ca_bundle": str(tmp_path / "ca.pem")} if trusted else {}
    with secure_plane(tmp_path, **how) as plane:
        finding = fault(look(plane.url, **options), "certificate-refused")
    assert words in finding.text
    assert cure in finding.cure


def test_client_certificate_that_is_wanted(tmp_path: Path) -> None:
    """The server ends the handshake."""
    clients = trustme.CA()
    clients.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    with secure_plane(tmp_path, client_ca=str(tmp_path / "clients.pem")) as plane:
        finding = fault(look(plane.url, ca_bundle=str(tmp_path / "ca.pem")), "no-answer")
    assert "client_cert" in finding.cure


def test_server_without_tls(plane: LocalDataPlane) -> None:
    """https:// to a port that speaks http."""
    finding = fault(look(plane.url.replace("http:", "https:")), "misconfigured")
    assert "TLS" in finding.text
    assert "http://" in finding.cure


def test_missing_certificate_file() -> None:
    """Named, with the option."""
    finding = fault(look("https://data-plane.invalid", ca_bundle="/no/such/file"), "file-missing")
    assert "ca_bundle" in finding.text
    assert "/no/such/file" in finding.text
