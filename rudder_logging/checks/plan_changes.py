"""Changes of a tracking plan, and whom each of them breaks.

Callers break where an event that was as planned is so no more, or where a function that `codegen`
wrote has another signature. A warehouse breaks where a column, which has the type of the first
value that it saw, is to take values of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .plan import TrackingPlan
from .planned import PlannedCall, calls_of, together
from .shapes import ANYTHING, Array, Field, Object, Part, Plain, Shape, Value, canonical

__all__ = ["Change", "changes"]

_CALLERS, _WAREHOUSE = "callers", "warehouse"
_KINDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_COLUMNS = {"integer": "int", "number": "float", "boolean": "boolean", "array": "string"}
"""The column that a warehouse makes of a value. A mapping has columns of its own, null has none."""
_DATES = ("date", "date-time")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


@dataclass(frozen=True)
class Change:
    """One difference between two plans."""

    event: str
    """Type and name; empty: the plan as a whole."""
    path: str
    """The property, like `properties.products[].price`; empty: the event as a whole."""
    text: str
    breaks: tuple[str, ...] = ()
    """Of `callers` and `warehouse` those that break; empty: it is harmless."""


def changes(old: TrackingPlan, new: TrackingPlan) -> list[Change]:
    """All of them, by event; within one, what breaks something first.

    Raises:
        ConfigError: A `$ref` leads to itself.
    """
    found = []
    if old.allows_unplanned != new.allows_unplanned:
        breaks, may = ((), "may") if new.allows_unplanned else ((_CALLERS,), "may not")
        found.append(Change("", "", f"events that are not planned {may} be sent", breaks))
    before = {call.title: call for call in calls_of(old)}
    after = {call.title: call for call in calls_of(new)}
    for title in dict.fromkeys((*before, *after)):
        one, other = before.get(title), after.get(title)
        if one is None:
            found.append(Change(title, "", "is new"))
        elif other is None:
            found.append(Change(title, "", "is not planned any more", (_CALLERS,)))
        else:
            own = _Comparison(title).call(one, other)
            found += sorted(own, key=lambda change: not change.breaks)
    return found


class _Comparison:
    """Compares an event with what has become of it."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._seen: set[tuple[str, ...]] = set()

    def _change(self, path: str, text: str, *breaks: str) -> Change:
        return Change(self._title, path, text, breaks)

    def call(self, old: PlannedCall, new: PlannedCall) -> Iterator[Change]:
        yield from self._fields("", old.own, new.own)
        yield from self._fields(f"{old.key}.", old.details, new.details)
        yield from self._others(old.key, old.others, new.others)

    def _fields(
        self, path: str, old: Mapping[str, Field], new: Mapping[str, Field], *, columns: bool = True
    ) -> Iterator[Change]:
        for name in dict.fromkeys((*old, *new)):
            one, other, place = old.get(name), new.get(name), f"{path}{name}"
            if other is None:
                yield self._change(place, "is not planned any more", _CALLERS)
            elif one is None and other.is_required:
                yield self._change(place, "is new, and required", _CALLERS)
            elif one is None:
                yield self._change(place, "is new, and optional")
            else:
                yield from self._field(place, one, other, columns=columns)

    def _field(self, path: str, old: Field, new: Field, *, columns: bool) -> Iterator[Change]:
        if new.is_required and not old.is_required:
            yield self._change(path, "is required now", _CALLERS)
        elif old.is_required and not new.is_required:
            yield self._change(path, "is optional now")
        yield from self._shape(path, old.shape, new.shape, columns=columns)
        before, after = dict(old.rules), dict(new.rules)
        for rule in dict.fromkeys((*before, *after)):
            if before.get(rule) != after.get(rule):
                yield self._rule(path, rule, before.get(rule), after.get(rule))

    def _rule(self, path: str, rule: str, old: Any, new: Any) -> Change:
        if new is None or new is False:
            return self._change(path, f"the rule {rule} is gone")
        is_wider = old is not None and (
            (rule in _LOWER and new < old) or (rule in _UPPER and new > old)
        )
        breaks = () if is_wider else (_CALLERS,)
        was = "" if old is None else f", and was {canonical(old)}"
        return self._change(path, f"{rule} is {canonical(new)}{was}", *breaks)

    def _shape(self, path: str, old: Shape, new: Shape, *, columns: bool) -> Iterator[Change]:
        if ANYTHING in (old, new):
            if old != new:
                yield self._anything(path, old, new, columns=columns)
            return
        before, after = _kinds(old), _kinds(new)
        yield from self._types(path, before, after, columns=columns)
        for kind in before.keys() & after.keys() - {"object", "array", "null"}:
            yield from self._values(path, before[kind], after[kind])
        if columns and before.keys() & after.keys():
            yield from self._dates(path, before, after)
        yield from self._within(path, before, after, columns=columns)

    def _anything(self, path: str, old: Shape, new: Shape, *, columns: bool) -> Change:
        if old == ANYTHING:
            return self._change(path, f"may only be {_named(_kinds(new))} now", _CALLERS)
        is_text = not columns or "string" in _columns(_kinds(old))
        text = "may be anything now"
        return self._change(path, text, *(() if is_text else (_WAREHOUSE,)))

    def _types(
        self,
        path: str,
        old: Mapping[str, list[Part]],
        new: Mapping[str, list[Part]],
        *,
        columns: bool,
    ) -> Iterator[Change]:
        lost = [kind for kind in old if not _has(new, kind)]
        gained = [kind for kind in new if not _has(old, kind)]
        for kinds, change in (
            (lost, self._change(path, "can't be null any more", _CALLERS)),
            (gained, self._change(path, "may be null now")),
        ):
            if "null" in kinds:
                kinds.remove("null")
                yield change
        if not lost and not gained:
            return
        breaks = [_CALLERS] if lost else []
        told = ""
        if columns and (told := _clash(_columns(old), _columns({k: new[k] for k in gained}))):
            breaks.append(_WAREHOUSE)
        if lost and gained:
            text = f"was {_named(lost)}, and is {_named(gained)} now"
        elif lost:
            text = f"can't be {_named(lost)} any more"
        else:
            text = f"may be {_named(gained)}, too"
        yield self._change(path, text + told, *breaks)

    def _values(self, path: str, old: list[Part], new: list[Part]) -> Iterator[Change]:
        before = None if any(isinstance(p, Plain) for p in old) else _json(old)
        after = None if any(isinstance(p, Plain) for p in new) else _json(new)
        if before is None and after is not None:
            yield self._change(path, f"may only be {', '.join(after)} now", _CALLERS)
        elif before is not None and after is None:
            yield self._change(path, "may have other values now")
        elif before is not None and after is not None:
            if lost := [value for value in before if value not in after]:
                yield self._change(path, f"can't be {', '.join(lost)} any more", _CALLERS)
            if gained := [value for value in after if value not in before]:
                yield self._change(path, f"may be {', '.join(gained)}, too")

    def _dates(
        self, path: str, old: Mapping[str, list[Part]], new: Mapping[str, list[Part]]
    ) -> Iterator[Change]:
        before = {p.format for p in old.get("string", ()) if isinstance(p, Plain)}
        after = {p.format for p in new.get("string", ()) if isinstance(p, Plain)}
        if before == after or not before or not after:
            return
        was, now = (" or ".join(sorted(filter(None, one))) for one in (before, after))
        text = f"has the format {now} now" if now else f"does not have the format {was} any more"
        told = _clash(_columns(old), _columns(new))
        yield self._change(path, text + told, *((_WAREHOUSE,) if told else ()))

    def _within(
        self,
        path: str,
        old: Mapping[str, list[Part]],
        new: Mapping[str, list[Part]],
        *,
        columns: bool,
    ) -> Iterator[Change]:
        items = [
            tuple(i for p in side.get("array", ()) if isinstance(p, Array) for i in p.items)
            for side in (old, new)
        ]
        if all(items):
            yield from self._shape(f"{path}[]", *items, columns=False)  # a column of JSON text
        sides = [
            [p for p in side.get("object", ()) if isinstance(p, Object)] for side in (old, new)
        ]
        pair = tuple(part.key for side in sides for part in side)
        if all(sides) and pair not in self._seen:
            self._seen.add(pair)
            (before, others), (after, more) = map(together, sides)
            yield from self._fields(f"{path}.", before, after, columns=columns)
            yield from self._others(path, others, more)
            self._seen.discard(pair)

    def _others(self, path: str, old: Shape | None, new: Shape | None) -> Iterator[Change]:
        before, after = (ANYTHING if one is None else one for one in (old, new))
        if before and not after:
            text = "may have no other keys any more (additionalProperties)"
            yield self._change(path, text, _CALLERS)
        elif after and not before:
            yield self._change(path, "may have other keys now (additionalProperties)")
        else:
            yield from self._shape(f"{path}.*", before, after, columns=True)


