"""The ASGI middleware: FastAPI under a real uvicorn, and lifespans of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from starlette.authentication import BaseUser, UnauthenticatedUser

from rudder_logging import RequestContext
from rudder_logging.integrations.asgi import RudderMiddleware
from rudder_logging.testing import CapturedEvents
from tests.conftest import MakeHandler, Wire
from tests.each import each

from .seen import log
from .web_servers import UVICORN, Server, check_mix, check_web_socket, places, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app of `fastapi_rules.py` under uvicorn."""
    command = (*UVICORN, "tests.integrations.fastapi_rules:app")
    with serving(tmp_path_factory.mktemp("uvicorn"), command, upload_interval=0.01) as found:
        yield found
        found.end()


def cookies(n: object) -> dict[str, str]:
    """A visitor's."""
    return {"rl_anonymous_id": f"visitor-{n}"}


@pytest.mark.slow
def test_requests_never_mix(fresh: Server) -> None:
    """Rules 10 and 11: 200 at once, with tasks, threads, pools, streams and background tasks."""
    check_mix(fresh, ("async", "sync", "pool", "stream", "stream-sync"))


@pytest.mark.slow
def test_a_login_in_mid_request(fresh: Server) -> None:
    """Rule 4: it changes the events after it, and a logout takes the id away."""
    fresh.ask("/login/42", headers={"X-User": "7"}, cookies=cookies(1))
    found = places(fresh.events(3))
    assert found == [("before", "7"), ("logged in", "42"), ("logged out", None)]


@pytest.mark.slow
def test_above_and_below_base_http_middleware(fresh: Server) -> None:
    """Rule 12: what is above has no request; all that is below has."""
    fresh.ask("/watched/body", headers={"X-User": "42"}, cookies=cookies(1))
    events = fresh.events(6)
    assert sorted(places(events)) == [
        ("after, inside", "42"),
        ("after, outside", None),
        ("before, inside", "42"),
        ("before, outside", None),
        ("in the background", "42"),
        ("in the body", "42"),
    ]
    for event in events:
        inside = "outside" not in event["properties"]["place"]
        assert ("page" in event["context"]) is inside
        assert event["anonymousId"] == ("visitor-1" if inside else "nobody")


@pytest.mark.slow
def test_a_mounted_app_that_has_it_too(fresh: Server) -> None:
    """Rule 13: one layer, the outer one."""
    fresh.ask("/inner/page", headers={"X-User": "42"}, cookies=cookies(1))
    (event,) = fresh.events(1)
    assert places([event]) == [("mounted", "42")]
    assert event["context"]["page"]["path"] == "/inner/page"


@pytest.mark.slow
def test_dependencies(fresh: Server) -> None:
    """Rule 21: FastAPI's `yield` dependencies, with `bind` and with `current`."""
    fresh.ask("/dependency", cookies={"user": "42", **cookies(1)})
    assert places(fresh.events(2)) == [
        ("in the endpoint", "42"),
        ("after the endpoint", "42"),
    ]
    fresh.plane.clear()
    fresh.ask("/sync-dependency", cookies={"user": "42", **cookies(1)})
    events = fresh.events(3)
    assert places(events) == [
        ("in the dependency", "42"),
        ("in the endpoint", "42"),
        ("after the endpoint", "42"),
    ]
    assert [event["context"].get("app", {}).get("name") for event in events][1:] == [None, None]


@pytest.mark.slow
def test_an_exception(fresh: Server) -> None:
    """What it raises ends the request's scope; the next one has its own."""
    url = fresh.url("/raises")
    assert requests.get(url, cookies=cookies(1), timeout=120).status_code == 500
    fresh.ask("/async/2", cookies=cookies(2))
    first, *others = fresh.events(4)
    assert first["anonymousId"] == "visitor-1"
    assert {event["anonymousId"] for event in others} == {"visitor-2"}


@pytest.mark.slow
def test_a_request_without_an_event(fresh: Server) -> None:
    """Rule 1: its answer is what the app makes it."""
    assert "Vary" not in fresh.ask("/silent", cookies=cookies(1)).headers
    assert fresh.plane.events == []


@pytest.mark.slow
def test_a_web_socket(fresh: Server) -> None:
    """Rule 22: one scope a connection, also when the client closes it."""
    check_web_socket(fresh)


# What a scope says.


class Member:
    """A user of Django's, or of an app's own."""

    is_authenticated = True

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


class Nameless(BaseUser):
    """A user of Starlette's that has no identity: asked for it, it raises."""

    @property
    def is_authenticated(self) -> bool:
        """True."""
        return True


def event_of(scope: dict[str, Any], events: CapturedEvents, **later: Any) -> Any:
    """The event of a request, whose scope gets something more inside the middleware."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.update(later)
        log("in the app", anonymous_id="a")

    given: Any = {"type": "http", "path": "/a", "headers": [], **scope}
    asyncio.run(RudderMiddleware(app)(given, len, print))  # type: ignore[arg-type]
    (event,) = events
    events.clear()
    return event


@each(
    ("user", "expected"),
    [
        (Member(identity="7"), "7"),
        (Member(pk=7, id=8), "7"),
        (Member(id=8), "8"),
        ("9", "9"),
        (Nameless(), None),
        (Member(id=8, is_authenticated=False), None),
        (UnauthenticatedUser(), None),
        (None, None),
    ],
)
def test_the_authenticated_user(rudder_events: CapturedEvents, user: Any, expected: object) -> None:
    """Rule 2: the one whom a middleware has put into the scope, whatever the client says."""
    headers = [(b"cookie", b"rl_user_id=evil"), (b"x-user-id", b"evil")]
    event = event_of({"headers": headers}, rudder_events, user=user)
    assert event.get("userId") == expected


@each(
    ("scope", "path", "url"),
    [
        ({}, "/a", "http://shop.example.com/a"),
        ({"root_path": "/shop"}, "/shop/a", "http://shop.example.com/shop/a"),
        ({"root_path": "/shop", "path": "/shop/a"}, "/shop/a", "http://shop.example.com/shop/a"),
        ({"scheme": "wss", "type": "websocket"}, "/a", "https://shop.example.com/a"),
    ],
)
def test_the_page(
    rudder_events: CapturedEvents, scope: dict[str, Any], path: str, url: str
) -> None:
    """A mounted app's path has its prefix once, whatever the server makes of it."""
    headers = [(b"Host", b"shop.example.com")]
    page = event_of({"headers": headers, **scope}, rudder_events)["context"]["page"]
    assert (page["path"], page["url"]) == (path, url)


