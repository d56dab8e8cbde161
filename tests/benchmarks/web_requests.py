"""Requests of web apps, with the middlewares and without: what these add, in turn, in one process.

The apps do nothing but log so many events. As with the shapes, what is logged waits meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any

from rudder_logging.integrations import asgi, wsgi

from .clients import HANDLERS, Place
from .control import Control
from .measures import ENOUGH_FOR_AN_UPLOAD, PATIENCE, Values

__all__ = ["ADDED", "EVENTS", "KINDS", "MOST_ADDED", "costs_of_requests", "task_of"]

ADDED = "added"
"""The name of what the middleware adds."""
MOST_ADDED = 5.0
"""Microseconds, to a request without an event."""
KINDS = ("asgi", "wsgi")
EVENTS = (0, 1, 3)
"""How many a request logs."""

_PATH = "/products/622c6f5d5cf86a4c77358033"
_QUERY = "utm_source=newsletter&utm_campaign=holiday&page=2"
_HEADERS = {
    "host": "shop.example.com",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-GB,en;q=0.7,de;q=0.3",
    "accept-encoding": "gzip, deflate, br",
    "referer": "https://www.example.com/search?q=toys",
    "connection": "keep-alive",
    "cookie": "csrftoken=Zb3kq0; rl_anonymous_id=%225f3c1e9a-7d42-4b8e-9a51-2c6b7f0d8e13%22; "
    "rl_session=%7B%22id%22%3A1719400000%7D; theme=dark",
    "x-forwarded-for": "203.0.113.7",
}
_ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": _PATH,
    "QUERY_STRING": _QUERY,
    "REMOTE_ADDR": "10.0.0.1",
    "wsgi.url_scheme": "http",
    **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in _HEADERS.items()},
}
_SCOPE = {
    "type": "http",
    "method": "GET",
    "path": _PATH,
    "query_string": _QUERY.encode(),
    "root_path": "",
    "scheme": "http",
    "client": ("10.0.0.1", 50_000),
    "headers": [(name.encode(), value.encode()) for name, value in _HEADERS.items()],
}

Block = Callable[[int], float]
"""So many requests; returns the seconds they took."""


def task_of(kind: str, events: int) -> str:
    """The name under which its costs are found."""
    return f"request-{kind}-{events}"


class _App:
    """An app of both kinds."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.events = 0
        """How many a request logs."""
        self.logged = 0
        """How many have been logged, numbered from 0 on."""

    def _log(self) -> None:
        for _ in range(self.events):
            properties = {"n": self.logged, "sku": "8472-998-0112", "price": 19}
            event = {"user_id": "user-4711", "properties": properties}
            self._logger.info("Product Viewed", extra={"rudder": event})
            self.logged += 1

    async def asgi(self, _scope: Any, _receive: Any, send: Any) -> None:
        self._log()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    def wsgi(self, _environ: Any, start_response: Any) -> list[bytes]:
        self._log()
        start_response("200 OK", [])
        return [b"a page"]


def _asgi_block(app: Any) -> Block:
    async def receive() -> Any: ...

    async def send(_message: Any) -> None: ...

    async def requests(count: int) -> float:
        began = perf_counter()
        for _ in range(count):
            await app({**_SCOPE}, receive, send)
        return perf_counter() - began

    return lambda count: asyncio.run(requests(count))


def _wsgi_block(app: Any) -> Block:
    def start_response(_status: str, _headers: Any) -> None: ...

    def requests(count: int) -> float:
        began = perf_counter()
        for _ in range(count):
            for _part in app({**_ENVIRON}, start_response):
                pass
        return perf_counter() - began

    return requests


def _blocks(app: _App, kind: str) -> dict[str, Block]:
    if kind == "asgi":
        return {
            "without": _asgi_block(app.asgi),
            "with": _asgi_block(asgi.RudderMiddleware(app.asgi)),
        }
    return {
        "without": _wsgi_block(app.wsgi),
        "with": _wsgi_block(wsgi.RudderMiddleware(app.wsgi)),
    }


def costs_of_requests(place: Place, sink: Control, turns: int, calls: int) -> dict[str, Any]:
    """Find costs, by name of task, with and without, and how many events were sent.

    Args:
        place: Where the handler works.
        sink: The server.
        turns: How often each takes its turn.
        calls: Requests a turn.
    """
    handled = HANDLERS["logging"](place)
    logger = logging.getLogger("benchmark.requests")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handled.handler)
    app, costs = _App(logger), {}
    for kind in KINDS:
        for app.events in EVENTS:
            with _occupied(app, sink):
                found = _turns(_blocks(app, kind), turns, calls)
            handled.empty()
            costs[task_of(kind, app.events)] = _medians(found)
    return {"values": {"events": app.logged}, "errors": [], "costs": costs}


@contextmanager
def _occupied(app: _App, sink: Control) -> Iterator[None]:
    """Have the queue keep what it gets until the block ends, and nobody collect garbage."""
    sink.ask("hold")
    events, app.events = app.events, ENOUGH_FOR_AN_UPLOAD
    _wsgi_block(app.wsgi)(1)
    app.events = events
    if not sink.ask("await_held", timeout=PATIENCE):
        raise RuntimeError("the handler has sent nothing")
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    sink.ask("release")


def _turns(blocks: dict[str, Block], turns: int, calls: int) -> list[dict[str, float]]:
    """Microseconds a request. The first turn only warms up."""
    found = [
        {name: block(calls) / calls * 1e6 for name, block in blocks.items()}
        for _ in range(turns + 1)
    ]
    return found[1:]


def _medians(turns: list[dict[str, float]]) -> dict[str, Values]:
    """By name, and the difference, which is taken within a turn: all may be slow for a moment."""
    return {
        "without": {"us": median(turn["without"] for turn in turns)},
        "with": {"us": median(turn["with"] for turn in turns)},
        ADDED: {"us": median(turn["with"] - turn["without"] for turn in turns)},
    }
