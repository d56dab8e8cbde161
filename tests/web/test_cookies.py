"""The browser's ids, in all formats that its SDK has had.

`tests/contract/browser-cookies.json` is what the npm packages wrote: `v3` and `browser` are by
`getEncryptedValue` and `getEncryptedValueBrowser` of `@rudderstack/analytics-js-cookies` 0.5.15,
`v1` by the AES of `crypto-js` 4.2.0, as `rudder-sdk-js` 1 calls it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.common import telling
from rudder_logging.web import cookies
from rudder_logging.web.cookies import ad_ids_of, anonymous_id_of, cookie_of, session_id_of

from ..each import each
from .fakes import FakeRequest, context_of, sent

VECTORS = json.loads(
    (Path(__file__).parents[1] / "contract" / "browser-cookies.json").read_text("utf-8")
)
FORMATS = ("v3", "browser", "v1", "json")


@pytest.fixture(autouse=True)
def _nothing_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_told", set())


@each("vector", VECTORS["anonymous_ids"])
@each("kind", FORMATS)
def test_anonymous_ids_of_the_npm_package(vector: dict[str, str], kind: str) -> None:
    """Rule 9: each of its formats is read as it reads it."""
    header = f"a=b; rl_anonymous_id={vector[kind]}; c=d"
    assert anonymous_id_of(header, "rl_anonymous_id", 1024) == vector["value"]
    assert sent(FakeRequest(headers={"cookie": header}))["anonymousId"] == vector["value"]


@each("vector", VECTORS["sessions"])
@each("kind", ["v3", "v1", "json"])
def test_sessions_of_the_npm_package(vector: dict[str, Any], kind: str) -> None:
    """Rule 9: the number is sent, and never that the session starts."""
    context = context_of(FakeRequest(headers={"cookie": f"rl_session={vector[kind]}"}))
    assert context["sessionId"] == vector["value"]
    assert "sessionStart" not in context


@each("text", ["a1", "%22a1%22", '"a1"', " a1 ", "%61%31"])
@each("name", ["rl_anonymous_id", "ajs_anonymous_id"])
def test_ids_may_be_plain(text: str, name: str) -> None:
    """Segment's SDK writes both; so do apps, in the name of either."""
    assert sent(FakeRequest(headers={"cookie": f"{name}={text}"}))["anonymousId"] == "a1"


def test_numbers_are_ids() -> None:
    """Text of digits is JSON's number."""
    assert anonymous_id_of("rl_anonymous_id=007", "rl_anonymous_id", 3) == "007"
    assert anonymous_id_of("rl_anonymous_id=7", "rl_anonymous_id", 3) == "7"


@each(
    ("header", "value"),
    [
        ("n=1", "1"),
        ("n=1;n=2", "2"),
        ("n=1; n=2 ;xn=3; x=n=4", "2"),
        ("x-n=1", None),
        ("  n=1", "1"),
        (";  \tn=1", "1"),
        ("n=", None),
        ("n", None),
        ("", None),
        ("n=a=b", "a=b"),
        ("n=%zz%", "%zz%"),
        ("n=" + "v" * 4096, "v" * 4096),
    ],
)
def test_a_cookie_is_found_by_its_name(header: str, value: str | None) -> None:
    """The last of several, as the browser's SDK does it."""
    assert cookie_of(header, "n") == value


BAD_IDS = [
    "undefined",
    "null",
    "true",
    "1.5",
    "{}",
    "[]",
    "%20",
    "%00",
    "%E2%80%8B",
    "RS_ENC_v3_",
    "RS_ENC_v3_%%%",
    "RS_ENC_v3_e30%3D",
    "RudderEncrypt:",
    "RudderEncrypt:U2FsdGVkX18%3D",
    "RudderEncrypt:U2FsdGVkX19q4mFIiHo0H88igqQ8wvUW6x78a9vwXTQ%3D",
    "[" * 4_000,
    "x" * 4_097,
]


