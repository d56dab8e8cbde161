"""Consent: `deniedConsentIds` as the server acts on it, whatever the event had."""

from __future__ import annotations

from typing import Any

import pytest

from rudder_logging.privacy.consent import Consent

from ..each import each

CATEGORIES = ("C0001", "C0002", "c0003")


def written(own: Any = None, allowed: Any = None, on_unknown: Any = "deny") -> Any:
    """The event's consent afterwards; None: it is to be dropped."""
    event: dict[str, Any] = {"userId": "u"}
    if own is not None:
        event["context"] = {"consentManagement": own, "ip": "1.2.3.4"}
    if not Consent("oneTrust", CATEGORIES, allowed, on_unknown).admits(event):
        return None
    assert event["context"].get("ip") == (None if own is None else "1.2.3.4")
    return event["context"]["consentManagement"]


def consent(allowed: list[str], denied: list[str]) -> dict[str, Any]:
    """A consent as it has to be on the wire."""
    return {"provider": "oneTrust", "allowedConsentIds": allowed, "deniedConsentIds": denied}


@each(
    ("own", "allowed", "expected"),
    [
        (None, None, consent([], [*CATEGORIES])),
        (None, ["C0001"], consent(["C0001"], ["C0002", "c0003"])),
        (None, lambda event: {event["userId"], "C0002"}, "C0002"),
        (None, lambda _: None, consent([], [*CATEGORIES])),
        (None, ["C0003"], consent(["C0003"], [*CATEGORIES])),  # case as given
        ({"allowedConsentIds": ["C0002"]}, ["C0001"], consent(["C0002"], ["C0001", "c0003"])),
        ({"allowedConsentIds": []}, ["C0001"], consent([], [*CATEGORIES])),
        ({"allowedConsentIds": "C0001"}, None, consent([], [*CATEGORIES])),
        (
            {"allowedConsentIds": ["C0001", "", 7, None]},
            None,
            consent(["C0001"], ["C0002", "c0003"]),
        ),
        (
            {"allowedConsentIds": ["C0001", "C0002"], "deniedConsentIds": ["C0002", "x"]},
            None,
            consent(["C0001"], ["c0003", "C0002", "x"]),
        ),
        (
            {"provider": 7, "deniedConsentIds": "all"},
            ["C0001"],
            consent(["C0001"], ["C0002", "c0003"]),
        ),
        ("all", ["C0001"], consent(["C0001"], ["C0002", "c0003"])),
    ],
)
def test_denied_is_what_is_not_allowed(own: Any, allowed: Any, expected: Any) -> None:
    """The event's own word comes first. Nothing that the server can't read is left."""
    found = written(own, allowed)
    if expected == "C0002":
        assert (found["deniedConsentIds"], set(found["allowedConsentIds"])) == (
            ["C0001", "c0003"],
            {"u", "C0002"},
        )
    else:
        assert found == expected


def test_strategy_stays_if_the_server_knows_it() -> None:
    """Another would be none."""
    assert written({"resolutionStrategy": "or"})["resolutionStrategy"] == "or"
    assert "resolutionStrategy" not in written({"resolutionStrategy": "any"})


def test_unknown_drops_if_asked_to() -> None:
    """But not what is known."""
    assert written(on_unknown="drop") is None
    assert written({"allowedConsentIds": None}, lambda _: None, "drop") is None
    assert written({"allowedConsentIds": []}, None, "drop") is not None


@each("found", ["C0001", {"C0001": True}, b"C0001"])
def test_what_is_no_list_of_ids_fails(found: Any) -> None:
    """It would be taken apart into letters."""
    with pytest.raises(TypeError):
        written(None, lambda _: found)
