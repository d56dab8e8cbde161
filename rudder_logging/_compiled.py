"""Encoders for the events that an app logs all the time, compiled from the table of event types.

The names of an event's fields, and its type, are its shape; an app has few of them. For each, a
function is written and compiled that does what `build` and `dumps` would do, without their loops
and calls: a whole log call costs 15 % less for it. What is out of the ordinary in a value (it has
to be converted, say) or in a shape (fields that are merged, or wrong) is left to those two, which
know all rules; a test holds both ways to the same bytes and the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from ._encoding import JSON_OPTIONS, MAX_VALUES, jsonable, room_behind, utc_milliseconds
from ._events import ANONYMOUS_ID, EVENT_TYPES, USER_ID, EventType, Field
from ._fields import normalise_event_name, normalise_id, normalise_mapping, normalise_text
from ._ids import new_message_id

__all__ = ["ENCODERS", "Encoder"]

Encoder = Callable[[Mapping[str, Any], object, float], "bytes | None"]
"""From an event's fields, the message template and the time, to the message, short of the ending
that all messages without `context` and `integrations` have. None: `build` and `dumps` are to."""

_TAKEN_AS_IT_IS: dict[Callable[[str, Any], Any], str] = {
    normalise_id: "type({v}) is str and {v}.isascii() and {v}.isalnum()",
    normalise_event_name: "type({v}) is str and {v}.strip()",
    normalise_text: "type({v}) is str",
    normalise_mapping: "type({v}) is dict",
}
"""By rule, a condition under which it returns just the value, and that is cheaper than the call."""

_MERGED = {"context", "integrations", "traits"}
_MOST_SHAPES = 1_000

_FRAME = """
def encode(fields, template, now):
{values}
    message = {{{items}, "originalTimestamp": utc_milliseconds(now)}}
    try:
        if {is_too_deep}:
            return None
        return dumps(message, jsonable, JSON_OPTIONS)[:-1]
    except (TypeError, ValueError, RuntimeError):
        return None
"""
_VALUE = """
    {v} = {source}
    if not ({taken_as_it_is}):
        if {v} is None:
            return None
        {v} = rule_{v}({where!r}, {v})
"""
_VALUE_BY_TEMPLATE = """
    {v} = {source}
    if not ({taken_as_it_is} and {v}):
        return None
"""


class _Encoders(dict[tuple[Any, ...], "Encoder | None"]):
    def __missing__(self, shape: tuple[Any, ...]) -> Encoder | None:
        if len(self) >= _MOST_SHAPES:
            return None
        encoder = self[shape] = _compiled(*shape)
        return encoder


ENCODERS = _Encoders()
"""By shape: `(fields.get("type"), *fields)`. A new one is compiled when it is asked for."""


def _compiled(event_type: Any, *names: Any) -> Encoder | None:
    row = EVENT_TYPES.get("track" if event_type is None else event_type)
    if row is None:
        return None
    sources: dict[Field, str] = {}
    for name in names:
        field = row.by_name.get(name)
        if field is not None and field not in sources and field.key not in _MERGED:
            sources[field] = f"fields[{name!r}]"
        elif name != "type":
            return None
    by_template = row.template_field
    if by_template is not None and by_template not in sources:
        sources[by_template] = "template"
    if not sources.keys() >= {*row.required} or sources.keys().isdisjoint({USER_ID, ANONYMOUS_ID}):
        return None
    return _written(row, sources)


def _written(row: EventType, sources: dict[Field, str]) -> Encoder:
    variables = {field: f"v{number}" for number, field in enumerate(sources)}
    values = [
        (_VALUE_BY_TEMPLATE if source == "template" else _VALUE).format(
            v=variables[field],
            source=source,
            taken_as_it_is=_TAKEN_AS_IT_IS.get(field.normalise, "False").format(v=variables[field]),
            where=f"{row.name}: {field.arg!r}",
        )
        for field, source in sources.items()
    ]
    items = {"messageId": "new_message_id(now)", "type": repr(row.name), "channel": "'server'"}
    items |= {field.key: variables[field] for field in sources}
    containers = [v for field, v in variables.items() if field.normalise is normalise_mapping]
    room = MAX_VALUES - len(items) - 1
    text = _FRAME.format(
        values="".join(values),
        items=", ".join(f"{key!r}: {value}" for key, value in items.items()),
        is_too_deep=" or ".join(f"room_behind({v}, 2, {room}) < 0" for v in containers) or "False",
    )
    names: dict[str, Any] = {
        "dumps": orjson.dumps,
        "jsonable": jsonable,
        "JSON_OPTIONS": JSON_OPTIONS,
        "room_behind": room_behind,
        "utc_milliseconds": utc_milliseconds,
        "new_message_id": new_message_id,
        **{f"rule_{v}": field.normalise for field, v in variables.items()},
    }
    exec(text, names)  # noqa: S102 - made of the table's own names
    encoder: Encoder = names["encode"]
    return encoder
