"""Types that a JSON Schema of a tracking plan says of a place in a message."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

__all__ = ["json_type_of", "types_at"]

_JSON_TYPES: Mapping[type, str] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    type(None): "null",
}
_MOMENTS = ("date", "date-time")
"""Formats of strings that a warehouse takes for moments."""
_MOST_STEPS = 64  # a `$ref` may lead to itself


def json_type_of(value: object) -> str:
    """The JSON type of a value that was read from JSON."""
    return _JSON_TYPES.get(type(value), "object")


def types_at(root: Any, keys: Sequence[str]) -> Collection[str]:
    """Types of a place, or the format of a string that is a moment; empty: it says none.

    Args:
        root: A schema that is valid.
        keys: The way to the place.
    """
    return _types(root, keys, root, _MOST_STEPS) or ()


def _types(schema: Any, keys: Sequence[str], root: Any, steps: int) -> set[str] | None:
    """Types that a schema, or one that it names, says of a place; None: it says none."""
    if not isinstance(schema, dict) or not steps:
        return None
    found = None
    if keys:
        inner = schema.get("properties")
        if isinstance(inner, dict) and keys[0] in inner:
            found = _types(inner[keys[0]], keys[1:], root, steps - 1)
    else:
        found = _own_types(schema)
    if found is not None:
        return found
    for part in (_target(schema.get("$ref"), root), *_list(schema.get("allOf"))):
        found = _types(part, keys, root, steps - 1)
        if found is not None:
            return found
    for alternatives in ("anyOf", "oneOf"):
        each = [_types(part, keys, root, steps - 1) for part in _list(schema.get(alternatives))]
        if each and None not in each:
            return set().union(*(one for one in each if one is not None))
    return None


def _own_types(schema: Mapping[str, Any]) -> set[str] | None:
    given = schema.get("type")
    if given is None:
        values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
        return {json_type_of(value) for value in values} or None
    types = {given} if isinstance(given, str) else {*given}
    form = schema.get("format")
    return types - {"string"} | {form} if "string" in types and form in _MOMENTS else types


def _target(reference: object, root: Any) -> Any:
    """The schema that a `$ref` within the same document names; None: it is no such one."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = root
    for step in reference[1:].split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
