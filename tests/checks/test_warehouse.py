"""What a warehouse would silently drop or rename."""

from __future__ import annotations

import itertools
import json
import logging
import tracemalloc
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging import EVENT_TYPES, WarehouseWarning
from rudder_logging.checks.keywords import WAREHOUSES, keyword_in
from rudder_logging.checks.warehouse import EventNames, column_of, findings
from rudder_logging.events.encoding import dumps
from rudder_logging.events.table import build
from rudder_logging.testing import capture_events

from ..each import each


def track(properties: Mapping[str, Any], event: str = "Article Read") -> list[str]:
    """Findings for a track event with these properties."""
    return findings({"type": "track", "userId": "1", "event": event, "properties": properties})


@each(
    ("name", "column"),
    [
        ("productId", "product_id"),
        ("Product ID", "product_id"),
        ("XMLHttpRequest", "xml_http_request"),
        ("HTTPServer2", "http_server2"),
        ("abc123def", "abc123_def"),
        ("1stPlace", "_1st_place"),
        ("12ABc", "_12ab_c"),
        ("2024", "_2024"),
        ("_hidden", "_hidden"),
        ("__camelCase", "__camel_case"),
        ("a.b-c", "a_b_c"),
        ("größe", "gr_e"),
        ("名前", ""),
        ("", ""),
        ("___", "___"),
        ("_9lives", "_9lives"),
        ("A", "a"),
        ("ABC", "abc"),
    ],
)
def test_names_become_columns_as_the_server_makes_them(name: str, column: str) -> None:
    """Words of ASCII letters and digits in lower case, joined by underscores."""
    assert column_of(name) == column


def test_usual_events_are_well() -> None:
    """Nothing is said of names in camelCase, snake_case or words, nested or blank ones included."""
    values = {"productId": 1, "unit_price": 2, "Order Total": 3, "address": {"city": "Rome"}}
    assert track({**values, "id": None, "user_id": "", "tags": [], "_kept": 1}) == []
    message = build({"type": "identify", "user_id": "1", "traits": {"email": "a@b.c", "x" * 60: 1}})
    assert findings(message) == []


@each(
    "name",
    [
        "id",
        "userId",
        "anonymous_id",
        "sentAt",
        "timestamp",
        "receivedAt",
        "original_timestamp",
        "Channel",
        "context_ip",
        "contextRequestIp",
        "context_passed_ip",
        "event",
        "eventText",
        "record_id",
    ],
)
def test_reserved_columns_are_named(name: str) -> None:
    """A property whose column is RudderStack's own is lost; the sentence names both."""
    (sentence,) = track({name: "a secret value"})
    assert sentence.startswith(f"properties.{name} is dropped: the column {column_of(name)} is")
    assert "rename" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("event_type", "place", "name"),
    [
        ("page", "properties", "name"),
        ("screen", "properties", "name"),
        ("group", "traits", "groupId"),
        ("alias", "traits", "previousId"),
        ("identify", "traits", "id"),
    ],
)
def test_each_type_has_columns_of_its_own(event_type: str, place: str, name: str) -> None:
    """What is reserved in one table is free in others."""
    message = {"type": event_type, "userId": "1", "name": "Home", place: {name: 7}}
    assert [text.partition(" ")[0] for text in findings(message)] == [f"{place}.{name}"]
    if name != "id":
        assert track({name: 7}) == []


@pytest.mark.parametrize("root", [{}, {"name": "Home"}])
def test_a_page_may_be_named_by_its_properties(root: dict[str, str]) -> None:
    """It fills the column, unless another name stands at the root."""
    assert findings({"type": "page", "properties": {"name": "Home"}, **root}) == []


def test_context_has_columns_too() -> None:
    """`context.ip` fills its column; what only looks like RudderStack's own is lost."""
    message = {"type": "identify", "context": {"ip": "::1", "request_ip": "::2", "größe": 1}}
    dropped, renamed = findings(message)
    assert dropped.startswith("context.request_ip is dropped: the column context_request_ip is")
    assert renamed.startswith("context.größe becomes context_gr_e: only ASCII letters and digits")


def test_two_names_for_one_column() -> None:
    """Case, separators and nesting all come to one column, which keeps one value."""
    values = {"productId": 1, "product_id": 2, "address_city": 3, "address": {"city": 4}}
    flat, nested = track(values)
    assert flat == (
        "properties.product_id and properties.productId are one column, product_id, which keeps "
        "only one of the values; rename one"
    )
    assert nested.startswith("properties.address.city and properties.address_city are one column")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 64, "cut to 63 characters"),
        ("preis_€", "becomes preis: only ASCII"),
        ("2nd choice", "becomes _2nd_choice: none begins with a digit"),
        ("名前", "is dropped"),
    ],
)
def test_names_that_are_changed(name: str, words: str) -> None:
    """Longer than Postgres takes, other than ASCII, or beginning with a digit."""
    (sentence,) = track({name: 1})
    assert words in sentence
    assert len(sentence) < 150


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("order", "properties.order becomes _order in all warehouses but ClickHouse: it is a word"),
        ("User", "becomes _user in Postgres, Redshift, Databricks, SQL Server and Synapse: it is"),
        ("limit", "becomes _limit in Postgres, Redshift, BigQuery, SQL Server and Synapse: it is"),
        ("plan", "becomes _plan in SQL Server and Synapse: it is a word of their SQL; rename it"),
    ],
)
def test_words_of_sql(name: str, words: str) -> None:
    """They get an underscore in front; the sentence says where. Within another they do not."""
    (sentence,) = track({name: 1})
    assert words in sentence
    assert track({"details": {name: 1}}) == []


