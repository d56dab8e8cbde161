"""Moments as text: of events, and of the flag `--since`."""

from __future__ import annotations

import re

from ..events.fields import parse_rfc_3339

__all__ = ["moment_of", "since"]

_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def moment_of(text: object) -> float | None:
    """Seconds since the epoch, of RFC 3339 text (without a zone: UTC); None: it is none."""
    moment = parse_rfc_3339(text.upper()) if isinstance(text, str) else None
    try:
        return None if moment is None else moment.timestamp()
    except OverflowError:  # in the year 1, with an offset
        return None


def since(text: str, now: float) -> float:
    """Parse `--since`: a moment, or a time ago (`90s`, `30m`, `12h`, `7d`).

    Raises:
        ValueError: It is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    moment = moment_of(text.strip())
    if moment is None:
        raise ValueError("must be a time like 2026-01-31T12:00:00Z, or how long ago: 30m, 12h, 7d")
    return moment