@pytest.mark.parametrize("text", BAD_IDS)
@pytest.mark.parametrize("name", ["rl_anonymous_id", "rl_session"])
def test_bad_cookies_are_left_out(text: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Rule 8: with one warning, which does not quote them."""
    request = FakeRequest(headers={"cookie": f"{name}={text}"})
    for _ in range(3):
        message = sent(request)
        assert "anonymousId" not in message
        assert "sessionId" not in message["context"]
        assert message["context"]["ip"]
    if text != "%20":  # it is as good as none
        assert len(caplog.records) == 1
        assert name in caplog.text or "session" in caplog.text
        assert "Error" not in caplog.text  # it is a client's fault, and no function's
    assert len(caplog.text) < 500


@each("number", ["0", "-1", "true", '"5"', "1.5", str(2**53), "null"])
def test_sessions_are_numbers(number: str) -> None:
    """`context.sessionId` is no text: destinations would drop the event."""
    header = "rl_session=" + quote('{"id": ' + number + "}")
    assert "sessionId" not in context_of(FakeRequest(headers={"cookie": header}))


def test_ids_without_the_package_that_decrypts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 9: the oldest format is left out then, and a warning says what is missing."""
    for module in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    text = VECTORS["anonymous_ids"][0]["v1"]
    for _ in range(2):
        message = sent(
            FakeRequest(headers={"cookie": f"rl_anonymous_id={text}; ajs_anonymous_id=a2"})
        )
        assert message["anonymousId"] == "a2"
    assert len(caplog.records) == 1
    assert "cryptography" in caplog.text


def test_ad_ids() -> None:
    """As they are, or not at all."""
    header = "_ga=GA1.2.12.34; _fbp=fb.1.2.3; _fbc=fb 1; _ttp=%C3%A9"
    context, properties = ad_ids_of(header, 20)
    assert context == {
        "externalId": [{"type": "ga4ClientId", "id": "12.34"}],
        "fbp": "fb.1.2.3",
        "fbc": "fb 1",
    }
    assert properties == {}
    assert ad_ids_of("_ga=GA1.2.x.34; _fbp=" + "f" * 21, 20) == ({}, {})


# The cost of what a client writes.

HUGE = 64 * 1024
HUGE_HEADERS = [
    "rl_anonymous_id=" * (HUGE // 16),
    "; rl_anonymous_id=" * (HUGE // 18),
    "xrl_anonymous_id=; " * (HUGE // 19),
    "rl_session=" + "[" * HUGE,
    "rl_anonymous_id=RS_ENC_v3_" + "A" * HUGE,
    "rl_anonymous_id=RudderEncrypt:" + b64encode(b"Salted__" + b"x" * HUGE).decode(),
    "rl_anonymous_id=" + "%22" * (HUGE // 3),
    ";" * HUGE,
    " " * HUGE,
    "a=b; " * (HUGE // 5),
    "=" * HUGE,
]


def lines_run(function: Callable[[], object]) -> tuple[int, int]:
    """How many lines of the package run, and how many characters its functions were given."""
    lines = given_ = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines, given_
        if "rudder_logging" not in frame.f_code.co_filename:
            return None
        lines += event == "line"
        if event == "call":
            given_ += sum(len(v) for v in frame.f_locals.values() if isinstance(v, (str, bytes)))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines, given_


@pytest.mark.parametrize("header", HUGE_HEADERS)
def test_a_huge_cookie_is_little_work(header: str) -> None:
    """Rule 8: its 64 KiB are searched for names, and no more than one cookie's are decoded."""

    def decode() -> None:
        with contextlib.suppress(ValueError):
            anonymous_id_of(header, "rl_anonymous_id", 1024)
        with contextlib.suppress(ValueError):
            session_id_of(header)
        with contextlib.suppress(ValueError):
            ad_ids_of(header, 1024)

    lines, characters = lines_run(decode)
    assert lines < 1_000
    assert characters < 16 * len(header) + 10 * 4_096
    sent(FakeRequest(headers={"cookie": header}), ad_ids=True)


def test_what_is_decoded_is_one_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 8: nothing longer than what a browser keeps reaches a decoder."""
    sizes: list[int] = []
    decode = cookies._decoded

    def decoded(text: str) -> object:
        sizes.append(len(text))
        return decode(text)

    monkeypatch.setattr(cookies, "_decoded", decoded)
    for header in HUGE_HEADERS:
        sent(FakeRequest(headers={"cookie": header}))
    assert max(sizes, default=0) <= 4_096


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")), st.sampled_from(["", *FORMATS]))
def test_no_cookie_makes_it_raise(text: str, kind: str) -> None:
    """Rule 8: any bytes, in any format."""
    prefix = {"v3": "RS_ENC_v3_", "browser": "RS_ENC_v3_", "v1": "RudderEncrypt:"}.get(kind, "")
    if kind:
        text = prefix + quote(b64encode(text.encode("utf-8", "replace")).decode())
    made = sent(FakeRequest(headers={"cookie": f"rl_anonymous_id={text}; rl_session={text}"}))
    assert made["userId"]
