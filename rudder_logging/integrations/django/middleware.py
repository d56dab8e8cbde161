"""The middleware: what a request knows is on its events, and nothing of it is read without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import DisallowedHost

from ...events.carried import carry
from ...events.scopes import Scope
from ...events.types import Id
from ...web.request import Request
from .users import Layer, layer_here
from .wiring import wire

__all__ = ["RudderMiddleware"]


class RudderMiddleware:
    """Have what a request knows on each event that is logged while it is answered.

    That includes bodies that are streamed, and tasks that the view starts. It stands below
    `AuthenticationMiddleware` in MIDDLEWARE. What is read of a request is said by
    `RUDDER["CONTEXT"]`; if that can't be right, Django does not start.

    Args:
        get_response: The rest of the site, sync or async.

    Raises:
        ImproperlyConfigured: The setting RUDDER can't be right.

    .. versionadded:: 0.1.0
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        options = wire()
        self._context = options.context
        self._follows_logins = options.follows_logins
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        if self._is_async:
            return self._answer(request)
        layer = Layer(request, is_sync=True)
        binding = self._binding(layer)
        if not isinstance(binding, Scope):  # the request is ignored, or bound already
            return self.get_response(request)
        with binding:
            if self._follows_logins:
                layer.begin(binding)
            response = self.get_response(request)
            layer.settle()
            layer_here.set(None)
            if response.streaming:
                _carry_body(response, layer)
            else:
                layer.end()
            return response

    async def _answer(self, request: Any) -> Any:
        layer = Layer(request, loop=asyncio.get_running_loop())
        binding = self._binding(layer)
        if not isinstance(binding, Scope):
            return await self.get_response(request)
        with binding:
            if self._follows_logins:
                layer.begin(binding)
            response = await self.get_response(request)
            await layer.known()
            if response.streaming:
                _carry_body(response, layer)
            else:
                layer.end()
            return response

    def _binding(self, layer: Layer) -> object:
        request = layer.request
        return self._context.binding(request.path_info, partial(_Request, layer), request.META)


class _Request(Request):
    """Django's request."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer.request)
        self._layer = layer

    def path(self) -> str:
        return str(self.native.path)

    def query(self) -> str:
        return str(self.native.META.get("QUERY_STRING", ""))

    def scheme(self) -> str:
        return str(self.native.scheme)

    def host(self) -> str | None:
        try:
            return str(self.native.get_host())
        except DisallowedHost:  # the client's fault, and Django's to tell
            return None

    def peer(self) -> str | None:
        return self.native.META.get("REMOTE_ADDR")  # type: ignore[no-any-return]

    def header(self, name: str) -> str | None:
        name = name.upper().replace("-", "_")
        prefix = "" if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_"
        return self.native.META.get(prefix + name)  # type: ignore[no-any-return]

    def user(self) -> Id:
        return self._layer.user_id()

    def stand_in(self) -> Id:
        return self._layer.stand_in()


def _carry_body(response: Any, layer: Layer) -> None:
    """Have a streamed body run with what is bound here: the server iterates it later."""
    if getattr(response, "file_to_stream", None) is not None:
        return  # the server sends the file, and nothing of the app's runs
    closers = response._resource_closers  # noqa: SLF001 - a body may log when it is closed
    closers[:] = map(carry, closers)
    body = response.streaming_content
    response.streaming_content = _asteps(body, layer) if response.is_async else _steps(body)


def _steps(body: Iterator[bytes]) -> Iterator[bytes]:
    @carry
    def steps() -> Iterator[bytes]:
        yield from body

    return steps()


def _asteps(body: AsyncIterator[bytes], layer: Layer) -> AsyncIterator[bytes]:
    @carry
    async def steps() -> AsyncIterator[bytes]:
        layer_here.set(layer)
        async for chunk in body:
            yield chunk
        await layer.known()

    return steps()
