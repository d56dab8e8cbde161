"""The address of a person, and the place that a server would find by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..web.addresses import address_of

__all__ = ["Address", "address_stage"]

Address = Literal["keep", "mask", "drop"]


def address_stage(ip: Address, *, geo: bool) -> Callable[[dict[str, Any]], None] | None:
    """Make what treats an address, and a place; None: nothing is done.

    Args:
        ip: `mask` leaves the network: 24 bits of an IPv4 address, 48 of an IPv6 address. What is no
            address is dropped then.
        geo: Off: the server's own look-up is told that there is nothing to find.
    """
    if ip == "keep" and geo:
        return None

    def apply(event: dict[str, Any]) -> None:
        context = event.get("context")
        if type(context) is not dict:
            context = event["context"] = {}
        if ip != "keep" and "ip" in context:
            given = context.pop("ip")
            masked = address_of(str(given), is_masked=True) if ip == "mask" else None
            if masked is not None:
                context["ip"] = masked
        if not geo:
            context["geo"] = {}

    return apply
