"""A shop whose events are functions that `rudder-logging codegen` wrote from its tracking plan."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from shop_events import Product, identify, order_completed

import rudder_logging


def sign_up(user_id: str, email: str) -> None:
    """Somebody has an account now."""
    identify(user_id=user_id, email=email, plan="free")


def check_out(user_id: str, order_id: str, basket: Sequence[Product]) -> Decimal:
    """Sell a basket."""
    total = sum((Decimal(line["price"]) for line in basket), Decimal(0))
    with rudder_logging.bind(user_id=user_id, context={"app": {"name": "shop"}}):
        order_completed(order_id=order_id, revenue=total, currency="EUR", products=basket)
    return total
