"""Shapes of values, of JSON Schemas: what a property may be, for types and comparisons.

In comes a schema that `schemas.py` has found to be valid; out come the alternatives of its values,
with `$ref`, `allOf`, `anyOf` and `oneOf` resolved. A shape is never narrower than its schema
where that says something which types can't: `not`, `if`, `dependentRequired` and the like.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from ..exceptions import ConfigError

if TYPE_CHECKING:
    from referencing._core import Resolver

__all__ = [
    "ANYTHING",
    "RULES",
    "Array",
    "Field",
    "Object",
    "Part",
    "Plain",
    "Reader",
    "Shape",
    "Value",
    "canonical",
    "joined",
]

_MOST_ALTERNATIVES = 64
_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
_HINTS = {
    "object": {
        "properties",
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
    },
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    "string": {"format", "pattern", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
"""Keywords of one type. Where a schema says no type, it means the one that it has rules for."""
RULES = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
]
"""Keywords that no type tells."""


@dataclass(frozen=True)
class Plain:
    """Any value of a JSON type without parts; `anything` for all values."""

    type: str
    format: str = ""


@dataclass(frozen=True)
class Value:
    """One value, as JSON."""

    json: str

    @property
    def value(self) -> Any:
        """It, decoded."""
        return json.loads(self.json)


@dataclass(frozen=True)
class Array:
    """A list."""

    items: Shape


@dataclass(frozen=True)
class Object:
    """A mapping. Its fields are read when they are asked for: it may hold itself."""

    key: str
    """The schema that it is of: equal ones are one."""
    name: str = field(compare=False)
    """As the schema calls it; empty: it does not."""
    description: str = field(compare=False)
    reader: Reader = field(compare=False, repr=False)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Its properties, by name."""
        return self.reader.fields(json.loads(self.key))

    @cached_property
    def others(self) -> Shape | None:
        """Values under other names; empty: there must be none; None: the schema does not say."""
        return self.reader.others(json.loads(self.key))


@dataclass(frozen=True)
class Field:
    """A property."""

    shape: Shape
    is_required: bool
    description: str = ""
    rules: tuple[tuple[str, Any], ...] = ()
    """Rules that its shape lacks, by their keyword in JSON Schema."""


Part: TypeAlias = Plain | Value | Array | Object
Shape: TypeAlias = tuple[Part, ...]
"""Alternatives; none of them: no value will do."""
ANYTHING: Shape = (Plain("anything"),)


