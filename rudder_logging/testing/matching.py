"""Comparison of a recorded event with what a test expects, and differences in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from ..events.encoding import dumps
from ..events.table import EVENT_TYPES, MERGE_PROPERTIES, USER_ID, Field, nearest
from ..exceptions import InvalidEventError

__all__ = ["closest", "describe", "differences", "expectation", "in_words", "listed"]

_LONGEST_VALUE = 80
_MOST_LINES = 10
_FIELDS = {name: field for row in EVENT_TYPES.values() for name, field in row.by_name.items()}
_MISSING = object()


def expectation(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what a test gives into fields that are expected, by wire key.

    Args:
        fields: Names in snake_case or camelCase, and `type`.

    Raises:
        TypeError: No event has a field of that name.
        ValueError: No event is of that type.
    """
    expected = {}
    for name, value in fields.items():
        field = _FIELDS.get(name)
        if name == "type":
            if not any(value == known for known in EVENT_TYPES):
                raise ValueError(f"'type' must be one of {', '.join(EVENT_TYPES)}, not {value!r}")
            expected["type"] = value
        elif field is None:
            raise TypeError(f"events have no field {name!r}{nearest(name, _FIELDS)}")
        else:
            expected[field.key] = _as_sent(field, value)
    return expected


def _as_sent(field: Field, value: Any) -> Any:
    """A value as it is on the wire, if an app may give it for that field; if not, as it is."""
    if field is MERGE_PROPERTIES and isinstance(value, (list, tuple)):  # perhaps not all of them
        return [
            {key: _as_sent(USER_ID, part) for key, part in item.items()}
            if isinstance(item, Mapping)
            else item
            for item in value
        ]
    with contextlib.suppress(InvalidEventError):
        return field.normalise("", value)
    return value


def differences(expected: Mapping[str, Any], event: Mapping[str, Any]) -> list[str]:
    """Describe the fields that differ from what is expected. Other fields are ignored.

    Args:
        expected: By wire key. Values as an app gives them, or anything that compares equal to
            what is on the wire; None: it is not there.
        event: As on the wire.
    """
    return [text for text, _number in _of_mapping(expected, event, "")]


_Difference = tuple[str, int]
"""In words; and how many values of the expectation are not as they should be."""


def _of_mapping(
    expected: Mapping[Any, Any], actual: Mapping[str, Any], path: str
) -> Iterator[_Difference]:
    for name, value in expected.items():
        key = str(name)
        place = f"{path}.{key}" if path else key
        if value is None and actual.get(key) is None:
            continue
        found = actual.get(key, _MISSING)
        if found is _MISSING:
            like = nearest(key, actual).replace("; did you mean ", "; there is ").rstrip("?")
            yield f"{place} is missing, not {_short(value)}{like}", _leaves(value)
        else:
            yield from _of_value(value, found, place)


def _of_value(expected: Any, actual: Any, path: str) -> Iterator[_Difference]:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        yield from _of_mapping(expected, actual, path)
    elif isinstance(expected, (list, tuple)) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path} has {len(actual)} items, not {len(expected)}", 1
        for number, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from _of_value(one, other, f"{path}[{number}]")
    elif not _equal(expected, actual):
        text = f"{path} is {_short(actual, expected)}, not {_short(expected, actual)}"
        yield text, _leaves(expected)


def _leaves(expected: Any) -> int:
    if isinstance(expected, Mapping):
        expected = list(expected.values())
    if isinstance(expected, (list, tuple)):
        return max(1, sum(map(_leaves, expected)))
    return 1


def _equal(expected: Any, actual: Any) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual or (not isinstance(expected, (bool, int)) and expected == actual)
    try:
        if expected == actual:
            return True
        return bool(orjson.loads(dumps({"value": expected}))["value"] == actual)
    except (InvalidEventError, ValueError):  # a numpy array's == has no truth
        return False


def describe(event: Mapping[str, Any]) -> str:
    """An event in a few words: `track 'Article Read' by '123'`."""
    row = EVENT_TYPES[event["type"]]
    name = event.get(row.template_field.key) if row.template_field else None
    person = event.get("userId", event.get("anonymousId"))
    return row.name + (f" {_short(name)}" if name is not None else "") + f" by {_short(person)}"


def in_words(expected: Mapping[str, Any]) -> str:
    """An expectation in a few words: `track event with event='Article Read'`."""
    kind = expected.get("type")
    rest = [f"{key}={_short(value)}" for key, value in expected.items() if key != "type"]
    return (f"{kind} event" if isinstance(kind, str) else "event") + (
        f" with {', '.join(rest)}" if rest else ""
    )


def closest(
    expected: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], list[str]] | None:
    """The event that comes nearest to what is expected, and where it differs; None: there is none.

    One of the type that is expected comes before any other, then one of that name, then the one
    that has the most of what is expected.
    """
    import difflib  # noqa: PLC0415 - costly, and only for failures

    def distance(event: Mapping[str, Any]) -> tuple[int, int, int, float]:
        others = [
            sum(key in expected and not _equal(expected[key], event.get(key)) for key in keys)
            for keys in (("type",), ("event", "name"))
        ]
        leaves = sum(leaves for _words, leaves in _of_mapping(expected, event, ""))
        alike = difflib.SequenceMatcher(None, _text(expected), _text(event)).ratio()
        return others[0], others[1], leaves, -alike

    if not events:
        return None
    nearest_event = min(events, key=distance)
    return nearest_event, differences(expected, nearest_event)


def _text(event: Mapping[str, Any]) -> str:
    """Name and user of an event as text, for a rough comparison."""
    return "".join(f"{event[key]}\n" for key in ("event", "name", "userId") if key in event)


def listed(lines: Iterable[str]) -> str:
    """Lines below a sentence, not too many of them."""
    shown = [f"\n  {line}" for line in lines]
    more = len(shown) - _MOST_LINES
    return "".join(shown[:_MOST_LINES]) + (f"\n  ... and {more} more" if more > 0 else "")


def _short(value: object, other: object = None) -> str:
    """A value's repr; of a long text, what stands where it begins to differ from another."""
    if isinstance(value, str) and isinstance(other, str) and len(value) > _LONGEST_VALUE:
        same = next((i for i, (a, b) in enumerate(zip(value, other, strict=False)) if a != b), 0)
        start = max(0, same - _LONGEST_VALUE // 4)
        end = start + _LONGEST_VALUE
        cut = value[start:end]
        return ("..." if start else "") + repr(cut) + ("..." if end < len(value) else "")
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