def test_a_word_of_sql_with_other_characters() -> None:
    """The name that it has in the end is told, not one on the way."""
    (sentence,) = track({"order!": 1})
    assert "becomes _order in all warehouses but ClickHouse: it is a word" in sentence


def test_an_event_whose_name_is_a_word_of_sql() -> None:
    """Its table gets the underscore."""
    (sentence,) = track({}, "Order")
    assert sentence.startswith("the event's name becomes _order in all warehouses but ClickHouse:")


def test_words_of_sql_are_no_warnings_in_tests() -> None:
    """Nothing is lost of them, and each `order` and `value` would be one."""
    with warnings.catch_warnings(), capture_events() as events:
        warnings.simplefilter("error")
        properties = {"value": 1, "plan": 2, "order": 3}
        logging.getLogger("shop").info(
            "Order", extra={"rudder": {"user_id": "1", "event": "Order", "properties": properties}}
        )
    assert len(events) == 1


CONTRACT = Path(__file__).parent.parent / "contract"


def test_words_of_sql_are_the_servers() -> None:
    """The table in the package and what a real server renamed are the same."""
    data = json.loads((CONTRACT / "warehouse-keywords.json").read_text("utf-8"))
    assert data["MSSQL"] == data["AZURE_SYNAPSE"]
    ours = {
        name: {word for word in {*itertools.chain(*data.values())} if name in keyword_in(word)}
        for name in WAREHOUSES.values()
    }
    assert ours == {
        "Postgres": {*data["POSTGRES"]},
        "Redshift": {*data["RS"]},
        "Snowflake": {*data["SNOWFLAKE"]},
        "BigQuery": {*data["BQ"]},
        "Databricks": {*data["DELTALAKE"]},
        "SQL Server and Synapse": {*data["MSSQL"]},
    }


TEXT = (CONTRACT / "warehouse-names.jsonl").read_text("utf-8")
NAMES = [json.loads(line) for line in TEXT.splitlines()]


def in_postgres(name: str) -> str | None:
    """What a column or table is called there, reserved names aside."""
    column = column_of(name)
    keyword = "_" if "Postgres" in keyword_in(column) else ""
    return f"{keyword}{column}"[:63] or None


def test_names_become_what_a_real_server_made_of_them() -> None:
    """As a table, as a column, and below another name."""
    for row in NAMES:
        name = row["name"]
        assert in_postgres(name) == row["table_of_event"]
        assert in_postgres(f"outer_{name}") == row["nested_in_outer"]
        assert row["track"] in (None, in_postgres(name))


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES.keys() - {"merge"}))
def test_what_a_real_server_did_to_names_is_told(event_type: str) -> None:
    """What got no column is said to be dropped, and what was renamed to be so."""
    place = "properties" if event_type in ("track", "page", "screen") else "traits"
    rows = [row for row in NAMES if event_type in row]
    assert len(rows) > 50
    for row in rows:
        name, column = row["name"], row[event_type]
        message = {"type": event_type, "userId": "1", "event": "Read", place: {name: "x"}}
        told = findings(message)
        assert any("is dropped" in sentence for sentence in told) is (column is None), name
        if column is not None and column != column_of(name):
            assert any(" becomes " in one or " is cut" in one for one in told), name


def test_nested_names_are_measured_together() -> None:
    """The names on the way are part of the column's."""
    (sentence,) = track({"a" * 40: {"b" * 30: 1}})
    assert "cut to 63 characters" in sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Users", "table is _users, because users is RudderStack's own"),
        ("tracks", "table is _tracks"),
        ("!!!", "no table of its own"),
        ("购买", "no table of its own"),
        ("Zahlung bestätigt", "becomes zahlung_best_tigt"),
        ("404 Seen", "becomes _404_seen"),
        ("x" * 64, "cut to 63"),
    ],
)
def test_event_names_become_tables(name: str, words: str) -> None:
    """A name that can't be a table, or is a table already."""
    (sentence,) = track({}, event=name)
    assert words in sentence


