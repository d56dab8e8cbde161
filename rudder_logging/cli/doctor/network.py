"""Checks of the network: name, connection, TLS, proxy, health, clock, write key."""

from __future__ import annotations

import email.utils
import os
import socket
import ssl
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import orjson

from ...common.clock import monotonic, wall_time
from ...common.schemes import SINKS
from ...config import Config
from ...exceptions import (
    CertificateError,
    ConfigError,
    HeldError,
    OutcomeUnknownError,
    TransportError,
)
from ...handler.setup import check_files
from ...sinks.base import Later
from ...sinks.gateway import compression
from ...sinks.gateway.body import WITHOUT_EVENTS
from ...sinks.gateway.outcomes import (
    CURES,
    DISABLED,
    SPOILT,
    Answer,
    is_of_gateway,
    judge,
    said,
    shown,
)
from ...sinks.gateway.transport import HttpTransport, Look
from . import relay
from .findings import Finding, Severity

__all__ = ["examine", "masked"]

_well = partial(Finding, Severity.WELL, "network")
_warning = partial(Finding, Severity.WARNING, "network")
_stop = partial(Finding, Severity.STOPS, "network")

_GATEWAY_SECONDS = 10  # its own time-out
_SKEW = 30  # seconds; an HTTP date has whole ones
_DAYS_BEFORE_EXPIRY = 14
_DAY = 86_400


def examine(config: Config, timeout: float) -> Iterator[Finding]:
    """Check what delivery does, by the way it goes. An empty batch is sent, which stores nothing.

    Args:
        config: A handler's.
        timeout: Seconds for each step.
    """
    if config.relay is not None:
        yield from relay.of_config(config, timeout)
        return
    if config.sink is not None or SINKS.maker(config.data_plane_url) is not None:
        text = "a sink of the app's sends its events; where they go is not checked"
        yield _well("own-sink", text)
        return
    try:
        check_files(config)
    except ConfigError as error:
        yield _stop("file-missing", str(error), "correct the path")
        return
    yield from _of_options(config)
    transport = HttpTransport(config)
    try:
        yield from _of_way(config, transport, timeout)
    finally:
        transport.close()


def masked(url: str) -> str:
    """A proxy's URL without user and password."""
    scheme, slashes, rest = url.rpartition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{slashes}{'***@' if at and user else ''}{host}"


def _of_options(config: Config) -> Iterator[Finding]:
    if config.is_in_clear:
        text = "events and write key go over the network unencrypted: data_plane_url is http://"
        yield _warning("unencrypted", text, "use https://")
    if config.timeout < _GATEWAY_SECONDS:
        text = f"the option timeout is {config.timeout:g} s, and a data plane may answer later"
        cure = f"set it over {_GATEWAY_SECONDS} s: after a time-out, events are sent twice"
        yield _warning("timeout-short", text, cure)
    if config.gzip and compression.compress is compression.by_zlib:
        text = "zlib compresses uploads; isal would save 1 to 2 us of CPU an event"
        cure = "pip install 'rudder-logging[fast]'"
        yield _well("isal-missing", text, cure)


def _of_way(config: Config, transport: HttpTransport, timeout: float) -> Iterator[Finding]:
    proxy, verified_by = transport.way()
    if proxy:
        yield _well("proxy", f"the proxy {masked(proxy)} is in force, {_whence(config)}")
    if isinstance(verified_by, str) and config.data_plane_url.startswith("https:"):
        origin = "the option ca_bundle" if verified_by == config.ca_bundle else "the environment"
        yield _well("ca-bundle", f"certificates are verified by {verified_by}, from {origin}")
    named = _of_name(proxy or config.data_plane_url, "the proxy" if proxy else "the host")
    if named is not None:
        yield named
        if named.severity is Severity.STOPS:
            return
    begun, begun_at = monotonic(), wall_time()
    try:
        look = transport.look("/health", timeout)
    except (TransportError, HeldError) as error:
        yield _of_failure(error, config, proxy)
        return
    elapsed = monotonic() - begun
    yield from _of_certificate(look)
    yield from _of_clock(look, begun_at + elapsed / 2)
    yield _of_health(look)
    yield from _of_key(config, transport, timeout)


def _whence(config: Config) -> str:
    if config.proxies:
        return "from the option proxies"
    scheme = urlsplit(config.data_plane_url).scheme
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    variable = next((name for name in names if os.environ.get(name)), None)
    return f"from the variable {variable}" if variable else "from the system's settings"


def _of_name(url: str, what: str) -> Finding | None:
    """The finding about a host's name; None: it has none, as the attempt to connect will tell."""
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname
    except ValueError:
        host = None
    if host is None:
        return None
    begun = monotonic()
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or "it is no host name"
        text = f"the name of {what}, {host}, is not resolved: {words}"
        cure = "correct the name, or this machine's DNS"
        return _stop("name-unresolved", text, cure)
    milliseconds = 1_000 * (monotonic() - begun)
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    return _well(
        "name-resolved",
        f"the name of {what}, {host}, is resolved: {', '.join(addresses[:3])} "
        f"({milliseconds:.0f} ms)",
    )


