"""Types that drift: values of one column that a warehouse would give different types."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.checks.columns import type_of
from rudder_logging.checks.drift import Drift, Types, place_of
from rudder_logging.checks.plan import TrackingPlan

from ..each import each
from .test_warehouse import JSON

SECRET = "SECRET"


def track(value: Any, event: str = "Order Completed", **fields: Any) -> dict[str, Any]:
    """A track event with one property."""
    return {"type": "track", "userId": "1", "event": event, "properties": {"total": value}} | fields


def drifts(*values: Any, plan: TrackingPlan | None = None) -> list[Drift]:
    """Findings of events with these values, called 1, 2 and so on."""
    types = Types(plan)
    return [
        drift
        for number, value in enumerate(values, 1)
        for drift in types.look_at(track(value), f"line {number}")
    ]


CUT = "a warehouse cuts its fraction off, without a word"
DISCARDED = "a warehouse puts it into rudder_discards, and the column stays NULL"


@each(
    ("first", "later", "kinds", "effect", "loses"),
    [
        (5, 24.95, "int float", CUT, True),
        (5.0, 24.95, "int float", CUT, True),
        (
            24.95,
            5,
            "float int",
            "takes that in this order, but one that gets a whole number",
            False,
        ),
        ("2026-01-01", "n/a", "datetime string", DISCARDED, True),
        ("n/a", "2026-01-01", "string datetime", "stores it as text, but one that gets it", False),
        (5, "5", "int string", DISCARDED, True),
        ("5", 5, "string int", "stores it as text, but one that gets it first has a column", False),
        (True, 1, "boolean int", DISCARDED, True),
        (0.5, False, "float boolean", DISCARDED, True),
        ([1], 1, "string int", "stores it as text", False),
        (1, [1], "int string", DISCARDED, True),
        ({"net": 1}, 1, "mapping int", "gives it a column of its own", False),
        (1, {"net": 1}, "int mapping", "gives each of its parts a column, and total stays", False),
    ],
)
def test_two_types_in_one_column(
    first: Any, later: Any, kinds: str, effect: str, loses: bool
) -> None:
    """The finding names both places, both types, the fate of the later one, and a cure."""
    (drift,) = drifts(first, later)
    assert f"{drift.first.type} {drift.later.type}" == kinds
    assert (drift.first.place, drift.later.place) == ("line 1", "line 2")
    assert effect in drift.effect
    assert drift.loses is loses
    assert str(drift) == f"{drift.fact}: {drift.effect}; {drift.cure}"
    was, now = kinds.split()
    column = "the column order_completed.total"
    assert drift.fact == f"properties.total is {now}, and {column} is {was} since line 1"


@each(
    "values",
    [
        (5, 5.0, -1, 2**70, 1e300),
        (5.5, 0.1),
        ("a", "5", " ", "true"),
        ("2026-01-01", "2026-01-01T00:00:00Z", "2026-02-30"),
        ([1], ["a"], "text", [{"a": 1}]),
        ({"a": 1}, {"b": "x"}, {"a": 2}),
        (5, None, "", [], {}, 6),
        (True, False),
    ],
)
def test_one_type_is_well(values: tuple[Any, ...]) -> None:
    """Whole numbers are one type however they are written; what is blank has none."""
    assert drifts(*values) == []


def test_the_first_one_counts() -> None:
    """Each later one is compared with it, and is told each time; `is_new` only once."""
    found = drifts(5, 1.5, "x", 7, 2.5)
    assert [drift.later.place for drift in found] == ["line 2", "line 3", "line 5"]
    assert [drift.is_new for drift in found] == [True, True, False]
    assert {drift.first for drift in found} == {("int", "line 1")}


def test_a_mapping_beside_plain_values() -> None:
    """Plain ones are compared with each other; the mapping with the first of them."""
    found = drifts({"net": 1}, 5, 1.5)
    assert [(drift.first.type, drift.later.type) for drift in found] == [
        ("mapping", "int"),
        ("int", "float"),
    ]


def test_columns_are_the_warehouses() -> None:
    """Names in other spellings are one column; other events' are not, but for their context."""
    types = Types()
    for value, name in ((5, "unitPrice"), (1.5, "unit_price")):
        message = {"type": "track", "event": "Sold", "properties": {name: value}}
        found = types.look_at(message, name)
    (drift,) = found
    assert drift.name == "sold.unit_price"
    assert types.look_at(track(1.5, "Bought"), "a") == []
    first = types.look_at(track(1, "Bought", context={"app": {"build": 7}}), "b")
    (by_context,) = types.look_at(track(1.5, "Returned", context={"app": {"build": "7a"}}), "c")
    assert [drift.later.type for drift in first] == ["int"]
    assert by_context.name == "tracks.context_app_build"
    assert types.look_at({"type": "identify", "context": {"app": {"build": "7a"}}}, "d") == []


