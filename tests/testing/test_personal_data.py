"""`has_no_pii`, and the marks of `serve` and `doctor --messages`: paths, and never values."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import pytest

from rudder_logging.cli.doctor.messages import examine
from rudder_logging.cli.sources import Source
from rudder_logging.dataplane.live.judges import judges
from rudder_logging.testing import CapturedEvents

EVENT = {
    "user_id": "u-1",
    "properties": {"note": "ask jane@example.com", "paid": [{"with": "4242424242424242"}]},
    "context": {"ip": "203.0.113.7"},
}


def test_has_no_pii(rudder_events: CapturedEvents) -> None:
    """It names path and kind of each, where the event was logged, and no value."""
    logging.getLogger("app").warning("Order Paid", extra={"rudder": EVENT})
    with pytest.raises(AssertionError) as caught:
        rudder_events.has_no_pii(allow=["context.ip"])
    text = str(caught.value)
    assert "2 places have personal data" in text
    assert "properties.note has an e-mail address" in text
    assert "properties.paid[0].with has a payment card's number" in text
    assert "test_personal_data.py:" in text
    for value in ("jane", "4242", "203"):
        assert value not in text
    allowed = ["ip", "properties.note", "properties.paid[].with"]
    assert rudder_events.has_no_pii(allow=allowed) is rudder_events
    assert len(rudder_events.track().has_no_pii(allow=["properties", "context"])) == 1


def test_serve_marks_it() -> None:
    """On the live page, as a warning, which says that it is told once a place."""
    message = {"type": "track", "event": "e", "userId": "u", "properties": EVENT["properties"]}
    found = [words for judge in judges() for verdict, words in judge(message) if verdict == "warn"]
    assert "personal data: properties.note has an e-mail address (told once)" in found
    assert not any("jane" in words for words in found)


def test_doctor_marks_it(tmp_path: Path) -> None:
    """Of a file's events: how many, and where the first is."""
    message = {
        "type": "track",
        "event": "e",
        "userId": "u",
        "messageId": "m",
        "properties": EVENT["properties"],
    }
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([orjson.dumps(message)] * 2))
    source = Source(str(file))
    try:
        found = [one.text for one in examine(source) if one.code == "personal-data"]
    finally:
        source.close()
    assert len(found) == 2
    assert found[0].startswith("2 of 2 events, first in line 1: properties.")
    assert not any("jane" in text or "4242" in text for text in found)
