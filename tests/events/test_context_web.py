"""`bind()` in real web apps: FastAPI and Starlette over uvicorn, with real requests."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
import requests
import uvicorn
from fastapi import Cookie, Depends, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from rudder_logging import bind
from rudder_logging.events.scopes import bound_fields
from rudder_logging.testing import CapturedEvents

shop = logging.getLogger("shop.web")


def log(place: str) -> None:
    """Log an event that says at which place it was logged."""
    shop.info("Seen", extra={"rudder": {"anonymous_id": "a", "properties": {"place": place}}})


async def user(uid: Annotated[str, Cookie()] = "") -> AsyncIterator[None]:
    """A dependency with a block, as FastAPI documents them."""
    with bind(user_id=uid):
        yield
        log("after the endpoint")


def user_in_a_thread(uid: Annotated[str, Cookie()] = "") -> Iterator[None]:
    """FastAPI begins and ends it in threads, each with a context of its own."""
    with bind(user_id=uid):
        log("in the dependency")
        yield


app = FastAPI()


async def ask(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Have the path of a request on its events."""
    with bind(context={"path": request.url.path}):
        return await call_next(request)


@app.get("/async", dependencies=[Depends(user)])
async def in_the_loop() -> str:
    """A coroutine function."""
    log("async")
    return "ok"


@app.get("/sync", dependencies=[Depends(user)])
def in_a_thread() -> str:
    """FastAPI calls it in a thread."""
    log("sync")
    return "ok"


@app.get("/threads", dependencies=[Depends(user_in_a_thread)])
def threads() -> str:
    """It can't see what its dependency bound: that was in another context."""
    return "ok"


@app.get("/stream")
async def stream(uid: Annotated[str, Cookie()] = "") -> StreamingResponse:
    """Starlette takes each step in a thread of its choice."""

    @bind(user_id=uid)
    def lines() -> Iterator[str]:
        for number in range(3):
            log(f"line {number}")
            yield f"{number}\n"

    return StreamingResponse(lines())


@app.get("/stream-async")
async def stream_async(uid: Annotated[str, Cookie()] = "") -> StreamingResponse:
    """A block inside an async generator."""

    async def lines() -> AsyncIterator[str]:
        with bind(user_id=uid):
            for number in range(3):
                log(f"line {number}")
                yield f"{number}\n"

    return StreamingResponse(lines())


@app.get("/background")
async def background(uid: Annotated[str, Cookie()] = "") -> Response:
    """It runs after the endpoint has returned."""
    with bind(user_id=uid):
        after = bind(user_id=uid)(log)
        return PlainTextResponse("ok", background=BackgroundTask(after, "afterwards"))


@app.get("/left")
async def left() -> dict[str, Any]:
    """What is bound in a request that binds nothing."""
    return dict(bound_fields())


app.add_middleware(BaseHTTPMiddleware, dispatch=ask)


class Server(uvicorn.Server):
    """One that tells when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell."""
        await super().startup(sockets)
        self.ready.set()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the app answers."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off")
    server = Server(config)
    listening = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    assert server.ready.wait(30)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
    listening.close()


def get(url: str, path: str, **cookies: str) -> requests.Response:
    """The answer to a request, which has to be well."""
    answer = requests.get(url + path, cookies=cookies, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def seen(events: CapturedEvents, path: str) -> list[tuple[str, str | None]]:
    """Where events of a path were logged, and whose they are."""
    return [
        (event["properties"]["place"], event.get("userId"))
        for event in events
        if event["context"]["path"] == path
    ]


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("/async", ["async", "after the endpoint"]),
        ("/sync", ["sync", "after the endpoint"]),
        ("/threads", ["in the dependency"]),
        ("/stream", ["line 0", "line 1", "line 2"]),
        ("/stream-async", ["line 0", "line 1", "line 2"]),
        ("/background", ["afterwards"]),
    ],
)
@pytest.mark.parametrize("uid", ["42", ""])
def test_a_request_is_answered_and_its_events_have_its_user(
    url: str, rudder_events: CapturedEvents, path: str, places: list[str], uid: str
) -> None:
    """Also with a blank cookie, which binds nobody; and nothing stays for the next request."""
    get(url, path, uid=uid)
    rudder_events.wait_for(len(places))
    assert seen(rudder_events, path) == [(place, uid or None) for place in places]
    assert get(url, "/left").json() == {"context": {"path": "/left"}}


def test_requests_at_once_do_not_mix(url: str, rudder_events: CapturedEvents) -> None:
    """Each event has the user of its own request."""
    paths = ["/async", "/sync", "/stream", "/stream-async", "/background"] * 8
    with ThreadPoolExecutor(8) as pool:
        for number, path in enumerate(paths):
            pool.submit(get, url, path, uid=f"{path} {number}")
    rudder_events.wait_for(8 * (2 + 2 + 3 + 3 + 1))
    assert {event["userId"].split()[0] for event in rudder_events} == set(paths)
    for event in rudder_events:
        assert event["userId"].split()[0] == event["context"]["path"]
    for number, path in enumerate(paths):
        assert len(rudder_events.by_user(f"{path} {number}")) == {"/async": 2, "/sync": 2}.get(
            path, 1 if path == "/background" else 3
        )
