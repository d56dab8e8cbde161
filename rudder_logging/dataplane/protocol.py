"""HTTP/1.1 on asyncio, as Go's net/http speaks it: h11 reads; what is bent stands here.

A server of one's own costs these lines and saves a framework's. Cuts in the middle of an answer,
early answers, refusals, half-closed connections and the end are just what a client meets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus

import h11

from ..common.clock import monotonic
from .responses import Response

__all__ = ["App", "BrokenBodyError", "Request", "Server"]

_log = logging.getLogger("rudder_logging.dataplane")

_IDLE_SECONDS = 720  # this and the next three are the gateway's own, or Go's
_MAX_HEADER_BYTES = 524_288
_HEADER_SLACK = 4_096
_DRAINED_BYTES = 256 * 1024
_LINGER_SECONDS = 0.5
_GRACE_SECONDS = 1.0
_READ_AHEAD = 65_536
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VERSION = re.compile(rb" HTTP/(\d)\.\d\r?$")


class BrokenBodyError(Exception):
    """A client cut its upload, or framed it wrongly."""


class Request:
    """A request whose body is read when, and as far as, somebody asks for it."""

    def __init__(self, head: h11.Request, scheme: str, connection: _Connection) -> None:
        self.method = head.method.decode("ascii")
        target = head.target.decode("latin-1")
        path, _, self.query = target.partition("?")
        absolute = _ABSOLUTE.match(path)
        self.path = (path[absolute.end() :] or "/") if absolute else path
        """As it was sent: nothing in it is decoded."""
        self.headers: dict[str, str] = {}
        """Names in lower case; of equal ones, the first."""
        for name, value in head.headers:
            self.headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
        self.scheme = scheme
        self._connection = connection

    @property
    def length(self) -> int | None:
        """The body's size as it was announced; None: it was not."""
        return int(self.headers["content-length"]) if "content-length" in self.headers else None

    @property
    def is_plausible(self) -> bool:
        """Tell if its target is one that Go can read."""
        is_path = self.path.startswith("/") or self.path == "*"
        return is_path and not _BAD_ESCAPE.search(self.path)

    async def body(self, most: int, *, to_its_end: bool = True) -> tuple[bytes | None, int]:
        """The body, and its size on the wire.

        Args:
            most: Bytes. Of a larger one nothing is kept, and None returned.
            to_its_end: Read a larger one still, so that its client is there for an answer.

        Raises:
            BrokenBodyError: It never came whole.
        """
        kept: bytearray | None = bytearray()
        size = 0
        async for chunk in self._connection.chunks():
            size += len(chunk)
            if kept is not None and size <= most:
                kept += chunk
            else:
                kept = None
                if not to_its_end:
                    break
        return (None if kept is None else bytes(kept)), size

    async def early_body(self) -> bytes:
        """The body as far as Go reads one that nobody has asked for: if it is small."""
        if self._connection.waits_for_continue or (self.length or 0) > _DRAINED_BYTES:
            return b""
        with contextlib.suppress(BrokenBodyError):
            return (await self.body(_DRAINED_BYTES, to_its_end=False))[0] or b""
        return b""


App = Callable[[Request], Awaitable["Response | None"]]
"""The answer to a request; None: cut the connection."""


