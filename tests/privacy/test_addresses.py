"""Addresses and places."""

from __future__ import annotations

from typing import Any

from rudder_logging.privacy.addresses import address_stage

from ..each import each


@each(
    ("given", "masked"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("203.0.113.77:8080", "203.0.113.0"),
        ("[2001:db8:85a3:8d3::7348]:443", "2001:db8:85a3::"),
        ("fe80:1:2:3::7%eth0", "fe80:1:2::"),
        # As X-Forwarded-For has them: nobody knows which one is the person's.
        ("203.0.113.77, 10.0.0.1", None),
        (["203.0.113.77"], None),
        ("", None),
        ("256.0.113.77", None),
        ("jane", None),
        (7, None),
    ],
)
def test_mask_and_drop(given: Any, masked: str | None) -> None:
    """/24 and /48; what is no address is nobody's to judge, and goes."""
    for ip, expected in (("mask", masked), ("drop", None)):
        apply = address_stage(ip, geo=True)  # type: ignore[arg-type]
        assert apply is not None
        event = {"context": {"ip": given, "locale": "en"}}
        apply(event)
        assert event["context"].get("ip") == expected
        assert event["context"]["locale"] == "en"


def test_without_a_place_the_server_finds_none() -> None:
    """An empty `geo` is what its look-up respects."""
    apply = address_stage("keep", geo=False)
    assert apply is not None
    for event in ({}, {"context": {"geo": {"city": "X"}, "ip": "1.2.3.4"}}):
        apply(event)
        assert event["context"]["geo"] == {}
    assert address_stage("keep", geo=True) is None
