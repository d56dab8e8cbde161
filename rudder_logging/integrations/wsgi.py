"""WSGI: apps of any framework, or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..common.wired import wired
from ..web.context import RequestContext
from ..web.wsgi import Environ, WsgiRequest, call_within

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

__all__ = ["RudderMiddleware"]


class RudderMiddleware:
    """Have what a request knows on each event that is logged while it is answered.

    That lasts until the server closes the body. Where the middleware is there twice, the outer one
    is in force.

    Args:
        app: A WSGI app.
        context: What of a request is bound. A function for `user` gets the environ; the
            authenticated user is that of REMOTE_USER.

    .. versionadded:: 0.1.0
    """

    def __init__(self, app: WSGIApplication, context: RequestContext | None = None) -> None:
        self.app = app
        self._context = context or RequestContext()
        wired.add("wsgi")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request as the app does."""
        return call_within(self._context, WsgiRequest, self.app, environ, start_response)
