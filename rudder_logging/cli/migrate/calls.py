"""A call's arguments, as they have to be here to mean the same."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from .names import Sdk
from .uses import Uses

__all__ = ["arguments_of_client", "arguments_of_event"]

_RENAMED = {"flush_at": "upload_size", "flush_interval": "upload_interval"}
_NAIVE_NOW = frozenset({"datetime.datetime.now", "datetime.datetime.today"})
_TIMESTAMPS = {"alias": 3, "page": 5, "screen": 5, "group": 4, "track": 4, "identify": 3}
"""Positions of `timestamp`, in all SDKs."""
_INTEGRATIONS = {"alias": 4, "page": 7, "screen": 7, "group": 6, "track": 6, "identify": 5}
_BY_POSITION = 2
"""Arguments that `Client` has by position."""


def _value_at(args: Sequence[cst.Arg], name: str, position: int) -> int | None:
    """Find the argument of a name, or else at a position, if none before it is `*args`."""
    for index, arg in enumerate(args):
        if arg.keyword is not None and arg.keyword.value == name:
            return index
    before = args[: position + 1]
    if len(before) > position and all(not arg.star and arg.keyword is None for arg in before):
        return position
    return None


def arguments_of_event(
    event_type: str, before: Sequence[cst.Arg], args: Sequence[cst.Arg], uses: Uses
) -> list[cst.Arg]:
    """The arguments of one of the calls.

    The SDKs take a naive time of this moment for local time, this package takes it for UTC. And
    Segment reads `all` among the integrations, RudderStack's server reads `All`.

    Args:
        event_type: The call's name.
        before: As they were, which `uses` knows.
        args: As they are.
        uses: What their names refer to.
    """
    changed = list(args)
    time = _value_at(args, "timestamp", _TIMESTAMPS.get(event_type, len(args)))
    if time is not None and _is_naive_now(before[time].value, uses):
        aware = cst.Call(cst.Attribute(args[time].value, cst.Name("astimezone")))
        changed[time] = args[time].with_changes(value=aware)
    chosen = _value_at(args, "integrations", _INTEGRATIONS.get(event_type, len(args)))
    if chosen is not None:
        changed[chosen] = args[chosen].with_changes(value=_with_all(args[chosen].value))
    return changed


def _is_naive_now(value: cst.BaseExpression, uses: Uses) -> bool:
    if not isinstance(value, cst.Call) or value.args:
        return False
    return not _NAIVE_NOW.isdisjoint(uses.imported(value.func))


def _with_all(value: cst.BaseExpression) -> cst.BaseExpression:
    if not isinstance(value, cst.Dict):
        return value
    return value.with_changes(elements=[_with_all_named(element) for element in value.elements])


def _with_all_named(element: cst.BaseDictElement) -> cst.BaseDictElement:
    key = element.key if isinstance(element, cst.DictElement) else None
    if not isinstance(key, cst.SimpleString) or key.raw_value != "all":
        return element
    return element.with_changes(key=key.with_changes(value=key.value.replace("all", "All")))


def arguments_of_client(sdk: Sdk, args: Sequence[cst.Arg]) -> list[cst.Arg]:
    """The arguments of a `Client`: named from the third on, in this package's names.

    `thread` goes: one sender keeps events in order.
    """
    changed: list[cst.Arg] = []
    for position, arg in enumerate(args):
        name = arg.keyword.value if arg.keyword is not None else ""
        if not name and arg.star:
            return list(args)  # nobody knows what is in it
        if not name and _BY_POSITION <= position < len(sdk.client_order):
            name = sdk.client_order[position]
        if name == "thread":
            if changed and position == len(args) - 1:  # the bracket stays where it is
                changed[-1] = _at_the_end(changed[-1], arg)
            continue
        name = _RENAMED.get(name, name)
        changed.append(_named(arg, name) if name else arg)
    return changed


def _at_the_end(arg: cst.Arg, last: cst.Arg) -> cst.Arg:
    """An argument in the place of the last one, with its own comment."""
    comma = last.comma
    if isinstance(comma, cst.Comma) and isinstance(arg.comma, cst.Comma):
        own, space = arg.comma.whitespace_after, comma.whitespace_after
        lines = cst.ParenthesizedWhitespace
        if isinstance(own, lines) and isinstance(space, lines):
            space = space.with_changes(first_line=own.first_line)
            comma = comma.with_changes(whitespace_after=space)
    return arg.with_changes(comma=comma, whitespace_after_arg=last.whitespace_after_arg)


def _named(arg: cst.Arg, name: str) -> cst.Arg:
    if arg.keyword is not None:
        return arg.with_changes(keyword=cst.Name(name))
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return arg.with_changes(keyword=cst.Name(name), equal=tight)
