"""The seven event types in one table, and the two loops over it: `build` and `validate`.

Required fields, ids and values follow RudderStack's event specification and, where the two
differ, the gateway's own rules. An event that it would refuse (400), or accept and silently lose,
is refused here. The message names the field, the type of what was given (never its content) and
the cure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..exceptions import InvalidEventError, InvalidTypeError, InvalidValueError
from .encoding import actual, entries_of, key_of
from .fields import (
    Field,
    normalise_event_name,
    normalise_id,
    normalise_integrations,
    normalise_mapping,
    normalise_merge_properties,
    normalise_text,
    normalise_timestamp,
    type_of,
    visible,
)
from .ids import new_message_id

__all__ = [
    "BINDABLE_FIELDS",
    "COMMON_FIELDS",
    "DOCUMENTED_EVENT_BYTES",
    "EVENT_TYPES",
    "EventType",
    "Field",
    "bind_fields",
    "build",
    "check_size",
    "merge_bound",
    "merge_mappings",
    "nearest",
    "validate",
    "visible",
]


USER_ID = Field("user_id", "userId", normalise_id, "Who: your id of the user.", bindable=True)
ANONYMOUS_ID = Field(
    "anonymous_id", "anonymousId", normalise_id, "Who: an id before sign-up.", bindable=True
)
MESSAGE_ID = Field("message_id", "messageId", normalise_id, "Unique; made for you if left out.")
TIMESTAMP = Field(
    "timestamp", "timestamp", normalise_timestamp, "When it happened, if not at the call."
)
CONTEXT = Field(
    "context", "context", normalise_mapping, "Circumstances: ip, app, library.", bindable=True
)
INTEGRATIONS = Field(
    "integrations",
    "integrations",
    normalise_integrations,
    "Which destinations get it.",
    bindable=True,
)
COMMON_FIELDS = (USER_ID, ANONYMOUS_ID, MESSAGE_ID, TIMESTAMP, CONTEXT, INTEGRATIONS)

PROPERTIES = Field(
    "properties", "properties", normalise_mapping, "Details of what happened.", bindable=True
)
TRAITS = Field("traits", "traits", normalise_mapping, "What is known of the user or group.")
EVENT = Field(
    "event", "event", normalise_event_name, "What happened.", required=True, from_template=True
)
NAME = Field("name", "name", normalise_text, "The page's or screen's name.", from_template=True)
CATEGORY = Field("category", "category", normalise_text, "The page's or screen's category.")
GROUP_ID = Field("group_id", "groupId", normalise_id, "Which group.", required=True)
PREVIOUS_ID = Field("previous_id", "previousId", normalise_id, "The old id.", required=True)
MERGE_PROPERTIES = Field(
    "merge_properties",
    "mergeProperties",
    normalise_merge_properties,
    "Exactly two `{type, value}`.",
    required=True,
)


@dataclass(frozen=True, eq=False)
class EventType:
    """One row of the table: a type's name, its purpose, and its own fields."""

    name: str
    doc: str
    own_fields: tuple[Field, ...]
    traits_in_context: bool = False
    """Traits go into `context`, too: warehouses read them at the root, transformers in either."""

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Its own fields, and those that all types share."""
        return self.own_fields + COMMON_FIELDS

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Fields by either of their names."""
        return {name: field for field in self.fields for name in (field.key, field.arg)}

    @cached_property
    def template_field(self) -> Field | None:
        """The field that defaults to the record's message template."""
        return next((field for field in self.own_fields if field.from_template), None)

    @cached_property
    def required(self) -> tuple[Field, ...]:
        """Fields that must be there, besides one of the two ids."""
        return tuple(field for field in self.own_fields if field.required)


EVENT_TYPES: Mapping[str, EventType] = {
    row.name: row
    for row in (
        EventType("identify", "Say who a user is.", (TRAITS,), traits_in_context=True),
        EventType("track", "Record what a user did.", (EVENT, PROPERTIES)),
        EventType("page", "Record a web page that a user saw.", (NAME, CATEGORY, PROPERTIES)),
        EventType("screen", "Record an app screen that a user saw.", (NAME, CATEGORY, PROPERTIES)),
        EventType("group", "Tie a user to a group.", (GROUP_ID, TRAITS)),
        EventType("alias", "Tie a user's new id to the old one.", (PREVIOUS_ID, TRAITS)),
        EventType("merge", "Declare two identifiers to be one user.", (MERGE_PROPERTIES,)),
    )
}

