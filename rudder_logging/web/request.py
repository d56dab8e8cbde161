"""A request, as an integration with a framework shows it."""

from __future__ import annotations

from typing import Any

from ..events.types import Id

__all__ = ["Request"]


class Request:
    """One request or connection. An integration has a subclass, and overrides what it knows.

    An object is made, and its methods called, in the thread that logs the request's first event:
    never for a request without one. That may be after the response, in a background task, and in an
    event loop: so nothing may block, and nothing may be read from the client. A method that raises
    loses what it would have said, with one warning.

    Text comes as the client sent it. `RequestContext` cuts it, and takes control characters out.

    Args:
        native: The framework's own request, which the app's functions are given.
    """

    def __init__(self, native: Any) -> None:
        self.native = native

    def path(self) -> str:
        """The path, decoded, with the prefix that the app is mounted at; no query string."""
        raise NotImplementedError

    def query(self) -> str:
        """The query string as it was sent, without `?`."""
        return ""

    def scheme(self) -> str:
        """`http` or `https`, as the user's browser sees it, if the framework knows."""
        return "http"

    def host(self) -> str | None:
        """Host and port, as the framework takes them from the request."""
        return self.header("host")

    def peer(self) -> str | None:
        """The address of the client, or of the proxy next to us; None or empty: it has none."""
        return None

    def header(self, name: str) -> str | None:
        """The value of a header, whose name is given in lower case; None: it was not sent.

        Several of one name are joined in their order: by `, `, and by `; ` for `cookie`.
        """
        raise NotImplementedError

    def user(self) -> Id:
        """The id of the user whom the framework authenticated, for `user="auth"`; None: nobody.

        Never from a cookie or header that a client can write.
        """
        return None

    def stand_in(self) -> Id:
        """An anonymous id for a client that sent none, if events need one for now; asked first."""
        return None
