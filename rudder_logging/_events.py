"""The seven event types in one table, and the two loops over it: `build` and `validate`.

Required fields, ids and values follow RudderStack's event specification and, where the two
differ, what the gateway does with them: whatever it would refuse (400) or accept and then
silently lose is refused here, with a message that names the field, the type of what was given
(never its content) and the cure.
"""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cached_property
from numbers import Integral
from typing import Any

from ._encoding import isoformat
from .exceptions import InvalidTypeError, InvalidValueError

__all__ = [
    "BINDABLE_FIELDS",
    "COMMON_FIELDS",
    "EVENT_TYPES",
    "EventType",
    "Field",
    "bind_fields",
    "build",
    "merge",
    "merge_bound",
    "nearest",
    "new_message_id",
    "validate",
]


@dataclass(frozen=True)
class Field:
    """One field of a message: its names, its rule, and what it is for."""

    arg: str
    """In Python: `group_id`."""
    key: str
    """On the wire: `groupId`."""
    normalise: Callable[[str, Any], Any]
    """From what the app gave to what is sent; raises InvalidEventError. First argument: where."""
    doc: str
    required: bool = False
    from_template: bool = False
    """Left out, it is the record's message template."""
    bindable: bool = False
    """`bind()` and `EventLogger` may provide it."""


