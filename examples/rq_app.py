"""A shop whose receipts RQ sends: the job's events know who has ordered.

Run it, beside a Redis, with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set:

    rq worker --path examples
    python examples/rq_app.py
"""

from __future__ import annotations

import logging
import os

from redis import Redis
from rq import Queue

from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.rq import install

shop = logging.getLogger("shop")
shop.setLevel(logging.INFO)
shop.addHandler(RudderHandler())

install()


def send_receipt(order: str) -> None:
    """Send it, in a worker: the event has the user's id."""
    shop.info("Receipt Sent", extra={"rudder": {"properties": {"order": order}}})


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(os.environ.get("RQ_REDIS_URL", "redis://")))
    with bind(user_id="customer-1", context={"ip": "203.0.113.7"}):  # as for a request
        shop.info("Order Completed", extra={"rudder": {"properties": {"order": "17"}}})
        queue.enqueue("rq_app.send_receipt", "17")
