"""An aiohttp app in which events are logged wherever a request can log them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from aiohttp import web

from rudder_logging import RequestContext, carry, current
from rudder_logging.integrations.aiohttp import middleware

from .seen import log, pause

routes = web.RouteTableDef()


@routes.get("/async/{n}")
async def in_the_loop(request: web.Request) -> web.Response:
    """A coroutine, and a task that it starts."""
    n = request.match_info["n"]
    log("first", n)
    await asyncio.sleep(pause())
    await asyncio.create_task(later(n))
    log("last", n)
    return web.Response()


async def later(n: str) -> None:
    """Log in a task."""
    await asyncio.sleep(pause())
    log("task", n)


@routes.get("/pool/{n}")
async def in_a_pool(request: web.Request) -> web.Response:
    """A thread of a pool that knows nothing of requests."""
    n = request.match_info["n"]
    log("first", n)
    await asyncio.get_running_loop().run_in_executor(None, carry(in_pool), n)
    log("last", n)
    return web.Response()


def in_pool(n: str) -> None:
    """Log in a thread."""
    time.sleep(pause())
    log("task", n)


@routes.get("/stream/{n}")
async def stream(request: web.Request) -> web.Response:
    """A body that logs, when aiohttp has left all middlewares."""
    n = request.match_info["n"]
    log("first", n)

    async def lines() -> AsyncIterator[bytes]:
        log("task", n)
        await asyncio.sleep(pause())
        yield b"a line"
        log("last", n)

    return web.Response(body=lines())


@routes.get("/written/{n}")
async def written(request: web.Request) -> web.StreamResponse:
    """A body that the handler writes."""
    n = request.match_info["n"]
    response = web.StreamResponse()
    await response.prepare(request)
    for place in ("first", "task", "last"):
        log(place, n)
        await response.write(b"a line")
        await asyncio.sleep(pause())
    return response


@routes.get("/login/{user}")
async def log_in(request: web.Request) -> web.Response:
    """Log in, and out again."""
    log("before")
    current().set(user_id=request.match_info["user"])
    log("logged in")
    current().set(user_id=None)
    log("logged out")
    return web.Response()


@routes.get("/raises")
async def raises(_request: web.Request) -> web.Response:
    """A bug."""
    log("in the handler")
    raise ZeroDivisionError


@routes.get("/silent")
async def silent(_request: web.Request) -> web.Response:
    """No event."""
    return web.Response()


@routes.get("/talk/{n}")
async def talk(request: web.Request) -> web.WebSocketResponse:
    """Say what it hears."""
    n = request.match_info["n"]
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    log("opened", n)
    async for message in socket:
        log("heard", n)
        await socket.send_str(message.data)
    log("closed", n)
    return socket


async def page(_request: web.Request) -> web.Response:
    """A page of the mounted app."""
    log("mounted")
    return web.Response()


inner = web.Application(
    middlewares=[middleware(RequestContext(user=lambda _request: "of the inner one"))]
)
inner.router.add_get("/page", page)

app = web.Application(
    middlewares=[middleware(RequestContext(user=lambda request: request.headers.get("X-User")))]
)
app.add_routes(routes)
app.add_subapp("/inner", inner)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=0)
