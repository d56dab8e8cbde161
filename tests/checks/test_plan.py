"""Tracking plans: their file, and what they say of a message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import ConfigError
from rudder_logging.checks.plan import TrackingPlan
from rudder_logging.checks.schemas import Fault

from ..each import each

PLAN = {
    "events": [
        {
            "type": "track",
            "name": "Order Completed",
            "schema": {
                "properties": {
                    "revenue": {"type": "number", "minimum": 0},
                    "currency": {"$ref": "#/$defs/currency"},
                    "products": {
                        "type": "array",
                        "items": {"required": ["sku"], "properties": {"sku": {"type": "string"}}},
                    },
                },
                "required": ["revenue"],
                "additionalProperties": False,
                "$defs": {"currency": {"enum": ["EUR", "USD"]}},
            },
        },
        {"type": "identify", "schema": {"properties": {"email": {"type": "string"}}}},
        {"type": "page", "rules": {"required": ["category"]}},
        {"name": "Coupon Used"},
    ]
}

# As RudderStack's API and dashboard hand them out.
EXPORT = {
    "name": "shop",
    "version": 3,
    "rules": {
        "events": [
            {
                "id": "ev_1",
                "name": "Order Completed",
                "eventType": "track",
                "rules": {
                    "$schema": "http://json-schema.org/draft-07/schema#",
                    "type": "object",
                    "required": ["properties"],
                    "properties": {
                        "properties": {
                            "type": "object",
                            "required": ["revenue"],
                            "properties": {"revenue": {"type": ["number", "null"]}},
                        }
                    },
                },
            },
            {"id": "ev_2", "name": "", "eventType": "group", "rules": {"required": ["traits"]}},
        ],
        "identify": {"properties": {"traits": {"required": ["email"]}}},
    },
}

DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
DRAFT_6 = {"$schema": "http://json-schema.org/draft-06/schema#"}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
DRAFT_2019 = {"$schema": "https://json-schema.org/draft/2019-09/schema"}


def order(**properties: Any) -> dict[str, Any]:
    """A message as it is on the wire."""
    return {
        "type": "track",
        "event": "Order Completed",
        "userId": "1",
        "properties": {"revenue": 5, **properties},
    }


@each(
    ("message", "verdict"),
    [
        (order(), None),
        (order(currency="EUR", products=[{"sku": "a"}]), None),
        ({"type": "track", "event": "Coupon Used", "properties": {"any": 1}}, None),
        ({"type": "identify", "userId": "1"}, None),
        ({"type": "page", "name": "Home", "category": "x"}, None),
        (order(revenue="SECRET"), ("properties.revenue", "type", "a number")),
        (order(revenue=True), ("properties.revenue", "type", "true or false")),
        (order(revenue=-7), ("properties.revenue", "minimum", "0")),
        (order(currency="SECRET"), ("properties.currency", "enum", '["EUR", "USD"]')),
        (order(products=[{"sku": "a"}, {}]), ("properties.products[1]", "required", "'sku'")),
        (order(revnue="SECRET"), ("properties", "additionalProperties", "'revnue'")),
        (
            order(revenue="SECRET", currency="SECRET"),
            ("properties.currency", "enum", "(and 1 more)"),
        ),
        ({"type": "track", "event": "Order Completed"}, ("properties", "required", "'revenue'")),
        ({"type": "page", "name": "SECRET"}, ("", "required", "'category'")),
        ({"type": "identify", "traits": {"email": 5}}, ("traits.email", "type", "a string")),
        ({"type": "track", "event": "Order Complete"}, ("", "unplanned", "'Order Completed'")),
        ({"type": "track", "event": "SECRET"}, ("", "unplanned", "track")),
        ({"type": "alias"}, ("", "unplanned", "alias")),
        ({"type": "SECRET"}, ("type", "event-type", "")),
        ({}, ("type", "event-type", "")),
    ],
)
def test_verdict_names_the_path_and_no_value(
    message: dict[str, Any], verdict: tuple[str, str, str] | None
) -> None:
    """What breaks the plan is told by its path and the rule, never with the event's values."""
    found = TrackingPlan(PLAN).verdict(message)
    if verdict is None:
        assert found is None
    else:
        path, rule, word = verdict
        assert found is not None
        assert (found.path, found.rule) == (path, rule)
        assert path in found.text
        assert word in found.text
        assert "SECRET" not in found.text


