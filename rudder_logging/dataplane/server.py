"""LocalDataPlane: the gateway's rules over real HTTP on loopback, in a thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import gateway
from .dialects import NEWEST, known, spoken
from .faults import Fault, FaultPlan
from .inbox import Inbox, ReceivedRequest
from .protocol import BrokenBodyError, Request, Server
from .regulations import PATH as REGULATIONS
from .regulations import Regulations
from .responses import PIXEL, Response, allow_origin, json_page, page, preflight, text

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LocalDataPlane"]

_SECONDS_TO_START = 10.0
_SECONDS_TO_STOP = 30.0
_BYTES_OVER_THE_LIMIT = 1024 * 1024
_HEALTH = {
    "appType": "EMBEDDED",
    "server": "UP",
    "db": "UP",
    "acceptingEvents": "TRUE",
    "routingEvents": "TRUE",
    "mode": "NORMAL",
    "backendConfigMode": "LOCAL",
    "lastSync": "",
    "lastRegulationSync": "",
}
_ROBOTS = "User-agent: * \nDisallow: / \n"
_DOCS = "<!doctype html><title>RudderStack</title><p>A local data plane of rudder_logging.</p>\n"


class LocalDataPlane:
    """A data plane to test against: a context manager, ready when it is entered.

    It answers `/v1/batch`, `/v1/<type>`, `/v1/import`, `/beacon/v1/batch`, `/pixel/v1/<type>`,
    `/health` and `/version` with the gateway's checks, in their order, with its statuses, headers
    and texts. All that was asked of a rudder-server 1.66 and a 1.45 gets their answers here, and
    malformed HTTP, too. A page of any site may send to it and read the answers (CORS), as with the
    gateway. What arrives is kept until `clear`, without a bound.

    It differs in this:

    - Bodies are read as far as 1 MiB over `max_request_bytes`, as they were sent and decompressed.
      A larger one is read to its end, not kept, and answered 413. The gateway takes in any, and
      may find another fault in it first.
    - JSON nested over 200,000 levels is answered `invalid json`; the gateway reads it, for minutes.
    - With a wrong key, a body of up to 256 KiB is kept for `requests`; the gateway never looks.
    - An answer may take longer than 10 s; the gateway, having stored the events, would not answer.
    - `/v1/webhook`, `/v1/audiencelist`, `/internal`, and whatever else is enterprise, are 404;
      nothing is limited by rate; `/version` and `/docs` say little.
    - `/sourceConfig/` answers browsers' SDKs in place of RudderStack's control plane: a source
      without destinations. `/v2/regulations` is that one's, too: see `regulations`.

    Args:
        write_key: The one that it accepts; None: any.
        port: 0: a free one.
        host: Where it listens; loopback unless you know better.
        certfile: Serve HTTPS with this certificate (PEM).
        keyfile: Its key.
        client_ca: Demand client certificates signed by this CA (PEM).
        access_token: The one that `/v2/regulations` accepts; None: any.
        dialect: The words of its answers: `1.66` as rudder-server has them from 1.46 on, `1.45`
            as servers before that have them.

    Raises:
        ConfigError: The dialect is unknown.
        OSError: From `start`: the port is taken.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self,
        write_key: str | None = "local-write-key",
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        certfile: str | None = None,
        keyfile: str | None = None,
        client_ca: str | None = None,
        access_token: str | None = None,
        dialect: str = NEWEST,
    ) -> None:
        self.write_key = write_key
        self._regulations = Regulations(access_token)
        self._dialect = known(dialect)
        self.source_enabled = True
        """Off: answers 404 `source is disabled`."""
        self.overloaded = False
        """On: answers 503 `Service Unavailable` to everything."""
        self.latency = 0.0
        """Seconds before each answer."""
        self.max_request_bytes = gateway.MAX_REQUEST_BYTES
        """Larger bodies, decompressed, are answered 413."""
        self._host, self._port = host, port
        self._tls = partial(_tls, certfile, keyfile, client_ca) if certfile else None
        self._inbox = Inbox()
        self._faults = FaultPlan()
        self._poison: tuple[Callable[[dict[str, Any]], object], gateway.Answer] | None = None
        self._thread: threading.Thread | None = None
        self._server: Server | None = None

    # Its life.

    def start(self) -> None:
        """Listen; when this returns, it answers. `with` calls it."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # With the protocol given, asyncio turns Nagle's algorithm off; else an answer takes 44 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self._host, self._port))
        except OSError:
            listening.close()
            raise
        self._port = listening.getsockname()[1]
        try:
            self._server = server = Server(self._app, listening, self._tls() if self._tls else None)
        except OSError:
            listening.close()
            raise
        self._thread = threading.Thread(target=server.run, name="LocalDataPlane", daemon=True)
        self._thread.start()
        if not server.ready.wait(_SECONDS_TO_START) or not server.has_started:
            self.stop()
            raise RuntimeError("the local data plane did not start")

    def stop(self) -> None:
        """Stop listening and cut what hangs. What arrived stays readable."""
        if self._server is not None and self._thread is not None:
            self._server.finish()
            self._thread.join(_SECONDS_TO_STOP)
            if self._thread.is_alive():
                raise RuntimeError(f"{self!r} did not stop in {_SECONDS_TO_STOP:g} s")
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<LocalDataPlane at {self.url}>"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """URL to give as `data_plane_url`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    @property
    def dialect(self) -> str:
        """The version of rudder-server whose words it answers with. It may be set at any time.

        Raises:
            ConfigError: When it is set: the dialect is unknown.
        """
        return self._dialect

    @dialect.setter
    def dialect(self, dialect: str) -> None:
        self._dialect = known(dialect)

    # What it received.

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events stored so far, as they were sent, oldest first."""
        return self._inbox.events

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests with events that came so far, oldest first, answered or not."""
        return self._inbox.requests

    @property
    def problems(self) -> list[tuple[dict[str, Any], str]]:
        """Events that were stored but would be lost behind the gateway, each with the reason."""
        return self._inbox.problems

    @property
    def regulations(self) -> list[dict[str, Any]]:
        """Regulations that were asked for, by RudderStack's user suppression API."""
        return self._regulations.all

    def wait_for(self, count: int, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Wait until at least so many events are stored, and return all.

        Raises:
            TimeoutError: They did not come in `timeout` seconds; it says what came.
        """
        __tracebackhide__ = True
        self._inbox.wait("events", count, timeout)
        return self.events

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> list[ReceivedRequest]:
        """Wait until at least so many requests have come, and return all.

        Raises:
            TimeoutError: They did not come in `timeout` seconds; it says what came.
        """
        __tracebackhide__ = True
        self._inbox.wait("requests", count, timeout)
        return self.requests

    def clear(self) -> None:
        """Forget what was received, and all faults."""
        self._inbox.clear()
        self.heal()

    # What goes wrong.

    def fail(
        self,
        status: int,
        *,
        times: int | None = 1,
        text: str | None = None,
        retry_after: float | str | None = None,
    ) -> None:
        """Answer the next requests with a status, and store nothing of them.

        Args:
            status: The HTTP status.
            times: How many requests; None: all, until `heal`.
            text: The body; by default the gateway's words for that status.
            retry_after: The header, if any: seconds, or an HTTP date.
        """
        self._faults.add(Fault("answer", status, text, retry_after), times)

    def fail_at_random(self, shares: Mapping[int, float]) -> None:
        """Until `heal`, answer parts of the requests with statuses: `{503: 0.2}` is every fifth.

        Raises:
            ValueError: A share is not within 0 and 1, or they make more than 1 together.
        """
        total = round(sum(shares.values()), 9)
        if not all(0 <= share <= 1 for share in shares.values()) or total > 1:
            raise ValueError("shares of requests must be from 0 to 1, and at most 1 together")
        self._faults.shares = dict(shares)

    def cut(self, *, accepted: bool, times: int | None = 1) -> None:
        """Cut the connection instead of answering, with the events stored (`accepted`) or not."""
        self._faults.add(Fault("cut_after" if accepted else "cut_before"), times)

    def hang(self, *, times: int | None = 1) -> None:
        """Never answer the next requests."""
        self._faults.add(Fault("hang"), times)

    def fail_for(
        self,
        is_poison: Callable[[dict[str, Any]], object],
        status: int = 500,
        text: str = "pq: invalid byte sequence",
    ) -> None:
        """Until `heal`, refuse each request that has an event for which `is_poison` is true.

        It stands for what the gateway's rules don't show: an event that its database, or a
        front end of its, can't take.
        """
        self._poison = (is_poison, gateway.Answer(status, text))

    def heal(self) -> None:
        """End all faults. What hangs goes on hanging until `stop`."""
        self._faults.clear()
        self._poison = None
        self.source_enabled = True
        self.overloaded = False
        self.latency = 0.0
        self.max_request_bytes = gateway.MAX_REQUEST_BYTES

    # How it serves.

    async def _app(self, request: Request) -> Response | None:
        response = await self._respond(request)
        if response is not None:
            response.headers.setdefault("Vary", "Origin")
        return response

    async def _respond(self, request: Request) -> Response | None:
        """The response, or None: cut the connection."""
        wanted = request.headers.get("access-control-request-method")
        if request.method == "OPTIONS" and wanted:
            return preflight(wanted, request.headers)
        response = await self._route(request)
        if response is not None:
            allow_origin(response, request.method, request.headers.get("origin"))
        return response

    async def _route(self, request: Request) -> Response | None:  # noqa: PLR0911 - one a row
        if self.overloaded:
            return text(gateway.Answer(503, "Service Unavailable"))
        if request.path == REGULATIONS:
            return await self._regulate(request)
        method = gateway.ROUTES.get(request.path)
        if method is None:
            return text(gateway.Answer(404, "404 page not found"))
        if request.method != method:
            return Response(405, headers={"Allow": method})
        if method == "POST":
            return await self._take(request)
        if request.path in gateway.PIXELS:
            return await self._take_pixel(request)
        if request.path == gateway.SOURCE_CONFIG:
            return self._tell_source(request)
        if request.path == "/version":
            return json_page({"Version": self.dialect, "BuiltBy": "rudder_logging"})
        if request.path == "/docs":
            return page("text/html; charset=utf-8", _DOCS)
        if request.path == "/robots.txt":
            return page("text/plain; charset=utf-8", _ROBOTS)
        return json_page(_HEALTH)

    async def _regulate(self, request: Request) -> Response | None:
        """Answer as RudderStack's control plane does; `fail` and its like concern this, too."""
        if request.method != "POST":
            return Response(405, headers={"Allow": "POST"})
        fault = self._faults.next()
        try:
            body, _ = await request.body(self.max_request_bytes)
        except BrokenBodyError:
            body = b""
        if fault is not None:
            words = {"message": fault.text or "the server failed"}
            return json_page(words, status=fault.status) if fault.kind == "answer" else None
        status, answer = self._regulations.take(request.headers.get("authorization"), body or b"")
        return json_page(answer, status=status)

    async def _take(self, request: Request) -> Response | None:
        fault = self._faults.next()
        say = partial(spoken, self._dialect)
        refusal = self._check_key(request, enabled=self.source_enabled)
        most = self.max_request_bytes + _BYTES_OVER_THE_LIMIT
        raw: bytes | None = None
        size = 0
        if refusal is not None:
            raw = await request.early_body()
            size = len(raw)
        else:
            try:
                raw, size = await request.body(most)
            except BrokenBodyError:
                raw, refusal = b"", gateway.Answer(500, gateway.UNREADABLE)
        if raw is None:
            raw, refusal = b"", gateway.TOO_LARGE
        encoding = request.headers.get("content-encoding")
        unpacked = gateway.decompress(raw, encoding, most)
        body = b"" if isinstance(unpacked, gateway.Answer) else unpacked
        if isinstance(unpacked, gateway.Answer):
            refusal = refusal or unpacked
        if refusal is not None:
            answer = say(refusal)
        elif request.path == "/v1/import":
            answer = gateway.check_import(body, self.max_request_bytes, say)
        else:
            answer = say(gateway.check_body(request.path, body, self.max_request_bytes))
        return await self._conclude(request, size, body, answer, fault)

    async def _take_pixel(self, request: Request) -> Response | None:
        fault = self._faults.next()
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        body = gateway.pixel_event(request.path, request.query, now)
        answer = self._check_key(request, enabled=self.source_enabled)
        if answer is None:
            answer = gateway.check_body(request.path, body, self.max_request_bytes)
        answer = spoken(self._dialect, answer)
        response = await self._conclude(request, 0, body, answer, fault)
        return page("image/gif", PIXEL) if fault is None else response

    def _tell_source(self, request: Request) -> Response:
        """Tell an SDK that its source has no destinations, and if it is enabled."""
        refusal = self._check_key(request, enabled=True)
        if refusal is not None:
            return text(refusal)
        source = {"id": "local", "enabled": self.source_enabled, "config": {}, "destinations": []}
        return json_page({"source": source})

    def _check_key(self, request: Request, *, enabled: bool) -> gateway.Answer | None:
        authorization = request.headers.get("authorization")
        key = gateway.key_of(request.path, authorization, request.query)
        if isinstance(key, gateway.Answer):
            return key
        return gateway.check_key(key, self.write_key, enabled=enabled)

    async def _conclude(
        self,
        request: Request,
        size: int,
        body: bytes,
        answer: gateway.Answer,
        fault: Fault | None,
    ) -> Response | None:
        """Keep a request with what becomes of it, faults on command included."""
        if fault is not None and fault.kind == "hang":
            self._keep(request, size, body, gateway.Answer(0, ""))
            await self._released()
            return None
        if self.latency:
            await asyncio.sleep(self.latency)
        if self._poison and any(map(self._poison[0], answer.events)):
            culprit = [bool(self._poison[0](event)) for event in answer.events].index(True)
            answer = replace(self._poison[1], culprit=culprit)
        headers = {}
        if fault is not None and fault.kind == "answer":
            answer = gateway.Answer(fault.status, fault.words)
            if fault.text is None:
                answer = spoken(self._dialect, answer)
            if fault.retry_after is not None:
                headers["Retry-After"] = str(fault.retry_after)
        elif fault is not None:
            events = answer.events if fault.kind == "cut_after" else ()
            answer = gateway.Answer(0, "", events)
        self._keep(request, size, body, answer)
        return text(answer, headers) if answer.status else None

    def _keep(self, request: Request, size: int, body: bytes, answer: gateway.Answer) -> None:
        received = ReceivedRequest(
            method=request.method,
            path=request.path,
            headers=request.headers,
            body=body,
            wire_bytes=size,
            status=answer.status or None,
            text=answer.text,
            culprit=answer.culprit,
        )
        self._inbox.add(received, answer.events)

    async def _released(self) -> None:
        """Wait for the end of the server."""
        assert self._server is not None  # noqa: S101 - for the type checker
        await self._server.released.wait()


def _tls(certfile: str, keyfile: str | None, client_ca: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile, keyfile)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