def test_too_many_columns() -> None:
    """Over 1600 columns, the whole event fails."""
    assert track({f"p{number}x": 1 for number in range(1500)}) == []
    (sentence,) = track({f"p{number}x": 1 for number in range(1600)})
    assert "1614 columns, over 1600" in sentence


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "merge", "mergeProperties": []},
        {"type": 7},
        {"type": []},
        {"type": "track", "event": 7, "properties": [], "context": "x"},
        {"type": "page", "properties": None},
    ],
)
def test_what_is_no_proper_message_is_none_of_this(message: dict[str, Any]) -> None:
    """That is `validate`'s to say."""
    assert findings(message) == []
    assert EventNames().finding(message) is None


def test_every_event_type_is_known() -> None:
    """A new row of the table needs its columns here."""
    for name in EVENT_TYPES:
        message = {"type": name, "properties": {"id": 1}, "traits": {"id": 1}}
        assert bool(findings(message)) is (name != "merge"), name


def test_only_what_becomes_columns_is_looked_at() -> None:
    """A track event's traits, and an identify's properties, are in no table."""
    assert findings({"type": "track", "traits": {"id": 1}}) == []
    assert findings({"type": "identify", "properties": {"id": 1}}) == []


def test_deep_nesting_is_walked() -> None:
    """A message from elsewhere may be nested deeper than Python calls."""
    values: dict[str, Any] = {"leaf": 1}
    for _ in range(5_000):
        values = {"n": values}
    (sentence,) = track(values)
    assert "cut to 63" in sentence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
KEYS = ("event", "name", "properties", "traits", "context", "userId")


@pytest.mark.slow
@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from([*EVENT_TYPES, "other"])},
        optional=dict.fromkeys(KEYS, JSON),
    )
)
def test_any_json_is_looked_at(message: dict[str, Any]) -> None:
    """Whatever arrives, the lint has words for it, or none."""
    for sentence in findings(message):
        assert sentence
    EventNames().finding(message)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Order 123 paid", "Order 124 paid"),
        (
            "User 0989c345-60b2-4acf-a585-1bdcc3921453 left",
            "User 2864fafa-e4bd-4fc8-a5ee-3fdac0fe7d40 left",
        ),
        ("Commit 3f9c2ab1", "Commit 77e0d91c"),
        ("Paid 1,234.50 EUR", "Paid 7 EUR"),
        ("user_17_seen", "user_18_seen"),
    ],
)
def test_event_names_that_differ_in_values(first: str, second: str) -> None:
    """The second one gives it away; the sentence shows the shape, not the values."""
    names = EventNames()
    assert names.finding({"type": "track", "event": first}) is None
    assert names.finding({"type": "track", "event": first}) is None
    sentence = names.finding({"type": "track", "event": second})
    assert sentence is not None
    assert "become a table each" in sentence
    assert "…" in sentence
    assert second not in sentence


def test_names_of_words_are_well() -> None:
    """Words differ in meaning, even those whose letters hexadecimal digits could be."""
    names = EventNames()
    for name in ("Article Read", "Article Shared", "decade added", "facade faded", "Step 1"):
        assert names.finding({"type": "track", "event": name}) is None
    assert names.finding({"type": "page", "name": "Order 1", "event": "Step 2"}) is None


def test_only_so_many_kinds_of_names_are_remembered() -> None:
    """An app that makes names up can't fill the memory."""
    names = EventNames(limit=1)
    for event in ("a 1", "b 1", "b 2"):
        assert names.finding({"type": "track", "event": event}) is None
    assert names.finding({"type": "track", "event": "a 2"}) is not None


def test_the_warning_is_a_user_warning() -> None:
    """So that it is shown by default, and `pytest.warns` finds it."""
    assert issubclass(WarehouseWarning, UserWarning)


def test_what_is_remembered_is_bounded() -> None:
    """Names as long as a request, or that nesting makes long, leave nothing behind."""

    def event(number: int) -> dict[str, Any]:
        leaves: Any = {f"leaf {number} {leaf}": leaf for leaf in range(50)}
        for _ in range(40):
            leaves = {"x" * 2_000: leaves}
        return {
            "type": "track",
            "event": f"{chr(97 + number % 26) * (80_000 + number)} 1",
            "properties": leaves,
        }

    names = EventNames()
    findings(event(0))
    tracemalloc.start()
    try:
        for number in range(1, 30):
            assert findings(event(number))
            names.finding(event(number))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_a_deep_event_is_looked_at_in_its_size() -> None:
    """Each of many levels would make the names below it longer."""
    values: Any = 1
    for _ in range(50_000):
        values = {"shelf": values}
    (sentence,) = findings({"type": "track", "event": "Article Read", "properties": values})
    assert "is cut to 63 characters" in sentence
    assert len(sentence) < 2_000


def test_bare_objects_are_found() -> None:
    """Their address, which is all that is known of them, is of no use in a column."""
    properties = {"a": object(), "b": [{"c": object()}], "d": "looked at 0x10", "e": "<b>"}
    sent = json.loads(dumps(build({"user_id": "u", "event": "E", "properties": properties})))
    assert sorted(findings(sent)) == [
        "properties.a is only the name of an object; give what is in it",
        "properties.b.c is only the name of an object; give what is in it",
    ]