def _normalise_id(where: str, value: Any) -> str:
    """Trimmed, as the gateway compares ids; numbers as text, as it would make them."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        text = value.strip()
        # What the gateway's own trimming would leave empty is no id: zero-width space and the like.
        if text.isprintable() or any(c.isprintable() and c != " " for c in text):
            if text:
                return text
            raise InvalidValueError(f"{where} is blank; give a non-empty str, or leave it out")
        raise InvalidValueError(f"{where} has only invisible characters; give a non-empty str")
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, uuid.UUID):
        return str(value)
    raise InvalidTypeError(f"{where} must be a str, an int or a UUID, not {_type(value)}")


def _normalise_text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidTypeError(f"{where} must be a str, not {_type(value)}")
    return value


def _normalise_event_name(where: str, value: Any) -> str:
    if not _normalise_text(where, value).strip():
        raise InvalidValueError(f"{where} is blank; give the name of what happened")
    return str(value)


def _normalise_mapping(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"{where} must be a mapping, not {_type(value)}; give a dict")
    return value


def _normalise_integrations(where: str, value: Any) -> Mapping[str, Any]:
    # The server drops an event whose integrations are anything else for all destinations, after
    # a 200 (processor/integrations/integrations.go).
    integrations = _normalise_mapping(where, value)
    if "All" in integrations and not isinstance(integrations["All"], bool):
        given = _type(integrations["All"])
        raise InvalidTypeError(f"{where}: 'All' must be True or False, not {given}")
    return integrations


_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?:Z|[+-](\d\d):?(\d\d))?)?",
    re.ASCII,
)
_EPOCH = re.compile(r"\d{10}|\d{13}|\d{16}|\d{19}", re.ASCII)
_TIMESTAMP_CURE = "give an aware datetime, or RFC 3339 text like '2026-01-31T12:00:00Z'"


def _normalise_timestamp(where: str, value: Any) -> str:
    """As text that the server's parser takes; what it can't parse it ignores without a word."""
    if isinstance(value, datetime):
        text = isoformat(value)
        if text is not None:
            return text
    elif isinstance(value, date):
        return value.isoformat()
    elif not isinstance(value, str):
        raise InvalidTypeError(
            f"{where} must be a datetime or text, not {_type(value)}; {_TIMESTAMP_CURE}"
        )
    elif _is_rfc_3339(value) or _EPOCH.fullmatch(value):
        return value
    else:
        try:
            return isoformat(parsedate_to_datetime(value)) or value  # RFC 1123
        except (TypeError, ValueError, IndexError):
            pass
    raise InvalidValueError(f"{where} can't be parsed as a time; {_TIMESTAMP_CURE}")


def _is_rfc_3339(text: str) -> bool:
    match = _RFC_3339.fullmatch(text)
    if match is None:
        return False
    day, minute, second, zone_hours, zone_minutes = match.groups()
    try:
        datetime.fromisoformat(f"{day}T{minute or '00:00'}:{second or '00'}")
        if zone_hours:
            timezone(timedelta(hours=int(zone_hours), minutes=int(zone_minutes)))
    except ValueError:  # 30 February, hour 24, second 60
        return False
    return True


_IDENTIFIERS_IN_A_MERGE = 2


def _normalise_merge_properties(where: str, value: Any) -> list[dict[str, str]]:
    # The documentation promises any number of identifiers; the server takes exactly two.
    shape = "exactly two mappings, each with a non-empty 'type' and 'value'"
    if not isinstance(value, (list, tuple)):
        raise InvalidTypeError(f"{where} must be a list of {shape}, not {_type(value)}")
    if len(value) != _IDENTIFIERS_IN_A_MERGE:
        raise InvalidValueError(f"{where} must be {shape}; it has {len(value)} items")
    pairs = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, Mapping):
            raise InvalidTypeError(f"{where}: item {number} is {_type(item)}; give {shape}")
        if set(item) != {"type", "value"}:
            raise InvalidValueError(
                f"{where}: item {number} must have just 'type' and 'value'; give {shape}"
            )
        pairs.append({key: _normalise_id(f"{where}: {key!r}", item[key]) for key in item})
    return pairs


USER_ID = Field("user_id", "userId", _normalise_id, "Who: your id of the user.", bindable=True)
ANONYMOUS_ID = Field(
    "anonymous_id", "anonymousId", _normalise_id, "Who: an id before sign-up.", bindable=True
)
MESSAGE_ID = Field("message_id", "messageId", _normalise_id, "Unique; made for you if left out.")
TIMESTAMP = Field(
    "timestamp", "timestamp", _normalise_timestamp, "When it happened, if not at the call."
)
CONTEXT = Field(
    "context", "context", _normalise_mapping, "Circumstances: ip, app, library.", bindable=True
)
INTEGRATIONS = Field(
    "integrations",
    "integrations",
    _normalise_integrations,
    "Which destinations get it.",
    bindable=True,
)
COMMON_FIELDS = (USER_ID, ANONYMOUS_ID, MESSAGE_ID, TIMESTAMP, CONTEXT, INTEGRATIONS)

PROPERTIES = Field(
    "properties", "properties", _normalise_mapping, "Details of what happened.", bindable=True
)
TRAITS = Field("traits", "traits", _normalise_mapping, "What is known of the user or group.")
EVENT = Field(
    "event", "event", _normalise_event_name, "What happened.", required=True, from_template=True
)
NAME = Field("name", "name", _normalise_text, "The page's or screen's name.", from_template=True)
CATEGORY = Field("category", "category", _normalise_text, "The page's or screen's category.")
GROUP_ID = Field("group_id", "groupId", _normalise_id, "Which group.", required=True)
PREVIOUS_ID = Field("previous_id", "previousId", _normalise_id, "The old id.", required=True)
MERGE_PROPERTIES = Field(
    "merge_properties",
    "mergeProperties",
    _normalise_merge_properties,
    "Exactly two `{type, value}`.",
    required=True,
)


@dataclass(frozen=True)
class EventType:
    """One row of the table: a type's name, its purpose, and its own fields."""

    name: str
    doc: str
    own_fields: tuple[Field, ...]
    traits_in_context: bool = False
    """Warehouses read an identify's traits at the root, transformers in either place."""

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

BINDABLE_FIELDS: Mapping[str, Field] = {
    field.arg: field for row in EVENT_TYPES.values() for field in row.fields if field.bindable
}


