"""Checks of events in a file: by the event types' rules, a warehouse's, and a tracking plan's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...checks.drift import Types
from ...checks.personal_data import marks
from ...checks.plan import TrackingPlan
from ...checks.warehouse import EventNames, findings
from ..sources import Line, Source
from ..stored import UnsendableError, read_stored
from .findings import Finding, Severity

__all__ = ["examine"]

_MOST_KINDS = 1_000
_Kind = tuple[Severity, str, str]  # with code and sentence


def examine(source: Source, plan: TrackingPlan | None = None) -> Iterator[Finding]:
    """Count what is wrong in JSON Lines: a spool's, dead letters, or a RudderFormatter's log.

    Args:
        source: The lines; those that hold no event are counted only.
        plan: Events are held to it, and types of columns to its own.

    Raises:
        ConfigError: The plan refers to a schema that it does not have.
        OSError: It can't be read.
    """
    events = others = beyond = 0
    kinds: dict[_Kind, list[int]] = {}  # how many, and the first one's line
    checks = _Checks(plan)
    for line in source.lines():
        if line is None or not line.text.strip():
            others += line is not None and line.is_too_long
            continue
        found = checks.kinds_of(line)
        if found is None:
            others += 1
            continue
        events += 1
        for kind in found:
            if kind in kinds or len(kinds) < _MOST_KINDS:
                kinds.setdefault(kind, [0, line.number])[0] += 1
            else:
                beyond += 1
    for (severity, code, sentence), (count, number) in sorted(kinds.items(), key=_worst_first):
        text = f"{count} of {events} events, first in line {number}: {sentence}"
        yield Finding(severity, "messages", code, text, "", source.name)
    if beyond:
        text = f"{beyond} findings of more kinds than are counted one by one"
        yield Finding(Severity.WARNING, "messages", "more-kinds", text, "", source.name)
    if events:
        text = f"events looked at: {events}; other lines skipped: {others}"
        yield Finding(Severity.WELL, "messages", "events-seen", text, "", source.name)
    else:
        text = f"there is no event among {others} lines"
        cure = "give JSON Lines of a spool, of dead letters, or of a RudderFormatter"
        yield Finding(Severity.WARNING, "messages", "no-events", text, cure, source.name)


def _worst_first(item: tuple[_Kind, list[int]]) -> tuple[bool, int]:
    (severity, *_), (count, _) = item
    return severity is not Severity.STOPS, -count


class _Checks:
    """All checks of events; some compare one with those before it."""

    def __init__(self, plan: TrackingPlan | None) -> None:
        self._plan = plan
        self._names = EventNames()
        self._types = Types(plan)

    def kinds_of(self, line: Line) -> list[_Kind] | None:
        """Kinds of faults in a line's event; None: the line has no event."""
        try:
            stored = read_stored(line.text)
        except UnsendableError as error:
            if line.is_torn:
                return None  # perhaps it is being written
            text, _, cure = str(error).partition("; ")
            sentence = f"can't be sent: {text}" + (f" ({cure})" if cure else "")
            return [(Severity.STOPS, "unsendable", sentence)]
        if stored is None:
            return None
        found = self._of_event(stored.event, f"line {line.number}")
        return [(Severity.WARNING, code, sentence) for code, sentence in found]

    def _of_event(self, event: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
        for sentence in findings(event):
            yield "warehouse", sentence
        if name := self._names.finding(event):
            yield "warehouse", name
        for drift in self._types.look_at(event, place):
            yield "types", str(drift)
        if words := self._types.full():
            yield "types", words
        if fault := self._plan.verdict(event) if self._plan else None:
            yield "plan", f"not as planned: {fault}"
        for mark in marks(event):
            yield "personal-data", f"{mark}; is it meant to leave?"
