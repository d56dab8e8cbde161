"""aiohttp's server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.payload import Payload

from ..common.wired import wired
from ..events.scopes import Scope, Steps
from ..web.context import RequestContext
from ..web.request import Request

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

__all__ = ["middleware"]

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A text as a key is warned of from aiohttp 3.14 on; before, there was nothing else.
_LAYER: Any = getattr(web, "RequestKey", lambda name, _type: name)("rudder_logging", bool)
"""The key of a request that says that it is bound already."""


def middleware(context: RequestContext | None = None) -> Middleware:
    """Have what a request knows on each event that is logged while it is answered.

    That includes streamed bodies, WebSockets, and tasks that a handler starts. Where it is there
    twice, as in a sub-application, the outer one is in force.

        app = web.Application(middlewares=[middleware()])

    Args:
        context: What of a request is bound. A function for `user` gets aiohttp's request.

    .. versionadded:: 0.1.0
    """
    wired.add("aiohttp")
    bound = context or RequestContext()

    @web.middleware
    async def bind_request(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if _LAYER in request:
            return await handler(request)
        request[_LAYER] = True
        with bound.binding(request.path, partial(_Request, request)) as scope:
            response = await handler(request)
        if (
            scope is not None
            and isinstance(response, web.Response)
            and isinstance(response.body, Payload)
        ):
            _write_within(scope, response)
        return response

    return bind_request


def _write_within(scope: Scope, response: web.Response) -> None:
    """Have a body that makes itself be made in a scope: no middleware is around it any more."""
    write, steps = response.write_eof, Steps(scope)

    async def write_eof(data: bytes = b"") -> None:
        with steps:
            await write(data)

    response.write_eof = write_eof  # type: ignore[method-assign]


class _Request(Request):
    """A request; `native` is aiohttp's."""

    native: web.Request

    def path(self) -> str:
        """Decoded."""
        return self.native.path

    def query(self) -> str:
        """As it was sent."""
        return self.native.rel_url.raw_query_string

    def scheme(self) -> str:
        """As aiohttp, or a middleware that has cloned the request, knows it."""
        return self.native.scheme

    def host(self) -> str | None:
        """Likewise."""
        return self.native.host

    def peer(self) -> str | None:
        """Likewise."""
        return self.native.remote

    def header(self, name: str) -> str | None:
        """All lines of a header."""
        found = self.native.headers.getall(name, ())
        return ("; " if name == "cookie" else ", ").join(found) if found else None
