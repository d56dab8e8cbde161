"""LocalDataPlane: the gateway's rules over real HTTP on loopback, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .._clock import monotonic
from . import gateway
from .dialects import NEWEST, known, spoken
from .faults import Fault, FaultPlan
from .inbox import Inbox, ReceivedRequest
from .protocol import THREAD_NAME, Server, protocol, quiet
from .responses import preflight, refusal, text

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LocalDataPlane"]

_SECONDS_TO_START = 10.0
_SECONDS_TO_STOP = 30.0
_IDLE_SECONDS = 720  # the gateway's own
_MAX_HEADER_BYTES = 524_288  # the gateway's own
_TURNS_TO_CONNECT = 3  # of the loop, from accepting a connection until its protocol has it
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
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


class LocalDataPlane:
    """A data plane to test against: a context manager, ready when it is entered.

    It answers `/v1/batch`, `/v1/<type>` and `/health` with the gateway's checks, in their order,
    with its statuses and texts. What arrives is kept until `clear`.

    Args:
        write_key: The one that it accepts; None: any.
        port: 0: a free one.
        host: Where it listens; loopback unless you know better.
        certfile: Serve HTTPS with this certificate (PEM).
        keyfile: Its key.
        client_ca: Demand client certificates signed by this CA (PEM).
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
        dialect: str = NEWEST,
    ) -> None:
        self.write_key = write_key
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
        self._tls: dict[str, Any] = {}
        if certfile:
            self._tls = {"ssl_certfile": certfile, "ssl_keyfile": keyfile}
        if client_ca:
            self._tls |= {"ssl_ca_certs": client_ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        self._inbox = Inbox()
        self._faults = FaultPlan()
        self._poison: tuple[Callable[[dict[str, Any]], object], gateway.Verdict] | None = None
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        self._released: asyncio.Event | None = None

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
        config = uvicorn.Config(
            self._app,
            http=protocol(self._connections),
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=1,
            **self._tls,
        )
        self._server = server = Server(config)
        self._thread = threading.Thread(
            target=self._serve, args=(server, listening), name=THREAD_NAME, daemon=True
        )
        logging.getLogger("uvicorn.error").addFilter(quiet)
        self._thread.start()
        if not server.ready.wait(_SECONDS_TO_START) or not server.started:
            self.stop()
            raise RuntimeError("the local data plane did not start")

    def stop(self) -> None:
        """Stop listening and cut what hangs. What arrived stays readable."""
        if self._server is not None and self._thread is not None:
            self._server.finish()
            self._thread.join(_SECONDS_TO_STOP)
            if self._thread.is_alive():
                raise RuntimeError(f"{self!r} did not stop in {_SECONDS_TO_STOP:g} s")
            logging.getLogger("uvicorn.error").removeFilter(quiet)
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
        """What to give as `data_plane_url`."""
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

    def wait_for(self, count: int, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Wait until at least so many events are stored, and return all.

        Raises:
            TimeoutError: They did not come in `timeout` seconds; it says what came.
        """
        self._inbox.wait("events", count, timeout)
        return self.events

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> list[ReceivedRequest]:
        """Wait until at least so many requests have come, and return all.

        Raises:
            TimeoutError: They did not come in `timeout` seconds; it says what came.
        """
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
        self._poison = (is_poison, gateway.Verdict(status, text))

    def heal(self) -> None:
        """End all faults. What hangs goes on hanging until `stop`."""
        self._faults.clear()
        self._poison = None
        self.source_enabled = True
        self.overloaded = False
        self.latency = 0.0
        self.max_request_bytes = gateway.MAX_REQUEST_BYTES

    # How it serves.

    def _serve(self, server: Server, listening: socket.socket) -> None:
        async def serve() -> None:
            with contextlib.suppress(AttributeError):  # a loop in C, whose time nobody replaces
                asyncio.get_running_loop().time = monotonic  # type: ignore[method-assign]
            self._released = asyncio.Event()
            server.on_exit = self._released.set
            await server.serve(sockets=[listening])
            # uvicorn leaves alone what connected at the last moment.
            for _ in range(_TURNS_TO_CONNECT):
                await asyncio.sleep(0)
            for transport in list(self._connections.values()):
                transport.abort()
            await asyncio.sleep(0)

        try:
            asyncio.run(serve())
        finally:
            listening.close()
            server.ready.set()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        transport = self._connections.get(tuple(scope["client"]))
        if any(_CONTROL_BYTES.search(value) for _name, value in scope["headers"]):
            if transport is not None:
                transport.write(refusal(400))
                transport.close()
            response = None
        else:
            response = await self._respond(request)
            if response is None and transport is not None:
                transport.abort()
        if response is not None:
            response.headers["Vary"] = "Origin"
            await response(scope, receive, send)
            return
        while (await receive())["type"] != "http.disconnect":
            pass  # uvicorn takes a return before that for a mistake of ours

    async def _respond(self, request: Request) -> Response | None:
        """The response, or None: cut the connection."""
        path = request.url.path
        wanted = request.headers.get("Access-Control-Request-Method")
        if request.method == "OPTIONS" and wanted:
            return preflight(request, wanted)
        if self.overloaded:
            return text(gateway.Verdict(503, "Service Unavailable"))
        method = gateway.ROUTES.get(path)
        if method is None:
            return text(gateway.Verdict(404, "404 page not found"))
        if request.method != method:
            return Response(status_code=405, headers={"Allow": method})
        if path == "/health":
            return JSONResponse(_HEALTH)
        return await self._take(request)

    async def _take(self, request: Request) -> Response | None:
        fault = self._faults.next()
        raw = await request.body()
        if fault is not None and fault.kind == "hang":
            body = gateway.decompress(raw, request.headers.get("Content-Encoding"))
            kept = b"" if isinstance(body, gateway.Verdict) else body
            self._keep(request, raw, kept, gateway.Verdict(0, ""))
            assert self._released is not None  # noqa: S101 - for the type checker
            await self._released.wait()
            return None
        if self.latency:
            await asyncio.sleep(self.latency)
        authorization = request.headers.get("Authorization")
        verdict = gateway.check_key(authorization, self.write_key, enabled=self.source_enabled)
        body = gateway.decompress(raw, request.headers.get("Content-Encoding"))
        if isinstance(body, gateway.Verdict):
            verdict, body = verdict or body, b""
        elif verdict is None:
            verdict = gateway.check_body(request.url.path, body, self.max_request_bytes)
        verdict = spoken(self._dialect, verdict)
        if self._poison and any(map(self._poison[0], verdict.events)):
            culprit = [bool(self._poison[0](event)) for event in verdict.events].index(True)
            verdict = replace(self._poison[1], culprit=culprit)
        headers = {}
        if fault is not None and fault.kind == "answer":
            verdict = gateway.Verdict(fault.status, fault.words)
            if fault.text is None:
                verdict = spoken(self._dialect, verdict)
            if fault.retry_after is not None:
                headers["Retry-After"] = str(fault.retry_after)
        elif fault is not None:
            events = verdict.events if fault.kind == "cut_after" else ()
            verdict = gateway.Verdict(0, "", events)
        self._keep(request, raw, body, verdict)
        return text(verdict, headers) if verdict.status else None

    def _keep(self, request: Request, raw: bytes, body: bytes, verdict: gateway.Verdict) -> None:
        received = ReceivedRequest(
            method=request.method,
            path=request.url.path,
            headers=dict(request.headers),
            body=body,
            wire_bytes=len(raw),
            status=verdict.status or None,
            text=verdict.text,
            culprit=verdict.culprit,
        )
        self._inbox.add(received, verdict.events)
