"""WSGI, for its own integration and for those of frameworks that are built on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from ..events.scopes import Scope, Steps
from ..events.types import Id
from .context import RequestContext
from .request import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

__all__ = ["Environ", "WsgiRequest", "call_within", "scope_of"]

Environ = dict[str, Any]

_SCOPE = "rudder_logging.scope"
"""The key of the environ that has the scope in which the request is bound."""
_INERT = (list, tuple, BufferedReader)
"""Bodies of which servers look at the length, or send the file; nothing of the app's runs."""


class WsgiRequest(Request):
    """A request; `native` is its environ, unless a framework has something better."""

    def __init__(self, environ: Environ, native: Any = None) -> None:
        super().__init__(environ if native is None else native)
        self._environ = environ

    def path(self) -> str:
        """Of SCRIPT_NAME and PATH_INFO, which are bytes in disguise, says PEP 3333."""
        path: str = self._environ.get("SCRIPT_NAME", "") + self._environ.get("PATH_INFO", "")
        return path.encode("latin-1").decode(errors="replace")

    def query(self) -> str:
        """Of QUERY_STRING."""
        return str(self._environ.get("QUERY_STRING", ""))

    def scheme(self) -> str:
        """Of `wsgi.url_scheme`."""
        return str(self._environ.get("wsgi.url_scheme", "http"))

    def host(self) -> str | None:
        """Of HTTP_HOST, or else SERVER_NAME."""
        return self.header("host") or self._environ.get("SERVER_NAME")

    def peer(self) -> str | None:
        """Of REMOTE_ADDR."""
        return self._environ.get("REMOTE_ADDR")

    def header(self, name: str) -> str | None:
        """Of HTTP_NAME."""
        return self._environ.get(f"HTTP_{name.upper().replace('-', '_')}")

    def user(self) -> Id:
        """Of REMOTE_USER, which the server or a middleware has authenticated."""
        user: str | None = self._environ.get("REMOTE_USER")
        return user


def call_within(
    context: RequestContext,
    request_type: Callable[[Environ], Request],
    app: WSGIApplication,
    environ: Environ,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Call an app with its request bound, also while its body is iterated and closed.

    Between two steps of the body nothing is bound in the server's thread. So nothing stays there
    for the next request, even if the body is never closed.
    """
    request = partial(request_type, environ)
    with context.binding(environ.get("PATH_INFO", ""), request, environ) as scope:
        if scope is not None:
            environ[_SCOPE] = scope
        body = app(environ, start_response)
    if scope is None or isinstance(body, _INERT):
        return body
    wrapper = environ.get("wsgi.file_wrapper")  # a function of uWSGI's, which returns the file
    return body if isinstance(wrapper, type) and isinstance(body, wrapper) else _Body(body, scope)


def scope_of(environ: Environ) -> Scope | None:
    """The scope in which a request is bound, if it is."""
    return environ.get(_SCOPE)


class _Body:
    """A body whose steps, and whose end, run in the request's scope."""

    def __init__(self, body: Iterable[bytes], scope: Scope) -> None:
        self._body = body
        self._scope = Steps(scope)

    def __iter__(self) -> Iterator[bytes]:
        with self._scope:
            self._steps = iter(self._body)
        return self

    def __next__(self) -> bytes:
        with self._scope:
            return next(self._steps)

    def close(self) -> None:
        """Close the body: a server does, whatever has become of the answer."""
        close: Callable[[], object] | None = getattr(self._body, "close", None)
        if close is not None:
            with self._scope:
                close()
