"""The words of servers by version: from 1.46 (April 2025) they are all in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..exceptions import ConfigError
from .gateway import Answer

__all__ = ["DIALECTS", "NEWEST", "known", "spoken"]

_BEFORE_1_46 = (
    "OK",
    "Invalid JSON",
    "Empty batch payload",
    "Event is not a valid rudder event",
    "Request neither has anonymousId nor userId",
    "Request size exceeds max limit",
    "Failed to read body from request",
    "Request body is nil",
    "Failed to read writeKey from header",
    "Failed to read writeKey from Query Params",
    "Invalid Write Key",
    "Source is disabled",
    "Max Requests Limit reached",
    "Gateway timeout",
)

NEWEST = "1.66"

DIALECTS: Mapping[str, Mapping[str, str]] = {
    "1.45": {text.lower(): text for text in _BEFORE_1_46},
    NEWEST: {},
}
"""By the newest version that was held against it: the texts that are not as in `gateway.py`."""


def known(dialect: str) -> str:
    """The dialect, if it is one.

    Raises:
        ConfigError: It is not; the error names those that are.
    """
    if dialect not in DIALECTS:
        names = " and ".join(map(repr, DIALECTS))
        raise ConfigError(f"dialect must be a known one ({names}), not {dialect!r}")
    return dialect


def spoken(dialect: str, answer: Answer) -> Answer:
    """The same answer in a dialect's words."""
    words = DIALECTS[dialect].get(answer.text.lower())
    return answer if words is None else replace(answer, text=words)
