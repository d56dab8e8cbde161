"""How a shop's tests look at its events, with the fixtures that pytest finds by itself.

Run it: python -m pytest examples/shop
"""

from __future__ import annotations

import logging.config
from collections.abc import Iterator
from decimal import Decimal

import pytest
from app import LOGGING, check_out, look_at, rate, sign_up

from rudder_logging import RudderHandler, WarehouseWarning
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.testing import CapturedEvents

BASKET = {"book-1": Decimal("19.90"), "pen-7": Decimal("2.10")}


@pytest.fixture
def configured() -> Iterator[None]:
    """The app's logging as in production; nothing leaves for its host from here."""
    root, shop = logging.getLogger(), logging.getLogger("shop")
    before = root.level, list(root.handlers), shop.level
    logging.config.dictConfig(LOGGING)
    yield
    root.level, root.handlers, shop.level = before


def test_order(rudder_events: CapturedEvents) -> None:
    """What matters of an event, in the app's own values."""
    check_out("customer-1", BASKET)
    rudder_events.one(
        type="track",
        event="Order Completed",
        user_id="customer-1",
        properties={"revenue": Decimal("22.00"), "products": [{"sku": "book-1"}, {}]},
    )


def test_coupon(rudder_events: CapturedEvents) -> None:
    """Events by type and name, by user, all of them."""
    check_out("customer-1", BASKET, coupon="SPRING")
    check_out("customer-2", BASKET)
    (coupon,) = rudder_events.track("Coupon Entered")
    assert coupon["properties"] == {"coupon": "SPRING"}
    assert len(rudder_events.by_user("customer-1")) == 2
    assert not rudder_events.by_user("customer-2").track("Coupon Entered")
    assert [event["type"] for event in rudder_events.all] == ["track"] * 3


def test_visitor(rudder_events: CapturedEvents) -> None:
    """A helper for each type."""
    look_at("visitor-1", "Home")
    assert rudder_events.page("Home", category="Shop", anonymous_id="visitor-1")
    rudder_events.clear()
    sign_up("customer-1", "a@example.com")
    rudder_events.identify("customer-1").one(traits={"email": "a@example.com"})


def test_nothing_for_an_empty_name(rudder_events: CapturedEvents) -> None:
    """What is refused at the call fails a test, unless it is expected."""
    with rudder_events.expect_invalid("user_id"):
        check_out("", BASKET)
    assert not rudder_events


@pytest.mark.usefixtures("configured")
def test_events_would_leave(rudder_events: CapturedEvents) -> None:
    """As logging is set up in production, by levels and handlers."""
    check_out("customer-1", BASKET, coupon="SPRING")
    rate("customer-1", 5)
    rudder_events.would_leave()


def test_plan(rudder_events: CapturedEvents) -> None:
    """Everything is as the tracking plan beside this file has it."""
    sign_up("customer-1", "a@example.com")
    look_at("visitor-1", "Home")
    check_out("customer-1", BASKET, coupon="SPRING")
    rate("customer-1", 5)
    rudder_events.conforms_to("plan.json")


def test_lint(rudder_events: CapturedEvents) -> None:
    """What a warehouse would drop is a warning; this one is known."""
    with pytest.warns(WarehouseWarning, match="properties.userId is dropped"):
        logging.getLogger("legacy").info(
            "Imported", extra={"rudder": {"user_id": "1", "properties": {"userId": "1"}}}
        )
    assert rudder_events.track("Imported")


def test_caplog(caplog: pytest.LogCaptureFixture, rudder_events: CapturedEvents) -> None:
    """Plain caplog works beside it, by the levels as ever."""
    caplog.set_level(logging.INFO)
    sign_up("customer-1", "a@example.com")
    assert caplog.messages == ["customer-1 signed up"]
    assert len(rudder_events) == 1


def test_arrives(rudder_data_plane: LocalDataPlane) -> None:
    """Over real HTTP, to a data plane with the gateway's rules."""
    handler = RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url)
    shop = logging.getLogger("shop")
    shop.addHandler(handler)
    shop.setLevel(logging.INFO)
    try:
        rate("customer-1", 4)
        (event,) = rudder_data_plane.wait_for(1)
    finally:
        shop.removeHandler(handler)
        shop.setLevel(logging.NOTSET)
    assert event["properties"] == {"stars": 4}
