"""The compiled encoders do what `build` and `dumps` do, byte by byte, or leave it to them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging import bind
from rudder_logging.events import compiled, formatter
from rudder_logging.events import defaults as under_events
from rudder_logging.events.compiled import compile_encoder
from rudder_logging.events.defaults import NOTHING_BOUND, Defaults
from rudder_logging.events.formatter import RudderFormatter
from rudder_logging.events.table import EVENT_TYPES, build
from rudder_logging.exceptions import InvalidEventError

from ..test_fuzz import Case, fuzz, spoilt_events

MOMENT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


class Name(str, Enum):
    """As apps keep their events' names."""

    READ = "Article Read"


def encoded(
    fields: object,
    template: object,
    bound: dict[str, Any] | None = None,
    defaults: Defaults | None = None,
) -> bytes | InvalidEventError:
    """What a formatter makes of an event, or what it says of it."""
    ours = RudderFormatter()
    given: Any = fields
    try:
        with bind(**bound or {}):
            return ours.encode(given, template, 1_700_000_000.5, defaults or ours.event_defaults)
    except InvalidEventError as error:
        return error


def encoded_by(compiler: Any, *event: Any) -> bytes | InvalidEventError:
    """The same, by an encoder that was made for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NOTHING_BOUND, "encoders", {})
        patch.setattr(under_events, "encoders_with", lambda _names: {})
        patch.setattr(formatter, "compile_encoder", compiler)
        return encoded(*event)


def compare(fields: dict[str, Any], template: object, *under: Any) -> None:
    """Encode without compiled encoders, and with either."""
    long_way = encoded_by(lambda *_: None, fields, template, *under)
    for compiler in (compile_encoder, partial(compile_encoder, trusts=False)):
        short_way = encoded_by(compiler, fields, template, *under)
        if isinstance(long_way, InvalidEventError):
            assert (type(short_way), str(short_way)) == (type(long_way), str(long_way))
        else:
            assert short_way == long_way


events = st.one_of(
    spoilt_events().filter(lambda event: isinstance(event, dict)),
    st.fixed_dictionaries(
        {"message_id": st.just("m1"), "user_id": st.sampled_from(["u1", " u ", "ü", "\u115f", ""])},
        optional={
            "type": st.sampled_from([*EVENT_TYPES, None, Name.READ]),
            "event": st.sampled_from(["Read", " ", "", None, Name.READ, 5]),
            "name": st.sampled_from(["Home", "", None, Name.READ]),
            "properties": st.sampled_from(
                [{}, {"a": 1}, {"a": [1, (2,)]}, {"a": 2**70}, {1: 2}, MappingProxyType({"b": 2})]
            ),
            "anonymousId": st.sampled_from(["a", 5, None]),
            "timestamp": st.sampled_from(["2026-01-31T12:00:00Z", "soon"]),
        },
    ),
)
templates = st.sampled_from(["Read %s", "", " ", None, 5, Name.READ, "\ud800"])

# Keys that are no text lead the long way, so few are such.
few_keys = st.sampled_from([*(["a", "b", "library", "traits", "5"] * 4), 5, Name.READ])
in_mappings = st.recursive(
    st.sampled_from(
        [1, "x", None, [1], (2,), 2**70, Decimal("1.5"), Name.READ, object, MOMENT, b"x"]
    ),
    lambda inner: st.one_of(
        st.dictionaries(few_keys, inner, max_size=3),
        st.dictionaries(few_keys, inner, max_size=2).map(MappingProxyType),
        st.lists(st.dictionaries(few_keys, inner, max_size=2), max_size=2),
    ),
    max_leaves=5,
)
mappings = st.dictionaries(few_keys, in_mappings, max_size=4)
named = st.sampled_from(["S3", "Amplitude", "a", "b"])
integrations = st.one_of(
    st.dictionaries(named, in_mappings, max_size=3),
    st.dictionaries(st.one_of(st.just("All"), named), st.booleans(), max_size=3),
    st.dictionaries(st.sampled_from(["All", 5]), in_mappings, max_size=2),
)
own_mappings = {
    "properties": st.one_of(mappings, mappings.map(MappingProxyType)),
    "context": mappings,
    "integrations": integrations,
}
merged_events = st.fixed_dictionaries(
    {"message_id": st.just("m1")},
    optional={
        "type": st.sampled_from(["track", "page"]),
        "user_id": st.sampled_from(["u1", "u1", None]),
        **own_mappings,
    },
) | st.fixed_dictionaries(
    {"message_id": st.just("m1"), "type": st.just("identify"), "userId": st.just("u1")},
    optional={"traits": mappings, "context": mappings, "integrations": integrations},
)
bound_fields = st.fixed_dictionaries(
    {"anonymous_id": st.just("a-1")}, optional={"user_id": st.just("bound"), **own_mappings}
)


@pytest.mark.slow
def test_both_ways_lead_to_the_same() -> None:
    """Whatever the fields, the values and the template."""

    @fuzz(5.0)
    @given(events.map(Case), templates)
    def check(case: Case, template: object) -> None:
        fields = case.value
        if fields.get("message_id") is None and fields.get("messageId") is None:
            fields = {**fields, "message_id": "m1"}  # else it differs each time
        try:
            hash(fields.get("type"))
        except TypeError:
            return
        compare(fields, template)

    check()


@pytest.mark.slow
def test_both_ways_merge_the_same() -> None:
    """Defaults, what is bound and what an event has itself, with names of one in the others."""

    @fuzz(5.0)
    @given(merged_events, bound_fields, mappings, integrations)
    def check(
        fields: dict[str, Any],
        bound: dict[str, Any],
        context: dict[Any, Any],
        among: dict[Any, Any],
    ) -> None:
        compare(fields, "Read", bound, Defaults(context, among))

    check()


def test_a_type_without_a_hash_is_refused_in_words() -> None:
    """It can't be looked up."""
    error = encoded({"type": [], "user_id": "u1"}, "Read")
    assert "'type' must be a str, not list" in str(error)