LONGEST_NAME_SHOWN = 64
"""Characters of a wrong name up to which errors quote it, and look for the nearest right one."""

BINDABLE_FIELDS: Mapping[str, Field] = {
    field.arg: field for row in EVENT_TYPES.values() for field in row.fields if field.bindable
}


def build(
    fields: Any,
    *,
    template: object = None,
    bound: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """Make the message of what an app gave as `extra["rudder"]`, without changing that.

    Args:
        fields: Names in snake_case or camelCase; None means not given.
        template: The record's message template, the default of `event` and `name`.
        bound: Fields by wire key, as `bind_fields` returns them; explicit ones win.
        now: Seconds since the epoch, if the caller knows.

    Raises:
        InvalidEventError: The data plane would refuse it, or accept and lose it.
    """
    if not isinstance(fields, Mapping):
        raise InvalidTypeError(f"'rudder' must be a mapping, not {type_of(fields)}; give a dict")
    fields = {**fields} if type(fields) is dict else entries_of(fields)
    event_type = actual(fields.get("type"))
    row = _row("track" if event_type is None else event_type)
    if bound:
        fields = merge_bound(fields, bound)
    message: dict[str, Any] = {"messageId": None, "type": row.name, "channel": "server"}
    template_field = row.template_field
    for name, value in fields.items():
        field = row.by_name.get(name)
        if field is None:
            if name == "type":
                continue
            raise _unknown_field(row, name)
        if field is template_field:
            template_field = None
        value = actual(value)  # noqa: PLW2901 - from here on it is what it stands for
        if value is None:
            continue
        if message.get(field.key) is not None:
            raise InvalidValueError(
                f"{row.name}: {field.arg!r} was given twice, also as {field.key!r}; give one"
            )
        message[field.key] = field.normalise(f"{row.name}: {field.arg!r}", value)
    if template_field is not None and isinstance(template, str) and template:
        message[template_field.key] = template_field.normalise(
            f"{row.name}: {template_field.arg!r}", actual(template)
        )
    _require(row, message)
    if "traits" in message:
        _place_traits(row, message)
    if message["messageId"] is None:
        message["messageId"] = new_message_id(now)
    return message


def validate(message: Mapping[str, Any]) -> dict[str, Any]:
    """Check a message as it is on the wire, whoever made it, by the same table.

    Returns:
        The same with its fields' values as a call would send them: ids as text, say.

    Raises:
        InvalidEventError: The data plane would refuse it, or accept and lose it.
    """
    if not isinstance(message, Mapping):
        raise InvalidTypeError(f"a message must be a mapping, not {type_of(message)}")
    if "type" not in message:
        raise InvalidValueError("'type' is missing; give one of " + ", ".join(EVENT_TYPES))
    row = _row(message["type"])
    normalised = dict(message)
    for field in row.fields:
        value = actual(message.get(field.key))
        # An explicit null counts as absent everywhere but there, where it loses the event.
        if value is not None or (field is INTEGRATIONS and field.key in message):
            normalised[field.key] = field.normalise(f"{row.name}: {field.key!r}", value)
    _require(row, message)
    return normalised


DOCUMENTED_EVENT_BYTES = 32 * 1024
"""Limit of an event's size in RudderStack's documentation; no server has one."""


def check_size(size: int, limit: int) -> None:
    """Check how many bytes an event has as JSON.

    Raises:
        InvalidValueError: They are over the option `max_event_bytes`.
    """
    if size > limit:
        raise InvalidValueError(
            f"the event has {size} bytes, over max_event_bytes ({limit}); "
            "send less with it, or raise that option"
        )


def bind_fields(
    fields: Mapping[str, Any], on_bad_value: Callable[[InvalidEventError], object] | None = None
) -> dict[str, Any]:
    """Check fields that are to be merged into many events; return them by wire key.

    Args:
        fields: As an app gives them.
        on_bad_value: Told why a field is left out; None: it raises.

    Raises:
        InvalidEventError: A field can't be bound, or its value can't be right.
    """
    bound = {}
    for name, value in fields.items():
        field = BINDABLE_FIELDS.get(name)
        if field is None:
            raise InvalidValueError(
                f"bind: {name!r} can't be bound{nearest(name, BINDABLE_FIELDS)}; "
                f"what can: {', '.join(BINDABLE_FIELDS)}"
            )
        value = actual(value)  # noqa: PLW2901 - from here on it is what it stands for
        if value is not None:
            try:
                bound[field.key] = field.normalise(f"bind: {name!r}", value)
            except InvalidEventError as error:
                if on_bad_value is None:
                    raise
                on_bad_value(error)
    return bound


def merge_bound(fields: Mapping[str, Any], bound: Mapping[str, Any]) -> dict[str, Any]:
    """An event's fields as an app gives them, with bound ones (by wire key) merged under them."""
    merged = dict(fields)
    event_type = fields.get("type")
    name = "track" if event_type is None else event_type
    row = EVENT_TYPES.get(name) if isinstance(name, str) else None
    for key, value in bound.items():
        field = row.by_name.get(key) if row else None
        if field is None:
            continue
        given = next((n for n in (field.arg, field.key) if fields.get(n) is not None), None)
        if given is None:
            merged[field.arg] = value
        elif isinstance(value, Mapping) and isinstance(fields[given], Mapping):
            merged[given] = merge_mappings(value, fields[given])
    return merged


_are_text = frozenset({str}).issuperset


def merge_mappings(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings in a new one; `over` wins, and mappings within merge likewise.

    Keys of `over` are made text first: those that would be one in JSON are one here.
    """
    base = {**base} if type(base) is dict else entries_of(base)
    over = {**over} if type(over) is dict else entries_of(over)
    if not _are_text(map(type, over)):
        over = {key_of(key): value for key, value in over.items()}
    merged = {**base, **over}
    for key in base.keys() & over.keys():
        below, value = base.get(key), over.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge_mappings(below, value)
    return merged


def nearest(name: object, known: Mapping[str, object]) -> str:
    """`; did you mean 'x'?`, or nothing if no known name is near."""
    import difflib  # noqa: PLC0415 - costly, and only for errors

    # The search takes a time that grows with the square of a name's length.
    if not isinstance(name, str) or len(name) > LONGEST_NAME_SHOWN:
        return ""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _row(name: object) -> EventType:
    if not isinstance(name, str):
        raise InvalidTypeError(f"'type' must be a str, not {type_of(name)}")
    row = EVENT_TYPES.get(name)
    if row is None:
        raise InvalidValueError(
            f"'type' is unknown{nearest(name, EVENT_TYPES)}; give one of {', '.join(EVENT_TYPES)}"
        )
    return row


def _require(row: EventType, message: Mapping[str, Any]) -> None:
    for field in row.required:
        if message.get(field.key) is None:
            raise InvalidValueError(f"{row.name}: {field.arg!r} is missing; give it")
    if message.get("userId") is None and message.get("anonymousId") is None:
        raise InvalidValueError(f"{row.name}: no id; give 'user_id' or 'anonymous_id'")


def _place_traits(row: EventType, message: dict[str, Any]) -> None:
    traits = message["traits"]
    if not traits:
        # An empty mapping at the root would hide context.traits from transformers.
        del message["traits"]
    elif row.traits_in_context:
        message["context"] = merge_mappings(message.get("context") or {}, {"traits": traits})


def _unknown_field(row: EventType, name: object) -> InvalidValueError:
    short = isinstance(name, str) and len(name) <= LONGEST_NAME_SHOWN
    shown = repr(name) if short else type_of(name)
    return InvalidValueError(
        f"{row.name}: unknown field {shown}{_meant(row, name)}; "
        f"it takes: {', '.join(field.arg for field in row.fields)}"
    )


def _meant(row: EventType, name: object) -> str:
    """The likely cure: a field's name that was mistyped, or the place of a property."""
    if not isinstance(name, str) or len(name) > 64:  # noqa: PLR2004
        return ""
    # Of typing errors, few are at the beginning: `revenue` is no mistyped `event`.
    alike = {known: field for known, field in row.by_name.items() if known[:1] == name[:1].lower()}
    place = next((field.arg for field in row.own_fields if field in (PROPERTIES, TRAITS)), None)
    is_a_field = any(name in other.by_name for other in EVENT_TYPES.values())
    return nearest(name, alike) or (f"; put it under {place!r}" if place and not is_a_field else "")
