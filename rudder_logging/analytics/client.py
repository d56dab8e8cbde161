"""`Client`: the official SDK's class, for programs that have client objects."""

from __future__ import annotations

import logging
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..delivery.ledger import Stats
from ..handler.dispatch import dispatch
from ..handler.handler import RudderHandler
from .calls import Calls

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ..config import Options

__all__ = ["POSITIONAL", "Client"]

_log = logging.getLogger("rudder_logging")

POSITIONAL = (
    "debug",
    "max_queue_size",
    "send",
    "on_error",
    "gzip",
    "max_retries",
    "sync_mode",
    "timeout",
    "proxies",
    "thread",
    "upload_size",
    "upload_interval",
)
"""The official SDK's arguments after the first two, in its order."""


class Client(Calls):
    """The seven calls, with a destination of its own: as many clients as an app has sources.

    Its events go to its own handler, and to no other: neither to another client's, nor to a
    `RudderHandler` that the app's logging has. All other handlers see an ordinary record of the
    logger `rudder.client`, at INFO, whose message is the event's name and which has no event.

    The end of the process delivers what waits, and so does a client that is forgotten. `flush`,
    `shutdown` and `suppress` of the package speak for clients, too.

    ```python
    with Client("WRITE_KEY", "DATA_PLANE_URL") as client:
        client.track("123456", "Article Read", {"title": "The Independence"})
    ```

    Args:
        write_key: The source's write key, or the environment's `RUDDER_WRITE_KEY`.
        data_plane_url: The data plane's base URL, or the environment's `RUDDER_DATA_PLANE_URL`.
            The SDK's name for it, `host`, works, too.
        *others: Options by position, in the official SDK's order.
        thread: As the official SDK has it, and of no effect: one sender keeps events in order.
        **options: As of `RudderHandler`, the official SDK's among them.

    Raises:
        UnknownOptionError: No option has that name; the message names the nearest.
        ConfigError: An option is missing, malformed or out of range.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self,
        write_key: str | None = None,
        data_plane_url: str | None = None,
        *others: Any,
        thread: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        named: dict[str, Any] = dict(options)
        if thread is not None:
            named["thread"] = thread
        ordered = dict(zip(POSITIONAL, others, strict=False))
        if len(others) > len(POSITIONAL):
            most = len(POSITIONAL) + 2
            raise TypeError(f"Client takes up to {most} options by position; name the others")
        for name in ordered.keys() & named.keys():
            raise TypeError(f"Client got {name!r} twice: by position, and by name")
        named |= ordered
        if named.pop("thread", None) not in (None, 1):
            _log.info("thread has no effect: one sender keeps events in order; leave it out")
        self._handler = RudderHandler(write_key, data_plane_url, **named)
        self.logger = logging.getLogger("rudder.client")
        self._bound = {}
        self._dispatch = partial(dispatch, own=self._handler)

    @property
    def handler(self) -> RudderHandler:
        """The handler that has the client's events. It is on no logger."""
        return self._handler

    def flush(self, timeout: float | None = None) -> bool:
        """Have every event of this client so far settled. See `RudderHandler.flush`."""
        return self._handler.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> bool:
        """Do as `flush`, without blocking the event loop."""
        return await self._handler.aflush(timeout)

    def shutdown(self) -> None:
        """Deliver what waits, and stop; the next event starts it again. See `RudderHandler.close`.

        The end of the process does this by itself.
        """
        self._handler.close()

    def join(self) -> None:
        """Do as `shutdown`: unlike the official SDK's, it leaves no event behind."""
        self.shutdown()

    def stats(self) -> Stats:
        """Counts of all events so far, and the present state."""
        return self._handler.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        return f"<Client to {self._handler.config.destination}>"
