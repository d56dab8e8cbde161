"""A tracking plan: which events an app may send, and what each has to look like.

```json
{"unplanned": "refuse",
 "events": [{"type": "track", "name": "Order Completed",
             "schema": {"required": ["revenue"], "properties": {"revenue": {"type": "number"}}}},
            {"type": "identify", "schema": {"additionalProperties": false}}]}
```

`schema` is a JSON Schema of the event's `properties` or `traits`, which count as empty if they are
not there. `rules` is one of the whole message. An entry may have either or none. `type` is `track`
if left out; without a `name`, an entry is for all events of its type that no other names.
`unplanned` says what becomes of events that have no entry: `refuse` if left out, or `allow`.
RudderStack's own exports are taken as they are: their `eventType`, `rules`, and the list of events
inside `rules`. Other keys are ignored, unless they look like misspelt ones, or as if they demanded
something. `format` is not checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..events.table import EVENT_TYPES, PROPERTIES, TRAITS, EventType, nearest
from ..exceptions import ConfigError
from .schemas import Fault, Schema, check_keys

__all__ = ["PlannedEvent", "TrackingPlan"]

_KEYS_OF_PLAN = ("unplanned", "events", "rules")
_KEYS_OF_ENTRY = ("type", "eventType", "name", "schema", "rules")
_DEMANDS = ("properties", "traits", "required", "additionalProperties")
"""Keys that look as if an entry demanded something, and belong into its schema."""


@dataclass(frozen=True)
class PlannedEvent:
    """An entry of a plan, as it was read."""

    type: str
    name: str | None
    """None: all events of the type that no other entry names."""
    description: str
    document: Any
    """The JSON Schema; True: anything goes."""
    is_of_details: bool
    """It is one of `properties` or `traits`, and not of the whole message."""
    where: str
    """Its name in errors."""


class TrackingPlan:
    """The events that an app has agreed to send, as a file says it.

    Args:
        document: The file's JSON.
        name: What to call it in errors.

    Raises:
        ConfigError: It is no such plan; the message says where and why.
        ImportError: The extra `plan` is missing.

    .. versionadded:: 0.1.0
    """

    def __init__(self, document: Any, name: str = "the tracking plan") -> None:
        _check_extra()
        self._name = name
        if isinstance(document, list):
            document = {"events": document}
        if not isinstance(document, dict):
            raise ConfigError(f"{name} must be a JSON object with 'events'")
        check_keys(document, _KEYS_OF_PLAN, name)
        unplanned = document.get("unplanned", "refuse")
        if unplanned not in ("allow", "refuse"):
            raise ConfigError(f'{name}: \'unplanned\' must be "allow" or "refuse"')
        self._allows_unplanned: bool = unplanned == "allow"
        self._rules: dict[tuple[str, str | None], Schema | None] = {}
        self._planned: dict[tuple[str, str | None], PlannedEvent] = {}
        titles = (document.get(key) for key in ("display_name", "name"))
        self._title = next((title for title in titles if isinstance(title, str) and title), None)
        self._version = document.get("version")
        for where, entry in self._entries(document):
            self._add(where, entry)
        if not self._rules:
            raise ConfigError(f"{name} is empty; give the events that are planned")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrackingPlan:
        """Read a plan from a JSON file.

        Raises:
            ConfigError: It can't be read, or is no tracking plan.
            ImportError: The extra `plan` is missing.
        """
        name = os.fspath(path)
        try:
            with open(name, encoding="utf-8-sig") as file:  # noqa: PTH123 - any kind of path
                document = json.load(file)
        except OSError as error:
            raise ConfigError(f"{name} can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{name} is not UTF-8; save it so") from None
        except json.JSONDecodeError as error:
            at = f"line {error.lineno}, column {error.colno}"
            raise ConfigError(f"{name} is not JSON: {error.msg} at {at}") from None
        except RecursionError:
            raise ConfigError(f"{name} is nested too deeply") from None
        return cls(document, name)

    def __repr__(self) -> str:
        return f"<TrackingPlan {self._name}: {len(self._rules)} entries>"

    @property
    def name(self) -> str:
        """Its file, or what else it is called in errors."""
        return self._name

    @property
    def events(self) -> list[PlannedEvent]:
        """Its entries, by type and name, whatever their order in the file."""
        types = list(EVENT_TYPES)
        return sorted(self._planned.values(), key=lambda e: (types.index(e.type), e.name or ""))

    @property
    def title(self) -> str:
        """Its name and version, as it gives them, or else its file's name."""
        version = "" if self._version is None else f", version {self._version}"
        return f"{self._title or os.path.basename(self._name)}{version}"  # noqa: PTH119

    @property
    def allows_unplanned(self) -> bool:
        """Events without an entry may be sent."""
        return self._allows_unplanned

    def verdict(self, message: Mapping[str, Any]) -> Fault | None:
        """Tell why a message breaks the plan, and where; None: it conforms.

        The text has names and rules of the plan, and no value of the message.

        Args:
            message: As it is on the wire, decoded.

        Raises:
            ConfigError: The plan refers to a schema that it does not have.
        """
        row = _row_of(message)
        if row is None:
            return Fault("type", "event-type", "type is none of RudderStack's event types")
        name = message.get(row.template_field.key) if row.template_field else None
        key = self._key(row.name, name)
        if key not in self._rules:
            return self._unplanned(row.name, name)
        schema = self._rules[key]
        return None if schema is None else schema.fault(message)

    def entry_of(self, message: Mapping[str, Any]) -> PlannedEvent | None:
        """The entry that a message is held to; None: it has none.

        Args:
            message: As it is on the wire, decoded. Its type and name count only.
        """
        row = _row_of(message)
        if row is None:
            return None
        name = message.get(row.template_field.key) if row.template_field else None
        return self._planned.get(self._key(row.name, name))

    def _key(self, event_type: str, name: object) -> tuple[str, str | None]:
        """The entry of an event: that of its name, or that of all of its type."""
        key = (event_type, name if isinstance(name, str) else None)
        return key if key in self._rules else (event_type, None)

    def _unplanned(self, event_type: str, name: object) -> Fault | None:
        if self._allows_unplanned:
            return None
        if not isinstance(name, str):
            return Fault("", "unplanned", f"the plan has no {event_type} events")
        planned = {named: None for kind, named in self._rules if kind == event_type and named}
        text = f"the plan has no {event_type} event of that name{nearest(name, planned)}"
        return Fault("", "unplanned", text)

    def _entries(self, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        rules = document.get("rules")
        if "events" not in document and isinstance(rules, dict):  # RudderStack's own
            for event_type in EVENT_TYPES.keys() & rules.keys():
                rule = rules[event_type]
                yield f"rules.{event_type}", {"type": event_type, "rules": rule}
            document = {"events": rules.get("events", [])}
        events = document.get("events")
        if not isinstance(events, list):
            raise ConfigError(f"{self._name} must have a list 'events'")
        for number, entry in enumerate(events):
            yield f"events[{number}]", entry

    def _add(self, place: str, entry: Any) -> None:
        where = f"{self._name}: {place}"
        if not isinstance(entry, dict):
            raise ConfigError(f"{where} must be an object")
        check_keys(entry, _KEYS_OF_ENTRY, where)
        event_type = entry.get("type", entry.get("eventType", "track"))
        row = EVENT_TYPES.get(event_type) if isinstance(event_type, str) else None
        if row is None:
            hint = nearest(event_type, EVENT_TYPES)
            raise ConfigError(f"{where}.type must be one of {', '.join(EVENT_TYPES)}{hint}")
        name = entry.get("name") or None  # RudderStack's have "" where there is none
        if name is not None and not isinstance(name, str):
            raise ConfigError(f"{where}.name must be a string")
        if name is not None and row.template_field is None:
            raise ConfigError(f"{where}: {row.name} events have no name; leave 'name' out")
        if (row.name, name) in self._rules:
            raise ConfigError(f"{where} is planned twice; merge its entries")
        _check_places(entry, where)
        given = [key for key in ("schema", "rules") if entry.get(key) is not None]
        if len(given) == 2:  # noqa: PLR2004 - both
            raise ConfigError(f"{where} has both 'schema' and 'rules'; give one")
        details = None
        if given == ["schema"]:
            details = next((f.key for f in row.own_fields if f in (PROPERTIES, TRAITS)), None)
            if details is None:
                raise ConfigError(f"{where}: {row.name} events have no properties; use 'rules'")
        self._rules[row.name, name] = (
            Schema(entry[given[0]], f"{where}.{given[0]}", details) if given else None
        )
        description = entry.get("description")
        self._planned[row.name, name] = PlannedEvent(
            row.name,
            name,
            description if isinstance(description, str) else "",
            entry[given[0]] if given else True,
            given == ["schema"],
            f"{where}.{given[0]}" if given else where,
        )


def _row_of(message: Mapping[str, Any]) -> EventType | None:
    event_type = message.get("type")
    return EVENT_TYPES.get(event_type) if isinstance(event_type, str) else None


def _check_places(entry: Mapping[str, Any], where: str) -> None:
    """Refuse keys that demand nothing where they stand, and look as if they did."""
    if "event" in entry:
        raise ConfigError(
            f"{where}: 'event' is no key of an entry; give the event's name as 'name'"
        )
    for key in _DEMANDS:
        if isinstance(entry.get(key), list) and key == "properties":
            # As RudderStack's API has it with ?format=properties, which holds their ids only.
            raise ConfigError(
                f"{where} has a list 'properties', which does not say what they look like; "
                "export the plan as JSON Schema (?format=schema), with 'rules'"
            )
        if key in entry:
            raise ConfigError(
                f"{where}: {key!r} is no key of an entry; put it into 'schema', which is for the "
                "event's properties or traits"
            )


def _check_extra() -> None:
    try:
        import jsonschema  # noqa: F401, PLC0415 - to say what is missing in our words
    except ImportError as error:
        raise ImportError(
            "a tracking plan needs an extra: pip install 'rudder-logging[plan]'"
        ) from error
