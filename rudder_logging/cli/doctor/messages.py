"""Checks of events in a file: by the event types' rules, and by a warehouse's."""

from __future__ import annotations

from collections.abc import Iterator

from ...checks.personal_data import marks
from ...checks.warehouse import EventNames, findings
from ..sources import Line, Source
from ..stored import UnsendableError, read_stored
from .findings import Finding, Severity

__all__ = ["examine"]

_MOST_KINDS = 1_000
_Kind = tuple[Severity, str, str]  # with code and sentence


def examine(source: Source) -> Iterator[Finding]:
    """Count what is wrong in JSON Lines: a spool's, dead letters, or a RudderFormatter's log.

    Args:
        source: The lines; those that hold no event are counted only.

    Raises:
        OSError: It can't be read.
    """
    events = others = beyond = 0
    kinds: dict[_Kind, list[int]] = {}  # how many, and the first one's line
    names = EventNames()
    for line in source.lines():
        if line is None or not line.text.strip():
            others += line is not None and line.is_too_long
            continue
        found = _kinds_of(line, names)
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


def _kinds_of(line: Line, names: EventNames) -> list[_Kind] | None:
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
    found = findings(stored.event)
    if name := names.finding(stored.event):
        found.append(name)
    kinds = [(Severity.WARNING, "warehouse", sentence) for sentence in found]
    personal = (f"{mark}; is it meant to leave?" for mark in marks(stored.event))
    return [*kinds, *((Severity.WARNING, "personal-data", sentence) for sentence in personal)]
