"""Routes of the page, and of the guides beside it: each path, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

from ...guides import INDEX
from .. import gateway
from ..protocol import Request
from ..responses import Response, json_page, page, text
from . import guides
from .guards import HEADERS, guard
from .stream import Stream

__all__ = ["Routes"]

_MOST_SWITCHES = 64 * 1024  # bytes

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Routes:
    """The page at `/`, and what it needs below `/live/`; the guides at `/guides`.

    Args:
        stream: What it reads.
        host: Where the server was told to listen.
        clear: Forgets what has come.
        switch: Sets faults as the page's switches say, and tells how they stand; raises
            ValueError in plain words.
    """

    def __init__(
        self,
        stream: Stream,
        host: str,
        clear: Callable[[], object],
        switch: Callable[[bytes], Mapping[str, Any]],
    ) -> None:
        self._stream = stream
        self._host = host
        self._clear = clear
        self._switch = switch
        self._files = _page()
        self._posts: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
            "/live/clear": self._post_clear,
            "/live/faults": self._post_faults,
        }

    async def respond(self, request: Request, released: asyncio.Event) -> Response | None:
        """The answer; None: it is none of the page's paths.

        Args:
            request: The request.
            released: Set when the server ends: streams end then, too.
        """
        path = request.path
        if path not in ("/", guides.AT) and not path.startswith(("/live/", f"{guides.AT}/")):
            return None
        post = self._posts.get(path)
        refusal = guard(request, "POST" if post else "GET", self._host)
        if refusal is not None:
            return refusal
        if post is not None:
            return await post(request)
        if path == "/live/stream":
            return self._read(request, released)
        if path in self._files:
            return page(*self._files[path], HEADERS)
        return await asyncio.to_thread(_guide, path, request.query)

    def _read(self, request: Request, released: asyncio.Event) -> Response:
        place = self._stream.place_of(request.headers.get("last-event-id", ""))
        messages = self._stream.read(place, released)
        return Response(200, messages, {"Content-Type": "text/event-stream", **HEADERS})

    async def _post_clear(self, _request: Request) -> Response:
        self._clear()
        return Response(204, headers=dict(HEADERS))

    async def _post_faults(self, request: Request) -> Response:
        body, _ = await request.body(_MOST_SWITCHES)
        try:
            state = self._switch(body or b"")
        except ValueError as error:
            return text(gateway.Answer(400, str(error)), HEADERS)
        return json_page(state, HEADERS)


def _guide(path: str, query: str) -> Response:
    """A guide, a picture of one, or what a search finds."""
    if path == "/live/guides":
        return json_page(guides.found(query), HEADERS)
    name = path.removeprefix(guides.AT).strip("/")
    try:
        content = guides.html(name or INDEX)
    except ModuleNotFoundError:
        extra = "pip install 'rudder-logging[cli]'"
        return text(gateway.Answer(501, f"the guides need an extra: {extra}"), HEADERS)
    if content is not None:
        return page(_TYPES["html"], content, HEADERS)
    picture = guides.picture(name)
    if picture is not None:
        return page(*picture, HEADERS)
    return text(gateway.Answer(404, "404 page not found"), HEADERS)


def _page() -> dict[str, tuple[str, bytes]]:
    """Each file of the page, by its path here."""
    found = {}
    for file in (files(__package__) / "static").iterdir():
        path = "/" if file.name == "index.html" else f"/live/{file.name}"
        found[path] = (_TYPES[file.name.rpartition(".")[2]], file.read_bytes())
    return found
