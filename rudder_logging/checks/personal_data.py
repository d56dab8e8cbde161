"""Personal data in a message: found by the form of values, and named by path and kind alone.

What is found looks like it; what has no form of its own, as names, is not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

__all__ = ["KINDS", "Kind", "Mark", "is_allowed", "marks", "place_of_mark"]


class Kind(NamedTuple):
    """One kind of personal data."""

    words: str
    """As a sentence names it."""
    pattern: re.Pattern[str]
    holds: Callable[[str], bool]
    """Tells if what the pattern has found is one."""


class Mark(NamedTuple):
    """A place in a message that has personal data."""

    path: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path} has {KINDS[self.kind].words}"


_CARDS = re.compile(  # numbers that issuers give, by their lengths
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}"
)
_IBAN_LENGTHS = range(15, 35)
_PHONE_DIGITS = range(8, 16)
_MOST = 10**19
_MASKED_BITS = {4: 24, 6: 48}


def _has_luhn_digit(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    if not _CARDS.fullmatch(digits) or len(set(digits)) == 1:
        return False
    doubled = [int(one) * (2 if at % 2 else 1) for at, one in enumerate(reversed(digits))]
    return sum(sum(divmod(one, 10)) for one in doubled) % 10 == 0


def _has_iban_digits(text: str) -> bool:
    code = text.replace(" ", "").upper()
    if len(code) not in _IBAN_LENGTHS:
        return False
    return int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1


def _has_phone_digits(text: str) -> bool:
    return len(re.sub(r"\D", "", text).removeprefix("00")) in _PHONE_DIGITS


def _is_somebodys(text: str) -> bool:
    """Tell if it is a whole address: one that is masked is a network's, and loopback nobody's."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    network = ip_network((address, _MASKED_BITS[address.version]), strict=False)
    is_nobodys = address.is_loopback or address.is_unspecified or address.is_multicast
    return not is_nobodys and address != network.network_address


def _always(_: str) -> bool:
    return True


KINDS: Mapping[str, Kind] = {
    "email": Kind(
        "an e-mail address",
        re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?!\w)"),
        _always,
    ),
    "card": Kind(
        "a payment card's number",
        re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)", re.ASCII),
        _has_luhn_digit,
    ),
    "iban": Kind(
        "an IBAN",
        re.compile(
            r"(?<![A-Za-z0-9])(?:[A-Za-z]{2}\d{2}[A-Za-z0-9]{11,30}"
            r"|[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)(?![A-Za-z0-9])",
            re.ASCII,
        ),
        _has_iban_digits,
    ),
    "phone": Kind(
        "a phone number",
        re.compile(r"(?<![\w+])(?<!\d )(?:\+|00)[1-9](?:[ ().\-/]{0,3}\d){7,14}(?![\w])", re.ASCII),
        _has_phone_digits,
    ),
    "jwt": Kind(
        "a JWT",
        re.compile(r"(?<![\w.-])eyJ[\w-]{5,}\.eyJ[\w-]{2,}\.[\w-]*", re.ASCII),
        _always,
    ),
    "private_key": Kind(
        "a private key",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[^-]{0,20000}-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
        _always,
    ),
    "ip": Kind(
        "an IP address",
        re.compile(
            r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
            r"(?:\.\d{1,3}){0,3})(?![\w.:])",
            re.ASCII,
        ),
        _is_somebodys,
    ),
}
"""By the names that `has_no_pii(allow=...)` and `Privacy(patterns=...)` use."""

_OURS = frozenset({"channel", "messageId", "originalTimestamp", "sentAt", "timestamp", "type"})
_A_KEY = "<a key>"
_INDEX = re.compile(r"\[\d+\]")


def marks(message: Mapping[str, Any]) -> list[Mark]:
    """Places in a message that have personal data, in its order; each kind once a place."""
    return [
        mark
        for key, value in message.items()
        if key not in _OURS
        for mark in _marks_within(value, str(key))
    ]


def place_of_mark(mark: Mark) -> str:
    """The path of a mark, with `[]` for any index."""
    return _INDEX.sub("[]", mark.path)


def is_allowed(mark: Mark, allowed: Iterable[str]) -> bool:
    """Tell if a mark is expected: its kind is, or its path, or a part of that from the left.

    `[]` stands for any index.
    """
    path = place_of_mark(mark)
    return any(
        mark.kind == one
        or any(
            place == one or place.startswith((f"{one}.", f"{one}[")) for place in (path, mark.path)
        )
        for one in allowed
    )


def _marks_within(value: Any, path: str) -> Iterator[Mark]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            found = [*_kinds_in(str(key))]
            # A key that holds it must not be told either.
            yield from (Mark(f"{path}.{_A_KEY}", kind) for kind in found)
            yield from _marks_within(item, f"{path}.{_A_KEY if found else key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _marks_within(item, f"{path}[{index}]")
    elif isinstance(value, str):
        yield from (Mark(path, kind) for kind in _kinds_in(value))
    elif type(value) is int and abs(value) < _MOST and _has_luhn_digit(str(value)):
        yield Mark(path, "card")


def _kinds_in(text: str) -> Iterator[str]:
    for name, kind in KINDS.items():
        if any(kind.holds(found[0]) for found in kind.pattern.finditer(text)):
            yield name
