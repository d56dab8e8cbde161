"""A shop that tells RudderStack what its customers do, through logging."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rudder_logging import EventLogger

logger = logging.getLogger("shop")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "console": {"class": "logging.StreamHandler", "level": "WARNING"},
        "rudderstack": {
            "class": "rudder_logging.RudderHandler",
            "write_key": "WRITE_KEY",
            "data_plane_url": "https://hosted.example.com",
        },
    },
    "loggers": {"shop": {"level": "INFO"}},
    "root": {"level": "WARNING", "handlers": ["console", "rudderstack"]},
}


def sign_up(user_id: str, email: str) -> None:
    """Somebody has an account now."""
    logger.info(
        "%s signed up",
        user_id,
        extra={"rudder": {"type": "identify", "user_id": user_id, "traits": {"email": email}}},
    )


def look_at(visitor: str, page: str) -> None:
    """Somebody looks around, with an account or without."""
    EventLogger(logger, anonymous_id=visitor).page(name=page, category="Shop")


def check_out(user_id: str, basket: Mapping[str, Decimal], coupon: str = "") -> Decimal:
    """Sell a basket."""
    total = sum(basket.values(), Decimal(0))
    if coupon:
        total = (total * Decimal("0.9")).quantize(Decimal("0.01"))
        logger.info(
            "Coupon Entered",
            extra={"rudder": {"user_id": user_id, "properties": {"coupon": coupon}}},
        )
    products = [{"sku": sku, "price": price} for sku, price in basket.items()]
    logger.info(
        "Order Completed",
        extra={
            "rudder": {
                "user_id": user_id,
                "properties": {"revenue": total, "currency": "EUR", "products": products},
            }
        },
    )
    return total


def rate(user_id: str, stars: int) -> None:
    """Somebody says how it was."""
    logger.info(
        "Shop Rated", extra={"rudder": {"user_id": user_id, "properties": {"stars": stars}}}
    )
