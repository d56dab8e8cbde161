"""Whether an event logged to a logger would leave, and what stops it if not."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import MemoryHandler, QueueHandler
from typing import Any

from .._formatter import RudderFormatter
from ._doctor_findings import Finding, Severity
from ._doctor_remarks import of_adapters, remarks
from ._doctor_tree import (
    Reached,
    all_loggers,
    beyond,
    describe,
    listener_of,
    named,
    reached,
    root,
    way,
)

__all__ = ["Passage", "examine"]

_EVENT: dict[str, Any] = {
    "type": "track",
    "user_id": "rudder-logging-doctor",
    "event": "Doctor's Probe",
}


@dataclass(frozen=True)
class Passage:
    """What becomes of an event that is logged to one logger at INFO."""

    logger: logging.Logger
    by_call: bool
    """By `track()` and its like, for which levels don't count."""
    leaves: bool
    leaves_by: tuple[Reached, ...]
    """None: by a handler that is made of the package's settings."""
    findings: tuple[Finding, ...]

    @property
    def what(self) -> str:
        """What it is about, as the begin of a sentence."""
        if self.by_call:
            return "an event by a call of the package, like track()"
        return f"an event logged to {named(self.logger)} at INFO"


def examine(logger: logging.Logger, *, by_call: bool = False) -> Passage:
    """Walk from a logger to all handlers that its records meet. Nothing is sent.

    Filters are asked about a probe, which carries an event.

    Args:
        logger: Where an event would be logged.
        by_call: It is logged by `track()` and its like.
    """
    stops = [] if by_call else list(_of_levels(logger))
    record, kept_back = _filtered(logger, _probe(logger), named(logger))
    stops += kept_back
    found = [reach for owner in way(logger) for reach in reached(owner)]
    if by_call:
        found = [reach for reach in found if not reach.through]
    closed = {reach: list(_of_chain(reach, record, by_call=by_call)) for reach in found}
    leaves_by = {reach.handler: reach for reach in reversed(found) if not closed[reach]}
    for findings in closed.values():
        stops += [finding.as_warning() for finding in findings] if leaves_by else findings
    if not found and not by_call:
        stops.append(_nobody(logger))
    is_stopped = any(finding.severity is Severity.STOPS for finding in stops)
    more = [*remarks(logger, found), *(() if by_call else of_adapters(logger))]
    ways = () if is_stopped else tuple(reversed(leaves_by.values()))
    leaves = bool(ways) or (by_call and not found and not is_stopped)
    return Passage(logger, by_call, leaves, ways, (*stops, *more))


def _probe(logger: logging.Logger) -> logging.LogRecord:
    return logger.makeRecord(
        logger.name, logging.INFO, __file__, 0, "Doctor's Probe", (), None, extra={"rudder": _EVENT}
    )


def _stop(subject: str, text: str, cure: str) -> Finding:
    return Finding(Severity.STOPS, "logging", subject, text, cure)


def _of_levels(logger: logging.Logger) -> Iterator[Finding]:
    if logger.manager.disable >= logging.INFO:
        disabled = logging.getLevelName(logger.manager.disable)
        yield _stop(
            "logging.disable",
            f"logging.disable({disabled}) is in force, for all loggers",
            "take it back by logging.disable(logging.NOTSET); calls like track() pass all the same",
        )
    if logger.disabled:
        yield _stop(
            named(logger),
            "is disabled, as dictConfig and fileConfig leave loggers that they don't name",
            f'configure with "disable_existing_loggers": False, or name {logger.name!r} in it',
        )
    level = logger.getEffectiveLevel()
    if level > logging.INFO:
        whose = next((owner for owner in _to_root(logger) if owner.level), root)
        has = "its level" if whose is logger else f"the level of {named(whose)}, which it inherits,"
        yield _stop(
            named(logger),
            f"{has} is {logging.getLevelName(level)}, above INFO",
            f"set the level of {named(logger)} to INFO",
        )


def _to_root(logger: logging.Logger) -> Iterator[logging.Logger]:
    # Levels are inherited whether loggers propagate or not.
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent


def _filtered(
    filterer: logging.Filterer, record: logging.LogRecord, whose: str
) -> tuple[logging.LogRecord, list[Finding]]:
    """The record as the filters leave it, and what they keep back."""
    found = []
    for one in filterer.filters:
        name = _name_of_filter(one)
        try:
            passed: Any = one.filter(record) if hasattr(one, "filter") else one(record)
        except Exception as error:  # noqa: BLE001 - a filter of the app's may raise anything
            found.append(
                _stop(whose, f"its filter {name} raises {type(error).__name__}", "mend the filter")
            )
            continue
        if sys.version_info >= (3, 12) and isinstance(passed, logging.LogRecord):
            record = passed  # before, that was just a true value
        if not passed:
            found.append(
                _stop(
                    whose,
                    f"its filter {name} keeps a probe back",
                    "take the filter off, or have it let records pass that carry an event",
                )
            )
        elif getattr(record, "rudder", None) is None:
            found.append(
                _stop(
                    whose,
                    f"its filter {name} takes the event off the record",
                    "have it leave the attribute `rudder` in place",
                )
            )
            record.rudder = _EVENT
    return record, found


def _name_of_filter(one: object) -> str:
    if type(one) is logging.Filter:
        return f"Filter({one.name!r})"
    return getattr(one, "__qualname__", None) or type(one).__name__


def _of_chain(
    reach: Reached, record: logging.LogRecord, *, by_call: bool = False
) -> Iterator[Finding]:
    """What one RudderHandler, or what it is inside of, stops."""
    heeds_level = not by_call
    for handler in reach.chain:
        whose = f"{describe(handler)} on {named(reach.owner)}"
        if heeds_level and handler.level > logging.INFO:
            yield _stop(
                whose,
                f"its level is {logging.getLevelName(handler.level)}, above INFO",
                "set the handler's level to INFO, or leave it out",
            )
        record, kept_back = _filtered(handler, record, whose)
        yield from kept_back
        if isinstance(handler, QueueHandler):
            heeds_level = bool(getattr(listener_of(handler), "respect_handler_level", False))
        elif isinstance(handler, MemoryHandler):
            heeds_level = False
    if not reach.handler.config.send:
        yield _stop(
            str(reach),
            "its option send is off: events are checked and counted, and go nowhere",
            "leave out send=False (or the variable RUDDER_SEND)",
        )


def _nobody(logger: logging.Logger) -> Finding:
    blocked = beyond(logger)
    if blocked and blocked[1]:
        whose, handlers = blocked
        return _stop(
            named(whose),
            f"does not propagate, so that {handlers[0]} is not reached",
            f"leave propagate at True for {named(whose)}, or give it a RudderHandler of its own",
        )
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
    return _stop(named(logger), text, cure)
