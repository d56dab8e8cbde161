"""Objects that stand in for others are sent as those, wherever an event may have them."""

from __future__ import annotations

import json
from collections import UserString
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
import wrapt
from django.utils.functional import SimpleLazyObject
from werkzeug.local import LocalProxy

from rudder_logging import RudderFormatter, bind
from rudder_logging.events.encoding import dumps
from rudder_logging.events.table import build, validate
from rudder_logging.exceptions import InvalidTypeError, InvalidValueError

from ..each import each

STAND_INS: list[Callable[[Any], Any]] = [
    lambda value: SimpleLazyObject(lambda: value),
    lambda value: LocalProxy(lambda: value),
    wrapt.ObjectProxy,
]
NAMES = ["SimpleLazyObject", "LocalProxy", "ObjectProxy"]

every_kind = pytest.mark.parametrize("stand_in", STAND_INS, ids=NAMES)


class Colour(Enum):
    """An enum's member."""

    RED = "red"


VALUES: list[tuple[Any, Any]] = [
    ("text", "text"),
    (True, True),
    (False, False),
    (None, None),
    (7, 7),
    (2**60, str(2**60)),
    (1.5, 1.5),
    (float("nan"), None),
    ({"a": (1,)}, {"a": [1]}),
    ([1, "b"], [1, "b"]),
    ((1, 2), [1, 2]),
    ({1}, [1]),
    (b"raw", "raw"),
    (Decimal("1.5"), 1.5),
    (UUID(int=1), str(UUID(int=1))),
    (datetime(2026, 1, 31, tzinfo=timezone.utc), "2026-01-31T00:00:00+00:00"),
    (Colour.RED, "red"),
    (ValueError("bad"), "ValueError: bad"),
]


@every_kind
@each(("value", "sent"), VALUES)
def test_values(stand_in: Callable[[Any], Any], value: object, sent: object) -> None:
    """At any depth, and whatever they stand for."""
    given = {"v": stand_in(value), "inner": [{"v": stand_in(value)}]}
    assert json.loads(dumps(given)) == {"v": sent, "inner": [{"v": sent}]}


@every_kind
def test_fields(stand_in: Callable[[Any], Any]) -> None:
    """Ids, names, whole mappings, and `rudder` itself."""
    message = build(
        stand_in(
            {
                "type": stand_in("track"),
                "user_id": stand_in(42),
                "anonymous_id": stand_in("a1"),
                "message_id": stand_in(UUID(int=1)),
                "event": stand_in("Read"),
                "properties": stand_in({"a": stand_in(True)}),
                "context": stand_in({"ip": stand_in("192.0.2.1")}),
                "integrations": stand_in({"All": True}),
                "timestamp": stand_in(datetime(2026, 1, 31, tzinfo=timezone.utc)),
            }
        )
    )
    assert json.loads(dumps(message)) == {
        "type": "track",
        "channel": "server",
        "userId": "42",
        "anonymousId": "a1",
        "messageId": str(UUID(int=1)),
        "event": "Read",
        "properties": {"a": True},
        "context": {"ip": "192.0.2.1"},
        "integrations": {"All": True},
        "timestamp": "2026-01-31T00:00:00+00:00",
    }


@every_kind
def test_none_is_not_given(stand_in: Callable[[Any], Any]) -> None:
    """A user who is not logged in, say; it is not the user "None"."""
    fields = {"user_id": stand_in(None), "anonymous_id": "a1", "properties": stand_in(None)}
    formatter = RudderFormatter()
    queued = formatter.encode(fields, "Read", 1.0, formatter.event_defaults)
    assert not {"userId", "properties"} & set(json.loads(queued + b"}"))
    with pytest.raises(InvalidValueError, match="no id"):
        build({"user_id": stand_in(None)}, template="Read")


@every_kind
def test_a_truth_is_no_id(stand_in: Callable[[Any], Any]) -> None:
    """True is an int to `isinstance`."""
    with pytest.raises(InvalidTypeError, match="'user_id' must be a str, an int or a UUID"):
        build({"user_id": stand_in(True)}, template="Read")


@every_kind
def test_other_ways_in(stand_in: Callable[[Any], Any]) -> None:
    """What is bound, what a hook returns, what two ids are merged by, and templates."""
    with bind(user_id=stand_in("u1"), context=stand_in({"ip": stand_in("192.0.2.1")})):
        formatter = RudderFormatter()
        queued = formatter.encode({}, stand_in("Read"), 1.0, formatter.event_defaults)
    sent = json.loads(queued + b"}")
    assert (sent["userId"], sent["event"]) == ("u1", "Read")
    assert sent["context"]["ip"] == "192.0.2.1"
    hooked = validate({"type": "track", "userId": stand_in(7), "event": stand_in("Read")})
    assert (hooked["userId"], hooked["event"]) == ("7", "Read")
    pair = [{"type": stand_in("email"), "value": stand_in(v)} for v in ("a@x", 7)]
    merged = build({"type": "merge", "user_id": "u", "merge_properties": pair})
    assert [item["value"] for item in merged["mergeProperties"]] == ["a@x", "7"]


def test_a_user_string_is_text() -> None:
    """It is a sequence of characters to `isinstance`."""
    text = UserString("Read")
    message = build({"user_id": text, "event": text, "properties": {"v": text, text: 1}})
    assert json.loads(dumps(message))["properties"] == {"v": "Read", "Read": 1}
    assert (message["userId"], message["event"]) == ("Read", "Read")


def test_a_proxy_of_nothing_harms_nothing() -> None:
    """As outside of a request."""

    def unbound() -> object:
        raise RuntimeError("working outside of request context")

    assert "LocalProxy" in json.loads(dumps({"v": LocalProxy(unbound)}))["v"]
