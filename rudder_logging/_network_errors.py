"""What an upload's failure means for its events, and what mends it: of what urllib3 raises."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

from .exceptions import (
    CertificateError,
    ConnectionFailedError,
    HeldError,
    OutcomeUnknownError,
    StaleConnectionError,
    TransportError,
)

__all__ = ["meaning"]

_MISCONFIGURED = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)
_BEFORE_SENDING = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
)


def meaning(
    error: Exception, *, kept_alive: bool, outer: BaseException | None = None
) -> TransportError | HeldError:
    """Our error for one of requests' or urllib3's.

    Its text may end in what mends it, after a semicolon. It quotes neither URL nor header.

    Args:
        error: What an upload raised.
        kept_alive: Its connection had served before.
        outer: What the app was handling when it came to the upload, which Python takes for a cause.
    """
    causes = list(_causes(error, outer))
    if isinstance(error, _MISCONFIGURED):
        return HeldError(
            f"the request can't be made: {_describe(causes)}; correct data_plane_url or proxies"
        )
    by_proxy = any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes)
    if by_proxy or isinstance(error, requests.exceptions.SSLError):
        found = _in_tls(causes, "proxy" if by_proxy else "server")
        if found is not None:
            return found
    status = next(filter(None, map(_refusal_of_tunnel, causes)), None)
    if status is not None:
        return _of_tunnel(status)
    if isinstance(error, (requests.exceptions.SSLError, requests.exceptions.ConnectTimeout)) or any(
        isinstance(cause, _BEFORE_SENDING) for cause in causes
    ):
        return ConnectionFailedError(_describe(causes))
    if kept_alive and any(isinstance(cause, ConnectionError) for cause in causes):
        return StaleConnectionError(_describe(causes))
    return OutcomeUnknownError(_describe(causes))


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


def _in_tls(causes: list[BaseException], side: str) -> TransportError | HeldError | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _of_tls(cause, side)
        if type(cause).__name__ == "CertificateError":  # urllib3 1 compares hosts by itself
            return CertificateError(
                f"the {side}'s certificate was not accepted: hostname mismatch; "
                + _cure_of_certificate(_OTHER_HOST[0], _url_of(side))
            )
    return None


def _url_of(side: str) -> str:
    return "the proxy's URL" if side == "proxy" else "data_plane_url"


def _of_tls(cause: ssl.SSLError, side: str) -> TransportError | HeldError:
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
    if isinstance(cause, ssl.SSLEOFError):  # in TLS 1.3, perhaps after the request was sent
        return OutcomeUnknownError(f"the {side} cut the TLS connection")
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
    return ConnectionFailedError(f"TLS failed: {reason}")


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


def _describe(causes: list[BaseException]) -> str:
    """The innermost operating system error in words, or else the kind of error."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            return cause.strerror
    kinds = [type(cause).__name__ for cause in causes]
    return " < ".join(dict.fromkeys(kinds[:3]))
