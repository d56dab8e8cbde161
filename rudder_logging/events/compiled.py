"""Encoders for the events that an app logs all the time, compiled from the table of event types.

The names of an event's fields, and its type, are its shape; an app has few of them. For each, a
function is compiled that does the work of `build` and `dumps` without their loops and calls. A
whole log call costs 15 % less for it. A value out of the ordinary (it has to be converted, say),
and such a shape (fields are merged, or wrong), are left to those two, which know all rules. A test
holds both ways to the same bytes and the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from .encoding import JSON_OPTIONS, MAX_VALUES, are_native, convert, stands_in
from .fields import normalise_event_name, normalise_id, normalise_mapping, normalise_text
from .ids import MOMENTS
from .table import ANONYMOUS_ID, CONTEXT, EVENT_TYPES, TRAITS, USER_ID, EventType, Field

__all__ = ["ENCODERS", "Encoder", "compile_encoder"]

Encoder = Callable[[Mapping[str, Any], object, float, Any], "bytes | None"]
"""From an event's fields, the message template, the time, and the formatter's `Defaults`, to the
message. None: `build` and `dumps` are to make it."""

_TAKEN_AS_IT_IS: dict[Callable[[str, Any], Any], str] = {
    normalise_id: "type({v}) is str and {v} and {v}.isascii() and {v}.isprintable()"
    " and {v}.strip() == {v}",
    normalise_event_name: "type({v}) is str and {v}.strip()",
    normalise_text: "type({v}) is str",
    normalise_mapping: "type({v}) is dict",
}
"""By rule, a condition under which it returns just the value; it is cheaper than the call."""

_MERGED = {"integrations"}
_MOST_SHAPES = 1_000

_FRAME = """
def encode(fields, template, now, defaults):
{values}
    begins, ends, moment, prefix, number = MOMENTS.current
    if not begins <= now < ends:
        begins, ends, moment, prefix, number = MOMENTS.at(now)
    try:
{guards}
        message = dumps({{{items}}}, None, JSON_OPTIONS)[:-1]
{returned}
    except (TypeError, ValueError):
        return None
"""
_GUARD = """
        {v} = {{**{v}}}
        if not are_native(map(type, {v}.values())):
            {v} = convert({v}, {depth}, [{room}])
"""
"""Orjson gets a copy: see `encoding`."""
_FILLED = """
        if not {v}:
            return None
"""
_WITHOUT_CONTEXT = """
        return message + defaults.ending
"""
_WITH_CONTEXT = """
        context = {context}
        if not (context and defaults.context.keys().isdisjoint(context)):
            return None
        context = dumps(context, None, JSON_OPTIONS)
        return message + defaults.before_context + context[1:] + defaults.after_context
"""
_TRAITS_IN_CONTEXT = """
        if "traits" in {v}:
            return None
"""
_VALUE = """
    {v} = {source}
    if not ({taken_as_it_is}):
        if {v} is None or stands_in({v}):
            return None
        {v} = rule_{v}({where!r}, {v})
"""
_VALUE_BY_TEMPLATE = """
    {v} = {source}
    if not ({taken_as_it_is} and {v}):
        return None
"""


ENCODERS: dict[tuple[Any, ...], Encoder | None] = {}
"""By shape: `(*fields,)`, or `(fields["type"], *fields)` if there is a type."""


def compile_encoder(shape: tuple[Any, ...]) -> Encoder | None:
    """Add the encoder for a shape that has none yet, and return it; None: it needs the long way."""
    if len(ENCODERS) >= _MOST_SHAPES:
        return None
    has_type = "type" in shape[1:]
    event_type, *names = shape if has_type else (None, *shape)
    row = EVENT_TYPES.get("track" if event_type is None else event_type)
    # No text but the table's own goes into the source: a member of an enum that is a str equals it,
    # and has another repr. And what nobody may ever log again is not kept.
    if row is None or not all(
        type(name) is str and (name in row.by_name or name == "type") for name in names
    ):
        return None
    encoder = ENCODERS[shape] = _compiled(row, names)
    return encoder


def _compiled(row: EventType, names: list[str]) -> Encoder | None:
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
    context, traits = variables.get(CONTEXT), variables.get(TRAITS)
    items = {"messageId": "prefix + str(number())", "type": repr(row.name), "channel": "'server'"}
    items |= {field.key: variables[field] for field in sources if field is not CONTEXT}
    items["originalTimestamp"] = "moment"
    room = MAX_VALUES - len(items)
    guards = [
        # What is sent in `context`, too, stands a level deeper there.
        _GUARD.format(v=v, room=room, depth=2 if field is TRAITS and row.traits_in_context else 1)
        for field, v in variables.items()
        if field.normalise is normalise_mapping
    ]
    if traits:  # empty ones are left out
        guards.append(_FILLED.format(v=traits))
    returned = _WITHOUT_CONTEXT
    if traits and row.traits_in_context:
        if context:
            guards.append(_TRAITS_IN_CONTEXT.format(v=context))
        within = f"{{**{context}, 'traits': {traits}}}" if context else f"{{'traits': {traits}}}"
        returned = _WITH_CONTEXT.format(context=within)
    elif context:
        returned = _WITH_CONTEXT.format(context=context)
    text = _FRAME.format(
        values="".join(values),
        guards="".join(guards),
        items=", ".join(f"{key!r}: {value}" for key, value in items.items()),
        returned=returned,
    )
    names: dict[str, Any] = {
        "dumps": orjson.dumps,
        "JSON_OPTIONS": JSON_OPTIONS,
        "are_native": are_native,
        "convert": convert,
        "stands_in": stands_in,
        "MOMENTS": MOMENTS,
        **{f"rule_{v}": field.normalise for field, v in variables.items()},
    }
    exec(text, names)  # noqa: S102 - made of the table's own names
    encoder: Encoder = names["encode"]
    return encoder
