"""Personal data: found by its form, told by path and kind, never by value."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.checks.personal_data import KINDS, Mark, is_allowed, marks

from ..each import each

FOUND: list[tuple[str, Any]] = [
    ("email", "jane@example.com"),
    ("email", "mail Jane <jane.doe+x@mail.example.co.uk>, please"),
    ("card", "4242 4242 4242 4242"),
    ("card", "5555-5555-5555-4444"),
    ("card", 378282246310005),
    ("card", "2223003122003222"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB29NWBK60161331926819"),
    ("phone", "+43 660 1234567"),
    ("phone", "call +1 (415) 555-2671 now"),
    ("phone", "0044 20 7946 0958"),
    ("jwt", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_d"),
    ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
    ("private_key", "-----BEGIN PRIVATE KEY-----"),
    ("ip", "203.0.113.7"),
    ("ip", "from 2001:db8::8a2e:370:7334 today"),
    ("ip", "::ffff:203.0.113.7"),
]
NOT_FOUND: list[Any] = [
    "jane at example.com",
    "@example.com",
    "a@b",
    "4242 4242 4242 4243",
    1732695072345,
    "1732695072345",
    "4006381333931",  # an EAN
    "o-58213",
    "DE89 3704 0044 0532 0130 01",
    "622c6f5d5cf86a4c77358033",
    "5f3c1e9a-7d42-4b8e-9a51-2c6b7f0d8e13",
    "+1 234",
    "1,000 pieces",
    "203.0.113.0",
    "2001:db8:85a3::",
    "127.0.0.1",
    "1.2.3",
    "300.1.2.3",
    "12:30:45",
    "2026-11-27T10:11:12.345Z",
    "-----BEGIN PUBLIC KEY-----",
    True,
    None,
    4242.5,
]


@each(("kind", "value"), FOUND)
def test_found(kind: str, value: Any) -> None:
    """Alone, and amid other text."""
    assert marks({"properties": {"a": [{"b": value}]}}) == [Mark("properties.a[0].b", kind)]
    if isinstance(value, str):
        assert Mark("properties.a", kind) in marks({"properties": {"a": f"see {value} there"}})


@each("value", NOT_FOUND)
def test_not_found(value: Any) -> None:
    """Numbers that fail their check, masked addresses, ids, times."""
    assert marks({"properties": {"a": value}}) == []


def test_ids_are_looked_at_and_what_we_make_is_not() -> None:
    """A user's id may be an address; a message's id is ours."""
    message = {
        "messageId": "4242424242424242",
        "timestamp": "+43 660 1234567",
        "type": "track",
        "userId": "jane@example.com",
    }
    assert marks(message) == [Mark("userId", "email")]


def test_a_key_is_not_told_if_it_is_what_was_found() -> None:
    """Nor is it in the paths below."""
    found = marks({"properties": {"jane@example.com": {"ip": "203.0.113.7"}}})
    assert [*map(str, found)] == [
        "properties.<a key> has an e-mail address",
        "properties.<a key>.ip has an IP address",
    ]


@each(
    ("allowed", "expected"),
    [
        (["email"], True),
        (["properties.users[].email"], True),
        (["properties.users[3].email"], True),
        (["properties.users"], True),
        (["properties"], True),
        (["properties.user"], False),
        (["ip", "traits.email"], False),
        ([], False),
    ],
)
def test_what_is_expected(allowed: list[str], expected: bool) -> None:
    """A kind, or a path from the left."""
    assert is_allowed(Mark("properties.users[3].email", "email"), allowed) is expected


@given(st.text(), st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none())))
def test_whatever_is_in_it(text: str, properties: Any) -> None:
    """Nothing raises, and all that is told is a known kind."""
    assert all(mark.kind in KINDS for mark in marks({"event": text, "properties": properties}))


@each(
    "text",
    [
        "a@" * 20_000,
        "1 " * 20_000,
        ":" * 40_000,
        "+1" * 20_000,
        "eyJ" * 15_000,
        "a." * 20_000,
        "DE89" * 10_000,
        "-----BEGIN PRIVATE KEY-----" * 2_000,
    ],
)
def test_no_text_takes_for_ever(text: str) -> None:
    """Each is looked at in a time that grows with its length; else pytest's own patience ends."""
    assert len(marks({"properties": {"a": text}})) < 3
