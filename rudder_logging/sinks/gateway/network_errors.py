"""Failures of an upload, as urllib3 raises them: their meaning for events, and the cure."""

from __future__ import annotations

import http.client
import importlib.util
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3.exceptions

from ...exceptions import (
    CertificateError,
    ConnectionFailedError,
    HeldError,
    OutcomeUnknownError,
    StaleConnectionError,
    TransportError,
)

__all__ = ["Attempt", "meaning"]

_Kinds = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True)
class Attempt:
    """The facts of an upload that failed."""

    sent: bool
    """Some of the request had left."""
    seconds: float
    """Seconds that it waited for a connection, and for an answer."""
    kept_alive: bool = False
    """Its connection had served before."""
    proxy: str | None = None
    """The one in force."""
    is_through_proxy: bool = False
    """It had connected us to the server."""
    file_fault: str | None = None
    """The fault of a file that it needs, if any."""


_OF_TLS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError)
_OF_NETWORK = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    ConnectionError,
    TimeoutError,
    http.client.HTTPException,  # of a proxy
)


def meaning(
    error: Exception, attempt: Attempt, outer: BaseException | None = None
) -> TransportError | HeldError:
    """Our error for whatever an upload raised.

    Its text may end in what mends it, after a semicolon. It quotes neither URL nor header.

    Args:
        error: What it raised.
        attempt: See there.
        outer: What the app was handling when it came to the upload, which Python takes for a cause.
    """
    causes = list(_causes(error, outer))
    if _any(causes, _OF_TLS):
        found = _in_tls(causes, attempt)
        if found is not None:
            return found
    words = _describe(causes, attempt)
    if not attempt.sent:
        return _of_connecting(causes, attempt, words)
    if attempt.kept_alive and _any(causes, ConnectionError):
        return StaleConnectionError(words)
    return OutcomeUnknownError(words)


def _of_connecting(
    causes: list[BaseException], attempt: Attempt, words: str
) -> TransportError | HeldError:
    """The meaning of what went wrong before anything was sent."""
    status = next(filter(None, map(_refusal_of_tunnel, causes)), None)
    if status is not None:
        return _of_tunnel(status)
    if _any(causes, _OF_NETWORK):
        return ConnectionFailedError(words)
    return _of_making(causes, attempt, words) or ConnectionFailedError(words)


def _of_making(causes: list[BaseException], attempt: Attempt, words: str) -> HeldError | None:
    """The same, if it is our side's configuration."""
    if attempt.file_fault is not None:
        return HeldError(f"{attempt.file_fault}; correct that, or see to the file")
    proxy = attempt.proxy
    if proxy is not None and _any(causes, (TypeError, ValueError)):
        if proxy.lower().startswith("socks") and not importlib.util.find_spec("socks"):
            return HeldError(
                "a SOCKS proxy needs the package PySocks; pip install 'requests[socks]'"
            )
        return HeldError(
            f"the request can't be made: {words}; correct the proxy's URL, in proxies or in the "
            "environment"
        )
    if _any(causes, ValueError):
        return HeldError(f"the request can't be made: {words}; correct data_plane_url")
    return None


def _refusal_of_tunnel(cause: BaseException) -> int | None:
    """The status by which a proxy refused to connect us, of which http.client makes a text."""
    if type(cause) is not OSError:
        return None
    found = re.match(r"Tunnel connection failed: (\d{3})", str(cause))
    return int(found[1]) if found else None


def _of_tunnel(status: int) -> TransportError | HeldError:
    if status == 407:  # noqa: PLR2004
        return HeldError(
            "the proxy wants authentication (407); give user and password in its URL, by proxies "
            "or the environment"
        )
    # Of the last, a server says that it knows no CONNECT: it is no such proxy.
    if status in (408, 425, 429) or (status >= 500 and status != 501):  # noqa: PLR2004
        return ConnectionFailedError(f"the proxy could not connect: {status}")
    return HeldError(
        f"the proxy refuses to connect ({status}); have it allow the data plane's host, "
        "or correct proxies"
    )


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"})
"""OpenSSL's reasons when what comes is no TLS."""
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_HOST = (62, 64)  # name and address
_FILES = ("X509", "PEM")  # OpenSSL's libraries that read them


