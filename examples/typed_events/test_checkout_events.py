"""Typed events in tests: `python -m pytest examples/typed_events`."""

from __future__ import annotations

from decimal import Decimal

import pytest
from checkout import check_out, sign_up
from shop_events import order_completed

from rudder_logging.testing import CapturedEvents


def test_order(rudder_events: CapturedEvents) -> None:
    """What was given is sent, under the names of the plan, and nothing else."""
    check_out("customer-1", "o-1", [{"sku": "book-1", "price": Decimal("19.90")}])
    (event,) = rudder_events.track("Order Completed", user_id="customer-1")
    assert event["properties"] == {
        "orderId": "o-1",
        "revenue": 19.9,
        "currency": "EUR",
        "products": [{"sku": "book-1", "price": 19.9}],
    }
    assert event["context"]["app"] == {"name": "shop"}


def test_plan(rudder_events: CapturedEvents) -> None:
    """The plan has rules that no type tells, so tests hold the events to it, too."""
    sign_up("customer-1", "a@example.com")
    check_out("customer-1", "o-1", [{"sku": "book-1", "price": Decimal("19.90")}])
    rudder_events.conforms_to("plan.json")
    order_completed(user_id="1", order_id="o-2", revenue=-1, currency="EUR", products=[])
    with pytest.raises(AssertionError, match=r"properties\.\w+"):
        rudder_events.conforms_to("plan.json")


def test_null(rudder_events: CapturedEvents) -> None:
    """Where the plan allows null, None is sent; left out, nothing is."""
    order_completed(user_id="1", order_id="o-1", revenue=1, currency="EUR", products=[])
    order_completed(
        user_id="1", order_id="o-1", revenue=1, currency="EUR", products=[], coupon=None
    )
    without, refused = rudder_events.track("Order Completed")
    assert "coupon" not in without["properties"]
    assert refused["properties"]["coupon"] is None


def test_the_line_of_the_call(
    rudder_events: CapturedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs and failures name the line that called, not the generated file."""
    caplog.set_level("INFO")
    sign_up("customer-1", "a@example.com")
    assert "checkout.py:" in rudder_events.one().place
    assert [(record.message, record.filename) for record in caplog.records] == [
        ("identify", "checkout.py")
    ]
