"""A shop whose errors go to Sentry, and whose events don't.

Run it: SENTRY_DSN=... RUDDER_WRITE_KEY=... RUDDER_DATA_PLANE_URL=... python examples/sentry_app.py
"""

from __future__ import annotations

import logging
from typing import Any

import sentry_sdk

from rudder_logging import RudderHandler
from rudder_logging.integrations.sentry import without_payloads


def before_send(event: Any, hint: Any) -> Any:  # noqa: ARG001
    """The app's own hook, which gets what is left."""
    event.setdefault("tags", {})["shop"] = "sweets"
    return event


sentry_sdk.init(enable_logs=True, **without_payloads(before_send=before_send))

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(RudderHandler())

event = {"user_id": "42", "properties": {"address": "2401 Main Street"}}
log.info("Cart Viewed", extra={"rudder": event, "items": 3})
log.error("Payment Failed", extra={"rudder": event, "items": 3})
