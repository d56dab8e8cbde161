"""The shapes of events, as apps log them, whose calls are measured: each of them is to be cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from rudder_logging import bind

__all__ = ["SHAPES", "Shape"]

_USER_ID = "user-4711"
_PRICE = Decimal("16.63")
_PAID_AT = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Shape:
    """Events of one sort."""

    title: str
    fields: Callable[[int], dict[str, Any]]
    """From an event's number to its `extra["rudder"]`, made anew as an app's call makes it."""
    bound: Mapping[str, Any] | None = None
    """The fields that are bound around the calls."""
    line: str = "Order Completed"
    """The message that is logged."""

    def binding(self) -> AbstractContextManager[object]:
        """Bind what is bound, as long as the block lasts."""
        return nullcontext() if self.bound is None else bind(**self.bound)


def _flat(n: int) -> dict[str, Any]:
    return {
        "n": n,
        "order_id": "o-58213",
        "affiliation": "Web Store",
        "revenue": 49.9,
        "currency": "EUR",
        "coupon": "WELCOME",
    }


def _order(n: int) -> dict[str, Any]:
    return {
        **_flat(n),
        "products": [
            {
                "product_id": "622c6f5d5cf86a4c77358033",
                "sku": "8472-998-0112",
                "category": "Board Games",
                "name": "Monopoly: 3rd Edition",
                "brand": "Hasbro Gaming",
                "image_url": "https://shop.example.com/products/images/monopoly-3rd-edition.jpg",
                "price": 19,
                "quantity": 1,
            },
            {
                "product_id": "577c6f5d5cf86a4c7735ba03",
                "sku": "3309-483-2201",
                "category": "Games",
                "name": "UNO Card Game, Family Pack",
                "brand": "Mattel",
                "image_url": "https://shop.example.com/products/images/uno-card-game-112-cards.jpg",
                "price": 6.95,
                "quantity": 2,
            },
            {
                "product_id": "507f1f77bcf86cd799439011",
                "sku": "4021-117-8834",
                "category": "Puzzles",
                "name": "The Independence, 1,000 pieces",
                "brand": "Ravensburger",
                "image_url": "https://shop.example.com/products/images/the-independence-1000-pieces.jpg",
                "price": 17,
                "quantity": 1,
            },
        ],
    }


def _odd(order: dict[str, Any]) -> dict[str, Any]:
    for line in order["products"]:
        line["price"] = _PRICE
    return {**order, "revenue": _PRICE, "paid_at": _PAID_AT}


def _context() -> dict[str, Any]:
    return {
        "ip": "203.0.113.7",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "locale": "en-GB",
        "page": {
            "path": "/checkout",
            "url": "https://shop.example.com/checkout?step=payment",
            "title": "Checkout | Shop",
            "referrer": "https://www.example.com/search?q=toys",
        },
        "campaign": {"name": "holiday", "source": "newsletter", "medium": "email"},
    }


def _traits(n: int) -> dict[str, Any]:
    return {
        "n": n,
        "name": "Jane Doe",
        "email": "jane@example.com",
        "address": {"city": "Vienna", "postalCode": "1010", "country": "AT"},
        "company": {"id": "c-171", "name": "Example Toys Limited", "industry": "Toys"},
    }


SHAPES = {
    "flat": Shape(
        "flat properties",
        lambda n: {"user_id": _USER_ID, "properties": _flat(n)},
    ),
    "list": Shape(
        "with a list of strings",
        lambda n: {"user_id": _USER_ID, "properties": {**_flat(n), "tags": ["a", "b", "c"]}},
    ),
    "ip": Shape(
        '`context` `{"ip": ...}`',
        lambda n: {
            "user_id": _USER_ID,
            "properties": _flat(n),
            "context": {"ip": "203.0.113.7"},
        },
    ),
    "context": Shape(
        "nested `context` (ip, userAgent, locale, page, campaign)",
        lambda n: {"user_id": _USER_ID, "properties": _flat(n), "context": _context()},
    ),
    "order": Shape(
        "Order Completed, three products of eight fields",
        lambda n: {"user_id": _USER_ID, "properties": _order(n)},
    ),
    "order-odd": Shape(
        "the same with `Decimal` prices and a `datetime`",
        lambda n: {"user_id": _USER_ID, "properties": _odd(_order(n))},
    ),
    "order-context": Shape(
        "an order and nested `context`",
        lambda n: {"user_id": _USER_ID, "properties": _order(n), "context": _context()},
    ),
    "identify": Shape(
        "identify, traits with two nested mappings",
        lambda n: {"type": "identify", "user_id": _USER_ID, "traits": _traits(n)},
        line="signed in",
    ),
    "integrations": Shape(
        "`integrations`",
        lambda n: {
            "user_id": _USER_ID,
            "properties": _flat(n),
            "integrations": {"Amplitude": False},
        },
    ),
    "page": Shape(
        "anonymous page",
        lambda n: {
            "type": "page",
            "anonymous_id": "5f3c1e9a-7d42-4b8e-9a51-2c6b7f0d8e13",
            "properties": {"n": n, "path": "/checkout/review"},
        },
        line="Checkout",
    ),
    "bound": Shape(
        "user and nested `context` by `bind()`",
        lambda n: {"properties": _flat(n)},
        bound={"user_id": _USER_ID, "context": _context()},
    ),
}
"""By the name that results use."""
