# ruff: noqa
"""Typed events of the tracking plan Shop, version 4.

Written by `rudder-logging codegen`: change the plan, not this file.
Plan: sha256 7be8f55dad07faedb39e5879b9522c49d74bf5c0cb4fe10817a283bc8c977fe9
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from rudder_logging import EventLogger

if TYPE_CHECKING:
    from typing_extensions import NotRequired, Unpack

    from rudder_logging import CallFields, Client

__typed_events__: Final = True
_events: Final = EventLogger(logging.getLogger("rudder"))


class NotSent(Enum):
    """The default of what may be None: it is sent as null if given, and else not at all."""

    NOT_SENT = "not sent"


NOT_SENT: Final = NotSent.NOT_SENT


class Product(TypedDict):
    """A line of an order."""

    sku: str
    """The stock keeping unit."""
    price: float | Decimal
    quantity: NotRequired[int]


def _sent(
    values: Mapping[str, object],
    unless_none: Mapping[str, object],
) -> dict[str, object]:
    sent = {key: value for key, value in values.items() if value is not NOT_SENT}
    given = {key: value for key, value in unless_none.items() if value is not None}
    return {**sent, **given}


def identify(
    *,
    email: str,
    plan: Literal["free", "pro"] | None = None,
    created_at: datetime | str | None = None,
    logger: EventLogger | Client | None = None,
    **common: Unpack[CallFields],
) -> str:
    """What the shop knows of a customer.

    Args:
        email: `traits.email`.
        plan: `traits.plan`.
        created_at: Sent as "createdAt".
        logger: Where it goes, if not to this module's own.
        **common: `user_id`, `anonymous_id`, `context`, `timestamp`, `integrations`,
            `message_id`, `on_commit`; as `rudder_logging.identify` has them.

    Returns:
        The message id.
    """
    return (logger or _events).identify(
        traits=_sent(
            {
                "email": email,
            },
            {
                "plan": plan,
                "createdAt": created_at,
            },
        ),
        **common,
    )


def order_completed(
    *,
    order_id: str,
    revenue: float | Decimal,
    currency: Literal["EUR", "USD"],
    products: Sequence[Product],
    coupon: str | NotSent | None = NOT_SENT,
    channel: Literal["web"] | None = None,
    deliver_on: date | str | None = None,
    gift_wrapped: bool | None = None,
    logger: EventLogger | Client | None = None,
    **common: Unpack[CallFields],
) -> str:
    """A customer has paid.

    The track event "Order Completed".

    Args:
        order_id: The shop's number of the order. Sent as "orderId".
        revenue: What is paid, with tax. At least 0.
        currency: `properties.currency`.
        products: At least 1 items.
        coupon: Null if one was refused. None is sent as null.
        channel: `properties.channel`.
        deliver_on: Sent as "deliverOn".
        gift_wrapped: Sent as "gift-wrapped".
        logger: Where it goes, if not to this module's own.
        **common: `user_id`, `anonymous_id`, `context`, `timestamp`, `integrations`,
            `message_id`, `on_commit`; as `rudder_logging.identify` has them.

    Returns:
        The message id.
    """
    return (logger or _events).track(
        event="Order Completed",
        properties=_sent(
            {
                "orderId": order_id,
                "revenue": revenue,
                "currency": currency,
                "products": products,
                "coupon": coupon,
            },
            {
                "channel": channel,
                "deliverOn": deliver_on,
                "gift-wrapped": gift_wrapped,
            },
        ),
        **common,
    )