def test_context_in_an_events_own_table() -> None:
    """`tracks` may take it as text where the event's own table has another type."""
    types = Types()
    types.look_at(track(1, "A", context={"build": "7a"}), "a")
    types.look_at(track(1, "B", context={"build": 7}), "b")
    found = types.look_at(track(1, "B", context={"build": "7a"}), "c")
    assert [(drift.name, drift.loses) for drift in found] == [("b.context_build", True)]
    (both,) = types.look_at(track(1, "B", context={"build": True}), "d")
    assert (both.name, both.loses) == ("b.context_build", True)


def test_no_value_is_told() -> None:
    """Neither of the event, nor of a name that has values."""
    types = Types()
    found = []
    for value in (5, SECRET, {SECRET: 1}, [SECRET]):
        found += types.look_at(track(value, "Order 4711 paid"), "somewhere")
    assert len(found) == 3
    text = "\n".join(map(str, found))
    assert SECRET not in text
    assert "4711" not in text
    assert "order_…_paid.total" in text


def test_a_message_as_a_place() -> None:
    """Its id and its time, cut to what a sentence has room for."""
    time = "2026-01-31T12:00:00.000Z"
    message = {"messageId": "m-1", "originalTimestamp": time}
    assert place_of(message) == f"message m-1 of {time}"
    assert len(place_of({"messageId": "x" * 10_000, "timestamp": "y" * 10_000})) < 200
    assert place_of({"timestamp": 7})


def plan(schema: Any, **more: Any) -> TrackingPlan:
    """A plan whose events have one property."""
    document = {"properties": {"total": schema}, **more}
    return TrackingPlan({"events": [{"name": "Order Completed", "schema": document}]}, "plan.json")


@each(
    ("schema", "values", "told"),
    [
        ({"type": "integer"}, (5, 24.95), ["float by plan.json: " + CUT]),
        ({"type": "integer"}, (24.95,), ["float by plan.json: " + CUT]),
        ({"type": "number"}, (5, 5.0), []),
        ({"type": "number"}, (5.5, "x"), ["string by plan.json: " + DISCARDED]),
        ({"type": "string"}, (5,), ["int by plan.json: a warehouse stores it as text"]),
        ({"type": "string", "format": "date"}, ("2026-01-01", "n/a"), ["string by plan.json"]),
        ({"type": ["integer", "null"]}, (5, None), []),
        ({"type": ["integer", "null"]}, (5, "x"), ["string by plan.json"]),
        ({"type": "boolean"}, (True, 1), ["int by plan.json"]),
        ({"type": "array"}, ([1], 1), ["int by plan.json"]),
        ({"type": "object"}, ({"a": 1}, 1), ["int by plan.json"]),
        ({"enum": ["a", "b"]}, ("a", 1), ["int by plan.json"]),
        ({"const": 5}, (5, "x"), ["string by plan.json"]),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, ("x",), ["string by plan.json"]),
        ({"allOf": [{"minimum": 1}, {"type": "integer"}]}, ("x",), ["string by plan.json"]),
        ({"$ref": "#/$defs/money"}, ("x",), ["string by plan.json"]),
        ({"$ref": "#/$defs/loop"}, (5, "x"), ["string since line 1"]),
        ({"minimum": 1}, ("x",), ["string by plan.json"]),
        (
            {"anyOf": [{"properties": {"net": {"type": "integer"}}}, {"type": "object"}]},
            ({"net": 5}, {"net": "x"}),
            ["string since line 1"],
        ),
        ({"enum": [5, 5.5, "2026-01-01"]}, ("x",), ["string by plan.json"]),
        ({}, (5, "x"), ["string since line 1"]),
        (False, (5, "x"), ["string since line 1"]),
        ({"anyOf": [{"type": "integer"}, {}]}, (5, "x"), ["string since line 1"]),
    ],
)
def test_a_plans_types_come_first(schema: Any, values: tuple[Any, ...], told: list[str]) -> None:
    """As if they had been seen before; what the plan does not say is as without one."""
    defs = {"money": {"type": "integer"}, "loop": {"allOf": [{"$ref": "#/$defs/loop"}]}}
    found = drifts(*values, plan=plan(schema, **{"$defs": defs}))
    assert len(found) == len(told)
    for drift, words in zip(found, told, strict=True):
        later, rest = words.split(" ", 1)
        assert drift.later.type == later
        assert f" {rest}" in str(drift)


@each(
    ("schema", "values", "wide"),
    [
        ({"type": "number"}, (5, 24.95), "float"),
        ({"type": "string"}, ("2026-01-01", "n/a"), "string"),
    ],
)
def test_what_a_plan_allows_and_a_warehouse_does_not_tell_apart(
    schema: dict[str, Any], values: tuple[Any, ...], wide: str
) -> None:
    """It is told with its cure, as planned: no type is wrong, but the column's."""
    (drift,) = drifts(*values, plan=plan(schema))
    assert drift.is_planned
    assert drift.cure == (
        f"the plan allows both: have the column made as {wide} before the first event"
    )