def _kinds(shape: Shape) -> dict[str, list[Part]]:
    """Its parts by their JSON type."""
    kinds: dict[str, list[Part]] = {}
    for part in shape:
        kinds.setdefault(_kind(part), []).append(part)
    return kinds


def _kind(part: Part) -> str:
    if isinstance(part, Plain):
        return part.type
    if isinstance(part, Value):
        value = part.value
        if isinstance(value, float):
            return "integer" if value.is_integer() else "number"
        named = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
        return named.get(type(value), "null")
    return "array" if isinstance(part, Array) else "object"


def _has(kinds: Mapping[str, object], kind: str) -> bool:
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _named(kinds: Any) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds)


def _json(parts: list[Part]) -> list[str]:
    return [part.json for part in parts if isinstance(part, Value)]


def _columns(kinds: Mapping[str, list[Part]]) -> set[str]:
    """The types of a column for such values."""
    columns = {_COLUMNS[kind] for kind in kinds if kind in _COLUMNS}
    for part in kinds.get("string", ()):
        is_date = isinstance(part, Plain) and part.format in _DATES
        columns.add("datetime" if is_date else "string")
    return columns


def _clash(old: set[str], new: set[str]) -> str:
    """The sentence on what a column's values lose; empty: it takes the new ones."""
    if not old or "string" in old or new <= old | ({"int"} if "float" in old else set()):
        return ""
    if "int" in old and new - old == {"float"}:
        return "; a column of whole numbers cuts fractions"
    return "; a column of the old type discards the values"
