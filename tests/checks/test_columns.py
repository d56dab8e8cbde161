"""Columns that a warehouse makes of a message, and their types, as a real server has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from rudder_logging import EVENT_TYPES
from rudder_logging.checks.columns import TYPES, columns_of, type_of

from ..each import each
from .test_warehouse import CONTRACT, JSON

TEXT = (CONTRACT / "warehouse-values.jsonl").read_text("utf-8")
SHARED = Path(__file__).parents[3] / "shared" / "contract" / "warehouse-values.jsonl"


def columns(message: dict[str, Any]) -> dict[str, str]:
    """The columns that have values, by `table.column` of their first table."""
    return {
        f"{column.tables[0]}.{column.name}": column.type
        for column in columns_of(message)
        if column.type != "mapping"
    }


def track(properties: Any, event: Any = "Seen") -> dict[str, str]:
    """Columns of a track event's own table."""
    found = columns({"type": "track", "event": event, "properties": properties})
    return {name.partition(".")[2]: kind for name, kind in found.items()}


@each("line", TEXT.splitlines())
def test_values_have_the_types_that_a_real_server_gave_them(line: str) -> None:
    """Each value of the contract, and no other columns."""
    row = json.loads(line)
    assert track({"p": row["value"]}) == row["columns"]


def test_the_contract_is_all_there() -> None:
    """The copy here is the one that is shared, where that stands beside the checkout."""
    assert len(TEXT.splitlines()) == 67
    if not SHARED.exists():
        pytest.skip("no shared contract beside the checkout")
    assert SHARED.read_text("utf-8") == TEXT


@each(
    ("value", "kind"),
    [
        ("2026-01-01T00:00:00-0330", "datetime"),
        ("2026-01-01T00:00+01", "datetime"),
        ("2026-01-01\t00:00", "datetime"),
        ("2026-01-01T24:00", "string"),
        ("2026-01-01T10:60", "string"),
        ("2026-01-01T00:00:00+01:90", "string"),
        ("0000-01-01", "string"),
        ("٢٠٢٦-01-01", "string"),
        ("2026-01-01\n", "string"),
        ("2026-01-01T00:00:00." + "1" * 30 + "Z", "string"),
        (-0.0, "int"),
        (1e-320, "float"),
        (2**70, "int"),
        ([None], "string"),
        ([""], None),
        ([[]], None),
        ([[[""]]], None),
        ([0], "string"),
        ([False], "string"),
        ([{}], "string"),
        ({"a": None}, "mapping"),
    ],
)
def test_types_at_the_edges(value: object, kind: str | None) -> None:
    """By the server's source: what its form, its length or its blanks decide."""
    assert type_of(value) == kind


@each(
    ("message", "expected"),
    [
        (
            {"type": "track", "event": "Order Completed", "properties": {"productId": 1}},
            {"order_completed.product_id": "int"},
        ),
        ({"type": "track", "event": "Users", "properties": {"a": 1}}, {"_users.a": "int"}),
        ({"type": "track", "event": "!!!", "properties": {"a": 1}}, {}),
        (
            {"type": "track", "event": "!!!", "context": {"app": {"build": 1.5}}},
            {"tracks.context_app_build": "float"},
        ),
        ({"type": "page", "properties": {"name": "x", "depth": 2}}, {"pages.depth": "int"}),
        ({"type": "screen", "properties": {"depth": 2}}, {"screens.depth": "int"}),
        ({"type": "group", "traits": {"group_id": 7, "size": 2}}, {"groups.size": "int"}),
        ({"type": "alias", "traits": {"size": 2}}, {"aliases.size": "int"}),
        (
            {"type": "identify", "traits": {"age": 7}, "context": {"traits": {"age": 7}, "a": 1}},
            {"identifies.age": "int", "identifies.context_a": "int"},
        ),
        (
            {"type": "identify", "context": {"traits": {"age": 7}, "library": {"name": "x"}}},
            {"identifies.context_traits_age": "int"},
        ),
        ({"type": "track", "event": "E", "traits": {"a": 1}}, {}),
        ({"type": "track", "event": "E", "properties": {"名": 1, "id": 2, "userId": 3}}, {}),
        ({"type": "merge", "mergeProperties": []}, {}),
        ({"type": 7}, {}),
        ({}, {}),
    ],
)
def test_each_type_has_its_tables(message: dict[str, Any], expected: dict[str, str]) -> None:
    """Own values in the event's table, context in those of its type; not what is lost anyway."""
    assert columns(message) == expected


def test_context_of_a_track_event_is_in_both_tables() -> None:
    """`tracks` has that of all events, so it comes first."""
    message = {"type": "track", "event": "Read", "context": {"a": 1}}
    (column,) = columns_of(message)
    assert column.tables == ("tracks", "read")
    assert (column.path, column.keys) == ("context.a", ("context", "a"))


def test_every_event_type_is_known() -> None:
    """A new row of the table needs its tables here."""
    for name in EVENT_TYPES:
        message = {"type": name, "event": "E", "context": {"a": 1}}
        assert bool(columns(message)) is (name != "merge"), name


def test_deep_nesting_is_walked() -> None:
    """A message from elsewhere may be nested deeper than Python calls."""
    values: Any = 1
    for _ in range(50_000):
        values = {"shelf": values}
    message = {"type": "track", "event": "E", "properties": values}
    found = list(columns_of(message))
    assert {column.type for column in found} == {"mapping"}
    assert max(len(column.name) for column in found) == 127


@pytest.mark.slow
@given(JSON, JSON)
def test_any_json_has_columns(properties: Any, context: Any) -> None:
    """Whatever arrives, it has columns of known types, or none."""
    for kind in EVENT_TYPES:
        message = {"type": kind, "event": "E", "properties": properties, "context": context}
        for column in columns_of(message):
            assert column.type in TYPES
            assert column.name