class _Connection(asyncio.Protocol):
    """One client's requests, one after the other."""

    def __init__(self, app: App, live: set[_Connection], scheme: str) -> None:
        self._app = app
        self._live = live
        self._scheme = scheme
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._unread = bytearray()
        self._news = asyncio.Event()  # of bytes, or of their end
        self._room = asyncio.Event()
        self._room.set()
        self._http: h11.Connection | None = None  # of the request at hand
        self._streams = self._is_closing = self._has_ended = False
        self._idle: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._live.add(self)
        self._rest()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        self._unread += data
        if self._idle is not None:
            self._idle.cancel()
        if self.task is None:
            self._read_head()
        elif len(self._unread) > _READ_AHEAD:
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        self._has_ended = True
        self._news.set()
        if self._streams and self.task is not None:
            self.task.cancel()
        # Who only stopped sending may still be answered; TLS knows no such thing.
        return self.task is not None and not self._streams and self._scheme == "http"

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        self._live.discard(self)
        self._transport.close()  # else TLS, before Python 3.11, warns that nobody did
        self._has_ended = self._is_closing = True
        self._news.set()
        self._room.set()
        if self._idle is not None:
            self._idle.cancel()
        if self._streams and self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # From bytes to a request.

    def _rest(self) -> None:
        self._idle = self._loop.call_later(_IDLE_SECONDS, self._transport.close)

    def _read_head(self) -> None:
        """Begin with a request, once all of its head is there."""
        if self._http is None:
            line, newline, _ = self._unread.partition(b"\n")
            if not newline:  # where h11 would judge the first byte: Go waits for the line
                if len(line) > _MAX_HEADER_BYTES + _HEADER_SLACK:
                    self._refuse(431)
                return
            version = _VERSION.search(line)
            if version and version[1] != b"1":
                is_h2 = line.rstrip() == b"PRI * HTTP/2.0"
                self._refuse(*((405, "") if is_h2 else (505, "unsupported protocol version")))
                return
            most = _MAX_HEADER_BYTES + _HEADER_SLACK
            self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=most)
        self._http.receive_data(bytes(self._unread))
        self._unread.clear()
        try:
            head = self._http.next_event()
        except h11.RemoteProtocolError as error:
            is_hostless = str(error) == "Missing mandatory Host: header"
            reason = "missing required Host header" if is_hostless else ""
            self._refuse(error.error_status_hint, reason)
            return
        if isinstance(head, h11.Request):
            self._begin(head)

    def _begin(self, head: h11.Request) -> None:
        request = Request(head, self._scheme, self)
        size = sum(len(name) + len(value) + 4 for name, value in head.headers)
        if size > _MAX_HEADER_BYTES + _HEADER_SLACK:
            self._refuse(431)
        elif not request.is_plausible or any(_CONTROL_BYTES.search(v) for _, v in head.headers):
            self._refuse(400)
        elif request.headers.get("expect", "100-continue").lower() != "100-continue":
            self._refuse(417)
        else:
            self.task = self._loop.create_task(self._serve(request))

    @property
    def waits_for_continue(self) -> bool:
        """The client sends no body before it is told to."""
        return self._http is not None and self._http.they_are_waiting_for_100_continue

    async def chunks(self) -> AsyncIterator[bytes]:
        """The rest of the body."""
        assert self._http is not None  # noqa: S101 - for the type checker
        if self.waits_for_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[], reason="Continue"))
        while self._http.their_state is h11.SEND_BODY:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                raise BrokenBodyError from None
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif event is h11.NEED_DATA:
                while not (self._unread or self._has_ended):
                    self._news.clear()
                    await self._news.wait()
                self._http.receive_data(bytes(self._unread))  # of nothing: the end
                self._unread.clear()
                self._transport.resume_reading()
        if self._http.their_state is h11.ERROR:
            raise BrokenBodyError

    # From an answer to bytes.

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._app(request)
            if response is not None:
                await request.early_body()
                await self._answer(request, response)
        except (BrokenBodyError, asyncio.CancelledError):
            response = None
        except Exception:  # noqa: BLE001
            # As Go does when a handler panics.
            _log.exception("the local data plane failed at a request")
            response = None
        if response is None or self._http is None:
            self.abort()
            return
        self.task = None
        if h11.DONE is self._http.our_state is self._http.their_state:
            self._unread[:0] = self._http.trailing_data[0]
            self._http = None
            self._transport.resume_reading()
            if self._has_ended:
                self._transport.close()
            elif self._unread:
                self._read_head()
            else:
                self._rest()
        else:
            self._close()

    async def _answer(self, request: Request, response: Response) -> None:
        assert self._http is not None  # noqa: S101 - for the type checker
        headers = {"Date": formatdate(usegmt=True), **response.headers}
        if isinstance(response.body, bytes) and response.status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(len(response.body))
        if self._http.their_state in (h11.SEND_BODY, h11.ERROR):
            headers["Connection"] = "close"
        head = h11.Response(
            status_code=response.status,
            headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            reason=_phrase(response.status).encode(),
        )
        has_body = request.method != "HEAD" and response.body
        if isinstance(response.body, bytes):
            body = [h11.Data(data=response.body)] if has_body else []
            self._write(head, *body, h11.EndOfMessage())
            return
        self._write(head)
        self._streams = True
        async for chunk in response.body:
            await self._room.wait()
            self._write(h11.Data(data=chunk))
        self._write(h11.EndOfMessage())
        self._streams = False

    def _write(self, *events: h11.Event) -> None:
        assert self._http is not None  # noqa: S101 - for the type checker
        self._transport.write(b"".join(self._http.send(event) or b"" for event in events))

    def _refuse(self, status: int, reason: str = "") -> None:
        """As Go answers what it can't read: before any of the gateway's own code."""
        line = f"{status} {_phrase(status)}" + (f": {reason}" if reason else "")
        body = "" if status in (405, 417) else line
        plain = "Content-Type: text/plain; charset=utf-8\r\n" if body else "Content-Length: 0\r\n"
        head = f"HTTP/1.1 {line}\r\n{plain}Connection: close\r\n\r\n"
        self._transport.write((head + body).encode())
        self._close()

    def _close(self) -> None:
        """Close, but let the client read what it was told: unread bytes would reset it."""
        self._is_closing = True
        self._unread.clear()
        if self._has_ended or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.resume_reading()
        try:
            self._transport.write_eof()
        except OSError:  # it has reset the connection already
            self._transport.abort()
            return
        self._loop.call_later(_LINGER_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status code {status}"


class Server:
    """The listener, in a thread of its own, until it is told to end.

    Args:
        app: What answers.
        listening: The socket; it is closed at the end.
        tls: For HTTPS.
    """

    def __init__(self, app: App, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._app = app
        self._listening = listening
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self.released: asyncio.Event
        """Set when it ends: what hangs or streams is to end, too."""
        self.ready = threading.Event()
        """Set when it answers, or never will."""
        self.has_started = False

    def run(self) -> None:
        """Serve until `finish`."""
        try:
            asyncio.run(self._serve())
        finally:
            self._listening.close()
            self.ready.set()

    def finish(self) -> None:
        """End soon; from any thread, once it is ready."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self.released.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(AttributeError):  # a loop in C, whose time nobody replaces
            self._loop.time = monotonic  # type: ignore[method-assign]
        self.released = asyncio.Event()
        live: set[_Connection] = set()
        scheme = "https" if self._tls else "http"
        server = await self._loop.create_server(
            lambda: _Connection(self._app, live, scheme), sock=self._listening, ssl=self._tls
        )
        self.has_started = True
        self.ready.set()
        await self.released.wait()
        # A connection that was accepted, but not begun with, would be left open by a closed server.
        with contextlib.suppress(NotImplementedError):  # on Windows
            self._loop.remove_reader(self._listening)
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        answering = [connection.task for connection in live if connection.task is not None]
        if answering:
            await asyncio.wait(answering, timeout=_GRACE_SECONDS)
        for connection in list(live):
            connection.abort()
        await asyncio.sleep(0)
