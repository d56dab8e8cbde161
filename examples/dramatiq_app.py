"""A shop whose receipts dramatiq sends: the actor's events know who has ordered.

Run it, beside a Redis, with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set:

    dramatiq dramatiq_app --path examples
    python examples/dramatiq_app.py
"""

from __future__ import annotations

import logging
import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.dramatiq import install

shop = logging.getLogger("shop")
shop.setLevel(logging.INFO)
shop.addHandler(RudderHandler())

broker = RedisBroker(url=os.environ.get("BROKER_URL", "redis://"))
dramatiq.set_broker(broker)
install(broker)


@dramatiq.actor
def send_receipt(order: str) -> None:
    """Send it, in a worker: the event has the user's id, at each attempt."""
    shop.info("Receipt Sent", extra={"rudder": {"properties": {"order": order}}})


if __name__ == "__main__":
    with bind(user_id="customer-1", context={"ip": "203.0.113.7"}):  # as for a request
        shop.info("Order Completed", extra={"rudder": {"properties": {"order": "17"}}})
        send_receipt.send("17")
