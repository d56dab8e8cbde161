"""The logging tree: the loggers and handlers that a record meets, also behind wrappers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

__all__ = ["all_loggers", "ancestry", "chains", "handed_on", "handlers_above", "way", "way_by_name"]


def way(logger: logging.Logger) -> Iterator[logging.Logger]:
    """The loggers whose handlers a record meets: it and its ancestors, as far as they propagate."""
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent if current.propagate else None


def ancestry(logger: logging.Logger) -> Iterator[logging.Logger]:
    """The logger and all above it: levels are inherited whether loggers propagate or not."""
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent


def way_by_name(name: str) -> Iterator[logging.Logger]:
    """The loggers on a logger's way by its name, though its parent may be another."""
    known = logging.root.manager.loggerDict
    while name:
        logger = known.get(name)
        if isinstance(logger, logging.Logger):
            yield logger
            if not logger.propagate:
                return
        name = name.rpartition(".")[0]
    yield logging.root


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


def chains(
    handlers: Iterable[object],
    is_wanted: Callable[[object], bool],
    handed_on: Callable[[logging.Handler], Iterable[object]] = handed_on,
    through: tuple[logging.Handler, ...] = (),
) -> Iterator[tuple[logging.Handler, ...]]:
    """The wanted among some handlers and behind them: each last in a tuple, after its wrappers.

    Args:
        handlers: The first of each chain; what is no handler is left out.
        is_wanted: Tells if a handler ends a chain.
        handed_on: Gives the handlers that a wrapper hands records on to.
        through: The wrappers so far.
    """
    for handler in handlers:
        if not isinstance(handler, logging.Handler):
            continue
        if is_wanted(handler):
            yield (*through, handler)
        elif handler not in through:
            yield from chains(handed_on(handler), is_wanted, handed_on, (*through, handler))
