"""Moments as text: of events, and of the flag `--since`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

__all__ = ["moment_of", "since"]

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?([0-5]\d))?)?",
    re.ASCII,
)
_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def moment_of(text: object) -> float | None:
    """Seconds since the epoch, of RFC 3339 text (without a zone: UTC); None: it is none."""
    match = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = (
        match.groups()
    )
    east = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    try:
        zone = timezone(-east if sign == "-" else east)
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            tzinfo=zone,
        )  # fmt: skip
        return moment.timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError):  # 30 February, hour 24
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
