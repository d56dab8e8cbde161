"""The clients: each one opened as its documentation says, with a queue that holds everything.

Nothing but the sizes of queues is set: the figures are those of the default settings.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import logging.handlers
import queue
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .event import EVENT, USER_ID, Properties

__all__ = ["CLIENTS", "HANDLERS", "OURS", "Client", "Handled", "Opened", "Place"]

_KEY = "benchmark"
TEN_KEYS = (
    "password",
    "token",
    "secret",
    "api_key",
    "authorization",
    "card_number",
    "cvv",
    "iban",
    "ssn",
    "internal_note",
)
"""Keys that are redacted, where an event's privacy is measured; none of its fields is one."""
_MAX_EVENTS = 2_000_000
_MAX_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Place:
    """Where a client works."""

    port: int
    """The sink's."""
    folder: str
    """An empty directory."""
    properties: Properties

    @property
    def url(self) -> str:
        """The server's."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Opened:
    """A client that is ready."""

    call: Callable[[int], object]
    """Record the event of that number."""
    flush: Callable[[], object]
    """Return once everything is acknowledged."""
    errors: list[str] = field(default_factory=list)
    """What the client said went wrong."""


@dataclass(frozen=True)
class Handled:
    """A handler that is ready."""

    handler: logging.Handler
    empty: Callable[[], object]
    """Return once nothing waits in its queue."""


@dataclass(frozen=True)
class Client:
    """One that can be opened."""

    title: str
    open: Callable[[Place], Opened]
    package: str | None = None
    """The one to install."""
    sends: bool = True
    """Whether anything goes to the server."""


def _sizes() -> dict[str, Any]:
    return {"max_queue_size": _MAX_EVENTS, "max_queue_bytes": _MAX_BYTES}


def _flushing(flush: Callable[[], bool]) -> Callable[[], None]:
    def flush_all() -> None:
        if not flush():
            raise RuntimeError("not everything was delivered")

    return flush_all


def _rudder_handler(place: Place, **options: Any) -> Handled:
    from rudder_logging import RudderHandler

    handler = RudderHandler(_KEY, place.url, **_sizes(), **options)
    return Handled(handler, _flushing(handler.flush))


def _with_spool(place: Place) -> Handled:
    return _rudder_handler(place, queue=f"file://{place.folder}/spool")


def _with_privacy(place: Place) -> Handled:
    return _rudder_handler(place, privacy={"redact": TEN_KEYS})


def _queue_handler(_place: Place) -> Handled:
    waiting: queue.SimpleQueue[object] = queue.SimpleQueue()
    # Typeshed wants a queue.Queue; logging's documentation recommends this one.
    handler = logging.handlers.QueueHandler(waiting)  # type: ignore[arg-type,unused-ignore]

    def empty() -> None:
        while not waiting.empty():
            waiting.get()

    return Handled(handler, empty)


def _by_logging(handled: Callable[[Place], Handled]) -> Callable[[Place], Opened]:
    def opened(place: Place) -> Opened:
        one = handled(place)
        logger = logging.getLogger("benchmark")
        logger.setLevel(logging.INFO)
        logger.addHandler(one.handler)
        properties = place.properties

        def call(n: int) -> None:
            logger.info(EVENT, extra={"rudder": {"user_id": USER_ID, "properties": properties(n)}})

        return Opened(call, one.empty)

    return opened


def _by_calls(place: Place) -> Opened:
    import rudder_logging as rudder_analytics

    rudder_analytics.write_key = _KEY
    rudder_analytics.data_plane_url = place.url
    rudder_analytics.max_queue_size = _MAX_EVENTS
    rudder_analytics.max_queue_bytes = _MAX_BYTES
    track, properties = rudder_analytics.track, place.properties
    return Opened(lambda n: track(USER_ID, EVENT, properties(n)), _flushing(rudder_analytics.flush))


def _rudder(place: Place) -> Opened:
    import rudderstack.analytics as rudder_analytics

    errors: list[str] = []
    rudder_analytics.write_key = _KEY
    rudder_analytics.dataPlaneUrl = place.url
    rudder_analytics.max_queue_size = _MAX_EVENTS
    rudder_analytics.on_error = lambda error, _items: errors.append(str(error))
    track, properties = rudder_analytics.track, place.properties
    return Opened(lambda n: track(USER_ID, EVENT, properties(n)), rudder_analytics.flush, errors)


def _segment(place: Place) -> Opened:
    from segment import analytics

    errors: list[str] = []
    analytics.write_key = _KEY
    analytics.host = place.url
    analytics.max_queue_size = _MAX_EVENTS
    analytics.on_error = lambda error, _items: errors.append(str(error))
    track, properties = analytics.track, place.properties
    return Opened(lambda n: track(USER_ID, EVENT, properties(n)), analytics.flush, errors)


def _posthog(place: Place) -> Opened:
    from posthog import Posthog

    errors: list[str] = []
    client = Posthog(
        _KEY,
        host=place.url,
        max_queue_size=_MAX_EVENTS,
        on_error=lambda error, _items: errors.append(str(error)),
    )
    capture, properties = client.capture, place.properties
    return Opened(
        lambda n: capture(EVENT, distinct_id=USER_ID, properties=properties(n)),
        # Its own deadline is ten seconds, unless it is told to have none.
        lambda: client.flush(timeout_seconds=None),
        errors,
    )


class _Floor:
    """What is left if there is nothing between the app and the server."""

    def __init__(self, place: Place) -> None:
        self._properties = place.properties
        self._connection = http.client.HTTPConnection("127.0.0.1", place.port)
        self._messages: list[bytes] = []
        self._size = 0

    def call(self, n: int) -> None:
        """Serialise one message; post them when there are enough."""
        import orjson

        message = orjson.dumps(
            {
                "messageId": uuid.uuid4(),
                "type": "track",
                "channel": "server",
                "userId": USER_ID,
                "properties": self._properties(n),
                "event": EVENT,
                "context": {"library": {"name": "rudder-logging", "version": "0.1.0"}},
                "integrations": {"All": True},
                "originalTimestamp": datetime.now(timezone.utc),
            }
        )
        self._messages.append(message)
        self._size += len(message)
        if self._size > 3_900_000:
            self.post()

    def post(self) -> None:
        """Send what is there, if anything is."""
        if not self._messages:
            return
        body = gzip.compress(b'{"batch":[' + b",".join(self._messages) + b"]}", 6)
        self._connection.request("POST", "/v1/batch", body, {"Content-Encoding": "gzip"})
        self._connection.getresponse().read()
        self._messages.clear()
        self._size = 0


def _floor(place: Place) -> Opened:
    floor = _Floor(place)
    return Opened(floor.call, floor.post)


HANDLERS = {
    "logging": _rudder_handler,
    "spool": _with_spool,
    "private": _with_privacy,
    "queuehandler": _queue_handler,
}
"""The handlers of all that are called by logging."""

CLIENTS = {
    "logging": Client("rudder_logging, by logging", _by_logging(_rudder_handler)),
    "calls": Client("rudder_logging, by calls", _by_calls),
    "spool": Client("rudder_logging, durable", _by_logging(_with_spool)),
    "queuehandler": Client(
        "stdlib QueueHandler, never read", _by_logging(_queue_handler), sends=False
    ),
    "rudder": Client("rudder-sdk-python (official)", _rudder, "rudder-sdk-python"),
    "segment": Client("segment-analytics-python", _segment, "segment-analytics-python"),
    "posthog": Client("posthog", _posthog, "posthog"),
    "floor": Client("orjson + gzip + POST, no logging", _floor),
}
"""By the name that the plan uses."""

OURS = ("logging", "calls", "spool")
