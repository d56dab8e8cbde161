"""Privacy at the wire: what arrives, what is counted, and what a callback is told."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import rudder_logging
from rudder_logging import ConfigError, Privacy, RudderFormatter, RudderHandler, bind
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import MakeHandler, Wire
from ..each import each

SECRET = "s3cr3t-value"


def event(**fields: Any) -> dict[str, Any]:
    """An event to log, as `extra`."""
    return {"rudder": {"user_id": "u", **fields}}


def test_names_are_the_package_s() -> None:
    """They are loaded when they are first asked for."""
    assert rudder_logging.Privacy is Privacy
    assert "password" in rudder_logging.DEFAULT_KEYS
    assert rudder_logging.ConsentPolicy.__name__ == "ConsentPolicy"
    assert rudder_logging.Suppression.__name__ == "Suppression"


@each("more", [{}, {"ip": "mask"}, {"before_send": True}, {"trace_context": True}])
def test_nothing_under_a_redacted_key_arrives(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, more: dict[str, Any]
) -> None:
    """In the event, in what is bound, in the handler's own context; whatever else is asked for."""
    options: dict[str, Any] = {"privacy": {"ip": more.pop("ip", "keep")}, **more}
    if "before_send" in more:
        options["before_send"] = lambda message: {**message, "extra": {"token": SECRET}}
    plane.clear()
    handler = make_handler(context={"app": {"name": "n", "token": SECRET}}, **options)
    logger = wire(handler)
    url = f"https://x/?token={SECRET}&b=2"
    with bind(context={"login": {"Password": SECRET, "url": url}}, properties={"otp": SECRET}):
        for _ in range(3):
            logger.info("e", extra=event(properties={"password": SECRET, "a": [{"PWD": SECRET}]}))
            logger.info("e", extra=event(context={"page": {"url": url, "n": Decimal(1)}}))
            logger.info("e", extra=event(type="identify", traits={"api_key": SECRET, "b": 1}))
            logger.info("e", extra=event(integrations={"X": {"secret": SECRET}}))
    logger.info("e", extra=event())
    assert handler.flush()
    assert len(plane.events) == 13
    assert SECRET not in json.dumps(plane.events)
    assert plane.events[0]["properties"] == {"a": [{}]}
    assert plane.events[1]["context"]["page"] == {"url": "https://x/?b=2", "n": 1.0}
    assert plane.events[2]["context"]["traits"] == {"b": 1}
    assert plane.events[0]["context"]["app"] == {"name": "n"}


# The order of rule 1, with something to do for each stage.


