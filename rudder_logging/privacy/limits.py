"""Limits on how many events leave: shares of all people, and numbers in a time."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import count
from typing import Any, NamedTuple

from ..common.clock import monotonic
from .choosing import ANY, first_named

__all__ = ["EXEMPT", "Rate", "Rates", "Samples"]

EXEMPT = frozenset({"identify", "alias", "group", "merge"})
"""Types that are never sampled: they say who somebody is, and all other events build on that."""


class Rate(NamedTuple):
    """A number of events in a time."""

    events: int
    seconds: float


class Samples:
    """Decides which people's events leave.

    Each person is in or out, everywhere and always: by a hash of salt, id and event.

    Args:
        shares: By the event's name, from 0.0 to 1.0.
        salt: Another one chooses others.
    """

    def __init__(self, shares: Mapping[str, float], salt: str) -> None:
        self._shares = shares
        self._salt = salt

    def admits(self, event: dict[str, Any], name: str) -> bool:
        """Tell if an event leaves. If it is one that is sampled, its context says at what rate."""
        if event.get("type") in EXEMPT:
            return True
        share: float | None = first_named(self._shares, name)
        if share is None:
            return True
        # With a separator, or a person `ab` of an event `c` is the one `a` of `bc`.
        person = event.get("userId") or event.get("anonymousId")
        text = "\0".join((self._salt, str(person), name))
        number = int.from_bytes(
            blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big"
        )
        if number >= share * 2**64:
            return False
        context = event.setdefault("context", {})
        context["sampling"] = share
        return True


class _Window:
    """Counts to a number, anew in each stretch of time; any thread may ask at any moment.

    Without a lock: an event may be logged by a signal handler amid another's call, and in a child
    that was forked meanwhile.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._counts: dict[int, count[int]] = {}

    def has_room(self) -> bool:
        number = int(monotonic() / self._rate.seconds)
        counts = self._counts
        if number not in counts:
            for old in [*counts]:
                if old < number - 1:  # a thread may be a little late
                    counts.pop(old, None)
        # Of two threads that begin a window, one is first.
        return next(counts.setdefault(number, count())) < self._rate.events


class Rates:
    """Bounds how many events leave in a time.

    Args:
        rates: By the event's name; `*` is for all together.
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._windows = {name: _Window(rate) for name, rate in rates.items() if name != ANY}
        self._of_all = _Window(rates[ANY]) if ANY in rates else None

    def admit(self, name: str) -> bool:
        """Tell if there is room for another event of that name, which is used up then."""
        own: _Window | None = first_named(self._windows, name)
        if own is not None and not own.has_room():
            return False
        return self._of_all is None or self._of_all.has_room()
