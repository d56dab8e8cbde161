"""Events and requests that the local data plane received, and waiting for them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..common.clock import wait_until
from ..events.table import validate
from ..exceptions import InvalidEventError
from . import gateway

__all__ = ["Inbox", "ReceivedRequest", "problem"]


@dataclass(frozen=True)
class ReceivedRequest:
    """One request, as it came and as it was answered."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Decompressed; empty if it was not read."""
    wire_bytes: int
    """The size of the body before decompression."""
    status: int | None
    """None: the connection was cut, or no answer was ever given.

    Of a pixel it is what became of its event; the answer is a picture, and 200, whatever that is.
    """
    text: str
    culprit: int | None = None
    """Index in `batch` of the event it was refused for, if it was one: no gateway tells that."""

    @property
    def batch(self) -> list[dict[str, Any]]:
        """The events in the body, whether they were stored or not."""
        return gateway.events_in(self.path, self.body)


def problem(event: Mapping[str, Any]) -> str | None:
    """The reason why an event would be lost behind the gateway; None: it would not."""
    try:
        validate(event)
    except InvalidEventError as error:
        return str(error)
    return None


class Inbox:
    """Stored events and seen requests, in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._requests: list[ReceivedRequest] = []
        self._problems: list[tuple[dict[str, Any], str]] = []

    def add(self, request: ReceivedRequest, events: tuple[dict[str, Any], ...]) -> None:
        """Keep a request, and the events stored of it."""
        checked = [(event, problem(event)) for event in events]
        problems = [(event, words) for event, words in checked if words is not None]
        with self._changed:
            self._requests.append(request)
            self._events += events
            self._problems += problems
            self._changed.notify_all()

    @property
    def events(self) -> list[dict[str, Any]]:
        """A copy of the list of stored events."""
        with self._changed:
            return list(self._events)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """A copy of the list of requests."""
        with self._changed:
            return list(self._requests)

    @property
    def problems(self) -> list[tuple[dict[str, Any], str]]:
        """Events that were answered 200 and would be lost further on, each with the reason."""
        with self._changed:
            return list(self._problems)

    def wait(self, what: str, count: int, timeout: float) -> None:
        """Wait for so many `events` or `requests`; TimeoutError tells how many there are."""
        __tracebackhide__ = True
        with self._changed:
            held = self._events if what == "events" else self._requests
            if not wait_until(lambda: len(held) >= count, self._changed, timeout):
                raise TimeoutError(
                    f"waited {timeout:g} s for {count} {what}; "
                    f"{len(self._events)} events came in {len(self._requests)} requests, "
                    f"answered {[request.status for request in self._requests][-5:]}"
                )

    def clear(self) -> None:
        """Forget everything received."""
        with self._changed:
            self._events.clear()
            self._requests.clear()
            self._problems.clear()
