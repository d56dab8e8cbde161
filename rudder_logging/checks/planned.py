"""Planned events as calls: their own fields, and what their properties or traits may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..events.table import EVENT_TYPES, PROPERTIES, TRAITS
from .plan import PlannedEvent, TrackingPlan
from .shapes import Field, Object, Reader, Shape, joined

__all__ = ["PlannedCall", "calls_of", "together"]


@dataclass(frozen=True)
class PlannedCall:
    """An event of a plan, as the call that sends it."""

    type: str
    name: str | None
    """Its name in the plan; None: all events of its type that no other entry names."""
    description: str
    own: Mapping[str, Field]
    """Own fields of the type that the plan leaves open, by argument: `category`, `group_id`."""
    key: str
    """`properties` or `traits`; empty: it has neither."""
    details: Mapping[str, Field]
    """The fields in those, by name."""
    others: Shape | None
    """See `Object.others`."""

    @property
    def title(self) -> str:
        """Its name in texts."""
        return self.type if self.name is None else f"{self.type} {self.name!r}"


def calls_of(plan: TrackingPlan) -> list[PlannedCall]:
    """The calls that a plan allows, by type and name.

    Raises:
        ConfigError: A `$ref` leads to itself.
    """
    return [call for event in plan.events if (call := _call(event)) is not None]


def _call(event: PlannedEvent) -> PlannedCall | None:
    row = EVENT_TYPES[event.type]
    reader = Reader(event.document, event.where)
    key = next((field.key for field in row.own_fields if field in (PROPERTIES, TRAITS)), "")
    if event.is_of_details:
        messages: list[dict[str, Any]] = [{"properties": {key: event.document}}]
    else:
        messages = reader.alternatives(event.document)
        if not messages:
            return None  # `false`: there must be no such event
    own = {}
    for field in row.own_fields:
        if field.key != key and not (field is row.template_field and event.name):
            is_required = field.required or all(field.key in _required(m) for m in messages)
            schema = _either(_schema(m, field.key) for m in messages)
            own[field.arg] = reader.field(schema, is_required=is_required)
    details = _either(_details(reader, m, key) for m in messages) if key else False
    if details is False:
        return PlannedCall(event.type, event.name, event.description, own, "", {}, None)
    objects = [part for part in reader.shape(details) if isinstance(part, Object)]
    fields, others = together(objects) if objects else ({}, None)
    return PlannedCall(event.type, event.name, event.description, own, key, fields, others)


def _details(reader: Reader, message: Mapping[str, Any], key: str) -> Any:
    """The schema of properties or traits: of the latter, RudderStack's plans may put it deeper."""
    schema = _schema(message, key)
    if key != TRAITS.key:
        return schema
    contexts = reader.alternatives(_schema(message, "context"))
    within = _either(_schema(one, key) for one in contexts)
    return schema if within is True else within if schema is True else {"allOf": [schema, within]}


def together(objects: Sequence[Object]) -> tuple[Mapping[str, Field], Shape | None]:
    """The fields of alternatives as those of one, and what others there may be.

    None of them is required that one alternative can miss.
    """
    fields: dict[str, Field] = {}
    for name in dict.fromkeys(name for one in objects for name in one.fields):
        found = [one.fields[name] for one in objects if name in one.fields]
        said = next((field for field in found if field.description), found[0])
        fields[name] = Field(
            joined(part for field in found for part in field.shape),
            len(found) == len(objects) and all(field.is_required for field in found),
            said.description,
            found[0].rules if len(found) == 1 else (),
        )
    others = [one.others for one in objects]
    if None in others:
        return fields, None
    return fields, joined(part for one in others for part in one or ())


def _schema(message: Mapping[str, Any], key: str) -> Any:
    return message.get("properties", {}).get(key, True)


def _required(message: Mapping[str, Any]) -> list[str]:
    required: list[str] = message.get("required", [])
    return required


def _either(schemas: Iterable[Any]) -> Any:
    each = list(schemas)
    return each[0] if len(each) == 1 else True if True in each else {"anyOf": each}
