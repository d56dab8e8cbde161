"""JSON Schemas of a tracking plan: checked as they are read, with faults of events in words.

Any draft from 4 on, 2020-12 if a schema does not say. Nothing is fetched, and `format` is not
checked. What is told of an event are names and rules, and none of its values.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator
    from referencing.exceptions import Unresolvable

__all__ = ["Fault", "Schema", "check_keys"]

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_JSON_TYPES: Mapping[type, str] = {
    bool: "boolean",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    type(None): "null",
}
_SCHEMAS_BY_NAME = frozenset(
    "$defs definitions dependencies dependentSchemas patternProperties properties".split()  # noqa: SIM905
)
_SCHEMAS = frozenset(
    "additionalItems additionalProperties allOf anyOf contains contentSchema else if items not "  # noqa: SIM905
    "oneOf prefixItems propertyNames then unevaluatedItems unevaluatedProperties".split()
)
"""Keywords with a schema, or a list of them. What other keywords have are names and values."""
_FALSE_HAS_NO_PATH = _SCHEMAS_BY_NAME | {"additionalItems", "items", "prefixItems"}
_NOTHING: dict[str, Any] = {"not": {}}
"""The schema `false`, of which jsonschema tells the path."""
_DRAFTS = ("3", "4", "7", "201909", "202012")
_ALIKE = 0.75
_LONGEST_RULE = 120
_MOST_NAMES = 5


@dataclass(frozen=True)
class Fault:
    """A rule that a message breaks. It has names and rules, and no value of the message's."""

    path: str
    """The place, like `properties.products[1]`; empty: the message as a whole."""
    rule: str
    """JSON Schema's keyword (`false`: nothing may be there), or `unplanned`, or `event-type`."""
    text: str
    """Both in one sentence."""

    def __str__(self) -> str:
        return self.text


class Schema:
    """A JSON Schema of messages, or of one field of theirs.

    Args:
        document: Its JSON.
        where: What to call it in errors.
        field: The field that it is of, a mapping; None: the whole message.

    Raises:
        ConfigError: It is no such schema; the message says where and why.
    """

    def __init__(self, document: Any, where: str, field: str | None = None) -> None:
        self._excludes = document is False and field is not None
        self._validator = _validator(_NOTHING if self._excludes else document, where)
        self._where = where
        self._field = field

    def fault(self, message: Mapping[str, Any]) -> Fault | None:
        """Tell where and why a message breaks the schema; None: it does not.

        Raises:
            ConfigError: It refers to a schema that is not in it, or for ever to itself.
        """
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 - of the extra `plan`

        judged: Any = message if self._field is None else message.get(self._field)
        if judged is None:
            if self._excludes:
                return None
            judged = {}  # as the gateway has it: neither absent nor null differs from empty
        try:
            faults = list(self._validator.iter_errors(judged))
        except Unresolvable as error:
            raise ConfigError(f"{self._where}: {_not_here(error)}") from None
        except RecursionError:
            raise ConfigError(f"{self._where}: a '$ref' leads to itself") from None
        if not faults:
            return None
        # The outermost first: what lies deeper often follows from it.
        first = min(faults, key=lambda fault: (len(fault.absolute_path), fault.json_path))
        places = {(f.json_path, f.validator, _bad_name(f, judged)) for f in faults}
        more = len(places) - 1
        path, rule, text = _in_words(first, self._field or "", _bad_name(first, judged))
        return Fault(path, rule, text + (f" (and {more} more)" if more else ""))


