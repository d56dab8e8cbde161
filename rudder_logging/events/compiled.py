"""Encoders for the events that an app logs all the time, compiled from the table of event types.

The names of an event's fields, its type, and the names of what is bound are its shape; an app has
few of them. For each, a function is compiled that does the work of `build` and `dumps` without
their loops and calls. A whole log call costs 15 % less for it, and 60 % where something is bound.
The first one of a shape trusts in plain values: see `encoding`. Once an event has others, dates
say, another takes its place, which looks at each value. What is out of the ordinary is left to
those two, which know all rules. A test holds all ways to the same bytes and the same errors.

With redaction, the encoders are others, and know which keys are harmless: see `privacy/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from gc import is_tracked
from typing import Any, Protocol

import orjson

from .encoding import JSON_OPTIONS, MAX_VALUES, are_native, convert, copy_within, stands_in
from .fields import (
    are_known_integrations,
    normalise_event_name,
    normalise_id,
    normalise_integrations,
    normalise_mapping,
    normalise_text,
)
from .ids import MOMENTS
from .table import (
    ANONYMOUS_ID,
    CONTEXT,
    EVENT_TYPES,
    INTEGRATIONS,
    TRAITS,
    USER_ID,
    EventType,
    Field,
    merge_mappings,
)

__all__ = [
    "Encoder",
    "Redacts",
    "compile_encoder",
    "compile_redacting_encoder",
    "encoders_with",
]

Encoder = Callable[[Mapping[str, Any], object, float, Any, Mapping[str, Any]], "bytes | None"]
"""From an event's fields, the message template, the time, the `Defaults`, and what is bound by wire
key, to the message. None: `build` and `dumps` are to make it."""

_TAKEN_AS_IT_IS: dict[Callable[[str, Any], Any], str] = {
    normalise_id: "type({v}) is str and {v} and {v}.isascii() and {v}.isprintable()"
    " and {v}.strip() is {v}",
    normalise_event_name: "type({v}) is str and {v}.strip()",
    normalise_text: "type({v}) is str",
    normalise_mapping: "type({v}) is dict",
    normalise_integrations: """(
        type({v}) is dict and type({v}.get("All", True)) is bool and are_known_integrations({v})
    )""",
}
"""By rule, a condition under which it returns just the value; it is cheaper than the call."""

_MAPPINGS = {normalise_mapping, normalise_integrations}
_MOST_SHAPES = 1_000

_FRAME = """
def encode(fields, template, now, defaults, bound):
{values}
    begins, ends, moment, prefix, number = MOMENTS.current
    if not begins <= now < ends:
        begins, ends, moment, prefix, number = MOMENTS.at(now)
    try:
{steps}
        message = dumps({{{items}}}, None, JSON_OPTIONS)[:-1]
        message += {ending}
        if {line_end} not in message:
            return message
    except (TypeError, ValueError):
        return {otherwise}
"""
"""Messages are kept as lines: a line end comes from an `orjson.Fragment`."""
_LINE_END = ord("\n")  # to look for bytes costs 0.27 us more than for a number
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
_COPY = """
        {v} = {{**{v}}}
"""
"""Orjson gets a copy: see `encoding`."""
_OVER_BOUND = """
        {v} = merge_mappings(bound[{key!r}], {v})
"""
_OVER_DEFAULTS = {
    # Where no key collides, bytes are joined, or dicts: that saves 6 % of a call.
    CONTEXT: """
        are_apart = {v} and defaults.context.keys().isdisjoint({v})
        if not are_apart:
            {v} = merge_mappings(defaults.context, {v})
""",
    INTEGRATIONS: """
        if defaults.integrations.keys().isdisjoint({v}):
            {v} = {{**defaults.integrations, **{v}}}
        else:
            {v} = merge_mappings(defaults.integrations, {v})
""",
}
_GUARD = """
        if is_tracked({v}) or not are_native(map(type, {v}.values())):
            if convert({v}, {depth}, [{room}]) is not {v}:
                return None
"""
"""`convert` returns another dict if keys had to become text: then the long way sends that."""
_TRUSTING_GUARD = """
        if is_tracked({v}):
            copy_within({v}, {depth}, {room} - len({v}))
