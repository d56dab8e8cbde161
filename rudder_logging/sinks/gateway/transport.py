"""One upload over HTTP: the only file that opens a connection to a data plane."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import errno
import http.client
import http.cookiejar
import io
import math
import os
import platform
import queue
import re
import socket
import ssl
import sys
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3.exceptions

from ..._version import __version__
from ...common.clock import monotonic, wall_time
from ...common.given_files import fault_of_file
from ...common.hosts import is_loopback
from ...config import Config
from ...exceptions import HeldError, TransportError
from ..base import LONGEST_IDLE
from .compression import compress
from .network_errors import Attempt, meaning
from .outcomes import Answer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["HttpTransport", "Look", "Transport"]

_WORDS = 200  # characters of a server's answer that are kept, for reports
_LONGEST_ANSWER = 4096  # bytes; the gateway's are under 100, only a stranger's page has more


@dataclass(frozen=True)
class Look:
    """A page of the data plane, with what it shows of the way there."""

    answer: Answer
    body: bytes
    """Its beginning."""
    date: str | None
    """The server's clock, as an HTTP date."""
    certificate: Mapping[str, Any] | None
    """The server's certificate, as `SSLSocket.getpeercert` returns it; None: no TLS."""


class Transport(Protocol):
    """A transport of uploads."""

    sent: int
    """Bytes on the wire of the last upload's body."""

    @property
    def seconds(self) -> float:
        """Seconds that the last upload took, from its first byte to the end of its answer."""
        ...

    def send(self, body: bytes, timeout: float | None = None, *, plain: bool = False) -> Answer:
        """Post one upload, as JSON, and return the answer.

        Args:
            body: Uncompressed.
            timeout: Seconds, if less than usual: the process is about to end.
            plain: Do not compress it, whatever the option says.

        Raises:
            TransportError: None came; the subclass says what that means for the events.
            HeldError: It can't be sent as things are configured.
        """
        ...

    def close(self) -> None:
        """Close the connections; the next upload opens new ones."""
        ...

    def urls(self) -> list[str]:
        """The URLs of all servers that this connects to: the gateway's, and a proxy's."""
        ...


