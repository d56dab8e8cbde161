"""A client's address: which of those that a request names, and in what form."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from .request import Request
from .text import MOST_READ

__all__ = ["address_of", "address_source"]

_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([^\]]*)\](?::[0-9]{1,5})?")
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_is_ipv4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}").fullmatch
_MASKS = {4: 24, 6: 48}  # bits that stay
_LONGEST = 64


def address_source(rule: str) -> Callable[[Request], str | None] | None:
    """Finder of a client's address by a rule: `remote`, `xff:N`, `header:NAME`; None: by no other.

    The N proxies in front of the app have each added an entry to X-Forwarded-For, on its right.
    What is left of these the client itself may have written.
    """
    kind, _, detail = rule.partition(":")
    if rule == "remote":
        return lambda request: request.peer()
    if kind == "xff" and detail.isascii() and detail.isdigit() and int(detail) > 0:
        return _nth_forwarded(int(detail))
    if kind == "header" and re.fullmatch(r"[A-Za-z0-9_-]+", detail):
        name = detail.lower()
        return lambda request: request.header(name) or request.peer()
    return None


def _nth_forwarded(number: int) -> Callable[[Request], str | None]:
    def forwarded(request: Request) -> str | None:
        header = request.header("x-forwarded-for") or ""
        entries = header[-MOST_READ:].rsplit(",", number)
        return entries[-number] if len(entries) >= number and header else request.peer()

    return forwarded


def address_of(text: str | None, *, is_masked: bool) -> str | None:
    """An address without port and zone; None: it is none.

    Args:
        text: As a server or proxy gives it.
        is_masked: The part of the subscriber becomes zeros.
    """
    if text and _is_ipv4(text):  # as most are; `ipaddress` takes six times as long
        return f"{text.rpartition('.')[0]}.0" if is_masked else text
    bare = (text or "").strip()[:_LONGEST].strip("\"' ")
    match = _WITH_PORT.fullmatch(bare)
    if match is not None:
        bare = match[1] or match[2]
    try:
        address: IPv4Address | IPv6Address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if is_masked:
        network = ip_network((address, _MASKS[address.version]), strict=False)
        address = network.network_address
    return str(address)
