"""Entries of the page: one for each event stored, or one for a refused request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ...events.table import EVENT_TYPES
from ...sinks.gateway.body import WITHOUT_EVENTS
from .. import gateway
from ..inbox import ReceivedRequest, problem

__all__ = ["KINDS", "Entry", "Judge", "entries_of", "is_probe"]

KINDS = (*EVENT_TYPES, "other", "refused")
"""Kinds that are counted: seven types, any other that the gateway takes, refused requests."""

Judge = Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]
"""A check of an event. It returns pairs of a verdict (`warn` or `plan`) and a sentence."""

_WORST_LAST = ("ok", "warn", "plan", "lost")
_LONGEST_LABEL = 200
_MOST_WORDS = 100
_LONGEST_REFUSED = 256 * 1024
"""Bytes. Of a larger body that is refused, only the event that it is refused for is shown."""


@dataclass(frozen=True)
class Entry:
    """One line of the page.

    Args:
        kind: Of `KINDS`.
        shown: What the page gets: a JSON object.
    """

    kind: str
    shown: bytes

    @property
    def message(self) -> str | None:
        """The event as JSON; None: a refused request."""
        text: str | None = orjson.loads(self.shown).get("json")
        return text


def is_probe(request: ReceivedRequest) -> bool:
    """Tell if it is an upload without events, which a client of ours sends as a test."""
    is_ours = request.headers.get("user-agent", "").startswith("rudder-logging/")
    return is_ours and request.body == WITHOUT_EVENTS


def entries_of(
    request: ReceivedRequest,
    events: Sequence[dict[str, Any]],
    judges: Sequence[Judge],
    now: float,
) -> list[Entry]:
    """One entry for each event stored; if there are none, one for the request.

    Args:
        request: It, with its answer.
        events: What was stored of it.
        judges: What else to say of each event.
        now: When it came, in seconds since 1970.
    """
    common = {"time": round(now * 1000), "path": _label(request.path)}
    if not events:
        return [_refused(request, common)]
    if request.status is None:
        judges = [*judges, _cut]
    common["count"] = len(events)
    return [_stored(event, judges, common) for event in events]


def _stored(event: dict[str, Any], judges: Sequence[Judge], common: Mapping[str, Any]) -> Entry:
    words = problem(event)
    findings = [("lost", words)] if words else []
    for judge in judges:
        findings += judge(event)
    kind = _kind(event)
    shown = {
        **common,
        **_summary(event),
        "kind": kind,
        "verdict": max((verdict for verdict, _ in findings), key=_WORST_LAST.index, default="ok"),
        "words": _shortened([sentence for _, sentence in findings]),
        "json": _json(event),
    }
    return Entry(kind, _packed(shown))


def _shortened(words: list[str]) -> list[str]:
    rest = len(words) - _MOST_WORDS
    return [*words[:_MOST_WORDS], f"and {rest:,} more findings"] if rest > 0 else words


def _packed(shown: Mapping[str, Any]) -> bytes:
    """As JSON, in a copy: what orjson returns was cut from a larger block.

    The rests of those blocks, kept apart by what is held, came to ten times its size.
    """
    return bytes(memoryview(orjson.dumps(shown)))


def _cut(_event: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "warn", "stored, but the connection was cut before the answer"


def _refused(request: ReceivedRequest, common: Mapping[str, Any]) -> Entry:
    words = [request.text or "no answer; the connection was cut"]
    events, fault = _read(request)
    culprit = request.culprit
    kept: Iterable[int] = range(len(events))
    if len(request.body) > _LONGEST_REFUSED:
        words.append(f"the body has {len(request.body):,} bytes, too many to show them all")
        kept = () if culprit is None else (culprit,)
    first = events[culprit or 0] if events else None
    shown = {
        **common,
        **_summary(first if isinstance(first, dict) else {}),
        "kind": "refused",
        "verdict": "refused",
        "words": [*words, fault] if fault else words,
        "count": len(events),
        "method": request.method,
        "status": request.status,
        "culprit": culprit,
        "events": [[index, _json(events[index])] for index in kept],
        "body": request.body[:_LONGEST_REFUSED].decode(errors="replace") if fault else "",
    }
    return Entry("refused", _packed(shown))


def _read(request: ReceivedRequest) -> tuple[list[Any], str]:
    """The events in a refused body; or why they can't be told, and where."""
    try:
        return gateway.events_in(request.path, request.body), ""
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        fault = f"it is no JSON from {place} on: {error.msg}" if request.body else ""
    except ValueError as error:
        fault = f"{error} is not JSON"
    return [], fault


def _kind(event: Mapping[str, Any]) -> str:
    given = event.get("type")
    return given if isinstance(given, str) and given in EVENT_TYPES else "other"


def _summary(event: Mapping[str, Any]) -> dict[str, str]:
    """Type, event, user and the event's own time, as a line has room for them."""
    named = (event.get(key) for key in ("event", "name", "groupId", "previousId"))
    users = (event.get(key) for key in ("userId", "anonymousId"))
    moments = (event.get(key) for key in ("timestamp", "originalTimestamp"))  # as destinations do
    return {
        "type": _label(event.get("type")),
        "event": _label(next((name for name in named if name), None)),
        "user": _label(next((user for user in users if user), None)),
        "happened": _label(next((moment for moment in moments if moment), None)),
    }


def _label(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else _json(value)
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"


def _json(value: Any) -> str:
    """A value that was parsed from JSON, as JSON again."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits, or over 254 levels
        try:
            return json.dumps(value, ensure_ascii=False)
        except RecursionError:
            return '"nested too deeply to show"'
