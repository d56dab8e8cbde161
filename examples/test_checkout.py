"""How an app's tests see its events: with pytest's caplog alone, and as they arrive.

Run it: python -m pytest examples/test_checkout.py
"""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane

logger = logging.getLogger("shop.checkout")


def complete_order(user_id: str, total: Decimal) -> None:
    """The app's own code: it knows nothing but logging."""
    logger.info(
        "Order Completed",
        extra={"rudder": {"user_id": user_id, "properties": {"revenue": total}}},
    )


def test_event_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With caplog alone: what the app gave, as it gave it."""
    caplog.set_level(logging.INFO)
    complete_order("123456", Decimal("49.90"))
    (record,) = caplog.records
    assert record.message == "Order Completed"
    assert record.rudder == {  # type: ignore[attr-defined]
        "user_id": "123456",
        "properties": {"revenue": Decimal("49.90")},
    }


def test_event_arrives() -> None:
    """With a local data plane: what RudderStack would receive."""
    with LocalDataPlane(write_key="test") as plane:
        handler = RudderHandler(write_key="test", data_plane_url=plane.url)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            complete_order("123456", Decimal("49.90"))
            assert handler.flush()
        finally:
            logger.removeHandler(handler)
            handler.close()
        (event,) = plane.events
        assert event["event"] == "Order Completed"
        assert event["userId"] == "123456"
        assert event["properties"] == {"revenue": 49.9}