"""
"""That saves 2 to 8 % of a call."""
_REDACTING_GUARD = """
        if is_tracked({v}) or not are_harmless({v}) or not are_native(map(type, {v}.values())):
            if not clean_closely({v}, {depth}, {room}):
                return None
"""
_TRUSTING_REDACTING_GUARD = """
        if is_tracked({v}) or not are_harmless({v}) or not are_native(map(type, {v}.values())):
            clean_within({v}, {depth}, {room} - len({v}))
"""
_GUARDS = {
    (False, False): _GUARD,
    (True, False): _TRUSTING_GUARD,
    (False, True): _REDACTING_GUARD,
    (True, True): _TRUSTING_REDACTING_GUARD,
}
"""By whether it trusts in plain values, and whether it redacts."""
_FILLED = """
        if not {v}:
            return None
"""
_TRAITS_IN_CONTEXT = """
        if "traits" in defaults.context:
            return None
        context = {{"traits": {traits}}}
        are_apart = True
"""
_TRAITS_IN_CONTEXT_TOO = """
        context = {v}
        if "traits" in context or "traits" in defaults.context:
            return None
        context["traits"] = {traits}
"""
_CONTEXT = """
        context = {v}
"""
_OWN_CONTEXT = """(
            defaults.before_context + dumps(context, None, JSON_OPTIONS)[1:] if are_apart
            else b',"context":' + dumps(context, None, JSON_OPTIONS)
        )"""
_OWN_INTEGRATIONS = """b',"integrations":' + dumps({v}, None, JSON_OPTIONS)"""


_ENCODERS_WITH: dict[tuple[str, ...], dict[tuple[Any, ...], Encoder | None]] = {}


def encoders_with(bound: tuple[str, ...]) -> dict[tuple[Any, ...], Encoder | None]:
    """Encoders by shape, for events under which fields of such wire keys are bound.

    A shape is `(*fields,)`, or `(fields["type"], *fields)` if there is a type.
    """
    return _ENCODERS_WITH.setdefault(bound, {})


def compile_encoder(
    shape: tuple[Any, ...], bound: tuple[str, ...] = (), *, trusts: bool = True
) -> Encoder | None:
    """Add the encoder for a shape, and return it; None: it needs the long way.

    Args:
        shape: See `encoders_with`.
        bound: Likewise.
        trusts: It trusts in plain values, and has another take its place once there are others.
    """
    look_closer = partial(_look_closer, shape, bound) if trusts else None
    return _compile_into(encoders_with(bound), shape, bound, look_closer)


class Redacts(Protocol):
    """Redaction as encoders do it: see `compile_redacting_encoder`."""

    are_harmless: Callable[[Mapping[Any, Any]], bool]
    """True if nothing is to be done to a dict's own level. False: the others are to see it."""

    def clean_within(self, copy: dict[Any, Any], depth: int, room: int) -> int:
        """Do what `copy_within` does, and redact."""
        ...

    def clean_closely(self, copy: dict[Any, Any], depth: int, room: int) -> bool:
        """Do what `convert` does, and redact. False: its keys are to be made text first."""
        ...


def compile_redacting_encoder(
    encoders: dict[tuple[Any, ...], Encoder | None],
    shape: tuple[Any, ...],
    bound: tuple[str, ...],
    redacts: Redacts,
    *,
    trusts: bool = True,
) -> Encoder | None:
    """Do as `compile_encoder`, for an encoder that redacts each mapping of an event's own.

    Args:
        encoders: It is added to these.
        shape: See `encoders_with`.
        bound: Likewise.
        redacts: Does so.
        trusts: See `compile_encoder`.
    """

    def look_closer(*event: Any) -> bytes | None:
        encoder = compile_redacting_encoder(encoders, shape, bound, redacts, trusts=False)
        return None if encoder is None else encoder(*event)

    return _compile_into(encoders, shape, bound, look_closer if trusts else None, redacts)


def _compile_into(
    encoders: dict[tuple[Any, ...], Encoder | None],
    shape: tuple[Any, ...],
    bound: tuple[str, ...],
    look_closer: Encoder | None,
    redacts: Redacts | None = None,
) -> Encoder | None:
    if len(encoders) >= _MOST_SHAPES and shape not in encoders:
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
    encoder = encoders[shape] = _compiled(row, names, bound, look_closer, redacts)
    return encoder


