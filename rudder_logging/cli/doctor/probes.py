"""Records that carry an event, and what filters say of them."""

from __future__ import annotations

import copy
import itertools
import logging
import sys
from typing import Any

from .findings import Finding, a_stop, a_warning

__all__ = ["Probes"]

_ASKED_AGAIN = 20  # times, of a filter that may take a sample


class Probes:
    """One round's. No two of its records are alike: a filter may drop what comes again."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._let_pass: dict[int, str] = {}

    def make(self, logger: logging.Logger) -> logging.LogRecord:
        """A record of that logger at INFO, with an event."""
        text, event = self._words()
        return logger.makeRecord(
            logger.name, logging.INFO, __file__, 0, text, (), None, extra={"rudder": event}
        )

    def filtered(
        self, filterer: logging.Filterer, record: logging.LogRecord, whose: str
    ) -> tuple[logging.LogRecord, list[Finding]]:
        """The record as the filters leave it, and what they keep back.

        Args:
            filterer: A logger or handler.
            record: What `make` made, perhaps from another's filters.
            whose: How sentences call the filterer.
        """
        found = []
        for one in filterer.filters:
            name = _name_of(one)
            if record.__dict__.get("rudder") is None:  # the one before took it off
                record.rudder = self._words()[1]
            try:
                passed = _ask(one, record)
                is_choosy = not passed and self._is_choosy(one, record)
            except Exception as error:  # noqa: BLE001 - a filter of the app's may raise anything
                text = f"its filter {name} raises {type(error).__name__}"
                found.append(a_stop("filter-raises", whose, text, "mend the filter"))
                continue
            if sys.version_info >= (3, 12) and isinstance(passed, logging.LogRecord):
                record = passed  # before, that was just a true value
            if passed:
                self._let_pass[id(one)] = record.name
            if is_choosy:
                text = f"its filter {name} keeps some probes back, and lets others pass"
                cure = "have it let records pass that carry an event, unless that is meant"
                found.append(a_warning("filter-keeps-some", whose, text, cure))
            elif not passed:
                text = f"its filter {name} keeps a probe back"
                cure = "take the filter off, or have it let records pass that carry an event"
                found.append(a_stop("filter-keeps-back", whose, text, cure))
            elif getattr(record, "rudder", None) is None:
                text = f"its filter {name} takes the event off the record"
                cure = "have it leave the attribute `rudder` in place"
                found.append(a_stop("filter-takes-event", whose, text, cure))
        return record, found

    def _is_choosy(self, one: Any, record: logging.LogRecord) -> bool:
        """Tell if a filter that kept a record back lets others pass that are like it."""
        before = self._let_pass.get(id(one))
        if any(_ask(one, self._another(record, record.name)) for _ in range(_ASKED_AGAIN)):
            return True
        # It may go by the logger's name. But if it now keeps back what it let pass, it limits how
        # many may come, and it is the doctor who asks for too many.
        return before is not None and not _ask(one, self._another(record, before))

    def _another(self, record: logging.LogRecord, name: str) -> logging.LogRecord:
        # A copy, because filters before this one may have added what it looks at.
        another = copy.copy(record)
        another.name = name
        another.msg, another.rudder = self._words()
        return another

    def _words(self) -> tuple[str, dict[str, Any]]:
        text = f"Doctor's Probe {next(self._numbers)}"
        return text, {"type": "track", "user_id": "rudder-logging-doctor", "event": text}


def _ask(one: Any, record: logging.LogRecord) -> Any:
    return one.filter(record) if hasattr(one, "filter") else one(record)


def _name_of(one: object) -> str:
    if type(one) is logging.Filter:
        return f"Filter({one.name!r})"
    return getattr(one, "__qualname__", None) or type(one).__name__
