"""What is wrong with events in a file: by the event types' rules, and by a warehouse's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import orjson

from .._events import validate
from .._warehouse import EventNames, findings
from ..exceptions import InvalidEventError
from ._doctor_findings import Finding, Severity

__all__ = ["examine"]

_LONGEST_LINE = 5_000_000  # bytes; no message is as long: a request may have 4,096,000
_MOST_KINDS = 1_000


def examine(stream: IO[bytes], name: str) -> Iterator[Finding]:
    """Count what is wrong in JSON Lines: a spool's, dead letters, or a RudderFormatter's log.

    Args:
        stream: The lines; those that hold no event are counted only.
        name: How findings call it.

    Raises:
        OSError: It can't be read.
    """
    events = others = beyond = 0
    kinds: dict[tuple[Severity, str], list[int]] = {}  # how many, and the first one's line
    names = EventNames()
    for number, line in enumerate(_lines(stream), 1):
        message = _event_in(line)
        if message is None:
            others += bool(line.strip())
            continue
        events += 1
        for kind in _kinds_of(message, names):
            if kind in kinds or len(kinds) < _MOST_KINDS:
                kinds.setdefault(kind, [0, number])[0] += 1
            else:
                beyond += 1
    for (severity, sentence), (count, number) in sorted(kinds.items(), key=_most_severe_first):
        text = f"{count} of {events} events, first in line {number}: {sentence}"
        yield Finding(severity, "messages", name, text)
    if beyond:
        text = f"{beyond} findings of more kinds than are counted one by one"
        yield Finding(Severity.WARNING, "messages", name, text)
    if not events:
        text = f"there is no event among {others} lines"
        cure = "give JSON Lines of a spool, of dead letters, or of a RudderFormatter"
        yield Finding(Severity.WARNING, "messages", name, text, cure)
    else:
        text = f"{events} events were looked at" + (
            f", {others} other lines skipped" * bool(others)
        )
        yield Finding(Severity.WELL, "messages", name, text)


def _most_severe_first(item: tuple[tuple[Severity, str], list[int]]) -> tuple[bool, int]:
    (severity, _), (count, _) = item
    return severity is not Severity.STOPS, -count


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines; of one that is too long to hold an event, just a blank."""
    while line := stream.readline(_LONGEST_LINE):
        if line.endswith(b"\n") or len(line) < _LONGEST_LINE:
            yield line
            continue
        while rest := stream.readline(_LONGEST_LINE):
            if rest.endswith(b"\n"):
                break
        yield b"(too long)"


def _event_in(line: bytes) -> dict[str, Any] | None:
    """The message of a line; None: it has none."""
    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    if isinstance(found, dict) and isinstance(found.get("message"), dict):
        found = found["message"]  # a dead letter
    if isinstance(found, dict) and "type" in found and ("messageId" in found or "channel" in found):
        return found
    return None


def _kinds_of(message: dict[str, Any], names: EventNames) -> Iterator[tuple[Severity, str]]:
    try:
        validate(message)
    except InvalidEventError as error:
        text, _, cure = str(error).partition("; ")
        yield Severity.STOPS, f"would be refused, or lost: {text}" + (f" ({cure})" * bool(cure))
    for sentence in findings(message):
        yield Severity.WARNING, sentence
    if sentence_on_name := names.finding(message):
        yield Severity.WARNING, sentence_on_name