def _fault_of_key_log() -> str | None:
    """Name the fault of the file that the environment has TLS write its keys to."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path or (os.path.isfile(path) and os.access(path, os.W_OK)):  # noqa: PTH113
        return None  # a missing one would have been made
    return f"SSLKEYLOGFILE names a file that can't be written: {path}"


class HttpTransport:
    """Posts to `<data_plane_url>/v1/batch` over one kept-alive session."""

    def __init__(self, config: Config) -> None:
        self._base_url = config.data_plane_url
        self._url = f"{self._base_url}/v1/batch"
        self._timeout = config.timeout
        self._gzip = config.gzip
        self._proxies = dict(config.proxies) if config.proxies else None
        self._verify = config.ca_bundle or True
        self._cert = config.client_cert
        self._passage = _Passage()
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._passage))
        # Given with each request, or requests would look for one in ~/.netrc.
        self._auth = (config.write_key, "")
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "text/plain",
            "User-Agent": f"rudder-logging/{__version__} Python/{platform.python_version()}",
        }
        self._kept_alive = False  # the connection has served before, and may be stale by now
        self._used_at = 0.0
        self.sent = 0
        """Bytes on the wire of the last upload's body."""

    def __repr__(self) -> str:
        return f"<HttpTransport to {urlsplit(self._url).hostname}>"

    def send(self, body: bytes, timeout: float | None = None, *, plain: bool = False) -> Answer:
        """See `Transport.send`. No redirect is followed; TLS is verified."""
        settings = self._settings(timeout)
        with self._mapped_errors(settings["timeout"]):
            headers = self._headers
            if self._gzip and not plain:
                body = compress(body)
                headers = {**headers, "Content-Encoding": "gzip"}
            self.sent = len(body)
            with self._session.post(
                self._url, data=body, headers=headers, **settings
            ) as response:  # leaving it ends the connection, if there is more to be read
                words = _beginning(response)
                self._kept_alive = response.raw.closed
            if not response.ok:  # a proxy's, perhaps: see `_mapped_errors`
                self._session.merged = None
            return _answer(response, words)

    def look(self, page: str, timeout: float | None = None) -> Look:
        """Get a page, like `/health`, by the way that uploads go. Raises as `send` does."""
        settings = self._settings(timeout)
        with (
            self._mapped_errors(settings["timeout"]),
            self._session.get(self._base_url + page, headers=self._headers, **settings) as response,
        ):
            # Before the body is read: then the connection is let go.
            connected: Any = getattr(getattr(response.raw, "connection", None), "sock", None)
            certificate = connected.getpeercert() if hasattr(connected, "getpeercert") else None
            body = _beginning(response)
            self._kept_alive = response.raw.closed
        return Look(
            _answer(response, body), body, response.headers.get("Date"), certificate or None
        )

    def way(self) -> tuple[str | None, bool | str]:
        """The proxy in force, and what certificates are verified by: a path; True: as usual."""
        merged = self._session.in_force(self._url, self._proxies, self._verify, self._cert)
        proxy = requests.utils.select_proxy(self._url, dict(merged["proxies"] or {}))
        return proxy, True if merged["verify"] is None else merged["verify"]

    def urls(self) -> list[str]:
        """See `Transport.urls`."""
        urls = [self._url]
        with contextlib.suppress(Exception):  # an upload will tell what is wrong with it
            proxy = self.way()[0]
            if proxy:
                urls.append(proxy if "://" in proxy else f"http://{proxy}")
        return urls

    @contextlib.contextmanager
    def _mapped_errors(self, seconds: float) -> Iterator[None]:
        """Turn whatever is raised into our errors, here and nowhere else."""
        outer = sys.exc_info()[1]
        kept_alive, self._kept_alive = self._kept_alive, False
        if kept_alive and monotonic() - self._used_at > LONGEST_IDLE:
            self.close()
            kept_alive = False
        self._passage.begin()
        try:
            yield
        except (TransportError, HeldError):
            raise
        except Exception as error:  # an environment that is odd in some new way
            passage = self._passage
            attempt = Attempt(
                sent=passage.sent_at is not None,
                seconds=seconds,
                kept_alive=kept_alive,
                is_through_proxy=passage.is_through_proxy,
            )
            with contextlib.suppress(Exception):  # perhaps what is wrong is in there
                attempt = replace(attempt, proxy=self.way()[0])
                attempt = replace(attempt, file_fault=self._file_fault())
            self._session.merged = None  # the environment may be mended before the next attempt
            raise meaning(error, attempt, outer) from error
        finally:
            self._used_at = monotonic()

    @property
    def seconds(self) -> float:
        """Seconds that the last upload took, from its first byte to the end of its answer."""
        sent_at = self._passage.sent_at
        return 0.0 if sent_at is None else self._used_at - sent_at

    def _file_fault(self) -> str | None:
        """Name the fault of a file that TLS needs."""
        if not self._url.startswith("https:"):
            return None
        faults = [_fault_of_key_log()]
        verified_by = self.way()[1]
        if isinstance(verified_by, str):
            names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
            variable = next((name for name in names if os.environ.get(name)), names[0])
            option = "ca_bundle" if self._verify == verified_by else variable
            faults.append(fault_of_file(option, verified_by))
        certificate = self._cert if isinstance(self._cert, tuple) else (self._cert,)
        faults += (fault_of_file("client_cert", path) for path in certificate if path)
        return next(filter(None, faults), None)

    def _settings(self, timeout: float | None) -> dict[str, Any]:
        # Given with each request, because a session's lose against the environment's.
        return {
            "auth": self._auth,
            "timeout": self._timeout if timeout is None else min(timeout, self._timeout),
            "allow_redirects": False,
            "stream": True,
            "proxies": self._proxies,
            "verify": self._verify,
            "cert": self._cert,
        }

    def close(self) -> None:
        """Close the connections; the next upload opens new ones."""
        for adapter in self._session.adapters.values():
            if isinstance(adapter, requests.adapters.HTTPAdapter):
                for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                    # A session's close() leaves that to finalizers, which are gone at exit.
                    for key in manager.pools.keys():  # noqa: SIM118 - it can't be iterated
                        manager.pools[key].close()
        self._session.close()
        self._session.merged = None
        self._kept_alive = False


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        # A balancer's that grow would end in a 431 for ever; and no gateway has any use for them.
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
        self.merged: dict[str, Any] | None = None
        """The settings of all requests, the environment's included; None: it is to be read."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None is followed; looking for one, requests would read the whole body first."""

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """See `in_force`; asked for each upload, it took a fifth of the CPU of one."""
        merged = self.merged
        if merged is None:
            merged = self.merged = self.in_force(url, proxies, verify, cert)
        return {**merged, "stream": stream}

    def in_force(self, url: Any, proxies: Any, verify: Any, cert: Any) -> dict[str, Any]:
        """As requests does, but to this very machine go no proxies of the environment."""
        given = dict(proxies or {})
        merged = super().merge_environment_settings(url, dict(given), None, verify, cert)
        if is_loopback(urlsplit(url).hostname or ""):
            merged["proxies"] = given
        return dict(merged)


