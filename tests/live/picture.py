"""The picture of the live page that README and guide show: `python -m tests.live.picture`."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from rudder_logging.checks.plan import TrackingPlan
from rudder_logging.dataplane.live import LivePlane

from ..guides.pages import FOLDER
from .conftest import CHROMIUM, FLAGS, Event, post

__all__ = ["draw"]

PICTURE = FOLDER / "serve.png"
PLAN = {
    "unplanned": "allow",
    "events": [
        {
            "name": "Order Completed",
            "schema": {"properties": {"revenue": {"type": "number"}}},
        }
    ],
}
PEOPLE = ("1001", "1002", "1003", "1004")
PRODUCTS = {"7": 9.9, "12": 24.5, "31": 49.0}


def _event(user: str, event: str, **fields: Any) -> Event:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "type": "track",
        "event": event,
        "userId": user,
        "messageId": f"01{random.getrandbits(72):018x}",
        "originalTimestamp": now,
        "channel": "server",
        "context": {"library": {"name": "rudder-logging"}, "locale": "en-GB"},
        **fields,
    }


def _visit(user: str, sku: str) -> list[Event]:
    product = {"sku": sku, "price": PRODUCTS[sku]}
    return [
        _event(user, "", type="page", name="Product", properties={"path": f"/products/{sku}"}),
        _event(user, "Product Viewed", properties=product),
        _event(user, "Product Added", properties={**product, "quantity": 1}),
        _event(user, "Cart Viewed", properties={"items": 1, "total": PRODUCTS[sku]}),
    ]


def _order(user: str, **fields: Any) -> Event:
    properties = {"order_id": f"A-{random.randint(1000, 9999)}", "revenue": 49.9, "items": 3}
    return _event(user, "Order Completed", properties={**properties, **fields})


def _fill(plane: LivePlane) -> None:
    for sku in PRODUCTS:
        for user in PEOPLE:
            post(plane, *_visit(user, sku))
            time.sleep(0.05)
    post(plane, _event("1001", "", type="identify", traits={"tier": "pro"}), _order("1001"))
    post(plane, _order("1003", revenue="49.9"))
    post(plane, _event("1004", "Coupon Used", properties={"id": "WELCOME"}))
    post(plane, *_visit("1002", "31")[1:3], _order(""))
    post(plane, *_visit("1004", "12")[1:], _order("1004"))


def draw(path: Path) -> None:
    """Take it, with the refused request open."""
    with LivePlane(plan=TrackingPlan(PLAN)) as plane, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS, "--disable-lcd-text"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 680})
        page.goto(plane.url)
        expect(page.locator("#status")).to_have_text("live")
        _fill(plane)
        expect(page.locator("#shown")).to_have_text("57 shown", timeout=60_000)
        page.locator("#canvas .row", has_text="refused").click()
        expect(page.locator("#detail .culprit")).to_be_visible()
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    draw(PICTURE)
