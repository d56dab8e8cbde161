"""Changes of a tracking plan: what is found, and whom it breaks."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from rudder_logging.checks.plan import TrackingPlan
from rudder_logging.checks.plan_changes import Change, changes

from ..cli.plans import SAAS
from ..each import each

CALLERS, WAREHOUSE = ("callers",), ("warehouse",)
BOTH = ("callers", "warehouse")

DATE = {"type": "string", "format": "date-time"}


def plan(properties: Any, **schema: Any) -> dict[str, Any]:
    """A plan of one event."""
    return {"events": [{"name": "A", "schema": {"properties": properties, **schema}}]}


def compared(old: Any, new: Any) -> list[Change]:
    """The changes from one document to another."""
    return changes(TrackingPlan(old), TrackingPlan(new))


@each(
    ("old", "new", "breaks", "text"),
    [
        # Types, and the column that the first values made.
        ("integer", "number", WAREHOUSE, "may be a number, too; a column of whole numbers cuts"),
        ("number", "integer", CALLERS, "can't be a number any more"),
        ("integer", "string", BOTH, "was an integer, and is a string now; a column of the old"),
        ("string", "integer", CALLERS, "was a string, and is an integer now"),
        ("boolean", "integer", BOTH, "was true or false, and is an integer now; a column of the"),
        ("string", "array", CALLERS, "was a string, and is a list now"),
        ("array", "number", CALLERS, "was a list, and is a number now"),
        ("object", "string", CALLERS, "was an object, and is a string now"),
        ("number", "object", CALLERS, "was a number, and is an object now"),
        (["integer", "string"], "integer", CALLERS, "can't be a string any more"),
        ("integer", ["integer", "boolean"], WAREHOUSE, "may be true or false, too; a column of"),
        # Null.
        (["string", "null"], "string", CALLERS, "can't be null any more"),
        ("string", ["string", "null"], (), "may be null now"),
        # Anything.
        ({}, "string", CALLERS, "may only be a string now"),
        ("string", {}, (), "may be anything now"),
        ("integer", {}, WAREHOUSE, "may be anything now"),
        # Dates.
        (
            DATE,
            "string",
            WAREHOUSE,
            "does not have the format date-time any more; a",
        ),
        ("string", DATE, (), "has the format date-time now"),
        (DATE, {"type": "string", "format": "date"}, (), "has the format date now"),
        # Values.
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, CALLERS, 'can\'t be "b" any more'),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, (), 'may be "b", too'),
        ("string", {"enum": ["a", "b"]}, CALLERS, 'may only be "a", "b" now'),
        ({"const": "a"}, "string", (), "may have other values now"),
        ({"enum": ["a", None]}, {"enum": ["a"]}, CALLERS, "can't be null any more"),
        # Rules that are no types.
        ({"minimum": 0}, {"minimum": 1}, CALLERS, "minimum is 1, and was 0"),
        ({"minimum": 1}, {"minimum": 0}, (), "minimum is 0, and was 1"),
        ({"maxLength": 9, "type": "string"}, {"maxLength": 10, "type": "string"}, (), "maxLength"),
        ({"type": "string"}, {"type": "string", "pattern": "^a"}, CALLERS, 'pattern is "^a"'),
        ({"type": "string", "pattern": "^a"}, {"type": "string"}, (), "the rule pattern is gone"),
        # Lists: in a warehouse they are text.
        (
            {"type": "array", "items": {"type": "integer"}},
            {"type": "array", "items": {"type": "number"}},
            (),
            "[] may be a number, too",
        ),
        (
            {"type": "array", "items": {"type": "number"}},
            {"type": "array", "items": {"type": "integer"}},
            CALLERS,
            "[] can't be a number any more",
        ),
        # Objects.
        (
            {"properties": {"b": {"type": "integer"}}},
            {"properties": {"b": {"type": "number"}}},
            WAREHOUSE,
            ".b may be a number, too",
        ),
        ({"properties": {"b": {}}}, {"properties": {}}, CALLERS, ".b is not planned any more"),
        (
            {"properties": {"b": {}}},
            {"properties": {"b": {}}, "additionalProperties": False},
            CALLERS,
            "may have no other keys any more (additionalProperties)",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"type": "object", "additionalProperties": {"type": "string"}},
            BOTH,
            ".* was an integer, and is a string now",
        ),
    ],
)
def test_a_property_changes(old: Any, new: Any, breaks: tuple[str, ...], text: str) -> None:
    """One change, with its path, its words and whom it breaks."""
    schemas = [{"type": one} if isinstance(one, (str, list)) else one for one in (old, new)]
    (change,) = compared(*(plan({"a": schema}) for schema in schemas))
    assert change.event == "track 'A'"
    told = f"{change.path} {change.text}".removeprefix("properties.a").strip()
    assert told.startswith(text)
    assert change.breaks == breaks


@each(
    ("old", "new", "expected"),
    [
        (plan({}), plan({"a": {}}), ("properties.a", "is new, and optional", ())),
        (plan({}), plan({}, required=["a"]), ("properties.a", "is new, and required", CALLERS)),
        (plan({"a": {}}), plan({}), ("properties.a", "is not planned any more", CALLERS)),
        (
            plan({"a": {}}),
            plan({"a": {}}, required=["a"]),
            ("properties.a", "is required now", CALLERS),
        ),
        (plan({"a": {}}, required=["a"]), plan({"a": {}}), ("properties.a", "is optional now", ())),
        (
            plan({"a": {}}),
            plan({"a": {}}, additionalProperties=False),
            ("properties", "may have no other keys any more (additionalProperties)", CALLERS),
        ),
        (
            plan({"a": {}}, additionalProperties=False),
            plan({"a": {}}),
            ("properties", "may have other keys now (additionalProperties)", ()),
        ),
        (
            {"unplanned": "allow", **plan({})},
            plan({}),
            ("", "events that are not planned may not be sent", CALLERS),
        ),
        (
            {"events": [{"type": "page", "name": "Home"}]},
            {"events": [{"type": "page", "name": "Home", "rules": {"required": ["category"]}}]},
            ("category", "is required now", CALLERS),
        ),
    ],
)
def test_an_event_changes(old: Any, new: Any, expected: tuple[Any, ...]) -> None:
    """Properties that come and go, what else may be there, a type's own fields."""
    (change,) = compared(old, new)
    assert (change.path, change.text, change.breaks) == expected


