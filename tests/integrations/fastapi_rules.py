"""A FastAPI app in which events are logged wherever a request can log them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import Cookie, Depends, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from rudder_logging import RequestContext, bind, carry, current
from rudder_logging.integrations.asgi import RudderMiddleware

from .seen import log, pause

pool = ThreadPoolExecutor(8)


def around(place: str, **fields: str) -> Any:
    """A function for Starlette's middleware that runs the app in a task of its own: it logs."""

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        watched = request.url.path.startswith("/watched/")
        if watched:
            log(f"before, {place}", **fields)
        answer = await call_next(request)
        if watched:
            log(f"after, {place}", **fields)
        return answer

    return dispatch


def user_of(scope: Any) -> str | None:
    """The user whom a test's client names."""
    return dict(scope["headers"]).get(b"x-user", b"").decode() or None


app = FastAPI()


@app.get("/async/{n}")
async def in_the_loop(n: str) -> None:
    """A coroutine, and a task that it starts."""
    log("first", n)
    await asyncio.sleep(pause())
    await asyncio.create_task(later(n))
    log("last", n)


async def later(n: str) -> None:
    """Log in a task."""
    await asyncio.sleep(pause())
    log("task", n)


@app.get("/sync/{n}")
def in_a_thread(n: str) -> None:
    """A function, which runs in a thread."""
    log("first", n)
    time.sleep(pause())
    log("task", n)
    log("last", n)


@app.get("/pool/{n}")
async def in_a_pool(n: str) -> None:
    """A thread of a pool that knows nothing of requests."""
    log("first", n)
    await asyncio.get_running_loop().run_in_executor(pool, carry(in_pool), n)
    log("last", n)


def in_pool(n: str) -> None:
    """Log in a thread."""
    time.sleep(pause())
    log("task", n)


@app.get("/stream/{n}")
async def stream(n: str) -> StreamingResponse:
    """A body that logs, and a task after it."""

    async def lines() -> AsyncIterator[str]:
        log("first", n)
        await asyncio.sleep(pause())
        yield "a line"
        log("task", n)

    return StreamingResponse(lines(), background=BackgroundTask(log, "last", n))


@app.get("/stream-sync/{n}")
def stream_sync(n: str) -> StreamingResponse:
    """A body whose steps run in threads."""

    def lines() -> Iterator[str]:
        log("first", n)
        yield "a line"
        log("task", n)

    return StreamingResponse(lines(), background=BackgroundTask(log, "last", n))


async def signed_in(user: Annotated[str, Cookie()]) -> AsyncIterator[None]:
    """A dependency with a block."""
    with bind(user_id=user):
        yield
        log("after the endpoint")


def signed_in_a_thread(user: Annotated[str, Cookie()]) -> Iterator[None]:
    """FastAPI begins and ends it in contexts of their own."""
    current().set(user_id=user)
    with bind(context={"app": {"name": "within"}}):
        log("in the dependency")
        yield
    log("after the endpoint")


@app.get("/dependency", dependencies=[Depends(signed_in)])
async def dependency() -> None:
    """It has what its dependency bound."""
    log("in the endpoint")


@app.get("/sync-dependency", dependencies=[Depends(signed_in_a_thread)])
def sync_dependency() -> None:
    """It has what its dependency set."""
    log("in the endpoint")


@app.get("/login/{user}")
async def log_in(user: str) -> None:
    """Log in, and out again."""
    log("before")
    current().set(user_id=user)
    log("logged in")
    current().set(user_id=None)
    log("logged out")


@app.get("/raises")
async def raises() -> None:
    """A bug."""
    log("in the endpoint")
    raise ZeroDivisionError


@app.get("/watched/body")
async def watched() -> StreamingResponse:
    """Middlewares around it log, too."""

    async def lines() -> AsyncIterator[str]:
        log("in the body")
        yield "a line"

    return StreamingResponse(lines(), background=BackgroundTask(log, "in the background"))


@app.get("/silent")
async def silent() -> Response:
    """No event."""
    return PlainTextResponse("nothing")


@app.websocket("/talk/{n}")
async def talk(socket: WebSocket, n: str) -> None:
    """Say what it hears."""
    await socket.accept()
    log("opened", n)
    try:
        while True:
            await socket.send_text(await socket.receive_text())
            log("heard", n)
    except WebSocketDisconnect:
        log("closed", n)


inner = FastAPI()
inner.add_middleware(
    RudderMiddleware, RequestContext(user=lambda _scope: "of the inner one", extra=None)
)


@inner.get("/page")
async def page() -> None:
    """A page of the mounted app."""
    log("mounted")


app.mount("/inner", inner)
app.add_middleware(BaseHTTPMiddleware, dispatch=around("inside"))
app.add_middleware(RudderMiddleware, RequestContext(user=user_of))
app.add_middleware(BaseHTTPMiddleware, dispatch=around("outside", anonymous_id="nobody"))