def test_rudderstacks_own_plan_has_types() -> None:
    """Its rules are of whole messages, nested ones too."""
    total = {"type": "object", "properties": {"net": {"type": "integer"}}}
    properties = {"type": "object", "properties": {"total": total}}
    rules = {"type": "object", "properties": {"properties": properties}}
    document = {"rules": {"events": [{"name": "Order Completed", "rules": rules}]}}
    (drift,) = drifts({"net": 1.5}, plan=TrackingPlan(document, "theirs"))
    assert drift.name == "order_completed.total_net"
    assert drift.first == ("int", "theirs")


def test_traits_may_be_planned_in_the_context() -> None:
    """As RudderStack's plans have those of an identify; a warehouse reads those at the root."""
    traits = {"type": "object", "properties": {"age": {"type": "integer"}}}
    context = {"type": "object", "properties": {"traits": traits}}
    rules = {"type": "object", "properties": {"context": context}}
    types = Types(TrackingPlan([{"type": "identify", "rules": rules}], "theirs"))
    (drift,) = types.look_at({"type": "identify", "userId": "1", "traits": {"age": "x"}}, "here")
    assert (drift.name, drift.first) == ("identifies.age", ("int", "theirs"))


def test_context_is_not_planned_by_a_schema_of_properties() -> None:
    """It may have a name that they have, too."""
    types = Types(plan({"type": "string"}))
    assert types.look_at(track("x", context={"total": 5}), "a") == []


def test_events_without_an_entry_have_no_planned_types() -> None:
    """They are compared with each other."""
    types = Types(plan({"type": "string"}))
    types.look_at(track(5, "Other"), "a")
    (drift,) = types.look_at(track(5.5, "Other"), "b")
    assert drift.first == ("int", "a")
    assert types.look_at({"type": "page", "properties": {"total": 5}}, "c") == []
    assert types.look_at({"type": "nothing"}, "d") == []


def test_what_is_remembered_is_bounded() -> None:
    """An app that makes names up can't fill the memory; it is told once."""
    types = Types(limit=100)
    assert types.full() is None

    def fill(number: int) -> None:
        names = {f"{'n' * 1_000}{number}{name}": name for name in range(50)}
        types.look_at({"type": "track", "event": "e" * 50_000, "properties": names}, "x" * 100_000)
        types.look_at(track(number, f"Event {'a' * number}"), "y" * 100_000)

    fill(0)
    tracemalloc.start()
    try:
        for number in range(1, 200):
            fill(number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000
    assert types.full() == "types of the first 100 columns are compared; there are more"
    assert types.full() is None
    assert len({(one.table, one.column) for one in types.seen()}) == 100


def test_what_others_have_seen_is_compared() -> None:
    """Processes tell each other by what JSON has."""
    one, other = Types(plan({"type": "number"})), Types(plan({"type": "number"}))
    one.look_at(track(5), "a")
    other.look_at(track(5.5), "b")
    other.look_at(track("x", "Other"), "b")
    together = Types()
    told = []
    for types in (one, other):
        told += together.merge(json.loads(json.dumps(list(types.seen()))))
    (drift,) = told
    assert (drift.first, drift.later) == (("int", "a"), ("float", "b"))
    assert drift.is_planned


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(-9, 9)


@given(st.lists(JSON | PLAIN, max_size=6))
def test_the_order_decides_which_is_first(values: list[Any]) -> None:
    """Each finding's first type is that of the first plain value, or of a mapping before it."""
    # A key of no letters gives its value the column of what is around it.
    values = [{f"k{key}": one for key, one in v.items()} if type(v) is dict else v for v in values]
    kinds = [type_of(value) for value in values]
    plain = [kind for kind in kinds if kind not in (None, "mapping")]
    for drift in (one for one in drifts(*values) if one.path == "properties.total"):
        assert drift.first.type in ("mapping", *plain[:1])
        assert drift.first.place == f"line {kinds.index(drift.first.type) + 1}"
        assert kinds[int(drift.later.place.split()[1]) - 1] == drift.later.type


@given(st.sampled_from(["int", "float", "string", "datetime", "boolean"]), st.data())
def test_messages_of_one_type_have_no_findings(kind: str, data: st.DataObject) -> None:
    """Whatever their values are."""
    values = {
        "int": st.integers() | st.integers(-9, 9).map(float),
        "float": st.floats(allow_nan=False, allow_infinity=False).filter(
            lambda value: not value.is_integer()
        ),
        "string": st.text().filter(lambda text: type_of(text) == "string") | st.just([1]),
        "datetime": st.datetimes().map(lambda moment: moment.isoformat())
        | st.dates().map(lambda day: day.isoformat()),
        "boolean": st.booleans(),
    }[kind]
    assert drifts(*data.draw(st.lists(values | st.none(), max_size=8))) == []


@given(st.permutations([5, 24.95, "x", "2026-01-01", True, {"a": 1}]))
def test_whatever_the_order_a_drift_is_found(values: list[Any]) -> None:
    """Each plain value but the first, and the mapping."""
    found = [drift for drift in drifts(*values) if drift.path == "properties.total"]
    assert len(found) == 5
