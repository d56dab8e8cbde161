"""Consent by the providers' cookies: held to examples as their scripts write them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.common import telling
from rudder_logging.exceptions import InvalidEventError
from rudder_logging.web.consent import PROVIDERS, consent_of_cookie

from ..conftest import MakeHandler, Wire
from ..each import each
from .fakes import FakeRequest, context_of, sent

ONE_TRUST = (
    "OptanonConsent=isGpcEnabled=0&datestamp=Fri+Nov+27+2026+10%3A11%3A12+GMT%2B0100+"
    "(Central+European+Standard+Time)&version=202405.1.0&browserGpcFlag=0&isIABGlobal=false"
    "&hosts=&consentId=5e0c8a2b-3f1d-4b7e-9c60-1a2b3c4d5e6f&interactionCount=2&isAnonUser=1"
    "&landingPath=NotLandingPage&groups=C0001%3A1%2CC0002%3A0%2CC0003%3A1%2CBG7%3A0"
    "&geolocation=AT%3B9&AwaitingReconsent=false"
)
KETCH = "_ketch_consent_v1_=" + quote(
    b64encode(
        json.dumps(
            {
                "analytics": {"status": "granted", "canonicalPurposes": ["analytics"]},
                "behavioral_advertising": {"status": "denied"},
                "essential_services": {"status": "granted"},
            }
        ).encode()
    ).decode()
)
IUBENDA = "_iub_cs-98765432=" + quote(
    json.dumps(
        {
            "timestamp": "2026-11-27T10:11:12.345Z",
            "version": "1.61.0",
            "purposes": {"1": True, "2": False, "4": True},
            "id": 98765432,
            "cons": {"rand": "a1b2c3"},
        }
    )
)
EXAMPLES = [
    ("oneTrust", ONE_TRUST, ["C0001", "C0003"], ["C0002", "BG7"]),
    ("ketch", KETCH, ["analytics", "essential_services"], ["behavioral_advertising"]),
    ("iubenda", IUBENDA, ["1", "4"], ["2"]),
]


@pytest.fixture(autouse=True)
def _nothing_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_told", set())


@each(("provider", "cookie", "allowed", "denied"), EXAMPLES)
def test_examples(provider: str, cookie: str, allowed: list[str], denied: list[str]) -> None:
    """Among other cookies, of other names, too."""
    header = f"a=b; x{cookie}; {cookie}; _iub_cs-s1=x; z=1"
    expected = {"provider": provider, "allowedConsentIds": allowed, "deniedConsentIds": denied}
    assert consent_of_cookie(header, provider) == expected
    message = sent(FakeRequest(headers={"cookie": header}), consent=provider)
    assert message["context"]["consentManagement"] == expected


@each("provider", PROVIDERS)
def test_without_a_cookie_nothing_is_known(provider: str) -> None:
    """Nor with one that says nothing of consent."""
    others = "; OptanonConsent=version=1; _iub_cs-1=%7B%22consent%22%3Atrue%7D"
    assert consent_of_cookie("a=b" + others * (provider != "ketch"), provider) is None
    assert "consentManagement" not in sent(FakeRequest(), consent=provider)["context"]


@each(
    ("provider", "cookie"),
    [
        ("oneTrust", "OptanonConsent=groups=C0001%3A2"),
        ("oneTrust", "OptanonConsent=groups=C0001"),
        ("ketch", "_ketch_consent_v1_=%7B%7D"),
        ("ketch", "_ketch_consent_v1_=" + b64encode(b"[1]").decode()),
        ("iubenda", "_iub_cs-1=[1]"),
        ("iubenda", "_iub_cs-1=%7Bx"),
    ],
)
def test_what_can_t_be_read_is_left_out(
    provider: str, cookie: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning that does not quote it. Half of it might allow what was denied."""
    caplog.clear()
    telling._told.clear()
    with pytest.raises(InvalidEventError):
        consent_of_cookie(cookie, provider)
    message = sent(FakeRequest(headers={"cookie": cookie}), consent=provider)
    assert "consentManagement" not in message["context"]
    (line,) = caplog.messages
    assert cookie.partition("=")[2] not in line


@given(st.sampled_from(sorted(PROVIDERS)), st.text(max_size=60))
def test_clients_write_whatever_they_like(provider: str, text: str) -> None:
    """Nothing else is raised, and all ids are text that is not empty."""
    for name in ("OptanonConsent", "_ketch_consent_v1_", "_iub_cs-1"):
        for value in (
            text,
            quote(text),
            f"groups={text}",
            b64encode(text.encode("utf-8", "replace")).decode(),
        ):
            try:
                found = consent_of_cookie(f"{name}={value}", provider)
            except InvalidEventError:
                continue
            for key in ("allowedConsentIds", "deniedConsentIds") if found else ():
                assert all(isinstance(one, str) and one for one in (found or {})[key])


def test_a_function_finds_the_ids() -> None:
    """Of the framework's request; None: it knows none."""
    for ids in (["a", "b"], {"a", "b"}, ("a", "b")):
        found = sent(FakeRequest(), consent=lambda _, ids=ids: ids)["context"]["consentManagement"]
        assert {*found["allowedConsentIds"]} == {"a", "b"}
    assert "consentManagement" not in sent(FakeRequest(), consent=lambda _: None)["context"]
    assert "consentManagement" not in sent(FakeRequest(), consent=lambda _: "a")["context"]


@each("value", ["OneTrust", 7])
def test_an_option_that_can_t_be_right(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, with a warning that names the nearest."""
    caplog.clear()
    telling._told.clear()
    assert "consentManagement" not in context_of(
        FakeRequest(headers={"cookie": ONE_TRUST}), consent=value
    )
    assert ("did you mean 'oneTrust'" in caplog.text) is (value == "OneTrust")


def test_a_policy_adds_what_all_others_are(make_handler: MakeHandler, wire: Wire) -> None:
    """What the cookie does not name is denied, and so is what it denies."""
    from rudder_logging import RequestContext

    seen: list[dict[str, Any]] = []

    def hook(message: dict[str, Any]) -> dict[str, Any]:
        seen.append(message)
        return message

    handler = make_handler(
        privacy={"consent": {"provider": "oneTrust", "categories": ["C0001", "C0002", "C0009"]}},
        before_send=hook,
    )
    request = FakeRequest(headers={"cookie": ONE_TRUST})
    with RequestContext(consent="oneTrust").binding("/", lambda: request):
        wire(handler).info("e", extra={"rudder": {"user_id": "u"}})
    wire(handler).info("e", extra={"rudder": {"user_id": "u"}})
    bound, unbound = (one["context"]["consentManagement"] for one in seen)
    assert bound["allowedConsentIds"] == ["C0001", "C0003"]
    assert bound["deniedConsentIds"] == ["C0002", "C0009", "BG7"]
    assert unbound["deniedConsentIds"] == ["C0001", "C0002", "C0009"]
