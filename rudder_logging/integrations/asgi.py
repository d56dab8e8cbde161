"""ASGI: Starlette, FastAPI, Litestar, Channels, and apps without a framework."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any
from uuid import UUID

from ..common.wired import wired
from ..events.types import Id
from ..handler.handler import flush_all
from ..handler.stdlib import to_thread
from ..web.context import RequestContext
from ..web.request import Request

__all__ = ["RudderMiddleware"]

_log = logging.getLogger("rudder_logging")

_Map = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Map]]
_Send = Callable[[_Map], Awaitable[None]]
_App = Callable[[_Map, _Receive, _Send], Awaitable[None]]

_STARTED = "lifespan.startup.complete"
_SHUTDOWN = "lifespan.shutdown"


class RudderMiddleware:
    """Have what a request knows on each event that is logged while it is answered.

    That includes background tasks, streaming bodies, and all of a WebSocket's connection. Where it
    is there twice, or around a mounted app, too, the outermost one is in force.

    When the server ends it delivers what waits, because uvicorn runs no exit hooks. It waits for
    `shutdown_timeout` at the most.

    Args:
        app: An ASGI app.
        context: What of a request is bound.

    .. versionadded:: 0.1.0
    """

    def __init__(self, app: Any, context: RequestContext | None = None) -> None:
        self.app: _App = app
        self._context = context or RequestContext()
        wired.add("asgi")

    async def __call__(self, scope: _Map, receive: _Receive, send: _Send) -> None:
        """Answer a request as the app does."""
        kind = scope["type"]
        if kind in ("http", "websocket"):
            with self._context.binding(scope["path"], partial(_Request, scope), scope):
                await self.app(scope, receive, send)
        elif kind == "lifespan":
            await _Lifespan(self.app, receive, send).run(scope)
        else:
            await self.app(scope, receive, send)


class _Request(Request):
    """A request, or a WebSocket's connection; `native` is its scope."""

    def path(self) -> str:
        """Of `path` and `root_path`, which the one contains or not: servers differ."""
        path, prefix = self.native["path"], self.native.get("root_path", "")
        return path if path.startswith(prefix) else f"{prefix}{path}"

    def query(self) -> str:
        """Of `query_string`."""
        return _text(self.native.get("query_string", b""))

    def scheme(self) -> str:
        """A WebSocket's page has that of HTTP."""
        scheme: str = self.native.get("scheme", "http")
        return {"ws": "http", "wss": "https"}.get(scheme, scheme)

    def peer(self) -> str | None:
        """Of `client`, which a UNIX socket has none of."""
        client = self.native.get("client")
        return client[0] if client else None

    def header(self, name: str) -> str | None:
        """Of `headers`."""
        wanted = name.encode("latin-1")
        found = [value for key, value in self.native["headers"] if key.lower() == wanted]
        return _text((b"; " if name == "cookie" else b", ").join(found)) if found else None

    def user(self) -> Id:
        """The id of `scope["user"]`: Starlette's, Litestar's and Channels' middlewares set it."""
        user = self.native.get("user")
        if not getattr(user, "is_authenticated", True):
            return None
        for name in ("identity", "pk", "id"):
            with contextlib.suppress(NotImplementedError):  # Starlette's, of a user without one
                if (user_id := getattr(user, name, None)) is not None:
                    return user_id  # type: ignore[no-any-return]
        return user if isinstance(user, (str, int, UUID)) else None


def _text(value: bytes) -> str:
    return value.decode("latin-1")


class _Lifespan:
    """An app's lifespan, at whose end events are delivered."""

    def __init__(self, app: _App, receive: _Receive, send: _Send) -> None:
        self._app = app
        self._receive = receive
        self._send = send
        self._asked = self._answered = ""
        """The types of the last messages."""

    async def run(self, scope: _Map) -> None:
        """Let the app have its lifespan; where it has none, answer in its place."""
        try:
            await self._app(scope, self._receive_for_app, self._deliver_and_send)
        except Exception:
            if self._asked == _SHUTDOWN and not self._answered.startswith(_SHUTDOWN):
                await _deliver()
            if self._asked:
                raise
            _log.debug("the app has no lifespan of its own", exc_info=True)
        if not self._asked:
            await self._receive_for_app()
        if not self._answered:
            await self._deliver_and_send({"type": _STARTED})
        if self._answered == _STARTED:
            if self._asked != _SHUTDOWN:
                await self._receive_for_app()
            await self._deliver_and_send({"type": f"{_SHUTDOWN}.complete"})

    async def _receive_for_app(self) -> _Map:
        message = await self._receive()
        self._asked = message["type"]
        return message

    async def _deliver_and_send(self, message: _Map) -> None:
        if message["type"].startswith(_SHUTDOWN):
            await _deliver()
        self._answered = message["type"]
        await self._send(message)


async def _deliver() -> None:
    """Deliver what waits in all handlers, each within its `shutdown_timeout`; tell what is left."""
    try:
        unsettled = await to_thread(flush_all)
    except RuntimeError:  # trio's loop, in which nothing is left to do by now
        unsettled = flush_all()
    for handler in unsettled:
        _log.warning(
            "%d events could not be delivered before the server's end; those in memory are lost "
            "if it ends by a signal",
            handler.stats().pending,
        )