class _Passage:
    """The progress of the upload under way."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.sent_at: float | None = None
        """When some of the request has left."""
        self.is_through_proxy = False
        """The proxy has connected us to the server."""


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, passage: _Passage) -> None:
        self._passage = passage
        super().__init__()

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """As requests does, which knows only passwords of Latin-1."""
        try:
            return super().proxy_headers(proxy)
        except UnicodeEncodeError:
            credentials = ":".join(requests.utils.get_auth_from_url(proxy)).encode()
            encoded = base64.b64encode(credentials).decode()
            return {"Proxy-Authorization": f"Basic {encoded}"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The hook that sees each pool, of whatever kind of proxy, before it is used."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if isinstance(conn.pool, queue.Queue):  # None: it was closed meanwhile
            conn.pool = resting = _Resting()
            weakref.finalize(conn, resting.close)
        cls = conn.ConnectionCls
        if not issubclass(cls, _Connection):
            ours = {"passage": self._passage}
            conn.ConnectionCls = type(cls.__name__, (_Connection, cls), ours)


class _Resting:
    """A pool's connections that are not in use, kept without a lock.

    Where calls deliver, a signal handler may raise amid them. The standard library's queue then
    keeps its lock for ever, and the next upload waits for it.
    """

    def __init__(self) -> None:
        self._connections: list[Any] = []

    def get(self, *, block: bool = False, timeout: float | None = None) -> Any:  # noqa: ARG002
        """The last one that was put."""
        if not self._connections:
            raise queue.Empty
        return self._connections.pop()

    def put(self, connection: Any, *, block: bool = False) -> None:  # noqa: ARG002
        """Keep one."""
        self._connections.append(connection)

    def close(self) -> None:
        """Close all: the pool is gone."""
        while self._connections:
            connection = self._connections.pop()
            if connection is not None:
                connection.close()


class _PunctualResponse(http.client.HTTPResponse):
    """An answer of which nothing is read any more when the time for its first byte is over.

    The socket's own time-out begins anew with each byte: a server that drips them would keep
    the sender for ever.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_PunctualSocket(sock), *args, **kwargs)  # type: ignore[arg-type]
        self._lines = self.fp

    def begin(self) -> None:
        """Read the headers, all of them: http.client takes their end for granted."""
        super().begin()
        if isinstance(self._lines, _Lines) and self._lines.is_at_end:
            raise http.client.IncompleteRead(b"")

    def read(self, amt: int | None = None) -> bytes:
        """Read so much, if it is there: else http.client, and urllib3 1, take what came for all."""
        expected = None
        if amt is not None and self.length is not None:
            expected = min(amt, self.length)
        found = super().read(amt)
        if expected is not None and len(found) < expected:
            raise http.client.IncompleteRead(found, expected - len(found))
        return found


class _Connection:
    """Additions to urllib3's connections."""

    response_class = _PunctualResponse
    passage: _Passage
    _is_requesting = False
    _connected: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        self._connected = super()._new_conn()  # type: ignore[misc]
        return self._connected

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except BaseException:
            if self._connected is not None:  # urllib3 1 forgets it where TLS fails early
                self._connected.close()
            raise
        finally:
            self._connected = None

    def _tunnel(self) -> None:
        super()._tunnel()  # type: ignore[misc]
        self.passage.is_through_proxy = True

    def send(self, data: Any) -> None:
        if self._is_requesting:  # and not asking a proxy for a tunnel
            if getattr(self, "sock", None) is None:
                self.connect()
            if self.passage.sent_at is None:
                self.passage.sent_at = monotonic()
        super().send(data)  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._is_requesting = True
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            # A server may answer, and close, without reading it all. For this error every
            # version of urllib3 goes on to look for an answer.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        finally:
            self._is_requesting = False


class _PunctualSocket:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - it is "rb"
        return _Lines(_PunctualReader(self._socket))


class _Lines(io.BufferedReader):
    is_at_end = False
    """There was no further line."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.is_at_end = not line
        return line


class _PunctualReader(io.RawIOBase):
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = math.inf if timeout is None else monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        remaining = self._deadline - monotonic()
        if remaining <= 0:
            raise TimeoutError("the answer took too long")
        if remaining < math.inf:
            self._socket.settimeout(remaining)
        try:
            return self._raw.readinto(buffer)
        except ConnectionResetError:
            # Whoever answers and closes without reading the request resets the connection behind
            # the last byte. If it was not the last, http.client finds the answer too short.
            return 0

    def close(self) -> None:
        self._raw.close()
        super().close()


def _beginning(response: requests.Response) -> bytes:
    """Beginning of the body; nothing, if it is not what its Content-Encoding says."""
    try:
        beginning: bytes = response.raw.read(_LONGEST_ANSWER, decode_content=True)
    except urllib3.exceptions.DecodeError:
        return b""
    return beginning


def _answer(response: requests.Response, body: bytes) -> Answer:
    return Answer(
        response.status_code,
        body[: 4 * _WORDS].decode("utf-8", "replace").strip()[:_WORDS],
        _retry_after(response.headers.get("Retry-After")),
    )


def _retry_after(header: str | None) -> float | None:
    """Seconds from now, of either form of the header; None if it has neither."""
    if header is None:
        return None
    header = header.strip()
    if re.fullmatch(r"\d{1,9}", header, re.ASCII):
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, moment - wall_time())
