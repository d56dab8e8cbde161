"""The logging tree: the loggers and handlers that a record meets on its way up."""

from __future__ import annotations

import logging
from collections.abc import Iterator

__all__ = ["all_loggers", "handed_on", "handlers_above", "way"]


def way(logger: logging.Logger) -> Iterator[logging.Logger]:
    """The loggers whose handlers a record meets: it and its ancestors, as far as they propagate."""
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent if current.propagate else None


def handlers_above(logger: logging.Logger) -> list[logging.Handler]:
    """The handlers on a logger's way, levels aside. A loop of its own: `track()` waits for it."""
    found: list[logging.Handler] = []
    current: logging.Logger | None = logger
    while current is not None:
        found += current.handlers
        current = current.parent if current.propagate else None
    return found


def all_loggers() -> list[logging.Logger]:
    """Every logger that exists, root first."""
    made = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(logger for logger in made if isinstance(logger, logging.Logger))]


def handed_on(handler: logging.Handler) -> list[object]:
    """The handlers that one of logging's own hands records on to, as far as it knows them."""
    listener = getattr(handler, "listener", None)  # of a QueueHandler, from Python 3.12
    return [*getattr(listener, "handlers", ()), getattr(handler, "target", None)]
