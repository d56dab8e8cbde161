"""A request without a framework, and the event that is logged within."""

from __future__ import annotations

from typing import Any

from rudder_logging import RequestContext
from rudder_logging.events.types import Id
from rudder_logging.web.request import Request

from ..events.test_context import message


class FakeRequest(Request):
    """A request as a test gives it. It keeps the names of all that is asked of it."""

    def __init__(self, path: str = "/", query: str = "", **given: Any) -> None:
        super().__init__(native=self)
        self.asked: list[str] = []
        self._path, self._query = path, query
        self._headers: dict[str, str] = {"host": "shop.example", **given.pop("headers", {})}
        self._given = given

    def path(self) -> str:
        """The path."""
        self.asked.append("path")
        return self._path

    def query(self) -> str:
        """The query string."""
        self.asked.append("query")
        return self._query

    def scheme(self) -> str:
        """The scheme."""
        return "https"

    def peer(self) -> str | None:
        """The address."""
        self.asked.append("peer")
        return self._given.get("peer", "192.0.2.9")  # type: ignore[no-any-return]

    def header(self, name: str) -> str | None:
        """A header."""
        self.asked.append(name)
        return self._headers.get(name)

    def user(self) -> Id:
        """The user."""
        self.asked.append("user")
        if isinstance(self._given.get("user"), Exception):
            raise self._given["user"]
        return self._given.get("user")


def sent(request: FakeRequest, /, fields: Any = None, **options: Any) -> dict[str, Any]:
    """The message of an event that is logged in a request."""
    with RequestContext(**options).binding("/", lambda: request):
        return message(**(fields or {"user_id": "of the event"}))


def context_of(request: FakeRequest, /, **options: Any) -> dict[str, Any]:
    """The `context` of that message, without what has nothing to do with the request."""
    context: dict[str, Any] = sent(request, **options)["context"]
    del context["library"]
    return context
