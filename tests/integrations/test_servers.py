"""The examples under the real servers: events have what the request knows, and none is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .web_servers import ANONYMOUS, GUNICORN, UVICORN, Server, serving

pytestmark = pytest.mark.slow

REQUESTS = 20
AGENT = "Browser/1.0"


def app_of(path: str) -> str:
    """An example's app, as servers name it."""
    return f"{path.removesuffix('.py').replace('/', '.')}:app"


ASGI = {
    "uvicorn": UVICORN,
    "uvicorn --workers 2": (*UVICORN, "--workers", "2"),
    "uvicorn --reload": (*UVICORN, "--reload"),
    "gunicorn, uvicorn's worker": (*GUNICORN, "-k", "uvicorn.workers.UvicornWorker"),
    "hypercorn": ("-m", "hypercorn", "--bind", "127.0.0.1:0"),
}
WSGI = {worker: (*GUNICORN, "-k", worker) for worker in ("sync", "gthread", "gevent")}
AIOHTTP = {
    "python": ("-m", "examples.aiohttp_app", "0"),
    "gunicorn, aiohttp's worker": (
        *GUNICORN,
        *("-k", "aiohttp.GunicornWebWorker", app_of("examples/aiohttp_app.py")),
    ),
}


def browser(server: Server, path: str, method: str = "GET", **cookies: str) -> None:
    """Make a request as a browser does."""
    server.ask(
        path,
        method,
        headers={"User-Agent": AGENT, "Referer": "https://www.example.com/?q=secret"},
        cookies={"rl_anonymous_id": ANONYMOUS, **cookies},
    )


def visit(server: Server, paths: list[str], **cookies: str) -> None:
    """Make some requests at a time."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda path: browser(server, path, **cookies), paths))


def end(server: Server) -> None:
    """Have it end, without a word of trouble."""
    server.end()
    assert "Traceback" not in server.output, server.output
    assert "rudder_logging:" not in server.output, server.output


def check(event: dict[str, Any], server: Server, path: str, user_id: str | None) -> None:
    """Hold an event against its request."""
    assert event.get("userId") == user_id
    assert event["anonymousId"] == ANONYMOUS
    context = event["context"]
    assert context["ip"] == "127.0.0.1"
    assert context["userAgent"] == AGENT
    assert context["page"]["path"] == path
    assert context["page"]["url"] == server.url(path)
    assert context["page"]["referrer"] == "https://www.example.com/"


@pytest.mark.parametrize("name", ASGI)
def test_fastapi(tmp_path: Path, name: str) -> None:
    """Rule 20: SIGTERM delivers all, under uvicorn, too, which runs no exit hooks."""
    command = (*ASGI[name], app_of("examples/fastapi_app.py"))
    with serving(tmp_path, command, upload_interval=60) as server:
        paths = [f"/orders/{number}" for number in range(REQUESTS)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: browser(server, path, "POST", token="token-of-42"), paths))
        visit(server, [f"/products/{number}" for number in range(REQUESTS)])
        end(server)
        events = server.plane.events
    found = sorted((event["event"], *event["properties"].values()) for event in events)
    numbers = sorted(map(str, range(REQUESTS)))
    names = ("Order Completed", "Order Shipped", "Product Viewed")
    assert found == [(event, number) for event in names for number in numbers]
    for event in events:
        ((_, number),) = event["properties"].items()
        if event["event"] == "Product Viewed":
            check(event, server, f"/products/{number}", None)
        else:
            check(event, server, f"/orders/{number}", "42")


@pytest.mark.parametrize("name", ASGI)
def test_an_app_without_a_lifespan(tmp_path: Path, name: str) -> None:
    """Rule 20: the middleware delivers in its place."""
    command = (*ASGI[name], app_of("examples/asgi_app.py"))
    with serving(tmp_path, command, upload_interval=60) as server:
        visit(server, [f"/{number}" for number in range(REQUESTS)])
        end(server)
        events = server.plane.events
    assert len(events) == REQUESTS
    for event in events:
        check(event, server, event["context"]["page"]["path"], None)
    assert {event["context"]["page"]["path"] for event in events} == {
        f"/{number}" for number in range(REQUESTS)
    }


@pytest.mark.parametrize("worker", WSGI)
def test_flask(tmp_path: Path, worker: str) -> None:
    """Of gunicorn's workers: each runs exit hooks, which deliver."""
    command = (*WSGI[worker], app_of("examples/flask_app.py"))
    with serving(tmp_path, command, upload_interval=60) as server:
        users = list(map(str, range(REQUESTS)))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda user: browser(server, f"/login/{user}", "POST"), users))
        end(server)
        events = server.plane.events
    assert sorted(event["userId"] for event in events) == sorted(users)
    for event in events:
        check(event, server, f"/login/{event['userId']}", event["userId"])


@pytest.mark.parametrize("worker", WSGI)
def test_wsgi(tmp_path: Path, worker: str) -> None:
    """Rule 11: a streaming body sees the request's scope."""
    command = (*WSGI[worker], app_of("examples/wsgi_app.py"))
    with serving(tmp_path, command, upload_interval=60) as server:
        paths = [f"/{number}" for number in range(REQUESTS)]
        visit(server, paths)
        end(server)
        events = server.plane.events
    found = [(event["context"]["page"]["path"], event["properties"]["sku"]) for event in events]
    assert sorted(found) == sorted((path, sku) for path in paths for sku in ("A-1", "B-2", "C-3"))
    for event in events:
        check(event, server, event["context"]["page"]["path"], None)


@pytest.mark.parametrize("name", AIOHTTP)
def test_aiohttp(tmp_path: Path, name: str) -> None:
    """Its server handles SIGTERM, and ends by exit hooks."""
    with serving(tmp_path, AIOHTTP[name], upload_interval=60) as server:
        visit(server, [f"/products/{number}" for number in range(REQUESTS)])
        visit(server, ["/products/mine"], token="token-of-42")
        end(server)
        events = server.plane.events
    skus = {event["properties"]["sku"] for event in events}
    assert skus == {"mine", *map(str, range(REQUESTS))}
    assert len(events) == len(skus)
    for event in events:
        sku = event["properties"]["sku"]
        check(event, server, f"/products/{sku}", "42" if sku == "mine" else None)
