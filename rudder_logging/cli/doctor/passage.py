"""An event's way from a logger to its handlers: does it leave, and what stops it if not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from logging.handlers import MemoryHandler, QueueHandler, QueueListener

from ...common.logging_tree import ancestry
from ...events.formatter import RudderFormatter
from .findings import Finding, a_stop, any_stops
from .probes import Probes
from .remarks import of_adapters, remarks
from .tree import (
    Reached,
    all_loggers,
    beyond,
    describe,
    listener_of,
    named,
    reached,
    reached_from,
    root,
    runs,
    way,
)

__all__ = ["SEND_OFF", "Passage", "examine"]

SEND_OFF = "the option send is off: events are checked and counted, and go nowhere"


@dataclass(frozen=True)
class Passage:
    """The fate of an event that is logged to one logger at INFO."""

    logger: logging.Logger
    by_call: bool
    """By `track()` and its like, for which levels don't count."""
    leaves: bool
    leaves_by: tuple[Reached, ...]
    """None: by a handler that is made of the package's settings."""
    findings: tuple[Finding, ...]


def examine(
    logger: logging.Logger,
    *,
    by_call: bool = False,
    probes: Probes | None = None,
    is_configured: bool = False,
) -> Passage:
    """Walk from a logger to all handlers that its records meet. Nothing is sent.

    Filters are asked about a probe, which carries an event.

    Args:
        logger: Where an event would be logged.
        by_call: It is logged by `track()` and its like.
        probes: What has asked the same filters about other loggers; by default it asks anew.
        is_configured: The app has done all that it does to configure logging: a QueueListener
            that it has not started by now, it does not start.
    """
    probes = probes or Probes()
    stops = [] if by_call else list(_of_levels(logger))
    record, kept_back = probes.filtered(logger, probes.make(logger), named(logger))
    stops += kept_back
    found = reached_from(logger)
    if by_call:
        found = [reach for reach in found if not reach.through]
    chains = _Chains(record, probes, by_call=by_call, is_configured=is_configured)
    told = {reach: list(chains.findings(reach)) for reach in found}
    leaves_by = {reach.handler: reach for reach in reversed(found) if not any_stops(told[reach])}
    for findings in told.values():
        stops += [finding.as_warning() for finding in findings] if leaves_by else findings
    if not found and not by_call:
        stops.append(_nobody(logger))
    is_stopped = any_stops(stops)
    more = list(remarks(logger, found))
    if not by_call:
        more += of_adapters([logger])[logger]
    ways = () if is_stopped else tuple(reversed(leaves_by.values()))
    leaves = bool(ways) or (by_call and not found and not is_stopped)
    return Passage(logger, by_call, leaves, ways, (*stops, *more))


def _of_levels(logger: logging.Logger) -> Iterator[Finding]:
    if logger.manager.disable >= logging.INFO:
        disabled = logging.getLevelName(logger.manager.disable)
        text = f"logging.disable({disabled}) is in force, for all loggers"
        cure = (
            "take it back by logging.disable(logging.NOTSET); calls like track() pass all the same"
        )
        yield a_stop("logging-disabled", "logging.disable", text, cure)
    if logger.disabled:
        text = "is disabled, as dictConfig and fileConfig leave loggers that they don't name"
        cure = f'configure with "disable_existing_loggers": False, or name {logger.name!r} in it'
        yield a_stop("logger-disabled", named(logger), text, cure)
    level = logger.getEffectiveLevel()
    if level > logging.INFO:
        whose = next((owner for owner in ancestry(logger) if owner.level), root)
        has = "its level" if whose is logger else f"the level of {named(whose)}, which it inherits,"
        text = f"{has} is {logging.getLevelName(level)}, above INFO"
        cure = f"set the level of {named(logger)} to INFO"
        yield a_stop("logger-level", named(logger), text, cure)


@dataclass
class _Chains:
    """Asks RudderHandlers, and the handlers they are inside of, about a record."""

    record: logging.LogRecord
    probes: Probes
    by_call: bool
    is_configured: bool
    asked: dict[int, tuple[logging.LogRecord, list[Finding]]] = field(default_factory=dict)
    """By handler: it lets nobody filter a record twice, by whatever ways that comes."""

    def findings(self, reach: Reached) -> Iterator[Finding]:
        """Findings about one way to a RudderHandler."""
        record, heeds_level = self.record, not self.by_call
        for handler in reach.chain:
            whose = f"{describe(handler)} on {named(reach.owner)}"
            if heeds_level and handler.level > logging.INFO:
                text = f"its level is {logging.getLevelName(handler.level)}, above INFO"
                cure = "set the handler's level to INFO, or leave it out"
                yield a_stop("handler-level", whose, text, cure)
            if id(handler) not in self.asked:
                self.asked[id(handler)] = self.probes.filtered(handler, record, whose)
            record, kept_back = self.asked[id(handler)]
            yield from kept_back
            if isinstance(handler, QueueHandler):
                listener = listener_of(handler)
                heeds_level = bool(getattr(listener, "respect_handler_level", False))
                if listener is not None and not runs(listener):
                    yield self._not_started(listener, reach)
            elif isinstance(handler, MemoryHandler):
                heeds_level = False
        if not reach.handler.config.send:
            cure = "leave out send=False (or the variable RUDDER_SEND)"
            yield a_stop("send-off", str(reach), SEND_OFF, cure)

    def _not_started(self, listener: QueueListener, reach: Reached) -> Finding:
        found = a_stop(
            "listener-not-started",
            str(reach),
            "is inside a QueueListener that has not been started: events stay in its queue",
            "call its start() (from Python 3.12, dictConfig's is `handler.listener`) where logging "
            "is configured",
        )
        # The doctor's own dictConfig starts none, and a start() of somebody else's may do without
        # the thread that is looked for.
        is_certain = self.is_configured and type(listener).start is QueueListener.start
        return found if is_certain else found.as_warning()


def _nobody(logger: logging.Logger) -> Finding:
    blocked = beyond(logger)
    if blocked and blocked[1]:
        whose, handlers = blocked
        text = f"does not propagate, so that {handlers[0]} is not reached"
        cure = f"leave propagate at True for {named(whose)}, or give it a RudderHandler of its own"
        return a_stop("no-propagation", named(whose), text, cure)
    elsewhere = [found for other in all_loggers() for found in reached(other)]
    text = f"no RudderHandler is on the way of {named(logger)}"
    if blocked:
        text += f" (which ends at {named(blocked[0])}: it does not propagate)"
    if elsewhere:
        text += f"; there is {elsewhere[0]}"
    writers = [
        describe(handler)
        for owner in way(logger)
        for handler in owner.handlers
        if isinstance(handler.formatter, RudderFormatter)
    ]
    if writers:
        text += f"; {writers[0]} writes events as JSON lines, which `rudder-logging replay` ships"
    cure = f"add a RudderHandler to {named(logger)}, or to one above it, like root"
    return a_stop("no-handler", named(logger), text, cure)