def _look_closer(shape: tuple[Any, ...], bound: tuple[str, ...], *event: Any) -> bytes | None:
    encoder = compile_encoder(shape, bound, trusts=False)
    return None if encoder is None else encoder(*event)


def _compiled(
    row: EventType,
    names: list[str],
    bound: tuple[str, ...],
    look_closer: Encoder | None,
    redacts: Redacts | None,
) -> Encoder | None:
    sources: dict[Field, str] = {}
    for name in names:
        field = row.by_name.get(name)
        if field is not None and field not in sources:
            sources[field] = f"fields[{name!r}]"
        elif name != "type":
            return None
    merged = {field for field in sources if field.key in bound}
    for key in bound:
        field = row.by_name.get(key)
        if field is not None and field not in merged:
            sources[field] = f"bound[{key!r}]"
    by_template = row.template_field
    if by_template is not None and by_template not in sources:
        sources[by_template] = "template"
    if not sources.keys() >= {*row.required} or sources.keys().isdisjoint({USER_ID, ANONYMOUS_ID}):
        return None
    return _written(row, sources, merged, look_closer, redacts)


def _written(
    row: EventType,
    sources: dict[Field, str],
    merged: set[Field],
    look_closer: Encoder | None,
    redacts: Redacts | None,
) -> Encoder:
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
    items = {"messageId": "prefix + str(number())", "type": repr(row.name), "channel": "'server'"}
    items |= {field.key: v for field, v in variables.items() if field not in _OVER_DEFAULTS}
    items["originalTimestamp"] = "moment"
    context, traits = variables.get(CONTEXT), variables.get(TRAITS)
    integrations = variables.get(INTEGRATIONS)
    are_in_context = traits is not None and row.traits_in_context
    steps = []
    guard = _GUARDS[look_closer is not None, redacts is not None]
    for field, v in variables.items():
        if field.normalise in _MAPPINGS:
            steps.append(_COPY.format(v=v))
            if field in merged:
                steps.append(_OVER_BOUND.format(v=v, key=field.key))
            if field in _OVER_DEFAULTS:
                steps.append(_OVER_DEFAULTS[field].format(v=v))
            # What is sent in `context`, too, stands a level deeper there.
            depth = 2 if field is TRAITS and are_in_context else 1
            room = MAX_VALUES - len(items)
            steps.append(guard.format(v=v, depth=depth, room=room))
            if redacts is not None and field is CONTEXT:
                steps.append(_FILLED.format(v=v))  # nothing may be left of it
    if traits:  # empty ones are left out
        steps.append(_FILLED.format(v=traits))
    if are_in_context:
        step = _TRAITS_IN_CONTEXT_TOO if context else _TRAITS_IN_CONTEXT
        steps.append(step.format(v=context, traits=traits))
    elif context:
        steps.append(_CONTEXT.format(v=context))
    if context or are_in_context:
        ending = [_OWN_CONTEXT, "defaults.after_context"]
    else:
        ending = ["defaults.only_context" if integrations else "defaults.ending"]
    if integrations:
        ending[1:] = [_OWN_INTEGRATIONS.format(v=integrations)]
    text = _FRAME.format(
        values="".join(values),
        steps="".join(steps),
        items=", ".join(f"{key!r}: {value}" for key, value in items.items()),
        ending=" + ".join(ending),
        line_end=_LINE_END,
        otherwise="look_closer(fields, template, now, defaults, bound)" if look_closer else None,
    )
    names: dict[str, Any] = {
        "dumps": orjson.dumps,
        "JSON_OPTIONS": JSON_OPTIONS,
        "are_known_integrations": are_known_integrations,
        "are_native": are_native,
        "convert": convert,
        "copy_within": copy_within,
        "is_tracked": is_tracked,
        "look_closer": look_closer,
        "merge_mappings": merge_mappings,
        "stands_in": stands_in,
        "MOMENTS": MOMENTS,
        **{f"rule_{v}": field.normalise for field, v in variables.items()},
    }
    if redacts is not None:
        names["are_harmless"] = redacts.are_harmless
        names["clean_within"] = redacts.clean_within
        names["clean_closely"] = redacts.clean_closely
    exec(text, names)  # noqa: S102 - made of the table's own names
    encoder: Encoder = names["encode"]
    return encoder
