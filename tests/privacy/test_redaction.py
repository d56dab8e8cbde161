"""Redaction: values under keys that must not leave, however spelt, however deep; and in queries."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson

from rudder_logging.privacy.keys import DEFAULT_KEYS, Names
from rudder_logging.privacy.redaction import MASK, Action, Redaction

from ..each import each

KEY = b"a key of the app's"


def redacted(event: dict[str, Any], *keys: str, action: Action = "remove", **more: Any) -> Any:
    """An event after redaction of its message."""
    redaction = Redaction(keys or DEFAULT_KEYS, action, hmac_key=KEY, **more)
    return orjson.loads(redaction.message(orjson.dumps(event)[:-1]) + b"}")


def hashed(text: str) -> str:
    """The hash that an outsider with the key makes."""
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


@each(
    "key",
    ["card_number", "cardNumber", "Card-Number", "CARD NUMBER", "card.number", "\uff43ard_number"],
)
def test_a_key_is_one_however_it_is_spelt(key: str) -> None:
    """Case, separators and wide letters make no difference."""
    assert redacted({"properties": {key: "4242", "a": 1}}, "card_number") == {
        "properties": {"a": 1}
    }


@each("key", ["tokens_used", "token_count", "my_token", "secretary", "passwords"])
def test_only_whole_keys_count(key: str) -> None:
    """`tokens_used` survives `token`."""
    event = {"properties": {key: 7}}
    assert redacted(event) == event


def test_every_level_is_looked_at() -> None:
    """In lists, in mappings, in traits and context, and in what a destination is told."""
    event = {
        "properties": {"cards": [{"cvv": 1, "kind": "visa"}, [{"cvv": 2}]]},
        "traits": {"login": {"password": "p"}},
        "context": {"traits": {"login": {"Password": "p"}}},
        "integrations": {"All": True, "X": {"api_key": "k"}},
        "api_key": "k",
    }
    assert redacted(event) == {
        "properties": {"cards": [{"kind": "visa"}, [{}]]},
        "traits": {"login": {}},
        "context": {"traits": {"login": {}}},
        "integrations": {"All": True, "X": {}},
    }


def test_ids_types_and_names_are_not_touched() -> None:
    """Whatever the keys: the server would refuse the event without them."""
    event = {
        "userId": "u",
        "anonymousId": "a",
        "previousId": "p",
        "groupId": "g",
        "event": "token=abc",
        "name": "Home",
        "messageId": "m",
        "type": "track",
        "properties": {"user_id": "u"},
    }
    kept = redacted(event, "user_id", "anonymous_id", "event", "name", "type", "message_id")
    assert kept == {**event, "properties": {}}


def test_actions() -> None:
    """A value is removed, masked, or hashed with the key: a list item by item."""
    event = {"properties": {"token": "abc", "otp": 12, "ssn": ["1", None], "pwd": {"b": 1, "a": 2}}}
    assert redacted(event)["properties"] == {}
    assert redacted(event, action="mask")["properties"] == dict.fromkeys(event["properties"], MASK)
    assert redacted(event, action="hmac")["properties"] == {
        "token": hashed("abc"),
        "otp": hashed("12"),
        "ssn": [hashed("1"), None],
        "pwd": hashed('{"a":2,"b":1}'),
    }


@each(
    ("text", "removed", "masked"),
    [
        ("https://x/?a=1&token=abc&b=2", "https://x/?a=1&b=2", "https://x/?a=1&token=***&b=2"),
        ("https://x/?token=abc&b=2#c", "https://x/?b=2#c", "https://x/?token=***&b=2#c"),
        ("https://x/?a=1&token=abc", "https://x/?a=1", "https://x/?a=1&token=***"),
        ("https://x/cb#access_token=abc", "https://x/cb#", "https://x/cb#access_token=***"),
        ("?Access-Token=a,b(c)", "?", "?Access-Token=***"),
        ("token=abc", "", "token=***"),
        ("it failed: token=abc now", "it failed:  now", "it failed: token=*** now"),
        ("/?%74oken=abc&q=1", "/?q=1", "/?%74oken=***&q=1"),
        ("/?a=1;token=x;y;b=2", "/?a=1;;b=2", "/?a=1;token=***;b=2"),
        ("/?tokens=abc&my_token=x", "/?tokens=abc&my_token=x", "/?tokens=abc&my_token=x"),
        ("YWJjZA==", "YWJjZA==", "YWJjZA=="),
        ("a\ntoken=abc", "a\n", "a\ntoken=***"),
        (
            "/?next=%2Flogin%3Fa%3D1%26token%3Dabc",
            "/?next=%2Flogin%3Fa%3D1",
            "/?next=%2Flogin%3Fa%3D1%26token%3D%2A%2A%2A",
        ),
    ],
)
def test_queries(text: str, removed: str, masked: str) -> None:
    """Parameters of query strings and fragments, also within a parameter; whole names here, too."""
    event = {"properties": {"n": 1}, "context": {"page": {"url": text}}}
    for action, expected in (("remove", removed), ("mask", masked)):
        found = redacted(event, action=action)["context"]["page"]["url"]  # type: ignore[arg-type]
        assert found == expected
    message = orjson.dumps(event)[:-1]
    assert Redaction(DEFAULT_KEYS).texts.may_concern(message, len(message)) or removed == text


def test_a_name_that_is_harmless_in_one_place_is_not_in_another() -> None:
    """`%74oken` is `token` in a query alone; and what is remembered of one is not of the other."""
    redaction = Redaction(DEFAULT_KEYS)
    event = {"properties": {"%74oken": 1, "url": "/?%74oken=abc"}}
    for _ in range(2):
        message = redaction.message(orjson.dumps(event)[:-1]) + b"}"
        assert orjson.loads(message) == {"properties": {"%74oken": 1, "url": "/?"}}


def test_harmless_spellings_are_remembered_within_bounds() -> None:
    """Neither too many nor long ones."""
    names = Names(["token"])
    for number in range(20_000):
        assert not names.mean(f"key{number}")
    assert not names.mean("long" * 1_000)
    assert names.are_harmless(["key1", "key2"])
    assert not names.are_harmless(["long" * 1_000])
    assert len(names._harmless) <= 10_000
    assert names.mean("Token")


def test_patterns_are_for_parts_of_texts() -> None:
    """They get the same fate; ids and names stay."""
    import re

    digits = re.compile(r"\d{4,}")

    def replaced(replace: Any, text: str) -> str:
        return digits.sub(lambda found: replace(found[0]), text)

    event = {"userId": "12345", "event": "12345", "properties": {"a": ["x 12345 y"]}}
    expected = {"remove": "x  y", "mask": "x *** y", "hmac": f"x {hashed('12345')} y"}
    for action, text in expected.items():
        found = redacted(event, "q", action=action, patterns=[replaced])  # type: ignore[arg-type]
        assert found == {**event, "properties": {"a": [text]}}


def test_ids_hash_alike_wherever_named() -> None:
    """With a key, and never twice: what the first pass has made, the second leaves."""
    redaction = Redaction(hash_names=["ids", "email"], hmac_key=KEY)
    event = {
        "type": "track",
        "userId": "u",
        "anonymousId": "a",
        "previousId": "u",
        "groupId": "g",
        "mergeProperties": [{"type": "email", "value": "u"}, {"type": "other", "value": "a"}],
        "properties": {"user_id": "u", "deep": [{"Anonymous-Id": "a", "E_Mail": None}]},
        "context": {"traits": {"email": "u", "id": 1}},
    }
    made = redaction.hasher()
    once = redaction.message(orjson.dumps(event)[:-1], made)
    assert redaction.message(once, made) == once
    u, a = hashed("u"), hashed("a")
    assert orjson.loads(once + b"}") == {
        "type": "track",
        "userId": u,
        "anonymousId": a,
        "previousId": u,
        "groupId": "g",
        "mergeProperties": [{"type": "email", "value": u}, {"type": "other", "value": a}],
        "properties": {"user_id": u, "deep": [{"Anonymous-Id": a, "E_Mail": None}]},
        "context": {"traits": {"email": u, "id": 1}},
    }
    assert u != hashlib.sha256(b"u").hexdigest()


def test_an_old_id_is_hashed_with_either_of_the_others() -> None:
    """Else an alias would tie the hash to nobody."""
    redaction = Redaction(hash_names=["user_id"], hmac_key=KEY)
    event = {"userId": "u", "anonymousId": "a", "previousId": "p"}
    message = redaction.message(orjson.dumps(event)[:-1]) + b"}"
    expected = {"userId": hashed("u"), "anonymousId": "a", "previousId": hashed("p")}
    assert orjson.loads(message) == expected