def test_ordinary_events_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """One serialisation, and none of the loops over fields."""
    long_way: list[object] = []

    def build_and_note(fields: object, **options: Any) -> dict[str, Any]:
        long_way.append(fields)
        return build(fields, **options)

    monkeypatch.setattr(formatter, "build", build_and_note)
    for fields in (
        {"user_id": "u1", "properties": {"n": 1, "tags": ["a", "b"]}},
        {"type": "track", "anonymous_id": "a-1", "event": "Read"},
        {"type": "page", "userId": "u1", "name": "Home", "category": "Docs", "properties": {}},
        {"type": "screen", "userId": 7},
        {"type": "alias", "user_id": "u1", "previous_id": "u0"},
        {"type": "group", "user_id": "u1", "group_id": "g1"},
    ):
        message = encoded(fields, "Read %s")
        assert isinstance(message, bytes)
        assert json.loads(message + b"}")["channel"] == "server"
    assert long_way == []


@pytest.mark.parametrize("odd", [Decimal("19.90"), MOMENT, (1, Decimal("19.90"))], ids=str)
def test_one_odd_value_does_not_lead_the_long_way(
    monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    """Prices are Decimals, sales have dates: their shape is looked at closer from then on."""
    shape = ("user_id", "properties", "timestamp")
    monkeypatch.setattr(NOTHING_BOUND, "encoders", {})
    monkeypatch.setattr(compiled, "encoders_with", lambda _names: NOTHING_BOUND.encoders)
    monkeypatch.setattr(formatter, "build", None)  # the long way
    first, *others = (
        {"user_id": "u1", "properties": {"line": {"price": price}}, "timestamp": "2026-01-31"}
        for price in (19.9, odd, 19.9, odd)
    )
    assert isinstance(encoded(first, "Sold"), bytes)
    trusting = NOTHING_BOUND.encoders[shape]
    assert all(isinstance(encoded(event, "Sold"), bytes) for event in others)
    assert NOTHING_BOUND.encoders[shape] is not trusting


def test_json_that_the_app_made_is_sent_as_it_is() -> None:
    """But for line ends, which would divide the lines that messages are kept as."""
    made = orjson.Fragment(b'{"a":\n[1.50]}')
    for properties in ({"p": made}, {"p": {"q": made}}, {"p": [made]}, {"p": made, "d": MOMENT}):
        message = encoded({"user_id": "u1", "properties": properties}, "Read")
        assert isinstance(message, bytes)
        assert b"\n" not in message
        assert b'{"a":[1.5]}' in message


def test_shapes_without_end_do_not_fill_the_memory() -> None:
    """An app that makes up field names, or types, has them refused; nothing of it is kept."""
    before = len(NOTHING_BOUND.encoders)
    for number in range(50):
        assert isinstance(encoded({f"field{number}": 1}, "Read"), InvalidEventError)
        assert isinstance(encoded({"type": f"t{number}", "user_id": 1}, "R"), InvalidEventError)
    assert isinstance(encoded(dict.fromkeys(map(str, range(20_000))), "Read"), InvalidEventError)
    assert len(NOTHING_BOUND.encoders) == before


def test_more_shapes_than_are_compiled_are_sent_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fields may come in any order, of which there are many."""
    monkeypatch.setattr(compiled, "_MOST_SHAPES", len(NOTHING_BOUND.encoders))
    message = encoded({"timestamp": "2026-01-31T12:00:00Z", "userId": "u", "event": "Read"}, None)
    assert isinstance(message, bytes)
    assert orjson.loads(message + b"}")["timestamp"] == "2026-01-31T12:00:00Z"


class Key(str, Enum):
    """Field names as members of an enum, of which each has a `repr` that is Python code."""

    USER = "user_id"
    TYPE = "type"
    EVENT = "event"

    def __repr__(self) -> str:
        return "__import__('builtins').print('executed') or 0"


def test_field_names_may_be_members_of_an_enum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are the text that they equal, whether or not that text's shape is known yet."""
    monkeypatch.setattr(NOTHING_BOUND, "encoders", {})
    monkeypatch.setattr(compiled, "encoders_with", lambda _names: NOTHING_BOUND.encoders)
    by_member = {Key.TYPE: "track", Key.USER: "u1", Key.EVENT: "Read"}
    by_text = {"type": "track", "user_id": "u1", "event": "Read"}
    for fields in (by_member, by_text, by_member):
        message = encoded(fields, None)
        assert isinstance(message, bytes)
        sent = orjson.loads(message + b"}")
        assert (sent["type"], sent["userId"], sent["event"]) == ("track", "u1", "Read")
    assert "executed" not in capsys.readouterr().out