def test_a_verdict_is_a_sentence() -> None:
    """As the page, `replay` and the assertion of tests show it."""
    found = TrackingPlan(PLAN).verdict(order(revenue="SECRET"))
    assert str(found) == "properties.revenue must be a number, and is a string"


def verdict_on(schema: Any, details: Any) -> Fault | None:
    """What a plan with one entry says of a track event with these properties."""
    plan = TrackingPlan([{"name": "x", "schema": schema}])
    return plan.verdict({"type": "track", "event": "x", "properties": details})


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        ({"required": ["revenue"]}, "required"),
        ({"allOf": [{"required": ["revenue"]}]}, "required"),
        (
            {"$ref": "#/$defs/order", "$defs": {"order": {"required": ["revenue"]}}},
            "required",
        ),
        ({"minProperties": 1}, "minProperties"),
        ({"additionalProperties": False}, None),
        (False, None),
    ],
)
def test_event_without_properties_is_judged_as_if_they_were_empty(
    schema: Any, rule: str | None
) -> None:
    """Wherever in the schema it says what they must have; and null is as good as nothing."""
    plan = TrackingPlan([{"name": "x", "schema": schema}])
    for details in ({}, {"properties": None}):
        found = plan.verdict({"type": "track", "event": "x", **details})
        assert (found and (found.path, found.rule)) == (rule and ("properties", rule))


@pytest.mark.parametrize(
    ("schema", "details", "path"),
    [
        (False, {"a": 1}, "properties"),
        ({"properties": {"password": False}}, {"password": "SECRET"}, "properties.password"),
        (
            {"properties": {"o": {"properties": {"secret": False}}}},
            {"o": {"secret": "SECRET"}},
            "properties.o.secret",
        ),
        ({"allOf": [{"patternProperties": {"^pw": False}}]}, {"pw1": 1}, "properties.pw1"),
        (
            {"properties": {"a": {"$ref": "#/$defs/never"}}, "$defs": {"never": False}},
            {"a": 1},
            "properties.a",
        ),
        ({"dependentSchemas": {"a": False}}, {"a": 1}, "properties.a"),
        ({**DRAFT_6, "dependencies": {"a": False}}, {"a": 1}, "properties.a"),
        ({"properties": {"l": {"prefixItems": [True, False]}}}, {"l": [1, 2]}, "properties.l[1]"),
        (
            {"properties": {"l": {"prefixItems": [True], "items": False}}},
            {"l": [1, 2]},
            "properties.l[1]",
        ),
        (
            {**DRAFT_7, "properties": {"l": {"items": [True], "additionalItems": False}}},
            {"l": [1, 2]},
            "properties.l[1]",
        ),
    ],
)
def test_what_must_not_be_there_is_named(schema: Any, details: Any, path: str) -> None:
    """In full: jsonschema tells no path of a schema that is `false`."""
    before = json.dumps(schema)
    found = verdict_on(schema, details)
    assert found is not None
    assert (found.path, found.rule) == (path, "false")
    assert "SECRET" not in found.text
    assert json.dumps(schema) == before


def test_whole_message_may_be_excluded() -> None:
    """By `rules` that nothing fits, or by a part of it: that has no path of its own."""
    plan = TrackingPlan([{"type": "alias", "rules": False}])
    found = plan.verdict({"type": "alias"})
    assert found is not None
    assert (found.path, found.rule) == ("", "false")
    found = verdict_on({"if": {"required": ["a"]}, "then": False}, {"a": 1})
    assert found is not None
    assert (found.path, found.rule) == ("properties", "false")