def _of_failure(error: TransportError | HeldError, config: Config, proxy: str | None) -> Finding:
    parts = urlsplit(config.data_plane_url)
    place = masked(proxy) if proxy else f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
    text = str(error)
    if isinstance(error, (CertificateError, HeldError)):
        code = "misconfigured" if isinstance(error, HeldError) else "certificate-refused"
        text, _, cure = text.partition("; ")
        return _stop(code, text, cure)
    if isinstance(error, OutcomeUnknownError):
        cure = "see whether it is a data plane, and not overloaded"
        if parts.scheme == "https" and not config.client_cert:  # TLS 1.3 tells so late, or never
            cure += "; if it wants a client certificate, name that in the option client_cert"
        return _stop("no-answer", f"{place} is connected, but fails: {text}", cure)
    cure = "start it, correct data_plane_url, or look for a firewall"
    if proxy:
        cure = "correct the proxy, or except the host from it by the variable no_proxy"
    return _stop("not-connected", f"{place} is not connected: {text}", cure)


_PORTS = {"http": 80, "https": 443}


def _of_certificate(look: Look) -> Iterator[Finding]:
    ends = (look.certificate or {}).get("notAfter")
    if not isinstance(ends, str):
        return
    moment = ssl.cert_time_to_seconds(ends)
    days = int((moment - wall_time()) // _DAY)
    day = time.strftime("%Y-%m-%d", time.gmtime(moment))
    text = f"the certificate is accepted, and valid until {day}, {days} days from now"
    if days < _DAYS_BEFORE_EXPIRY:
        cure = "have the server's certificate renewed before"
        yield _warning("certificate-ends-soon", text, cure)
    else:
        yield _well("certificate", text)


def _of_clock(look: Look, now: float) -> Iterator[Finding]:
    if look.date is None:
        return
    try:
        ahead = now - email.utils.parsedate_to_datetime(look.date).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return
    if abs(ahead) < _SKEW:
        yield _well("clock", "this machine's clock agrees with the server's")
        return
    side = "ahead of" if ahead > 0 else "behind"
    yield _warning(
        "clock-skew",
        f"this machine's clock is {abs(ahead):.0f} s {side} the server's, which corrects "
        "the times that it makes, but no `timestamp` of yours",
        "set the clock right (NTP)",
    )


def _of_health(look: Look) -> Finding:
    answer = look.answer
    try:
        health = orjson.loads(look.body)  # unlike `json`, it is not to be had by deep nesting
    except ValueError:
        health = None
    if answer.status == 200 and isinstance(health, dict):  # noqa: PLR2004
        accepting = health.get("acceptingEvents", True)
        if accepting is True or (isinstance(accepting, str) and accepting.upper() == "TRUE"):
            return _well("health", "/health says that it is well")
        text = "/health says that it does not accept events now"
        cure = "wait: they are kept and sent again; or ask who runs it"
        return _warning("health-takes-nothing", text, cure)
    text = f"/health was answered {shown(answer)}"
    cure = "see whether data_plane_url leads to a data plane"
    return _warning("health-unknown", text, cure)


def _of_key(config: Config, transport: HttpTransport, timeout: float) -> Iterator[Finding]:
    begun = monotonic()
    try:
        answer = transport.send(WITHOUT_EVENTS, timeout)
        if said(answer) in SPOILT and config.gzip:
            plain = transport.send(WITHOUT_EVENTS, timeout, plain=True)
            if is_of_gateway(plain):
                text = "something on the way spoils compressed uploads; events go after failures"
                cure = "set the option gzip to off"
                yield _warning("compression-spoilt", text, cure)
                answer = plain
    except (TransportError, HeldError) as error:
        yield _of_failure(error, config, transport.way()[0])
        return
    milliseconds = 1_000 * (monotonic() - begun)
    yield _of_verdict(answer)
    yield _well("answer-time", f"an upload is answered in {milliseconds:.0f} ms")


def _of_verdict(answer: Answer) -> Finding:
    if is_of_gateway(answer):
        text = "the write key is accepted (an empty batch was sent)"
        return _well("write-key", text)
    text = f"an empty batch was answered {shown(answer)}"
    if answer.status == 404 and said(answer) == DISABLED:  # noqa: PLR2004
        cure = "enable the source; events wait until then"
        return _stop("source-disabled", text, cure)
    if isinstance(judge(answer), Later):
        cure = "wait: events are kept, and sent again until it takes them"
        return _stop("not-now", text, cure)
    if 300 <= answer.status < 400:  # noqa: PLR2004
        cure = "give the address that it leads to as data_plane_url: redirects are not followed"
        return _stop("redirect", text, cure)
    cure = CURES.get(answer.status, "correct data_plane_url")
    return _stop("not-taken", text, cure)
