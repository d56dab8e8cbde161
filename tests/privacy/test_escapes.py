"""Hypothesis looks for a place from which a value escapes redaction."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections import ChainMap, OrderedDict, UserDict, deque, namedtuple
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
import orjson
import pandas as pd  # type: ignore[import-untyped]
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rudder_logging import RudderFormatter, RudderHandler, bind

from ..conftest import examples

SECRET = "s3cr3t-value"


class Key(str, Enum):
    """A key that is no text by itself."""

    PASSWORD = "password"


@dataclasses.dataclass
class Card:
    """As apps have them."""

    card_number: str
    cvv: Any = SECRET
    kind: str = "visa"


@attrs.define
class Login:
    """Likewise."""

    password: Any
    name: str = "jane"


class Account(pydantic.BaseModel):
    """Likewise."""

    secret: Any
    inner: Any = None


Pair = namedtuple("Pair", ["otp", "inner"])  # noqa: PYI024 - as apps have them


class Kind(Enum):
    """One whose value is a mapping."""

    A = {"token": SECRET, "a": 1}  # noqa: RUF012 - as above


class Text:
    """An object that has a text of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class Own(Mapping[Any, Any]):
    """A mapping of an app's own."""

    def __init__(self, entries: dict[Any, Any]) -> None:
        self.entries = entries

    def __getitem__(self, key: Any) -> Any:
        return self.entries[key]

    def __iter__(self) -> Any:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


KEYS = st.sampled_from(
    ["a", "b", "Password", "API-Key", "api_key_id", 7, Key.PASSWORD, "e f", None, b"cvv", 1.5]
)


def holders(inner: Any) -> Any:
    """Whatever may hold a value."""
    entries = st.dictionaries(KEYS, inner, max_size=3)
    return st.one_of(
        entries,
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.lists(inner, max_size=2).map(deque),
        entries.flatmap(
            lambda made: st.sampled_from(
                [OrderedDict, UserDict, MappingProxyType, ChainMap, Own]
            ).map(lambda kind: kind(made))
        ),
        st.builds(Card, st.just(SECRET), inner),
        st.builds(Login, inner),
        st.builds(Account, secret=inner, inner=inner),
    )


SAFE = st.sampled_from(
    [1, 1.5, True, None, Decimal(1), "a=b", orjson.Fragment(b'{"x": 1}'), 2**60, "it's: 5 %3A"]
)
TEXTS = [
    f"https://x/?token={SECRET}",
    f"a=b&Pass-Word={SECRET}#x",
    f"/?next=%2F%3Ftoken%3D{SECRET}",
    f"%2F%3Ftoken%3D{SECRET}",
    f'say "token={SECRET}"',
    f"line\nsecret={SECRET}",
    f"?%74oken={SECRET}",
    f"a;token={SECRET};b=2",
    f"https://x/cb#access_token={SECRET}",
    f"https://jane:{SECRET}@x/",
    json.dumps({"a": {"password": [SECRET]}}),
    repr({"password": SECRET}),
    repr(Login(SECRET)),
]
HIDDEN = st.one_of(
    st.dictionaries(st.sampled_from(["PASSWORD", "api-key", Key.PASSWORD]), st.just(SECRET)),
    st.builds(Login, st.lists(st.just(SECRET), max_size=2)),
    st.builds(Account, secret=st.just({"x": SECRET})),
    st.builds(Card, st.just(SECRET), st.just(SECRET)),
    st.sampled_from(TEXTS),
    st.sampled_from(TEXTS).map(Text),
    st.sampled_from(TEXTS).map(ValueError),
    st.sampled_from(TEXTS).map(str.encode),
    st.sampled_from(TEXTS).map(lambda text: {text: 1}),
    st.sampled_from(TEXTS).map(lambda text: {(1, text)}),
    st.sampled_from(TEXTS).map(np.str_),
    st.sampled_from(
        [
            Kind.A,
            orjson.Fragment(b'{"p\\u0061ssword": "%s"}' % SECRET.encode()),
            orjson.Fragment(b'"/?\\u0074oken=%s"' % SECRET.encode()),
            np.array([{"token": SECRET}]),
            pd.DataFrame([{"token": SECRET, "a": 1}]),
            pd.Series([{"token": SECRET}]),
            ValueError({"token": SECRET}),
        ]
    ),
)
TREES = st.recursive(st.one_of(SAFE, HIDDEN), holders, max_leaves=10)
PLACES = st.dictionaries(st.sampled_from(["a", "b", "token", "c d"]), TREES, max_size=4)

OPTIONS: dict[str, dict[str, Any]] = {
    "removed": {},
    "masked": {"action": "mask"},
    "hashed": {"action": "hmac", "hmac_key": "k"},
    "with all stages": {"geo": False},
}
Encode = Callable[[dict[str, Any]], bytes]