@pytest.mark.parametrize(
    ("schema", "details", "expected"),
    [
        (
            {"propertyNames": {"pattern": "^[a-z_]+$"}},
            {"ok": 1, "aB": 1, "Cd": 1},
            ("properties", "pattern", "'aB'"),
        ),
        (
            {"properties": {"o": {"propertyNames": {"enum": ["x"]}}}},
            {"o": {"y": 1}},
            ("properties.o", "enum", "'y'"),
        ),
        (
            {"propertyNames": False},
            {"a": 1},
            ("properties", "false", "'a'"),
        ),
        (
            {"properties": {"propertyNames": {"type": "integer"}}},
            {"propertyNames": "SECRET"},
            ("properties.propertyNames", "type", "an integer"),
        ),
        (
            {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
            {"a": 1, "b": 2},
            ("properties", "unevaluatedProperties", "'b'"),
        ),
        (
            {"dependentRequired": {"item": ["price", "tax"], "tax": ["rate"]}},
            {"item": 1, "price": 2},
            ("properties", "dependentRequired", "'tax'"),
        ),
        (
            {**DRAFT_7, "dependencies": {"item": ["price"]}},
            {"item": 1},
            ("properties", "dependencies", "'price'"),
        ),
        (
            {**DRAFT_7, "dependencies": {"item": {"required": ["price"]}}},
            {"item": 1},
            ("properties", "required", "'price'"),
        ),
    ],
)
def test_bad_and_missing_names_are_told(
    schema: Any, details: Any, expected: tuple[str, str, str]
) -> None:
    """A rule of names says which name breaks it."""
    found = verdict_on(schema, details)
    assert found is not None
    assert (found.path, found.rule) == expected[:2]
    assert expected[2] in found.text
    assert "SECRET" not in found.text


@pytest.mark.parametrize(
    "schema",
    [
        {"dependentRequired": {"item": ["price"], "typ": ["nam"]}},
        {**DRAFT_7, "dependencies": {"item": ["price"], "typ": {"required": ["nam"]}}},
        {**DRAFT_4, "properties": {"n": {"minimum": 0, "exclusiveMinimum": True}}},
        {**DRAFT_7, "$comment": "", "if": {}, "then": {}, "else": {}, "contentEncoding": "base64"},
        {
            **DRAFT_2019,
            "$vocabulary": {"https://json-schema.org/draft/2019-09/vocab/core": True},
            "$recursiveAnchor": True,
            "properties": {"child": {"$recursiveRef": "#"}},
        },
        {
            "$dynamicAnchor": "node",
            "$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": True},
            "properties": {"child": {"$dynamicRef": "#node"}, "l": {"minContains": 1}},
        },
        {"properties": {"a": {"const": {"$ref": "urn:x"}}}, "examples": [{"$ref": "urn:y"}]},
        {"properties": {"$ref": {"type": "string"}, "dependencies": {"type": "string"}}},
        {"$schema": "", "required": []},
    ],
)
def test_all_keywords_are_known(schema: Any) -> None:
    """Of each draft; and what stands in them as names or values is not taken for keywords."""
    assert verdict_on(schema, {"a": {"$ref": "urn:x"}}) is None


def test_unplanned_events_may_be_allowed() -> None:
    """A plan may speak of some events only."""
    plan = TrackingPlan({**PLAN, "unplanned": "allow"})
    assert plan.verdict({"type": "track", "event": "Anything"}) is None
    assert plan.verdict(order(revenue="x")) is not None


