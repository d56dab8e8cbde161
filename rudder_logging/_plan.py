"""A tracking plan: which events an app may send, and what each has to look like.

```json
{"unplanned": "refuse",
 "events": [{"type": "track", "name": "Order Completed",
             "schema": {"required": ["revenue"], "properties": {"revenue": {"type": "number"}}}},
            {"type": "identify", "schema": {"additionalProperties": false}}]}
```

`schema` is a JSON Schema of the event's `properties` or `traits`, `rules` one of the whole message;
an entry may have either or none. `type` is `track` if left out; without a `name`, an entry is for
all events of its type that no other names. `unplanned` says what becomes of events that have no
entry: `refuse` if left out, or `allow`. RudderStack's own exports are taken as they are: their
`eventType`, `rules`, and the list of events inside `rules`. Other keys are ignored, unless they
look like misspelt ones. `format` is not checked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ._events import EVENT_TYPES, PROPERTIES, TRAITS, nearest
from .exceptions import ConfigError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator
    from referencing.exceptions import Unresolvable

__all__ = ["TrackingPlan"]

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_KEYS_OF_PLAN = ("unplanned", "events", "rules")
_KEYS_OF_ENTRY = ("type", "eventType", "name", "schema", "rules")
_OTHER_KEYWORDS = [
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "$comment",
    "$defs",
    "definitions",
    "$vocabulary",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "then",
    "else",
    "minContains",
    "maxContains",
    "dependencies",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
]
"""Of JSON Schema: those that do not demand anything by themselves."""
_WITH_SCHEMAS_BY_NAME = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
_WITH_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
_ALIKE = 0.75
_LONGEST_RULE = 120
_MOST_NAMES = 5
_FIXED = {
    "None": "must not be there",  # the schema is `false`
    "anyOf": "fits none of the plan's alternatives",
    "oneOf": "does not fit exactly one of the plan's alternatives",
    "not": "is what the plan excludes",
    "contains": "contains none of what the plan demands",
    "uniqueItems": "has the same item twice",
}


class TrackingPlan:
    """What events an app has agreed to send, as a file says it.

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
        _check_keys(document, _KEYS_OF_PLAN, name)
        unplanned = document.get("unplanned", "refuse")
        if unplanned not in ("allow", "refuse"):
            raise ConfigError(f'{name}: \'unplanned\' must be "allow" or "refuse"')
        self._allows_unplanned = unplanned == "allow"
        self._rules: dict[tuple[str, str | None], Validator | None] = {}
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

    def verdict(self, message: Mapping[str, Any]) -> str | None:
        """Why a message breaks the plan, and where; None: it conforms.

        The text has names and rules of the plan, and no value of the message.

        Args:
            message: As it is on the wire, decoded.

        Raises:
            ConfigError: The plan refers to a schema that it does not have.
        """
        event_type = message.get("type")
        row = EVENT_TYPES.get(event_type) if isinstance(event_type, str) else None
        if row is None:
            return "type is none of RudderStack's event types"
        name = message.get(row.template_field.key) if row.template_field else None
        key = (row.name, name if isinstance(name, str) else None)
        if key not in self._rules:
            key = (row.name, None)
        if key not in self._rules:
            return self._unplanned(row.name, name)
        validator = self._rules[key]
        return None if validator is None else self._first_fault(validator, message)

    def _unplanned(self, event_type: str, name: object) -> str | None:
        if self._allows_unplanned:
            return None
        if not isinstance(name, str):
            return f"the plan has no {event_type} events"
        planned = {named: None for kind, named in self._rules if kind == event_type and named}
        return f"the plan has no {event_type} event of that name{nearest(name, planned)}"

    def _first_fault(self, validator: Validator, message: Mapping[str, Any]) -> str | None:
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 - of the extra `plan`

        try:
            faults = list(validator.iter_errors(message))
        except Unresolvable as error:
            raise ConfigError(f"{self._name}: {_not_here(error)}") from None
        except RecursionError:
            raise ConfigError(f"{self._name}: a '$ref' leads to itself") from None
        if not faults:
            return None
        # The outermost first: what lies deeper often follows from it.
        first = min(faults, key=lambda fault: (len(fault.absolute_path), fault.json_path))
        places = {(fault.json_path, fault.validator) for fault in faults}
        more = len(places) - 1
        return _in_words(first) + (f" (and {more} more)" if more else "")

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
        _check_keys(entry, _KEYS_OF_ENTRY, where)
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
        given = [key for key in ("schema", "rules") if entry.get(key) is not None]
        if len(given) == 2:  # noqa: PLR2004 - both
            raise ConfigError(f"{where} has both 'schema' and 'rules'; give one")
        schema = entry[given[0]] if given else None
        validator = None
        if given == ["schema"]:
            details = next((f.key for f in row.own_fields if f in (PROPERTIES, TRAITS)), None)
            if details is None:
                raise ConfigError(f"{where}: {row.name} events have no properties; use 'rules'")
            _validator(schema, f"{where}.schema")  # its faults, at the place where it stands
            validator = _validator(_around(details, schema), f"{where}.schema")
        elif given:
            validator = _validator(schema, f"{where}.rules")
        self._rules[row.name, name] = validator


def _check_extra() -> None:
    try:
        import jsonschema  # noqa: F401, PLC0415 - to say what is missing in our words
    except ImportError as error:
        raise ImportError(
            "a tracking plan needs an extra: pip install 'rudder-logging[plan]'"
        ) from error


