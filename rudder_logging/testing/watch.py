"""Checks of the pytest plugin: no handler lost an event, and none waits in vain."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ..common.clock import monotonic
from ..common.hosts import is_loopback
from ..delivery.ledger import Stats
from ..handler.admission import Admission
from ..handler.dispatch import want_records
from ..handler.handler import RudderHandler
from ..handler.stdlib import complaint
from ..process import members
from ..sinks.guard import KeepingSink, guarded
from .layers import Layer, lay, lift
from .matching import listed

if TYPE_CHECKING:
    from ..dataplane import LocalDataPlane
    from ..delivery.listener import BatchListener

__all__ = ["Watch", "guard_all", "settle", "told"]

Method = Callable[[RudderHandler, logging.LogRecord], None]

_SECONDS_TO_SETTLE = 5.0
_SECONDS_FOR_A_HOLD = 0.5
_SECONDS_A_LOOK = 0.01
_MEANT = frozenset({"before_send", "captured", "kept_back", "rolled_back", "send_off"})
"""Reasons of drops that are no loss: the app asked for them, or the tests did."""


class Watch:
    """Keeps an eye on handlers, from `start` to `stop`."""

    def __init__(self) -> None:
        self._handlers: list[RudderHandler] = []  # held: a closed one may be forgotten meanwhile
        self._before: dict[int, Stats] = {}
        self._invalid: list[tuple[logging.LogRecord, str]] = []
        self._layers: tuple[tuple[type, str, Layer], ...] = (
            (Admission, "_accept", self._around_accept),
            (RudderHandler, "handle_or_raise", self._around_handle_or_raise),
        )

    def start(self) -> None:
        """Watch each handler that gets an event from now on."""
        want_records(1)
        for cls, name, layer in self._layers:
            lay(cls, name, layer)

    def stop(self) -> None:
        """End the watch."""
        want_records(-1)
        for cls, name, layer in self._layers:
            lift(cls, name, layer)

    def _around_accept(self, below: Method) -> Method:
        def accept(handler: RudderHandler, record: logging.LogRecord) -> None:
            self._look_at(handler)
            try:
                below(handler, record)
            except Exception as error:
                text = complaint(record, error).removeprefix("rudder_logging: ").strip()
                self._invalid.append((record, text))
                raise

        return accept

    def _around_handle_or_raise(self, below: Method) -> Method:
        def handle_or_raise(handler: RudderHandler, record: logging.LogRecord) -> None:
            try:
                below(handler, record)
            except Exception:
                self._forgive(record)
                raise

        return handle_or_raise

    def _forgive(self, record: logging.LogRecord) -> None:
        """Forget a refusal that a direct call raised: its caller has seen it."""
        fields = record.__dict__["rudder"]
        self._invalid = [one for one in self._invalid if one[0].__dict__["rudder"] is not fields]

    def _look_at(self, handler: Any) -> None:
        if id(handler) not in self._before and isinstance(handler, RudderHandler):
            self._handlers.append(handler)
            self._before[id(handler)] = handler.stats()

    def faults(self, plane: LocalDataPlane) -> list[str]:
        """Describe events that were lost, or are not accounted for; empty: none.

        Args:
            plane: First it is healed, and gets what waits for it.
        """
        found = []
        plane.heal()
        for handler in self._to(plane):
            if not _settles(handler):
                stats = handler.stats()
                why = f": {stats.holding}" if stats.holding else ""
                found.append(f"{_events(stats.pending)} of {handler!r} did not arrive{why}")
        found += [f"refused at the call, and lost: {text}" for _record, text in self._invalid]
        any_refused = False
        for handler in self._handlers:
            stats, before = handler.stats(), self._before[id(handler)]
            refused = stats.refused - before.refused
            if refused:
                any_refused = True
                found.append(f"the data plane refused {_events(refused)} of {handler!r}")
            for reason in sorted(stats.dropped.keys() - _MEANT):
                dropped = stats.dropped[reason] - before.dropped.get(reason, 0)
                if dropped:
                    found.append(f"{_events(dropped)} of {handler!r} did not arrive: {reason}")
            if not stats.balanced:
                found.append(f"the ledger of {handler!r} does not balance: {stats}")
        if any_refused:
            refusals = [request for request in plane.requests if request.status in (400, 413)]
            words = sorted({f"{request.status} {request.text!r}" for request in refusals})
            found.append(f"the data plane's words: {', '.join(words)}")
        found += [f"stored, but lost behind the gateway: {why}" for _, why in plane.problems]
        return found

    def _to(self, plane: LocalDataPlane) -> list[RudderHandler]:
        return [one for one in self._handlers if _same_server(one.config.data_plane_url, plane.url)]


def _same_server(url: str, other: str) -> bool:
    """Tell if two URLs lead to the same server of this machine, by whatever of its names."""
    one, two = urlsplit(url), urlsplit(other)
    return one.port == two.port and is_loopback(one.hostname or "")


def _settles(handler: RudderHandler) -> bool:
    """Tell if a handler's events are all settled soon; events that are held will not be."""
    deadline = monotonic() + _SECONDS_TO_SETTLE
    while not handler.flush(_SECONDS_FOR_A_HOLD):
        if monotonic() > deadline or handler.stats().holding:
            return False
    return True


def guard_all() -> None:
    """Guard the sinks of handlers that were made before pytest ran."""
    for handler in members.forkables():
        if isinstance(handler, RudderHandler) and not handler._is_unused():  # noqa: SLF001
            sender = handler._pipeline.listener.sender  # noqa: SLF001
            sender.sink = guarded(sender.sink, handler.config)


def settle(*, for_good: bool = False) -> None:
    """Have what waits for other hosts kept back, of handlers that are forgotten too.

    What is for this machine is left alone. So is a queue that is held already: to try it again
    would be to wake it, a moment before it may send.

    Args:
        for_good: The session ends. Let go of durable queues, which keep their events: the end of
            the process would wait for them.
    """
    waiting = [listener for listener in _waiting() if not _is_held(listener)]
    for listener in waiting:
        if listener.ensure_running():
            listener.hurry()
    deadline = monotonic() + _SECONDS_TO_SETTLE
    for listener in waiting:
        with contextlib.suppress(Exception):  # as in `_waiting`
            mark = listener.queue.mark()
            while not (_is_held(listener) or monotonic() > deadline):
                if listener.queue.wait_until_settled(mark, _SECONDS_A_LOOK):
                    break
    for listener in _waiting() if for_good else ():
        if _is_held(listener):
            listener.finish(monotonic())


def _waiting() -> list[BatchListener]:
    """Listeners with events that may not leave at present."""
    found = []
    for listener in cast("list[BatchListener]", members.listeners()):
        with contextlib.suppress(Exception):  # a queue object of the app's may raise anything
            sink = listener.sender.sink
            if listener.queue.depth().events and isinstance(sink, KeepingSink) and sink.refusal():
                found.append(listener)
    return found


def _is_held(listener: BatchListener) -> bool:
    return isinstance(listener.sender.sink, KeepingSink) and listener.sender.sink.holds


def told(faults: list[str]) -> str:
    """Faults as the text of a failure."""
    return (
        f"events were lost, or are not accounted for:{listed(faults)}\n"
        "If that is meant, mark the test with rudder_unchecked."
    )


def _events(number: int) -> str:
    return f"{number} event{'s' * (number != 1)}"
