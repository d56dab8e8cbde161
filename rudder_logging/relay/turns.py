"""Waits between attempts, of all lanes of a source: while nothing passes, they try in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..common.clock import monotonic

__all__ = ["Turns"]

_LONGEST_NAP = 0.5  # seconds; a lease that is lost is noticed after so long


class Turns:
    """The waits of a source's lanes.

    A lane that fails by itself waits by itself. Once the source is stuck, because it holds or
    because nothing has passed for long, only one lane at a time tries, after the wait that the
    last attempt has asked for; when one passes, all go on at once. So a gateway that is down gets
    as few requests from eight lanes as from one.

    Args:
        is_stuck: Tells if nothing passes in any lane.
    """

    def __init__(self, is_stuck: Callable[[], bool]) -> None:
        self._is_stuck = is_stuck
        self._changed = threading.Condition()
        self._trying: object = None  # the lane whose turn it is
        self._next_at = float("-inf")
        self._ended = 0  # times that all waits were ended

    def pause(self, lane: object, seconds: float, goes_on: Callable[[], bool]) -> bool:
        """Wait so many seconds, and for the lane's turn. False: it is not to go on."""
        with self._changed:
            due = monotonic() + seconds
            if self._trying is lane:
                self._trying, self._next_at = None, due
            ended = self._ended
            while goes_on():
                now = monotonic()
                at = due
                if self._is_stuck():
                    at = max(due, self._next_at)
                    if self._trying is not None:
                        at = max(at, now + _LONGEST_NAP)
                if ended != self._ended or now >= at:
                    self._trying = lane
                    return True
                self._changed.wait(min(at - now, _LONGEST_NAP))
            return False

    def leave(self, lane: object) -> None:
        """A lane tries no more for now."""
        with self._changed:
            if self._trying is lane:
                self._trying = None

    def end_waits(self) -> None:
        """All try again at once: something has passed, or may pass now."""
        with self._changed:
            self._ended += 1
            self._trying = None
            self._changed.notify_all()

    def look(self) -> None:
        """Have all that wait look if they are to go on."""
        with self._changed:
            self._changed.notify_all()