class Hooked(RudderFormatter):
    """One with a `format` of its own, as apps have them."""

    def format(self, record: logging.LogRecord) -> str:
        """The same line."""
        return super().format(record)


def encoder(options: dict[str, Any], way: str = "compiled") -> Encode:
    """What a handler with such a `privacy` puts into its queue of an event's fields."""
    handler = RudderHandler("k", "http://127.0.0.1:9", privacy=options)
    if way == "by format":
        handler.setFormatter(Hooked())

    def encode(fields: dict[str, Any]) -> bytes:
        given: Mapping[str, Any] = fields if way == "compiled" else MappingProxyType(fields)
        if way == "by format":
            record = logging.makeLogRecord({"msg": "e", "args": (), "rudder": given})
            message = handler._message_of(record, given)
        else:
            message = handler._formatter.encode(given, "e", 0.0, handler._defaults)
        looked_at = handler._looked_at(message) if len(message) >= handler._odd_from else message
        assert looked_at is not None
        return looked_at

    return encode


_made: dict[tuple[str, str], Encode] = {}


def made(name: str, way: str) -> Encode:
    """One for all examples."""
    known = _made.get((name, way))
    return known or _made.setdefault((name, way), encoder(OPTIONS[name], way))


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, "compiled") for name in OPTIONS),
        ("removed", "as a mapping"),
        ("removed", "by format"),
        ("with all stages", "by format"),
    ],
)
@settings(max_examples=examples(0.5))
@given(properties=PLACES, context=PLACES, bound=PLACES)
def test_no_place_escapes(name: str, way: str, properties: Any, context: Any, bound: Any) -> None:
    """Whatever holds it, and whichever way the event goes."""
    encode = made(name, way)
    with bind(context={"bound": bound}, properties={"bound": bound}):
        for _ in range(2):  # the second time, all keys are known
            message = encode({"user_id": "u", "properties": properties, "context": context})
            assert SECRET.encode() not in message
            orjson.loads(message + b"}")


@pytest.mark.parametrize("name", ["removed", "with all stages"])
@settings(max_examples=examples(0.3))
@given(traits=PLACES, integrations=PLACES, bound=PLACES)
def test_nor_one_of_a_person_s(name: str, traits: Any, integrations: Any, bound: Any) -> None:
    """Traits have two places on the wire; what a destination is told is looked at, too."""
    encode = made(name, "compiled")
    fields = {"type": "identify", "user_id": "u", "traits": traits}
    with bind(context={"traits": {"bound": bound}}):
        for event in (fields, {**fields, "integrations": {"X": integrations}}):
            for more in ({}, {"context": {"locale": "en"}}, {"context": {"traits": traits}}):
                message = encode({**event, **more})
                assert SECRET.encode() not in message
                orjson.loads(message + b"}")


@given(properties=st.dictionaries(st.sampled_from(["a", "b", "x y"]), st.recursive(SAFE, holders)))
def test_nothing_else_changes(properties: Any) -> None:
    """Without a key or a query that is to be redacted, the message is what it is without."""
    with_keys = _made.get(("zz", "")) or _made.setdefault(("zz", ""), encoder({"redact": ["zz"]}))
    without = _made.get(("", "")) or _made.setdefault(("", ""), encoder({"redact": []}))
    fields = {"user_id": "u", "message_id": "m", "properties": properties}
    assert orjson.loads(with_keys(fields) + b"}") == orjson.loads(without(fields) + b"}")


@pytest.mark.parametrize("name", OPTIONS)
def test_an_event_s_own_parts_are_no_keys_of_an_app_s(name: str) -> None:
    """`redact=["context"]` speaks of a property of that name: the server needs the rest."""
    options = {**OPTIONS[name], "redact": ["context", "properties", "integrations"]}
    fields = {
        "type": "identify",
        "user_id": "u",
        "traits": {"a": 1},
        "context": {"b": {"context": SECRET}},
        "integrations": {"X": {"properties": SECRET}},
    }
    for way in ("compiled", "as a mapping"):
        message = encoder(options, way)(fields)
        assert SECRET.encode() not in message
        found = orjson.loads(message + b"}")
        assert (found["traits"], found["integrations"]["All"]) == ({"a": 1}, True)
        assert found["context"]["traits"] == {"a": 1}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_namedtuple_has_keys(name: str) -> None:
    """They are on the wire, so they count."""
    pair = Pair(SECRET, [Pair(SECRET, 1)])
    for way in ("compiled", "as a mapping", "by format"):
        message = made(name, way)({"user_id": "u", "properties": {"a": pair, "b": (pair,)}})
        assert SECRET.encode() not in message
