"""What the page asks for, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .. import gateway
from ..responses import text
from .guards import HEADERS, guard
from .stream import Stream

__all__ = ["Routes"]

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Routes:
    """The page at `/`, and what it needs below `/live/`.

    Args:
        stream: What it reads.
        host: Where the server was told to listen.
        clear: Forgets what has come.
        switch: Sets faults as the page's switches say; raises ValueError in plain words.
    """

    def __init__(
        self,
        stream: Stream,
        host: str,
        clear: Callable[[], object],
        switch: Callable[[bytes], object],
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
            request: It.
            released: Set when the server ends: streams end then, too.
        """
        path = request.url.path
        if path != "/" and not path.startswith("/live/"):
            return None
        post = self._posts.get(path)
        refusal = guard(request, "POST" if post else "GET", self._host)
        if refusal is not None:
            return refusal
        if post is not None:
            return await post(request)
        if path == "/live/stream":
            return self._read(request, released)
        if path not in self._files:
            return text(gateway.Verdict(404, "404 page not found"), HEADERS)
        media_type, content = self._files[path]
        return Response(content, media_type=media_type, headers=HEADERS)

    def _read(self, request: Request, released: asyncio.Event) -> Response:
        place = self._stream.place_of(request.headers.get("Last-Event-ID", ""))
        messages = self._stream.read(place, released)
        return StreamingResponse(messages, media_type="text/event-stream", headers=HEADERS)

    async def _post_clear(self, _request: Request) -> Response:
        self._clear()
        return Response(status_code=204, headers=HEADERS)

    async def _post_faults(self, request: Request) -> Response:
        try:
            self._switch(await request.body())
        except ValueError as error:
            return text(gateway.Verdict(400, str(error)), HEADERS)
        return Response(status_code=204, headers=HEADERS)


def _page() -> dict[str, tuple[str, bytes]]:
    """Each file of the page, by its path here."""
    found = {}
    for file in (files(__package__) / "static").iterdir():
        path = "/" if file.name == "index.html" else f"/live/{file.name}"
        found[path] = (_TYPES[file.name.rpartition(".")[2]], file.read_bytes())
    return found
