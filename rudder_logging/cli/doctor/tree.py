"""The live logging tree: which handlers a record meets, and what stands before them."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import MemoryHandler, QueueHandler, QueueListener
from typing import Any, TypeVar, cast

from ...common import logging_tree
from ...common.logging_tree import ancestry, chains, way
from ...handler.handler import RudderHandler

__all__ = [
    "Reached",
    "adapters",
    "alive_of",
    "all_loggers",
    "beyond",
    "describe",
    "listener_of",
    "named",
    "reached",
    "reached_from",
    "root",
    "runs",
    "way",
]

_T = TypeVar("_T")

root = logging.getLogger()


@dataclass(frozen=True)
class Reached:
    """A RudderHandler that a record of a logger comes to."""

    handler: RudderHandler
    owner: logging.Logger
    """The logger that has it, or that has its outermost wrapper."""
    through: tuple[logging.Handler, ...] = ()
    """Handlers that hand records on to it, the outermost first."""

    @property
    def chain(self) -> tuple[logging.Handler, ...]:
        """All handlers on the way, itself included."""
        return (*self.through, self.handler)

    def __str__(self) -> str:
        inside = "".join(f", inside {describe(handler)}" for handler in reversed(self.through))
        return f"{describe(self.handler)}{inside} on {named(self.owner)}"


def named(logger: logging.Logger) -> str:
    """A logger's name for use in a sentence."""
    return "the root logger" if logger is root else f"logger {logger.name!r}"


def describe(handler: logging.Handler) -> str:
    """A handler's name for use in a sentence."""
    name = f" {handler.get_name()!r}" if handler.get_name() else ""
    to = f" to {handler.config.destination}" if isinstance(handler, RudderHandler) else ""
    return f"{type(handler).__name__}{name}{to}"


def all_loggers() -> list[logging.Logger]:
    """Every logger that exists, root first, then by name."""
    return sorted(logging_tree.all_loggers(), key=lambda one: (one is not root, one.name))


def beyond(logger: logging.Logger) -> tuple[logging.Logger, list[Reached]] | None:
    """The logger that does not propagate, and the RudderHandlers above it, out of reach."""
    last = list(way(logger))[-1]
    if last.parent is None:
        return None
    return last, [found for owner in ancestry(last.parent) for found in reached(owner)]


def reached(owner: logging.Logger) -> Iterator[Reached]:
    """The RudderHandlers among a logger's own handlers, and inside them."""
    for chain in chains(owner.handlers, _is_ours, _handed_on_to):
        yield Reached(cast("RudderHandler", chain[-1]), owner, chain[:-1])


def reached_from(logger: logging.Logger) -> list[Reached]:
    """The RudderHandlers that a logger's records come to."""
    return [found for owner in way(logger) for found in reached(owner)]


def _is_ours(handler: object) -> bool:
    return isinstance(handler, RudderHandler)


def _handed_on_to(handler: logging.Handler) -> list[logging.Handler]:
    if isinstance(handler, QueueHandler):
        listener = listener_of(handler)
        return list(listener.handlers) if listener else []
    if isinstance(handler, MemoryHandler):
        return [handler.target] if handler.target else []
    # Wrappers of other libraries, and the app's own, keep it in some attribute.
    kept = [value for value in vars(handler).values() if value is not handler]
    flat = [item for value in kept for item in (value if isinstance(value, list) else [value])]
    return [item for item in flat if isinstance(item, logging.Handler)]


def listener_of(handler: QueueHandler) -> QueueListener | None:
    """Find the listener that takes from its queue. From Python 3.12, dictConfig leaves it there."""
    known = getattr(handler, "listener", None)
    if isinstance(known, QueueListener):
        return known
    found = [one for one in _alive(QueueListener) if one.queue is handler.queue]
    return next(filter(runs, found), found[0] if found else None)


def runs(listener: QueueListener) -> bool:
    """Tell if a listener has the thread that takes from the queue."""
    return getattr(listener, "_thread", None) is not None


def adapters() -> Iterator[tuple[logging.LoggerAdapter[Any], logging.Logger]]:
    """The LoggerAdapters that are alive, and their loggers, which don't know of them."""
    for adapter in _alive(logging.LoggerAdapter):
        inner: object = adapter
        while issubclass(type(inner), logging.LoggerAdapter):
            inner = vars(inner).get("logger")
        if isinstance(inner, logging.Logger):
            yield adapter, inner


def alive_of(name: str) -> list[Any]:
    """The objects that are alive of a class, or of its subclasses; none if nobody imported it."""
    module, _, kind = name.rpartition(".")
    found = getattr(sys.modules.get(module), kind, None)
    return _alive(found) if isinstance(found, type) else []


def _alive(kind: type[_T]) -> list[_T]:
    # By type: isinstance would ask lazy objects of the app's what they are, and wake them.
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]
