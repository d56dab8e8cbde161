"""A client's address."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.web.addresses import address_of, address_source

from ..each import each
from .fakes import FakeRequest, context_of


@each(
    ("rule", "header", "ip"),
    [
        ("remote", "203.0.113.1", "192.0.2.9"),
        ("xff:1", "6.6.6.6, 203.0.113.1", "203.0.113.1"),
        ("xff:2", "6.6.6.6, 203.0.113.1, 10.0.0.1", "203.0.113.1"),
        ("xff:2", "6.6.6.6,203.0.113.1,10.0.0.1", "203.0.113.1"),
        ("xff:2", "203.0.113.1,  10.0.0.1", "203.0.113.1"),
        ("xff:3", "203.0.113.1, 10.0.0.1", "192.0.2.9"),
        ("xff:1", None, "192.0.2.9"),
        ("xff:1", "", "192.0.2.9"),
        ("xff:1", "1.1.1.1, ", None),
        ("xff:1", "unknown", None),
        ("xff:2", "1.1.1.1, " * 5_000 + "203.0.113.1, 10.0.0.1", "203.0.113.1"),
    ],
)
def test_the_nth_entry_from_the_right(rule: str, header: str | None, ip: str | None) -> None:
    """Rule 5: what the client wrote itself stands left of it; too few entries are the peer."""
    headers = {} if header is None else {"x-forwarded-for": header}
    context = context_of(FakeRequest(headers=headers), ip=rule)
    assert context.get("ip") == ip
    assert context.get("geo") == (None if ip else {})


def test_a_header_of_a_proxy() -> None:
    """In any case; where it is missing, the request came past the proxy."""
    headers = {"cf-connecting-ip": "203.0.113.1"}
    assert context_of(FakeRequest(headers=headers), ip="header:CF-Connecting-IP")["ip"] == (
        "203.0.113.1"
    )
    assert context_of(FakeRequest(), ip="header:CF-Connecting-IP")["ip"] == "192.0.2.9"


@each(
    ("given_text", "ip", "masked"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.0"),
        (" 203.0.113.7:8080 ", "203.0.113.7", "203.0.113.0"),
        ("2001:db8:1:2::7", "2001:db8:1:2::7", "2001:db8:1::"),
        ("[2001:db8::7]:443", "2001:db8::7", "2001:db8::"),
        ("[2001:db8::7]", "2001:db8::7", "2001:db8::"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        ("[fe80::1%25eth0]:80", "fe80::1", "fe80::"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.0"),
        ('"203.0.113.7"', "203.0.113.7", "203.0.113.0"),
        ("203.0.113.7, 10.0.0.1", None, None),
        ("255.249.199.99", "255.249.199.99", "255.249.199.0"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0"),
        ("203.0.113.256", None, None),
        ("203.0.113.07", None, None),
        ("203.0.113", None, None),
        ("testclient", None, None),
        ("unix:", None, None),
        ("/run/app.sock", None, None),
        ("1", None, None),
        ("1.2.3.4:x", None, None),
        ("0x7f.1", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_an_address_is_one(given_text: str | None, ip: str | None, masked: str | None) -> None:
    """Rule 6: what is none is left out; ports and zones are cut."""
    assert address_of(given_text, is_masked=False) == ip
    assert address_of(given_text, is_masked=True) == masked
    context = context_of(FakeRequest(peer=given_text), ip_mask=True)
    assert context.get("ip") == masked


@each("rule", ["", "xff", "xff:", "xff:0", "xff:²", "xff:1.5", "header:", "header:a:b", "Remote"])
def test_other_rules_are_none(rule: str) -> None:
    """A rule that is misread would trust a client."""
    assert address_source(rule) is None


@given(st.text() | st.ip_addresses().map(str) | st.text("0123456789abcdef.:[]%/\"' "))
def test_any_text_is_an_address_or_none(text: str) -> None:
    """Rule 6: it never raises, and says nothing else."""
    for is_masked in (False, True):
        found = address_of(text, is_masked=is_masked)
        assert found is None or str(ipaddress.ip_address(found)) == found
