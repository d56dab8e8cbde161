"""LivePlane: the local data plane with its page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import gateway
from ..dialects import NEWEST
from ..inbox import ReceivedRequest
from ..protocol import Request
from ..responses import Response
from ..server import LocalDataPlane
from .feed import Feed
from .judges import judges
from .routes import Routes
from .stream import Stream

if TYPE_CHECKING:
    from ...checks.plan import TrackingPlan

__all__ = ["DEFAULT_KEY", "LivePlane"]

DEFAULT_KEY = "local-write-key"
"""One to give to an app; unless told otherwise, LivePlane takes any other as well."""

_LONGEST_LATENCY = 600.0
_LARGEST_LIMIT = 1000 * 1024 * 1024


class LivePlane(LocalDataPlane):
    """A LocalDataPlane to look into: the page at `/` shows what arrives, as it arrives.

    It keeps the last 10,000 events, with no more than 64 MiB of content, and no requests.

    Args:
        write_key: The one that it accepts; None: any.
        port: 0: a free one.
        host: Where it listens. Beyond loopback, anybody who reaches it reads what it received.
        plan: What the page holds events to.
        dialect: The words of its answers, as of a LocalDataPlane.

    Raises:
        ConfigError: The dialect is unknown.
        OSError: From `start`: the port is taken.
    """

    def __init__(
        self,
        write_key: str | None = None,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        plan: TrackingPlan | None = None,
        dialect: str = NEWEST,
    ) -> None:
        super().__init__(write_key, port, host=host, dialect=dialect)
        self._switched = 0
        self.feed = self._inbox = Feed(partial(judges, plan))
        self._routes = Routes(Stream(self.feed, self._state), host, self.feed.clear, self._switch)

    def _state(self) -> Mapping[str, Any]:
        """State of the page's switches."""
        return {
            "version": self._switched,
            "key": DEFAULT_KEY if self.write_key is None else None,
            "shares": [[status, share] for status, share in self._faults.shares.items()],
            "latency": self.latency,
            "limit": self.max_request_bytes,
            "limit_default": gateway.MAX_REQUEST_BYTES,
            "enabled": self.source_enabled,
        }

    def _switch(self, body: bytes) -> Mapping[str, Any]:
        """Set faults as the page asks, and say how they stand; what it leaves out stays."""
        try:
            wanted = json.loads(body)
            shares = {int(status): float(share) for status, share in wanted.get("shares", [])}
            latency = float(wanted.get("latency", self.latency))
            limit = int(wanted.get("limit", self.max_request_bytes))
            enabled = bool(wanted.get("enabled", self.source_enabled))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ValueError("the switches are not what the page sends") from None
        if not (0 <= latency <= _LONGEST_LATENCY and 0 < limit <= _LARGEST_LIMIT):
            raise ValueError("latency must be up to 600 seconds, and the limit from 1 byte to 1 GB")
        if not all(400 <= status <= 599 for status in shares):  # noqa: PLR2004 - HTTP's own
            raise ValueError("a failing status must be from 400 to 599")
        if "shares" in wanted:
            self.fail_at_random(shares)
        self.latency, self.max_request_bytes, self.source_enabled = latency, limit, enabled
        self._switched += 1
        return self._state()

    async def _respond(self, request: Request) -> Response | None:
        assert self._server is not None  # noqa: S101 - for the type checker
        response = await self._routes.respond(request, self._server.released)
        if response is not None:
            return response
        response = await super()._respond(request)
        if request.method == "POST" and gateway.ROUTES.get(request.path) != "POST":
            self._keep_lost(request, response)
        return response

    def _keep_lost(self, request: Request, response: Response | None) -> None:
        """Show what went to a path that the gateway does not have: LocalDataPlane forgets it."""
        body = b"" if response is None else response.body
        words = body.decode().strip() if isinstance(body, bytes) else ""
        status = None if response is None else response.status
        received = ReceivedRequest(
            request.method, request.path, {}, b"", 0, status, words or "405 method not allowed"
        )
        self.feed.add(received, ())
