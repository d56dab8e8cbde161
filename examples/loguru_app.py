"""A shop that logs by loguru: its lines on stderr, its events to RudderStack.

Run it: RUDDER_WRITE_KEY=... RUDDER_DATA_PLANE_URL=... python examples/loguru_app.py
"""

from __future__ import annotations

import sys
from typing import Any

from loguru import logger

from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.loguru import rudder_sink

logger.remove()
logger.add(sys.stderr, format="{level} {message}")
logger.add(rudder_sink(RudderHandler()), format="{message}")


def event(name: str, **properties: Any) -> dict[str, Any]:
    """An event's payload: its name is always explicit."""
    return {"event": name, "properties": properties}


def checkout(user_id: str, coupon: str) -> None:
    """All events of a visitor have the id."""
    with bind(user_id=user_id):
        logger.info("coupon {} used", coupon, rudder=event("Coupon Used", coupon=coupon))
        logger.bind(rudder=event("Order Completed", revenue=49.9)).success("paid")


logger.info("the shop is open")
checkout("42", "WELCOME")