def _check_keys(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key that looks like a misspelt one: a plan would demand less than it seems to."""
    import difflib  # noqa: PLC0415 - costly, and only for plans

    for key in given.keys() - known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=_ALIKE)
        if near:
            raise ConfigError(f"{where}: unknown key {_names([key])}; did you mean {near[0]!r}?")


def _check_keywords(schema: Any, known: Iterable[str], where: str) -> None:
    """The same, of a JSON Schema and all in it."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            _check_keywords(part, known, f"{where}[{number}]")
    elif isinstance(schema, dict):
        _check_keys(schema, known, where)
        for key, part in schema.items():
            place = f"{where}.{key}"
            if key in _WITH_SCHEMAS_BY_NAME and isinstance(part, dict):
                for name, each in part.items():
                    _check_keywords(each, known, f"{place}.{name}")
            elif key in known and key not in _WITH_VALUES:
                _check_keywords(part, known, place)


def _around(details: str, schema: Any) -> dict[str, Any]:
    """A schema of the message, of one of its properties or traits."""
    whole: dict[str, Any] = {"properties": {details: schema}}
    if isinstance(schema, dict):
        if "$schema" in schema:
            whole["$schema"] = schema["$schema"]
        if schema.get("required"):
            whole["required"] = [details]
        if "$id" not in schema:
            # What it refers to in itself is meant from its own root.
            whole["properties"][details] = {"$id": "urn:rudder-logging:plan", **schema}
    return whole


def _validator(schema: Any, where: str) -> Validator:
    """Checks messages against a schema, with nothing fetched from anywhere."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - of the extra `plan`
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    from jsonschema.validators import validator_for  # noqa: PLC0415
    from referencing import Resource  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY  # noqa: PLC0415

    if not isinstance(schema, (dict, bool)):
        raise ConfigError(f"{where} must be a JSON Schema: an object, true or false")
    cls = validator_for(schema, default=Draft202012Validator)
    try:
        cls.check_schema(schema)  # type: ignore[arg-type]  # true and false are schemas, too
    except SchemaError as error:
        place = _path(error.absolute_path, where)
        said = error.message[:_LONGEST_RULE]
        raise ConfigError(f"{place} is not valid JSON Schema: {said}") from None
    _check_keywords(schema, [*cls.VALIDATORS, *_OTHER_KEYWORDS], where)
    try:
        resource = Resource.from_contents(schema, default_specification=DRAFT202012)
        resolver = EMPTY_REGISTRY.resolver_with_root(resource)
        for reference in _references(schema):
            resolver.lookup(reference)
    except Unresolvable as error:
        raise ConfigError(f"{where}: {_not_here(error)}") from None
    return cls(schema, registry=EMPTY_REGISTRY)


def _references(schema: Any) -> Iterator[str]:
    """What it refers to, as far as a root of its own does not give that another meaning."""
    parts = schema.values() if isinstance(schema, dict) else schema
    for part in parts if isinstance(schema, (dict, list)) else ():
        if not isinstance(part, dict) or "$id" not in part:
            yield from _references(part)
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        yield schema["$ref"]


def _not_here(error: Unresolvable) -> str:
    return f"{error.ref!r} is not in it, and nothing is fetched from elsewhere"


def _path(steps: Iterable[str | int], start: str = "") -> str:
    path = start
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _in_words(fault: ValidationError) -> str:
    """One sentence: the path, and the rule that is broken there. No value of the message's."""
    path = _path(fault.absolute_path) or "the message"
    rule: Any = fault.validator_value
    keyword = str(fault.validator)
    if keyword == "required" and isinstance(fault.instance, dict):
        names = [name for name in rule if name not in fault.instance]
        return f"{path} lacks {_names(names)}"
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        extra = _unplanned_names(fault)
        return f"{path} has {extra}, which the plan does not have"
    if keyword == "type":
        wanted = [rule] if isinstance(rule, str) else list(rule)
        kinds = " or ".join(_KINDS.get(kind, kind) for kind in wanted)
        return f"{path} must be {kinds}, and is {_kind(fault.instance)}"
    if keyword in ("enum", "const"):
        return f"{path} must be {'one of ' if keyword == 'enum' else ''}{_short(rule)}"
    if keyword in _FIXED:
        return f"{path} {_FIXED[keyword]}"
    return f"{path} breaks the rule {keyword}: {_short(rule)}"


def _unplanned_names(fault: ValidationError) -> str:
    schema = fault.schema if isinstance(fault.schema, dict) else {}
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    instance: Any = fault.instance
    names = [
        name
        for name in instance
        if name not in known and not any(re.search(pattern, name) for pattern in patterns)
    ]
    return _names(names) if names else "something"


def _names(names: list[str]) -> str:
    shown = [repr(name if len(name) <= 64 else f"{name[:63]}…") for name in names]  # noqa: PLR2004
    more = len(shown) - _MOST_NAMES
    return ", ".join(shown[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return _KINDS["null" if value is None else "boolean"]
    kinds = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return _KINDS[kinds.get(type(value), "object")]


def _short(rule: object) -> str:
    text = json.dumps(rule, ensure_ascii=False)
    return text if len(text) <= _LONGEST_RULE else f"{text[:_LONGEST_RULE]}…"
