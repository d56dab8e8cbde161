"""The stages of privacy: their order, their reasons, and what becomes of their faults."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rudder_logging.common import telling
from rudder_logging.delivery.reports import without_content
from rudder_logging.privacy.options import Privacy
from rudder_logging.privacy.stages import FAILED, REASONS, Stages
from rudder_logging.privacy.suppression import Suppressed

from ..each import each

EVENT = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m",
    "userId": "jane",
    "properties": {"revenue": 1, "password": "p"},
    "context": {"ip": "203.0.113.7"},
}


def passed(event: dict[str, Any] = EVENT, everywhere: Any = (), **options: Any) -> Any:
    """The event as it may leave, or the reason why it may not."""
    stages = Stages(Privacy(**options), [Suppressed(everywhere)])
    message = stages.passed(orjson.dumps(event)[:-1], stages.redaction.hasher())
    return message if isinstance(message, str) else orjson.loads(message + b"}")


# Each of these keeps the event back, in the order in which they are asked.
OBSTACLES: list[tuple[str, dict[str, Any]]] = [
    ("suppressed", {"suppressed": ["jane"]}),
    (
        "consent",
        {"consent": {"provider": "custom", "categories": ["a"], "on_unknown": "drop"}},
    ),
    ("denied", {"deny_events": ["Order *"]}),
    ("sampled", {"sample": {"*": 0.0}}),
    ("rate_limited", {"rate": {"*": "0/s"}}),
]


@each("first", range(len(OBSTACLES)))
def test_the_first_obstacle_is_the_reason(first: int) -> None:
    """Of all that would keep an event back."""
    options: dict[str, Any] = {}
    for _, more in OBSTACLES[first:]:
        options |= more
    assert passed(**options) == OBSTACLES[first][0]
    assert OBSTACLES[first][0] in REASONS


def test_what_is_suppressed_everywhere_is_so_without_an_option() -> None:
    """And first of all."""
    assert passed(everywhere=["jane"]) == "suppressed"
    assert passed(everywhere=["jo"])["userId"] == "jane"


def test_what_a_later_stage_takes_away_an_earlier_one_sees() -> None:
    """Suppression and samples go by the id, and not by its hash; rates count what is left."""
    options: dict[str, Any] = {"hash": ["ids"], "hmac_key": "k", "redact": ["id"]}
    event = {**EVENT, "context": {"externalId": [{"id": "x"}]}}
    assert passed(event, suppressed=["x"], **options) == "suppressed"
    assert passed(event, **options)["context"] == {"externalId": [{}]}
    stages = Stages(Privacy(deny_events=["Page"], sample={"Home": 0.0}, rate={"*": "1/day"}))
    found = []
    for name in ("Page", "Home", "Order", "Order"):
        message = orjson.dumps({**EVENT, "event": name})[:-1]
        made = stages.passed(message, stages.redaction.hasher())
        found.append(made if isinstance(made, str) else None)
    assert found == ["denied", "sampled", None, "rate_limited"]


def test_all_at_once() -> None:
    """Each stage leaves its mark on an event that passes."""
    found = passed(
        redact=["password"],
        action="mask",
        hash=["ids"],
        hmac_key="k",
        allow={"Order Completed": ["password"]},
        sample={"*": 1},
        rate={"*": "10/s"},
        ip="mask",
        geo=False,
        consent={"provider": "custom", "categories": ["a", "b"], "allowed": ["a"]},
        suppressed=["somebody else"],
    )
    assert found.pop("userId") != "jane"
    assert found == {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m",
        "properties": {"password": "***"},
        "context": {
            "ip": "203.0.113.0",
            "geo": {},
            "sampling": 1.0,
            "consentManagement": {
                "provider": "custom",
                "allowedConsentIds": ["a"],
                "deniedConsentIds": ["b"],
            },
        },
    }


def test_a_fault_keeps_the_event_back_and_quotes_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function of the app's may raise anything, with a person's data in it; told once."""
    monkeypatch.setattr(telling, "_told", set())

    def fails(ids: object) -> bool:
        raise LookupError(f"no such person: {ids}")

    for _ in range(2):
        assert passed(suppressed=fails) == FAILED
    (line,) = caplog.messages
    assert "LookupError" in line
    assert "jane" not in line


def test_the_second_pass_hashes_no_hash() -> None:
    """But what the hook has added."""
    stages = Stages(Privacy(hash=["email"], hmac_key="k", action="hmac"))
    hashed = stages.redaction.hasher()
    event = {**EVENT, "properties": {"email": "a@b", "token": "t"}}
    first = stages.passed(orjson.dumps(event)[:-1], hashed)
    assert isinstance(first, bytes)
    assert stages.redacted(first, hashed) == first
    edited = orjson.loads(first + b"}")
    edited["properties"]["E-mail"] = edited["properties"]["Email"] = "a@b"
    second = stages.redacted(orjson.dumps(edited)[:-1], hashed)
    assert isinstance(second, bytes)
    found = orjson.loads(second + b"}")["properties"]
    assert found["E-mail"] == found["Email"] == found["email"]


def test_nobody_is_told_more_than_id_type_and_name() -> None:
    """Of what did not leave."""
    told = orjson.loads(without_content(orjson.dumps(EVENT)[:-1]) + b"}")
    assert told == {"messageId": "m", "type": "track", "event": "Order Completed"}


@each(
    ("options", "expected"),
    [
        ({}, True),
        ({"redact": ["a"], "action": "mask"}, True),
        ({"action": "hmac", "hmac_key": "k"}, False),
        ({"patterns": ["a"]}, False),
        ({"hash": ["a"], "hmac_key": "k"}, False),
        ({"ip": "mask"}, False),
        ({"geo": False}, False),
        ({"suppressed": ["a"]}, False),
        ({"rate": {"*": 1}}, False),
    ],
)
def test_redaction_alone_is_done_by_the_encoders(options: Any, expected: bool) -> None:
    """All else needs the finished message, and so does whoever is suppressed besides."""
    assert not Stages(Privacy(), [Suppressed(["a"])]).in_encoders
    assert Stages(Privacy(**options)).in_encoders is expected


def test_patterns_may_be_kinds_of_personal_data() -> None:
    """A number that fails its check stays."""
    text = "jane@example.com paid with 4242 4242 4242 4242, not with 4242 4242 4242 4243"
    found = passed(
        {**EVENT, "properties": {"note": text}}, patterns=["email", "card", "paid"], action="mask"
    )
    assert found["properties"]["note"] == "*** *** with ***, not with 4242 4242 4242 4243"