def _in_tls(causes: list[BaseException], attempt: Attempt) -> TransportError | HeldError | None:
    is_proxy_s = (attempt.proxy or "").startswith("https:") and not attempt.is_through_proxy
    side = "proxy" if is_proxy_s else "server"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _of_tls(cause, side, sent=attempt.sent)
        if type(cause).__name__ == "CertificateError":  # urllib3 1 compares hosts by itself
            return CertificateError(
                f"the {side}'s certificate was not accepted: hostname mismatch, {cause}; "
                + _cure_of_certificate(_OTHER_HOST[0], _url_of(side))
            )
    return None


def _url_of(side: str) -> str:
    return "the proxy's URL" if side == "proxy" else "data_plane_url"


def _of_tls(cause: ssl.SSLError, side: str, *, sent: bool) -> TransportError | HeldError:
    """The meaning of OpenSSL's error, in a connection to the `server` or the `proxy`."""
    url = _url_of(side)
    reason = cause.reason or "no reason given"
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = cause.verify_message.rstrip(".")
        return CertificateError(
            f"the {side}'s certificate was not accepted: {words}; "
            f"{_cure_of_certificate(cause.verify_code, url)}"
        )
    if "ALERT" in reason:  # the other side's verdict on what we have shown
        return CertificateError(
            f"the {side} ended the TLS handshake: {reason}; {_cure_of_alert(reason, url)}"
        )
    if sent:
        return OutcomeUnknownError(_cut_or_failed(cause, side))
    if reason in _NO_TLS:
        return HeldError(
            f"the {side} does not speak TLS at this port; correct the port in {url}, "
            "or begin it with http://"
        )
    if cause.library in _FILES or "PEM" in str(cause):
        return HeldError(
            "a certificate file can't be used; ca_bundle and client_cert must name PEM files, and "
            "a client certificate its key"
        )
    return ConnectionFailedError(_cut_or_failed(cause, side))


def _cut_or_failed(cause: ssl.SSLError, side: str) -> str:
    if isinstance(cause, ssl.SSLEOFError):
        return f"the {side} cut the TLS connection"
    return f"TLS failed: {cause.reason or 'no reason given'}"


def _cure_of_certificate(code: int, url: str) -> str:
    if code == _EXPIRED:
        return "have it renewed, or set this machine's clock right"
    if code == _NOT_YET_VALID:
        return "set this machine's clock right"
    if code in _OTHER_HOST:
        return f"correct the host in {url}: it must be one that the certificate is for"
    return "if it is of a private CA, name that CA's file in ca_bundle; else have it replaced"


def _cure_of_alert(reason: str, url: str) -> str:
    if "PROTOCOL_VERSION" in reason:
        return "it wants another version of TLS than this Python has"
    if "UNRECOGNIZED_NAME" in reason or "INTERNAL_ERROR" in reason:
        return f"correct the host in {url}, or see to the server"
    return "if it wants a client certificate, give one that it trusts by client_cert"


def _causes(error: BaseException, outer: BaseException | None) -> Iterator[BaseException]:
    """The error and all that led to it: by cause, by context, by urllib3's `reason` and args."""
    seen = {id(outer)}
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [found.__cause__, found.__context__, getattr(found, "reason", None)]
            waiting += found.args


_NO_HTTP = "the answer is no HTTP"
_IN_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3.exceptions.ConnectTimeoutError, "no connection within {seconds:g} s"),
    (urllib3.exceptions.TimeoutError, "no answer within {seconds:g} s"),
    (TimeoutError, "no answer within {seconds:g} s"),
    (http.client.RemoteDisconnected, "the connection was closed without an answer"),
    (http.client.IncompleteRead, "the answer was cut short"),
    (http.client.HTTPException, _NO_HTTP),
)
"""Words for errors for which no system has any. The first that is found counts."""


def _any(causes: list[BaseException], kind: _Kinds) -> bool:
    return any(isinstance(cause, kind) for cause in causes)


def _describe(causes: list[BaseException], attempt: Attempt) -> str:
    """The innermost operating system error in words, or else ours, or else the kind of error."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            return cause.strerror
    for kind, words in _IN_WORDS:
        if _any(causes, kind):
            return words.format(seconds=attempt.seconds)
    if attempt.sent and _any(causes, ValueError):  # http.client trusts a length, urllib3 does not
        return _NO_HTTP
    kinds = [type(cause).__name__ for cause in causes]
    return " < ".join(dict.fromkeys(kinds[:3]))
