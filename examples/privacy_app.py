"""Events of a shop that let out as little of its visitors as they have to."""

from __future__ import annotations

import logging

from rudder_logging import DEFAULT_KEYS, ConsentPolicy, Privacy, RudderHandler, suppress

privacy = Privacy(
    redact=DEFAULT_KEYS | {"internal_note"},
    hash=["ids", "email"],
    hmac_key="from your vault",
    allow={"Order Completed": ["revenue", "products[].sku"]},
    sample={"Page Viewed": 0.1},
    rate={"*": "1000/s"},
    ip="mask",
    consent=ConsentPolicy(provider="oneTrust", categories=["C0001", "C0002"], allowed=["C0001"]),
)
handler = RudderHandler(privacy=privacy, upload_interval=60)
logging.basicConfig(level=logging.INFO, handlers=[handler])
logger = logging.getLogger("shop")

order = {"revenue": 9, "note": "call me", "products": [{"sku": "a", "name": "A"}]}
for user in ("jane", "jo"):
    logger.info(
        "Order Completed",
        extra={
            "rudder": {
                "user_id": user,
                "properties": order,
                "context": {"ip": "203.0.113.7", "app": {"token": "t", "name": "shop"}},
            }
        },
    )

suppress("jo")