def check_keys(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key that looks like a misspelt one: a plan would demand less than it seems to."""
    import difflib  # noqa: PLC0415 - costly, and only for plans

    for key in given.keys() - known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=_ALIKE)
        if near:
            raise ConfigError(f"{where}: unknown key {_names([key])}; did you mean {near[0]!r}?")


# As it is read.


def _validator(schema: Any, where: str) -> Validator:
    """Checks values against a schema, with nothing fetched from anywhere."""
    from jsonschema import Draft3Validator, Draft202012Validator  # noqa: PLC0415 - of the extra
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    from jsonschema.validators import validator_for  # noqa: PLC0415
    from referencing import Resource  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY  # noqa: PLC0415

    if not isinstance(schema, (dict, bool)):
        raise ConfigError(f"{where} must be a JSON Schema: an object, true or false")
    if isinstance(schema, dict) and not isinstance(schema.get("$schema", ""), str):
        raise ConfigError(f"{where}.$schema must be a string: which draft it is of")
    cls = validator_for(schema, default=Draft202012Validator)
    if cls is Draft3Validator:
        raise ConfigError(f"{where}: draft 3 of JSON Schema is too old; use draft 4 or later")
    try:
        cls.check_schema(schema)  # type: ignore[arg-type]  # true and false are schemas, too
    except SchemaError as error:
        place = _path(error.absolute_path, where)
        said = error.message[:_LONGEST_RULE]
        raise ConfigError(f"{place} is not valid JSON Schema: {said}") from None
    _check_keywords(schema, cls, where)
    try:
        resource = Resource.from_contents(schema, default_specification=DRAFT202012)
        resolver = EMPTY_REGISTRY.resolver_with_root(resource)
        for reference in _references(schema):
            resolver.lookup(reference)
    except Unresolvable as error:
        raise ConfigError(f"{where}: {_not_here(error)}") from None
    return cls(_with_paths(copy.deepcopy(schema)), registry=EMPTY_REGISTRY)


def _check_keywords(schema: Any, cls: type[Validator], where: str) -> None:
    """Refuse, anywhere in a schema, what would demand nothing though it looks as if it did."""
    if not isinstance(schema, dict):
        return
    known, elsewhere = _keywords(cls)
    for key in sorted(schema.keys() & elsewhere):
        raise ConfigError(
            f"{where}: {key!r} demands nothing in this draft of JSON Schema (2020-12 if '$schema' "
            "is left out); name its own draft as '$schema'"
        )
    check_keys(schema, known, where)
    for steps, part in _parts(schema):
        _check_keywords(part, cls, _path(steps, where))


@functools.cache
def _keywords(cls: type[Validator]) -> tuple[frozenset[str], frozenset[str]]:
    """Keywords that a draft may have, and those that demand something in others only."""
    from jsonschema import validators  # noqa: PLC0415 - of the extra `plan`
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # noqa: PLC0415

    drafts = [getattr(validators, f"Draft{name}Validator") for name in _DRAFTS]
    elsewhere = {key for draft in drafts for key in draft.VALIDATORS} - cls.VALIDATORS.keys()
    elsewhere -= {"exclusiveMaximum", "exclusiveMinimum"}  # draft 4 has them beside another
    known = {"example"}  # OpenAPI's
    known |= {key for uri in REGISTRY for key in REGISTRY.contents(uri).get("properties", ())}
    return frozenset((known | cls.VALIDATORS.keys()) - elsewhere), frozenset(elsewhere)


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The schemas that stand in a schema, each with the way to it."""
    for key, part in schema.items():
        if key in _SCHEMAS_BY_NAME and isinstance(part, dict):
            yield from (((key, name), each) for name, each in part.items())
        elif key in _SCHEMAS and isinstance(part, list):
            yield from (((key, number), each) for number, each in enumerate(part))
        elif key in _SCHEMAS:
            yield (key,), part


def _references(schema: Any) -> Iterator[str]:
    """Find the `$ref`s of a schema, but for parts that have a root of their own."""
    if isinstance(schema, dict):
        for _steps, part in _parts(schema):
            if not isinstance(part, dict) or "$id" not in part:
                yield from _references(part)
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]


def _with_paths(schema: Any) -> Any:
    """The same schema, changed in place so that jsonschema tells the path of what `false` forbids.

    It ends at the mapping or list around it.
    """
    if isinstance(schema, dict):
        for (key, *rest), part in list(_parts(schema)):
            if part is not False:
                _with_paths(part)
            elif key in _FALSE_HAS_NO_PATH:
                holder, step = (schema[key], rest[0]) if rest else (schema, key)
                holder[step] = _NOTHING
    return schema


def _not_here(error: Unresolvable) -> str:
    return f"{error.ref!r} is not in it, and nothing is fetched from elsewhere"


def _path(steps: Iterable[str | int], start: str = "") -> str:
    path = start
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


# In words.