def test_exports_of_rudderstack_are_taken_as_they_are() -> None:
    """`rules`, `eventType`, the list inside `rules`, and rules by type."""
    plan = TrackingPlan(EXPORT)
    assert plan.verdict(order()) is None
    for message, path, rule in (
        (order(revenue="x"), "properties.revenue", "type"),
        ({"type": "group", "groupId": "1"}, "", "required"),
        ({"type": "identify", "traits": {}}, "traits", "required"),
    ):
        found = plan.verdict(message)
        assert found is not None
        assert (found.path, found.rule) == (path, rule)
    events = EXPORT["rules"]["events"]  # type: ignore[index]
    assert TrackingPlan(events).verdict(order(revenue="x")) is not None


def test_other_keys_are_ignored() -> None:
    """RudderStack's and other tools' own; names of properties and values, however they look."""
    schema = {
        "title": "An order",
        "x-owner": "shop",
        "example": {"typ": 1},
        "properties": {"typ": {"const": {"requird": 1}}, "nam": {"enum": [{"typ": 1}]}},
    }
    entry = {"id": "ev_1", "eventId": 1, "description": "", "createdAt": "", "categoryId": 7}
    plan = TrackingPlan(
        {
            "id": "tp_1",
            "version": 1,
            "creationType": "backend",
            "workspaceId": "w",
            "events": [{**entry, "name": "x", "schema": schema}],
        }
    )
    assert plan.verdict({"type": "track", "event": "x", "properties": {"z": 1}}) is None


def test_plan_is_read_from_a_file(tmp_path: Path) -> None:
    """As UTF-8 JSON, with or without the mark that some editors put first."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN), encoding="utf-8-sig")
    assert TrackingPlan.load(path).verdict(order()) is None


@each(
    ("text", "place", "named"),
    [
        ("{", "line 1, column 2", "JSON"),
        ("5", "", "'events'"),
        ("[" * 100_000, "", "deep"),
        ("{}", "", "'events'"),
        ('{"events": 5}', "", "'events'"),
        ('{"unplanned": "no", "events": []}', "", "'unplanned'"),
        ("[]", "", "empty"),
        ('{"unplanned": "allow", "events": []}', "", "empty"),
        ('{"rules": {"events": []}}', "", "empty"),
        ('{"unplaned": "allow", "events": []}', "'unplaned'", "'unplanned'"),
        ('{"evnts": [{"name": "x"}]}', "'evnts'", "'events'"),
        ('{"events": [{"nam": "x"}]}', "events[0]: unknown key 'nam'", "'name'"),
        ('{"events": [{"tpye": "x"}]}', "events[0]: unknown key 'tpye'", "'type'"),
        ('{"events": [{"shema": {}}]}', "events[0]: unknown key 'shema'", "'schema'"),
        ('{"events": [{"schema": {"requird": []}}]}', "events[0].schema:", "'required'"),
        (
            '{"events": [{"rules": {"allOf": [{"properties": {"a": {"typ": "string"}}}]}}]}',
            "events[0].rules.allOf[0].properties.a:",
            "'type'",
        ),
        (
            '{"events": [{"schema": {"contentSchema": {"properties": {"items": {"typ": 1}}}}}]}',
            "events[0].schema.contentSchema.properties.items:",
            "'typ'",
        ),
        (
            '{"events": [{"schema": {"properties": {"a": {"dependencies": {"b": ["c"]}}}}}]}',
            "events[0].schema.properties.a:",
            "'dependencies'",
        ),
        (json.dumps([{"rules": {**DRAFT_4, "const": 1}}]), "events[0].rules:", "'const'"),
        (
            '{"events": [{"rules": {"$schema": "http://json-schema.org/draft-03/schema#"}}]}',
            "events[0].rules:",
            "draft 3",
        ),
        ('{"events": [{"rules": {"$schema": 7}}]}', "events[0].rules.$schema ", "string"),
        (
            '{"events": [{"event": "Order Completed", "schema": {}}]}',
            "events[0]: 'event'",
            "'name'",
        ),
        (
            '{"events": [{"name": "x", "properties": {"a": {"type": "string"}}}]}',
            "events[0]: 'properties'",
            "'schema'",
        ),
        ('{"events": [{"type": "identify", "traits": {}}]}', "events[0]: 'traits'", "'schema'"),
        ('{"events": [{"required": [], "schema": {}}]}', "events[0]: 'required'", "'schema'"),
        ('{"events": [{"additionalProperties": false}]}', "'additionalProperties'", "'schema'"),
        (
            '{"events": [{"name": "x", "properties": [{"id": "prop_1", "required": true}]}]}',
            "events[0] has a list 'properties'",
            "?format=schema",
        ),
        ('{"events": [5]}', "events[0] ", "object"),
        ('{"events": [{"type": "trak"}]}', "events[0].type ", "identify, track"),
        ('{"events": [{"type": "trak"}]}', "events[0].type ", "did you mean 'track'?"),
        ('{"events": [{"name": 5}]}', "events[0].name ", "string"),
        ('{"events": [{"type": "group", "name": "x"}]}', "events[0]: group", "'name'"),
        ('{"events": [{"name": "x"}, {"name": "x"}]}', "events[1] ", "twice"),
        ('{"events": [{"schema": {}, "rules": {}}]}', "events[0] has both 'schema'", "'rules'"),
        ('{"events": [{"type": "merge", "schema": {}}]}', "events[0]: merge", "'rules'"),
        ('{"events": [{"schema": 5}]}', "events[0].schema ", "JSON Schema"),
        (
            '{"events": [{"schema": {"properties": {"a": {"type": "strin"}}}}]}',
            "events[0].schema.properties.a.type ",
            "'strin'",
        ),
        ('{"events": [{"rules": {"$ref": "#/$defs/x"}}]}', "events[0].rules:", "'/$defs/x'"),
        (
            '{"events": [{"rules": {"$ref": "http://127.0.0.1:9/x"}}]}',
            "events[0].rules:",
            "fetched",
        ),
    ],
)
def test_bad_file_is_told_with_its_place(tmp_path: Path, text: str, place: str, named: str) -> None:
    """A plan that can't be right is one clear error, when it is read: where, and which key."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        TrackingPlan.load(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert place in said
    assert named in said
    assert "\n" not in said


