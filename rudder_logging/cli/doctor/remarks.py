"""Remarks on the logging tree: nothing that stops events, but not as one would want it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator
from logging.handlers import MemoryHandler, QueueHandler
from typing import Any

from ...events.formatter import RudderFormatter
from ...handler.handler import RudderHandler
from .findings import Finding, Severity, a_warning
from .tree import Reached, adapters, describe, listener_of, named, way

__all__ = ["of_adapters", "remarks"]


def remarks(logger: logging.Logger, found: list[Reached]) -> Iterator[Finding]:
    """Find remarks on the way of a logger's events; none of them stops an event.

    Args:
        logger: Where an event would be logged.
        found: The RudderHandlers that it comes to.
    """
    seen: dict[RudderHandler, Reached] = {}
    sources: dict[str, Reached] = {}
    for reach in found:
        if reach.handler in seen:
            yield _twice(reach, seen[reach.handler], logger)
            continue
        seen[reach.handler] = reach
        config = reach.handler.config
        other = sources.setdefault(config.identity, reach)
        if other is not reach:
            text = f"has the same source as {other}: each event is sent twice"
            cure = "take one of the two handlers off"
            yield a_warning("same-source", str(reach), text, cure)
        if not isinstance(reach.handler.formatter, RudderFormatter):
            text = (
                f"its formatter is set to {type(reach.handler.formatter).__name__}, which can't "
                "make messages and is left aside"
            )
            cure = "leave `formatter` out, or use rudder_logging.RudderFormatter"
            yield a_warning("formatter-unfit", str(reach), text, cure)
        for wrapper in reach.through:
            yield from _of_wrapper(wrapper, reach)
    for owner in way(logger):
        for handler in owner.handlers:
            if isinstance(handler, QueueHandler) and listener_of(handler) is None:
                yield a_warning(
                    "queue-without-listener",
                    f"{describe(handler)} on {named(owner)}",
                    "puts records into a queue that no QueueListener of this process takes from",
                    "make a QueueListener for it, or put a RudderHandler beside it",
                )


def _twice(reach: Reached, other: Reached, logger: logging.Logger) -> Finding:
    text = f"is on the way of {named(logger)} twice"
    if any(isinstance(handler, QueueHandler) for handler in (*reach.through, *other.through)):
        # A QueueHandler passes a copy on, and an event is known by its record.
        text += ", once by a queue of copies: each event is sent twice"
        return a_warning("reached-by-copy", str(reach), text, "leave one of the two ways out")
    text += ": it sends each event once all the same"
    return Finding(Severity.WELL, "logging", "reached-twice", text, subject=str(reach))


def _of_wrapper(wrapper: logging.Handler, reach: Reached) -> Iterator[Finding]:
    subject = str(reach)
    directly = "put the RudderHandler on the logger itself: it has a queue of its own"
    if isinstance(wrapper, QueueHandler):
        text = (
            "gets records from a QueueHandler, which formats them first. An event without a name "
            "would be named by the formatted text, not its template, and is refused where that "
            "shows. What bind() bound is lost"
        )
        cure = f"give each event its 'event'; or {directly}"
        yield a_warning("behind-queue-handler", subject, text, cure)
    elif isinstance(wrapper, MemoryHandler):
        level = logging.getLevelName(wrapper.flushLevel)
        text = (
            f"gets records from a MemoryHandler, not before {wrapper.capacity} have come, or one "
            f"at {level}"
        )
        yield a_warning("behind-memory-handler", subject, text, directly)
    else:
        text = (
            f"is inside {describe(wrapper)}: calls like track() don't find it, and whether it "
            "hands events on is for that class to say"
        )
        yield a_warning("behind-wrapper", subject, text, directly)


def of_adapters(loggers: Collection[logging.Logger]) -> dict[logging.Logger, list[Finding]]:
    """Adapters of those loggers that lose events."""
    found: dict[logging.Logger, list[Finding]] = {logger: [] for logger in loggers}
    for adapter, logger in adapters():
        if logger in found and _loses_events(adapter):
            kind = type(adapter).__name__
            text = f"a {kind} throws the `extra` of its calls away, and the events in it"
            cure = "use rudder_logging.EventLogger, or (from Python 3.13) merge_extra=True"
            found[logger].append(a_warning("adapter-drops-extra", named(logger), text, cure))
    return {logger: list(dict.fromkeys(told)) for logger, told in found.items()}


def _loses_events(adapter: logging.LoggerAdapter[Any]) -> bool:
    with contextlib.suppress(Exception):  # an adapter of the app's may raise anything
        _, passed = adapter.process("", {"extra": {"rudder": {"user_id": "1"}}})
        return (passed.get("extra") or {}).get("rudder") is None
    return False