def _bad_name(fault: ValidationError, judged: Any) -> str | None:
    """The key that breaks the rule: of `propertyNames`, jsonschema tells where it stands only."""
    for step in fault.absolute_path:
        judged = judged[step]
    at_fault: Any = fault.instance
    return at_fault if isinstance(at_fault, str) and isinstance(judged, dict) else None


def _in_words(fault: ValidationError, start: str, bad_name: str | None) -> tuple[str, str, str]:
    """The path, the rule that is broken there, and both in one sentence without values."""
    path = _path(fault.absolute_path, start)
    keyword, rule = str(fault.validator or "false"), fault.validator_value
    subject = path or "the message"
    if bad_name is not None:
        subject = f"the name {_names([bad_name])} in {subject}"
    elif keyword == "not" and rule == {}:
        keyword, path = "false", _path(_unwanted(fault), path)
        subject = path or subject
    if keyword in _WORDS:
        return path, keyword, f"{subject} {_WORDS[keyword](rule, fault)}"
    return path, keyword, f"{subject} breaks the rule {keyword}: {_short(rule)}"


def _unwanted(fault: ValidationError) -> list[str]:
    """The way to what must not be there: a name in the value at fault, or (empty) all of it."""
    keyword, name = ("", "", *fault.absolute_schema_path)[-3:-1]
    depends = keyword in ("dependencies", "dependentSchemas")
    inside = isinstance(fault.instance, dict) and name in fault.instance
    return [str(name)] if depends and inside else []


def _needs(rule: Any, fault: ValidationError) -> str:
    instance: Any = fault.instance
    needs = {name: _missing(rule[name], instance) for name in rule if name in instance}
    name = next(name for name, missing in needs.items() if missing)
    return f"has {_names([name])}, but lacks {_names(needs[name])}"


def _missing(needed: Any, instance: Any) -> list[str]:
    return [name for name in needed if name not in instance] if isinstance(needed, list) else []


def _is_of_another_type(rule: Any, fault: ValidationError) -> str:
    wanted = [rule] if isinstance(rule, str) else rule
    kinds = " or ".join(_KINDS.get(kind, kind) for kind in wanted)
    return f"must be {kinds}, and is {_kind(fault.instance)}"


def _has_others(_rule: Any, fault: ValidationError) -> str:
    schema: Any = fault.schema
    instance: Any = fault.instance
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    names = [
        name
        for name in instance
        if name not in known and not any(re.search(pattern, name) for pattern in patterns)
    ]
    # Of these, other parts of the schema may know some: jsonschema's text, and only that, tells.
    told = [name for name in names if repr(name) in fault.message]
    return f"has {_names(told or names) or 'something'}, which the plan does not have"


def _names(names: list[str]) -> str:
    shown = [repr(name if len(name) <= 64 else f"{name[:63]}…") for name in names]  # noqa: PLR2004
    more = len(shown) - _MOST_NAMES
    return ", ".join(shown[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _kind(value: object) -> str:
    return _KINDS[_JSON_TYPES.get(type(value), "object")]


def _short(rule: object) -> str:
    text = json.dumps(rule, ensure_ascii=False)
    return text if len(text) <= _LONGEST_RULE else f"{text[:_LONGEST_RULE]}…"


_WORDS: Mapping[str, Callable[[Any, ValidationError], str]] = {
    "false": lambda _rule, _fault: "must not be there",
    "required": lambda rule, fault: f"lacks {_names(_missing(rule, fault.instance))}",
    "dependentRequired": _needs,
    "dependencies": _needs,
    "type": _is_of_another_type,
    "additionalProperties": _has_others,
    "unevaluatedProperties": _has_others,
    "enum": lambda rule, _fault: f"must be one of {_short(rule)}",
    "const": lambda rule, _fault: f"must be {_short(rule)}",
    "anyOf": lambda _rule, _fault: "fits none of the plan's alternatives",
    "oneOf": lambda _rule, _fault: "does not fit exactly one of the plan's alternatives",
    "not": lambda _rule, _fault: "is what the plan excludes",
    "contains": lambda _rule, _fault: "contains none of what the plan demands",
    "uniqueItems": lambda _rule, _fault: "has the same item twice",
}