def test_unreadable_file_is_told(tmp_path: Path) -> None:
    """What the operating system says, and which file."""
    with pytest.raises(ConfigError, match=r"none\.json can't be read: No such file"):
        TrackingPlan.load(tmp_path / "none.json")
    (tmp_path / "latin").write_bytes(b'{"\xe9": 1}')
    with pytest.raises(ConfigError, match=r"latin is not UTF-8"):
        TrackingPlan.load(tmp_path / "latin")


def test_schema_that_never_ends_is_told() -> None:
    """A schema that refers to itself at the same place can't be answered."""
    plan = TrackingPlan([{"name": "x", "rules": {"$ref": "#"}}])
    with pytest.raises(ConfigError, match="leads to itself"):
        plan.verdict({"type": "track", "event": "x"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # with which jsonschema would fetch
def test_nothing_is_ever_fetched(tmp_path: Path) -> None:
    """Not even where a part of a schema says that it stands elsewhere, and so it does."""
    (tmp_path / "other.json").write_text("{}")
    part = {"$id": "urn:part", "$ref": (tmp_path / "other.json").as_uri()}
    plan = TrackingPlan([{"name": "x", "rules": {"properties": {"properties": part}}}])
    with pytest.raises(ConfigError, match="nothing is fetched"):
        plan.verdict({"type": "track", "event": "x", "properties": {}})


def test_missing_extra_says_what_to_install() -> None:
    """Without jsonschema, the error has the command that mends it."""
    code = (
        "import sys; sys.modules['jsonschema'] = None\n"
        "from rudder_logging.checks.plan import TrackingPlan\n"
        "TrackingPlan({'events': []})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: a tracking plan needs an extra: pip install 'rudder-logging[plan]'" in (
        done.stderr
    )
