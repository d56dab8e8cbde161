"""A shop whose receipts Celery sends: the task's events know who has ordered.

Run it, beside a Redis, with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set:

    celery --workdir examples -A celery_app worker -l INFO
    python examples/celery_app.py
"""

from __future__ import annotations

import logging
import os

from celery import Celery

from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.celery import install

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler(), logging.StreamHandler()])
shop = logging.getLogger("shop")

app = Celery("celery_app", broker=os.environ.get("BROKER_URL", "redis://"))
install(app)


@app.task(autoretry_for=(ConnectionError,), retry_backoff=True)
def send_receipt(order: str) -> None:
    """Send it, in a worker: the event has the user's id, at each attempt."""
    shop.info("Receipt Sent", extra={"rudder": {"properties": {"order": order}}})


if __name__ == "__main__":
    with bind(user_id="customer-1", context={"ip": "203.0.113.7"}):  # as for a request
        shop.info("Order Completed", extra={"rudder": {"properties": {"order": "17"}}})
        send_receipt.delay("17")
