"""The shop's events, in one place."""

from __future__ import annotations

import logging

import rudder_logging as analytics

log = logging.getLogger(__name__)


def order_completed(user, order) -> None:
    """Tell of an order."""
    traits = {"email": user["email"]}
    analytics.identify(user["id"], traits, {"traits": {}})
    analytics.track(
        user["id"],
        "Order Completed",
        {"order_id": order["id"], "revenue": order["revenue"]},
    )
    analytics.group(user["id"], "buyers", {"name": "Buyers"})
    log.info("order %s", order["id"])
