"""A shop that hands its events to relays: it has neither a write key nor the gateway's address.

Run it beside a Redis, and a relay that delivers:

    python examples/relay_app.py
    rudder-logging relay redis://127.0.0.1:6379/0 --source shop=shop.key --drain
"""

from __future__ import annotations

import logging
import os

from rudder_logging import RudderHandler

engine = os.environ.get("ENGINE_URL", "redis://127.0.0.1:6379/0")
handler = RudderHandler(relay=engine, source="shop")
logging.basicConfig(level=logging.INFO, handlers=[handler, logging.StreamHandler()])
shop = logging.getLogger("shop")


if __name__ == "__main__":
    for number in range(1, 4):
        order = {"order_id": f"o-{number}", "revenue": 49.9}
        shop.info("Order Completed", extra={"rudder": {"user_id": "42", "properties": order}})
    handler.flush()  # the engine has them; at its end a process does so by itself
    print(handler.stats().delivered, "events are with the engine")