def test_the_order_of_the_stages(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Suppression, consent, allow and deny, sample, rate, redact and hash, the hook, redact."""
    seen: list[dict[str, Any]] = []
    asked: list[str] = []

    def suppressed(one: str) -> bool:
        asked.append(f"suppressed {one}")
        return one == "suppressed"

    def allowed(message: dict[str, Any]) -> list[str] | None:
        asked.append(f"consent {message['userId']} {message['properties'].get('password')}")
        return None if message["userId"] == "unknown" else ["a"]

    def hook(message: dict[str, Any]) -> dict[str, Any]:
        seen.append(json.loads(json.dumps(message)))
        message["properties"]["token"] = SECRET
        message["properties"]["user_id"] = "u1"
        return message

    drops: list[tuple[dict[str, Any], str]] = []
    handler = make_handler(
        privacy={
            "suppressed": suppressed,
            "consent": {
                "provider": "custom",
                "categories": ["a", "b"],
                "allowed": allowed,
                "on_unknown": "drop",
            },
            "deny_events": ["Denied"],
            "allow": {"*": ["password", "kept"]},
            "sample": {"Sampled": 0.0},
            "rate": {"*": "1/day"},
            "hash": ["ids"],
            "hmac_key": "k",
        },
        before_send=hook,
        on_drop=lambda message, reason: drops.append((message, reason)),
    )
    logger = wire(handler)
    details = {"password": SECRET, "kept": 1, "other": 2}
    for user, name in [
        ("suppressed", "Denied"),
        ("unknown", "Denied"),
        ("u1", "Denied"),
        ("u1", "Sampled"),
        ("u1", "Order"),
        ("u1", "Order"),
    ]:
        logger.info(name, extra={"rudder": {"user_id": user, "properties": dict(details)}})
    assert handler.flush()
    reasons = ["suppressed", "consent", "denied", "sampled", "rate_limited"]
    assert [reason for _, reason in drops] == reasons
    assert handler.stats().dropped == dict.fromkeys(reasons, 1)
    assert all(set(message) <= {"messageId", "type", "event"} for message, _ in drops)
    assert asked[:3] == ["suppressed suppressed", "suppressed unknown", f"consent unknown {SECRET}"]
    (arrived,) = plane.events
    (given_to_hook,) = seen
    assert given_to_hook["properties"] == {"kept": 1}
    assert given_to_hook["userId"] == arrived["userId"] == arrived["properties"]["user_id"] != "u1"
    assert arrived["properties"].keys() == {"kept", "user_id"}
    assert arrived["context"]["consentManagement"]["deniedConsentIds"] == ["b"]


def test_a_hook_that_hands_out_is_followed_by_redaction_of_names_only(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """With redaction alone, too, which the encoders do before."""
    handler = make_handler(
        privacy={}, before_send=lambda message: {**message, "properties": {"password": SECRET}}
    )
    wire(handler).info("e", extra=event(properties={"a": 1}))
    assert handler.flush()
    assert plane.events[0]["properties"] == {}


def test_a_format_of_the_app_s_is_followed_by_it(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Whether it is the handler's or the formatter's."""

    class Adding(RudderFormatter):
        def format(self, record: logging.LogRecord) -> str:
            line = json.loads(super().format(record))
            return json.dumps({**line, "properties": {"token": SECRET, "a": 1}})

    for privacy in ({}, {"geo": False}):
        handler = make_handler(privacy=privacy)
        handler.setFormatter(Adding())
        wire(handler).info("e", extra=event())
        assert handler.flush()
    assert [one["properties"] for one in plane.events] == [{"a": 1}, {"a": 1}]


def test_spool_and_dead_letters_hold_what_may_leave(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """Redaction comes before both."""
    spool, letters = tmp_path / "spool", tmp_path / "dead.jsonl"
    handler = make_handler(
        queue=f"file://{spool}", dead_letter=str(letters), privacy={}, upload_interval=3_600
    )
    plane.fail_for(lambda _: True, status=400, text="invalid json")
    wire(handler).info("e", extra=event(properties={"password": SECRET, "shown": "it is"}))
    files = [path for path in spool.rglob("*") if path.is_file()]
    assert any("it is" in path.read_text() for path in files)
    assert not any(SECRET in path.read_text() for path in files)
    assert handler.flush()
    assert "it is" in letters.read_text()
    assert SECRET not in letters.read_text()


def test_a_fault_keeps_the_event_back(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """A list that can't be read any more lets nobody through; the next event may leave again."""
    people = tmp_path / "people.txt"
    people.write_text("somebody\n")
    handler = make_handler(privacy={"suppressed": str(people)})
    logger = wire(handler)
    people.rename(tmp_path / "away")
    logger.info("e", extra=event())
    (tmp_path / "away").rename(people)
    logger.info("e", extra=event())
    assert handler.flush()
    assert handler.stats().dropped == {"privacy_failed": 1}
    assert len(plane.events) == 1


@each("said", ["environment", "package"])
def test_whoever_says_it(
    said: str, monkeypatch: pytest.MonkeyPatch, plane: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """The environment's JSON, or the package's setting."""
    plane.clear()
    if said == "environment":
        monkeypatch.setenv("RUDDER_PRIVACY", '{"redact": ["note"]}')
        handler = make_handler()
        handler.accept({"user_id": "u", "properties": {"note": 1, "password": 2}}, "e", 0.0)
        assert handler.flush()
        monkeypatch.delenv("RUDDER_PRIVACY")
    else:
        rudder_logging.write_key, rudder_logging.data_plane_url = plane.write_key, plane.url
        rudder_logging.privacy = Privacy(redact=["note"])
        rudder_logging.track("u", "e", {"note": 1, "password": 2})
        assert rudder_logging.flush()
    assert plane.events[0]["properties"] == {"password": 2}


def test_a_hash_needs_a_key_wherever_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the environment says it; the error has no secret."""
    monkeypatch.setenv("RUDDER_PRIVACY", '{"action": "hmac", "salt": "grain"}')
    with pytest.raises(ConfigError, match="hmac_key") as caught:
        RudderHandler("k", "http://127.0.0.1:9")
    assert "grain" not in str(caught.value)