def build(
    fields: Mapping[str, Any], *, template: object = None, bound: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Make the message of what an app gave as `extra["rudder"]`, without changing that.

    Args:
        fields: Names in snake_case or camelCase; None means not given.
        template: The record's message template, the default of `event` and `name`.
        bound: Fields by wire key, as `bind_fields` returns them; explicit ones win.

    Raises:
        InvalidEventError: The data plane would refuse it, or accept and lose it.
    """
    if not isinstance(fields, Mapping):
        raise InvalidTypeError(f"'rudder' must be a mapping, not {_type(fields)}; give a dict")
    row = _row(fields.get("type", "track"))
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
        if value is None:
            continue
        if message.get(field.key) is not None:
            raise InvalidValueError(
                f"{row.name}: {field.arg!r} was given twice, also as {field.key!r}; give one"
            )
        message[field.key] = field.normalise(f"{row.name}: {field.arg!r}", value)
    if template_field is not None and isinstance(template, str) and template:
        message[template_field.key] = template_field.normalise(
            f"{row.name}: {template_field.arg!r}", template
        )
    _require(row, message)
    if "traits" in message:
        _place_traits(row, message)
    if message["messageId"] is None:
        message["messageId"] = new_message_id()
    return message


def validate(message: Mapping[str, Any]) -> None:
    """Check a message as it is on the wire, whoever made it, by the same table.

    Raises:
        InvalidEventError: The data plane would refuse it, or accept and lose it.
    """
    if not isinstance(message, Mapping):
        raise InvalidTypeError(f"a message must be a mapping, not {_type(message)}")
    if "type" not in message:
        raise InvalidValueError("'type' is missing; give one of " + ", ".join(EVENT_TYPES))
    row = _row(message["type"])
    for field in row.fields:
        value = message.get(field.key)
        # An explicit null counts as absent everywhere but there, where it loses the event.
        if value is not None or (field is INTEGRATIONS and field.key in message):
            field.normalise(f"{row.name}: {field.key!r}", value)
    _require(row, message)


def bind_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields that are to be merged into many events; return them by wire key.

    Raises:
        InvalidEventError: A field's value can't be right, or it can't be bound.
    """
    bound = {}
    for name, value in fields.items():
        field = BINDABLE_FIELDS.get(name)
        if field is None:
            raise InvalidValueError(
                f"bind: {name!r} can't be bound{nearest(name, BINDABLE_FIELDS)}; "
                f"what can: {', '.join(BINDABLE_FIELDS)}"
            )
        if value is not None:
            bound[field.key] = field.normalise(f"bind: {name!r}", value)
    return bound


def merge_bound(fields: Mapping[str, Any], bound: Mapping[str, Any]) -> dict[str, Any]:
    """An event's fields as an app gives them, with bound ones (by wire key) merged under them."""
    merged = dict(fields)
    event_type = fields.get("type", "track")
    row = EVENT_TYPES.get(event_type) if isinstance(event_type, str) else None
    for key, value in bound.items():
        field = row.by_name.get(key) if row else None
        if field is None:
            continue
        given = next((n for n in (field.arg, field.key) if fields.get(n) is not None), None)
        if given is None:
            merged[field.arg] = value
        elif isinstance(value, Mapping) and isinstance(fields[given], Mapping):
            merged[given] = merge(value, fields[given])
    return merged


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings in a new one; `over` wins, and mappings within merge likewise."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def nearest(name: object, known: Mapping[str, object]) -> str:
    """`; did you mean 'x'?`, or nothing if no known name is near."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def new_message_id() -> str:
    """A globally unique id. The server's removal of duplicates knows no other scope."""
    return str(uuid.uuid4())


def _row(name: object) -> EventType:
    if not isinstance(name, str):
        raise InvalidTypeError(f"'type' must be a str, not {_type(name)}")
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
        message["context"] = merge(message.get("context") or {}, {"traits": traits})


def _unknown_field(row: EventType, name: object) -> InvalidValueError:
    shown = repr(name) if isinstance(name, str) and len(name) <= 64 else _type(name)  # noqa: PLR2004
    return InvalidValueError(
        f"{row.name}: unknown field {shown}{nearest(name, row.by_name)}; "
        f"it takes: {', '.join(field.arg for field in row.fields)}"
    )


def _type(value: object) -> str:
    return "None" if value is None else type(value).__name__