# Lifespans.


class LifespanServer:
    """What a server asks an app's lifespan, and what it is answered."""

    def __init__(self, app: Any) -> None:
        self.answers: list[str] = []
        self._app = app
        self._questions = ["shutdown", "startup"]

    async def _receive(self) -> dict[str, Any]:
        return {"type": f"lifespan.{self._questions.pop()}"}

    async def _send(self, message: dict[str, Any]) -> None:
        _, question, answer = message["type"].split(".")
        assert question not in self._questions, "answered before it was asked"
        self.answers.append(f"{question}.{answer}")

    def run(self) -> list[str]:
        """Run it from start to end."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        asyncio.run(self._app(scope, self._receive, self._send))
        return self.answers


async def raises_at_once(scope: Any, receive: Any, send: Any) -> None:
    """An app that knows no lifespan."""
    raise ValueError(scope["type"])


async def returns_at_once(scope: Any, receive: Any, send: Any) -> None:
    """Another one."""


async def only_starts(scope: Any, receive: Any, send: Any) -> None:
    """An app that does not wait for its end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def reads_only(scope: Any, receive: Any, send: Any) -> None:
    """An app that waits for both, and answers neither."""
    await receive()
    await receive()


async def whole(scope: Any, receive: Any, send: Any) -> None:
    """An app with a lifespan."""
    await only_starts(scope, receive, send)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@each("app", [raises_at_once, returns_at_once, only_starts, reads_only, whole])
def test_lifespan(make_handler: MakeHandler, wire: Wire, plane: Any, app: Any) -> None:
    """All that waits is delivered at its end, whatever of it the app has."""
    plane.clear()
    wire(make_handler(upload_interval=60)).info("Started", extra={"rudder": {"user_id": "1"}})
    server = LifespanServer(RudderMiddleware(RudderMiddleware(app)))
    assert server.run() == ["startup.complete", "shutdown.complete"]
    assert len(plane.events) == 1


def test_delivery_comes_before_the_answer(
    make_handler: MakeHandler, wire: Wire, plane: Any
) -> None:
    """The server ends the process as soon as it is answered; the app's own end may log."""
    log = wire(make_handler(upload_interval=60))
    arrived: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await only_starts(scope, receive, send)
        await receive()
        log.info("Ended", extra={"rudder": {"user_id": "1"}})
        await send({"type": "lifespan.shutdown.complete"})

    server = LifespanServer(RudderMiddleware(app))
    send = server._send

    async def look(message: dict[str, Any]) -> None:
        arrived.append(len(plane.events))
        await send(message)

    server._send = look  # type: ignore[method-assign]
    server.run()
    assert arrived == [0, 1]


@pytest.mark.parametrize("at", ["startup", "shutdown"])
@pytest.mark.parametrize("tells", [True, False])
def test_a_lifespan_that_fails(
    make_handler: MakeHandler, wire: Wire, plane: Any, at: str, tells: bool
) -> None:
    """The server sees the app's own failure, and nothing else."""
    wire(make_handler(upload_interval=60)).info("Started", extra={"rudder": {"user_id": "1"}})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if at == "shutdown":
            await only_starts(scope, receive, send)
        await receive()
        if tells:
            await send({"type": f"lifespan.{at}.failed"})
        raise ZeroDivisionError

    server = LifespanServer(RudderMiddleware(app))
    with pytest.raises(ZeroDivisionError):
        server.run()
    started = ["startup.complete"] if at == "shutdown" else []
    assert server.answers == [*started, *([f"{at}.failed"] if tells else [])]
    assert len(plane.events) == (at == "shutdown")


def test_a_server_that_is_away_does_not_keep_the_end(
    make_handler: MakeHandler, wire: Wire, plane: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for `shutdown_timeout`, and says what is left."""
    plane.fail(503, times=None)
    handler = make_handler(shutdown_timeout=0.05)
    wire(handler).info("Started", extra={"rudder": {"user_id": "1"}})
    assert LifespanServer(RudderMiddleware(whole)).run()[-1] == "shutdown.complete"
    assert "1 events could not be delivered before the server's end" in caplog.text


def test_other_kinds_of_scopes_pass() -> None:
    """An app gets what it is called with."""
    called: list[Any] = []

    async def app(*arguments: Any) -> None:
        called.append(arguments)

    scope: Any = {"type": "telepathy"}
    asyncio.run(RudderMiddleware(app)(scope, len, print))  # type: ignore[arg-type]
    assert called == [(scope, len, print)]
    assert scope == {"type": "telepathy"}


def test_what_stands_around_sees_the_route() -> None:
    """An app's router notes it in the very scope that its middlewares have."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = "found"

    scope: Any = {"type": "http", "path": "/", "headers": []}
    asyncio.run(RudderMiddleware(app, RequestContext())(scope, len, print))  # type: ignore[arg-type]
    assert scope["route"] == "found"