def canonical(value: object) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Reader:
    """Reads the schemas within one that stands for itself, and whose `$ref`s lead within it.

    Args:
        root: The schema.
        where: What to call it in errors.
    """

    def __init__(self, root: Any, where: str) -> None:
        self._where = where
        self._root = root
        self._within: set[str] = set()
        """Lists whose items are being read."""

    def shape(self, schema: Any) -> Shape:
        """The values that a schema allows."""
        parts = [part for flat in self.alternatives(schema) for part in self._parts(flat)]
        return joined(parts)

    def field(self, schema: Any, *, is_required: bool = False) -> Field:
        """A property that has a schema."""
        flats = self.alternatives(schema)
        said = [flat for flat in flats if "description" in flat]
        rules = [(key, value) for key, value in flats[0].items() if key in RULES] if flats else []
        return Field(
            self.shape(schema),
            is_required,
            str(said[0]["description"]) if said else "",
            tuple(rules) if len(flats) == 1 else (),
        )

    def fields(self, schema: Mapping[str, Any]) -> dict[str, Field]:
        """The properties of an object with a schema that has no alternatives any more."""
        given = schema.get("properties", {})
        required = schema.get("required", [])
        others = schema.get("additionalProperties", True)
        schemas = {**given, **{name: others for name in required if name not in given}}
        found = {
            name: self.field(part, is_required=name in required) for name, part in schemas.items()
        }
        return {name: one for name, one in found.items() if one.shape or one.is_required}

    def others(self, schema: Mapping[str, Any]) -> Shape | None:
        """See `Object.others`."""
        patterns = [*schema.get("patternProperties", {}).values()]
        keys = ("additionalProperties", "unevaluatedProperties")
        said = next((schema[key] for key in keys if key in schema), None)
        if said is None and not patterns:
            return None
        return joined(part for one in (*patterns, said) for part in self.shape(one))

    def alternatives(self, schema: Any, chain: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """The schema as several without combinations, one of which a value has to fit."""
        if schema is False:
            return []
        if not isinstance(schema, dict):
            return [{}]
        rest = {key: part for key, part in schema.items() if key not in _COMBINING}
        if "const" in rest:
            rest["enum"] = [rest.pop("const")]
        found = [rest]
        if isinstance(schema.get("$ref"), str):
            found = _both(found, self._referred(schema["$ref"], chain))
        for part in schema.get("allOf", ()):
            found = _both(found, self.alternatives(part, chain))
        for key in ("anyOf", "oneOf"):
            branches = schema.get(key)
            if branches is not None:
                found = _both(found, self._either(branches, chain))
        return found if len(found) <= _MOST_ALTERNATIVES else [rest]

    def _either(self, branches: list[Any], chain: tuple[str, ...]) -> list[dict[str, Any]]:
        if all(isinstance(branch, dict) and branch.keys() == {"required"} for branch in branches):
            # `email` or `phone`: no types of their own are worth that.
            needed = [set(branch["required"]) for branch in branches]
            return [{"required": sorted(set.intersection(*needed))}]
        return [flat for branch in branches for flat in self.alternatives(branch, chain)]

    def _referred(self, ref: str, chain: tuple[str, ...]) -> list[dict[str, Any]]:
        if ref in chain:
            raise ConfigError(f"{self._where}: a '$ref' leads to itself")
        flats = self.alternatives(self._resolver.lookup(ref).contents, (*chain, ref))
        name = ref.rpartition("/")[2].lstrip("#") or "root"
        return [{**flat, "title": flat.get("title", name)} for flat in flats]

    @cached_property
    def _resolver(self) -> Resolver[Any]:
        from referencing import Resource  # noqa: PLC0415 - of the extra `plan`
        from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY  # noqa: PLC0415

        resource = Resource.from_contents(self._root, default_specification=DRAFT202012)
        return EMPTY_REGISTRY.resolver_with_root(resource)

    def _parts(self, flat: dict[str, Any]) -> Iterator[Part]:
        types = _types(flat)
        if "enum" in flat:
            fitting = (value for value in flat["enum"] if _fits(value, types))
            yield from (Value(canonical(value)) for value in fitting)
            return
        if len(types) == len(_TYPES) - 1:
            yield from ANYTHING
            return
        for name in types:
            if name == "object":
                yield self._object(flat)
            elif name == "array":
                yield Array(self._items(flat))
            else:
                yield Plain(name, str(flat.get("format", "")) if name == "string" else "")

    def _items(self, flat: dict[str, Any]) -> Shape:
        ahead = flat.get(
            "prefixItems", flat["items"] if isinstance(flat.get("items"), list) else []
        )
        rest = flat.get("additionalItems" if ahead is flat.get("items") else "items", True)
        key = canonical([ahead, rest])
        if key in self._within:
            return ANYTHING  # a list of such lists, for ever
        self._within.add(key)
        shapes = [self.shape(one) for one in (*ahead, rest)]
        self._within.discard(key)
        return joined(part for shape in shapes for part in shape)

    def _object(self, flat: dict[str, Any]) -> Object:
        own = {key: flat[key] for key in sorted(_HINTS["object"] & flat.keys())}
        title, said = flat.get("title"), flat.get("description")
        return Object(
            json.dumps(own, ensure_ascii=False, separators=(",", ":")),  # names in their order
            title if isinstance(title, str) else "",
            said if isinstance(said, str) else "",
            self,
        )


_COMBINING = frozenset(("$ref", "allOf", "anyOf", "oneOf"))


def _both(ones: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged = (_merged(one, other) for one in ones for other in others)
    return [flat for flat in merged if flat is not None]


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of what fits both; None: nothing does."""
    flat = {**other, **one}
    if "type" in one and "type" in other:
        flat["type"] = _common_types(_as_list(one["type"]), _as_list(other["type"]))
        if not flat["type"]:
            return None
    if "enum" in one and "enum" in other:
        values = {canonical(value) for value in other["enum"]}
        flat["enum"] = [value for value in one["enum"] if canonical(value) in values]
    if "required" in one and "required" in other:
        flat["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    if "properties" in one or "properties" in other:
        flat["properties"] = _properties(one, other)
    for key in ("items", "additionalProperties"):
        if key in one and key in other:
            either_is_false = one[key] is False or other[key] is False
            flat[key] = False if either_is_false else {"allOf": [one[key], other[key]]}
    return flat


def _properties(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The properties of both, but for names that the other side does not let in."""
    merged: dict[str, Any] = {}
    for mine, side in ((one, other), (other, one)):
        theirs = side.get("properties", {})
        is_closed = side.get("additionalProperties") is False
        for name, schema in mine.get("properties", {}).items():
            if name in theirs:
                merged[name] = {"allOf": [one["properties"][name], other["properties"][name]]}
            elif not is_closed or side.get("patternProperties"):
                merged[name] = schema
    return merged


def _as_list(types: Any) -> list[str]:
    return [types] if isinstance(types, str) else list(types)


def _common_types(ones: list[str], others: list[str]) -> list[str]:
    both = [name for name in ones if name in others]
    for mine, theirs in ((ones, others), (others, ones)):
        if "integer" in mine and "number" in theirs and "integer" not in both:
            both.append("integer")
    return both


def _types(flat: dict[str, Any]) -> list[str]:
    """The JSON types that a schema allows, or means."""
    if "type" in flat:
        return _as_list(flat["type"])
    meant = [name for name, keys in _HINTS.items() if keys & flat.keys()]
    return meant or [name for name in _TYPES if name != "integer"]


def _fits(value: object, types: list[str]) -> bool:
    if value is None or isinstance(value, bool):
        return ("null" if value is None else "boolean") in types
    if isinstance(value, (int, float)):
        is_whole = float(value).is_integer()
        return "number" in types or ("integer" in types and is_whole)
    kinds: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return kinds[type(value)] in types


def joined(parts: Iterable[Part]) -> Shape:
    """Alternatives, each once, and none that another covers."""
    kept = list(dict.fromkeys(parts))
    if ANYTHING[0] in kept:
        return ANYTHING
    if Plain("number") in kept:
        kept = [part for part in kept if part != Plain("integer")]
    return tuple(kept)
