"""Shapes of JSON Schemas: what a value may be, once references and combinations are resolved."""

from __future__ import annotations

from typing import Any

import pytest

from rudder_logging import ConfigError
from rudder_logging.checks.shapes import ANYTHING, Array, Object, Plain, Reader, Shape, Value

from ..cli.plans import JSON_VALUE
from ..each import each

TEXT, WHOLE, NUMBER, NULL = (Plain(name) for name in ("string", "integer", "number", "null"))


def shape(schema: Any) -> Shape:
    """Of a schema that stands for itself."""
    return Reader(schema, "plan").shape(schema)


def only(schema: Any) -> Object:
    """The object that a schema is of."""
    (part,) = shape(schema)
    assert isinstance(part, Object)
    return part


@each(
    ("schema", "expected"),
    [
        ({"type": "string"}, (TEXT,)),
        ({"type": ["integer", "null"]}, (WHOLE, NULL)),
        ({"type": ["integer", "number"]}, (NUMBER,)),
        ({"type": "string", "format": "date"}, (Plain("string", "date"),)),
        ({}, ANYTHING),
        (True, ANYTHING),
        ({"description": "x", "anyOf": [{}, {"type": "string"}]}, ANYTHING),
        (False, ()),
        ({"type": "string", "enum": ["a", 1, None]}, (Value('"a"'),)),
        ({"type": "integer", "enum": [1.0, 1.5, True]}, (Value("1.0"),)),
        ({"const": {"b": 1, "a": 2}}, (Value('{"a":2,"b":1}'),)),
        ({"minLength": 1}, (TEXT,)),
        ({"maximum": 1}, (NUMBER,)),
        ({"items": {"type": "string"}}, (Array((TEXT,)),)),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, (Array((TEXT,)),)),
        (
            {"type": "array", "items": [{"type": "string"}], "additionalItems": {"type": "null"}},
            (Array((TEXT, NULL)),),
        ),
        ({"oneOf": [{"const": "a"}, {"type": "integer"}]}, (Value('"a"'), WHOLE)),
        ({"type": "string", "oneOf": [{"const": "a"}, {"minLength": 3}]}, (Value('"a"'), TEXT)),
        ({"allOf": [{"type": "number"}, {"type": ["integer", "null"]}]}, (WHOLE,)),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, (Value('"b"'),)),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, ()),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, (TEXT,)),
        ({"$ref": "#/definitions/a", "definitions": {"a": {"type": "null"}}}, (NULL,)),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}}, None),
    ],
)
def test_alternatives_are_told(schema: Any, expected: Shape | None) -> None:
    """Types, values, lists; a schema without a type means the one that it has rules for."""
    if expected is None:  # a list of such lists
        expected = (Array((Array(ANYTHING),)),)
    assert shape(schema) == expected


def test_parts_of_an_object_are_merged() -> None:
    """Of `allOf` and of references; what one part closes, the other can't open."""
    one = only(
        {
            "allOf": [
                {"$ref": "#/$defs/base"},
                {"required": ["b"], "properties": {"b": {"type": "integer"}, "c": {}}},
            ],
            "properties": {"b": {"minimum": 1, "description": "more"}},
            "$defs": {
                "base": {
                    "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
                    "required": ["a"],
                    "additionalProperties": False,
                }
            },
        }
    )
    assert one.name == "base"
    assert list(one.fields) == ["b", "a"]
    assert one.others == ()
    assert (one.fields["b"].shape, one.fields["b"].is_required) == ((WHOLE,), True)
    assert (one.fields["b"].description, one.fields["b"].rules) == ("more", (("minimum", 1),))


@each(
    ("schema", "expected"),
    [
        ({"type": "object"}, None),
        ({"additionalProperties": True}, ANYTHING),
        ({"additionalProperties": False}, ()),
        ({"properties": {}, "unevaluatedProperties": False}, ()),
        ({"additionalProperties": {"type": "string"}}, (TEXT,)),
        ({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False}, (TEXT,)),
        ({"patternProperties": {"^a": {"type": "string"}}}, ANYTHING),
    ],
)
def test_others_are_told(schema: Any, expected: Shape | None) -> None:
    """Values under other names; None where the schema does not speak of them."""
    assert only(schema).others == expected


def test_alternatives_by_required_names_are_one_object() -> None:
    """`email` or `phone`: both are optional, and what all alternatives need is required."""
    needs = [{"required": ["id", "email"]}, {"required": ["id", "phone"]}]
    one = only({"properties": {"id": {}, "email": {}, "phone": {}}, "anyOf": needs})
    assert [name for name, field in one.fields.items() if field.is_required] == ["id"]


def test_a_type_may_hold_itself() -> None:
    """Any JSON: the reading ends."""
    text, null, array, mapping = shape({"$ref": "#/$defs/json", "$defs": {"json": JSON_VALUE}})
    assert (text, null) == (TEXT, NULL)
    assert isinstance(array, Array)
    assert isinstance(mapping, Object)
    assert mapping.others is not None
    assert mapping in mapping.others
    with pytest.raises(ConfigError, match=r"plan: a '\$ref' leads to itself"):
        shape({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}})


def test_too_many_combinations_are_none() -> None:
    """Ten independent choices are a thousand alternatives: no type that anybody could read."""
    choice: Any = {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}
    assert len(shape({"type": "object", "allOf": [choice]})) == 2
    assert only({"type": "object", "allOf": [choice] * 10}).fields == {}