def test_events_come_and_go() -> None:
    """A renamed event is one that is gone, and one that is new."""
    other = json.loads(json.dumps(SAAS).replace('"Folder Shared"', '"Folder Sent"'))
    assert compared(SAAS, other) == [
        Change("track 'Folder Shared'", "", "is not planned any more", CALLERS),
        Change("track 'Folder Sent'", "", "is new"),
    ]


def test_what_breaks_stands_first() -> None:
    """Within an event."""
    old = plan({"a": {"type": "string"}, "b": {"type": "string"}})
    new = plan({"a": {"enum": ["x"]}, "0": {}, "b": {"type": ["string", "null"]}}, required=["b"])
    assert [change.breaks for change in compared(old, new)] == [CALLERS, CALLERS, (), ()]


@each("change", ["", "description", "order", "reference", "draft"])
def test_a_plan_that_says_the_same_has_no_changes(change: str) -> None:
    """Whatever its words and their order; recursion ends."""
    other = copy.deepcopy(SAAS)
    schema = other["events"][0]["schema"]
    if change == "description":
        other["events"][0]["description"] = schema["properties"]["plan"]["description"] = "new"
    elif change == "order":
        other["events"].reverse()
        schema["properties"] = dict(reversed(schema["properties"].items()))
    elif change == "reference":
        schema["$defs"]["tier"] = schema["properties"]["plan"]
        schema["properties"]["plan"] = {"$ref": "#/$defs/tier"}
    elif change == "draft":
        schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    assert compared(SAAS, other) == []


def test_a_change_within_a_recursive_type_is_found_once() -> None:
    """A folder holds folders."""
    other = json.loads(json.dumps(SAAS))
    folder = other["events"][1]["schema"]["$defs"]["folder"]
    folder["properties"]["name"] = {"type": ["string", "null"]}
    assert compared(SAAS, other) == [
        Change("track 'Folder Shared'", "properties.tree.name", "may be null now")
    ]
    assert {change.path for change in compared(other, SAAS)} == {"properties.tree.name"}


@pytest.mark.parametrize("cells", [["integer", "number"], ["string", "number"]])
def test_alternatives_are_one_type(cells: list[str]) -> None:
    """`anyOf` and a list of types say the same, and so does a single value of an enum."""
    assert not compared(
        plan({"a": {"type": cells}}), plan({"a": {"anyOf": [{"type": one} for one in cells]}})
    )
    assert not compared(plan({"a": {"const": "x"}}), plan({"a": {"enum": ["x"]}}))
