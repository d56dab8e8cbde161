"""Recorder of a test's events: each once, with refusals and a warehouse's warnings."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..checks.warehouse import OF_SQL, EventNames, findings, shape_of
from ..events.encoding import dumps
from ..events.records import is_named_by_text, refuse_name
from ..events.table import EVENT_TYPES
from ..handler.handler import RudderHandler
from ..handler.stdlib import complaint
from .matching import describe

__all__ = ["RecordedEvent", "Recorder", "Refusal"]

_OF_NAME = "the event's name becomes "
"""First words of a finding about a renaming of the event itself."""


class RecordedEvent(dict[str, Any]):
    """A message as it would be in the upload's body, `sentAt` aside; and where it came from.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self,
        message: Mapping[str, Any],
        record: logging.LogRecord,
        stopped_by: str | None,
        *,
        on_commit: bool = False,
    ) -> None:
        super().__init__(message)
        self.logger_name = record.name
        """The logger that it was logged to."""
        self.place = f"{_relative(record.pathname)}:{record.lineno}"
        """File and line of the call."""
        self.stopped_by = stopped_by
        """The obstacle that keeps it from leaving, as logging is set up at the call; None: nothing.

        Where logging has no RudderHandler at all there is nothing to judge by, and it is None.
        """
        self.on_commit = on_commit
        """True if it would leave when the transaction commits that is open at the call.

        It is here already, because many tests never commit. If the transaction, or its savepoint,
        is rolled back, it is here no more.
        """

    @property
    def would_leave(self) -> bool:
        """True if a handler would send it, as logging is set up at the call."""
        return self.stopped_by is None

    def __str__(self) -> str:
        stopped = f" (would not leave: {self.stopped_by})" if self.stopped_by else ""
        waits = " (waits for a commit)" if self.on_commit else ""
        return f"{describe(self)}, at {self.place}{waits}{stopped}"


def _relative(path: str) -> str:
    try:
        return os.path.relpath(path)
    except (ValueError, OSError):  # on another drive, or in a directory that is gone
        return path


@dataclass(frozen=True)
class Refusal:
    """An event that was not accepted at the call.

    .. versionadded:: 0.1.0
    """

    record: logging.LogRecord
    reason: str
    """Place of the call and reason of the refusal, without the event's content."""
    raised: bool = False
    """True if the call raised the reason: calls of the package do, a log call does not."""

    def __str__(self) -> str:
        return self.reason


class Recorder:
    """Events and refusals, as `diversion` reports them."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.refusals: list[Refusal] = []
        self.handlers: set[RudderHandler] = set()
        """Handlers that have the events in their ledgers."""
        self.changed = threading.Condition(threading.RLock())
        self._seen: dict[int, logging.LogRecord] = {}  # held, so that no id is used again
        # Of records whose copy has not come the other way, which may be the earlier of the two.
        self._exact: list[tuple[logging.LogRecord, RecordedEvent]] = []
        self._guessed: list[tuple[logging.LogRecord, RecordedEvent]] = []
        self._names = EventNames()
        self._warned: set[tuple[str, object, str]] = set()

    def add(self, record: logging.LogRecord, event: RecordedEvent, *, exact: bool) -> None:
        """Keep an event, once, however many handlers get its record.

        Args:
            record: That carried it.
            event: What was made of it.
            exact: A handler on the record's way made it. That wins over what was guessed, if a
                copy of the record comes to a handler by way of a `QueueHandler`.
        """
        with self.changed:
            others = self._guessed if exact else self._exact
            for number, (earlier, other) in enumerate(others):
                if _is_copy(record, earlier):
                    del others[number]
                    logged, copied = (earlier, record) if exact else (record, earlier)
                    name = is_named_by_text(copied.__dict__["rudder"])
                    if name and copied.args is None and copied.msg != logged.msg:
                        self.refuse(logged, refuse_name(logged, name))
                    self._seen[id(record)] = record
                    if exact:
                        other.clear()
                        other.update(event)
                        other.stopped_by, other.on_commit = event.stopped_by, event.on_commit
                    return
            if id(record) in self._seen:
                return
            self._seen[id(record)] = record
            (self._exact if exact else self._guessed).append((record, event))
            self.events.append(event)
            self.changed.notify_all()

    def refuse(self, record: logging.LogRecord, error: BaseException | None) -> None:
        """Keep the reason why a record's event was not accepted, once."""
        with self.changed:
            if not any(_is_copy(record, refusal.record) for refusal in self.refusals):
                text = complaint(record, error).removeprefix("rudder_logging: ").strip()
                self.refusals.append(Refusal(record, text))

    def mark_raised(self, record: logging.LogRecord) -> None:
        """Note that the call which made the record has raised the refusal."""
        with self.changed:
            for number, refusal in enumerate(self.refusals):
                if _is_copy(record, refusal.record):
                    self.refusals[number] = replace(refusal, raised=True)

    def take_back(self, event: RecordedEvent) -> None:
        """Forget an event that would not leave after all. Others may be equal to it."""
        with self.changed:
            self.events[:] = [other for other in self.events if other is not event]

    def clear(self) -> None:
        """Forget all events. What was refused is still to be told."""
        with self.changed:
            self.events.clear()

    def lint(self, event: RecordedEvent, record: logging.LogRecord) -> Iterator[str]:
        """Find what a warehouse would drop or rename of an event, and nobody was told before.

        A name that is the log line's template is renamed as a matter of course. Nor is anything
        lost where `order` or `value` gets an underscore, as it does in few or many warehouses.
        """
        with self.changed:
            found = [finding for finding in findings(event) if OF_SQL not in finding]
            alike = self._names.finding(event)
            row = EVENT_TYPES[event["type"]]
            name = event.get(row.template_field.key) if row.template_field else None
            for finding in (*found, *([alike] if alike else [])):
                of_name = finding.startswith(_OF_NAME)
                if of_name and _is_template(name, record):
                    continue
                shape = shape_of(name) if isinstance(name, str) else None
                key = (row.name, shape, shape_of(finding) if of_name else finding)
                if key not in self._warned:
                    self._warned.add(key)
                    yield f"{row.name}{f' {name!r}' if name else ''}: {finding}"


def _is_template(name: object, record: logging.LogRecord) -> bool:
    fields = record.__dict__["rudder"]
    return name == record.msg and not any(key in fields for key in ("event", "name"))


def _is_copy(record: logging.LogRecord, earlier: logging.LogRecord) -> bool:
    if record.created != earlier.created:
        return False
    given, before = record.__dict__["rudder"], earlier.__dict__["rudder"]
    if given is before:
        return True
    # One that went through a queue between processes has nothing in common but what it says.
    try:
        if _origin(record) != _origin(earlier):
            return False
        return bool(given == before) or dumps(given) == dumps(before)  # a NaN equals none
    except Exception:  # noqa: BLE001 - values of the app's may compare as they like
        return False


def _origin(record: logging.LogRecord) -> tuple[object, ...]:
    thread = (record.process, record.thread, record.relativeCreated)
    return (*thread, record.name, record.pathname, record.lineno)
