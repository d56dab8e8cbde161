"""Message ids and times as text: unique over threads, processes, forks and snapshots, and cheap."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

from .encoding import millisecond_of

__all__ = ["MOMENTS", "Moment", "new_message_id"]

_FIRST = 10**11  # of a range of numbers with twelve digits, like the last group of a UUID
_SECONDS_OF_A_PREFIX = 1.0

Moment = tuple[float, float, str, str, Callable[[], int]]
"""A millisecond: its begin and end, its text, the prefix of its ids, and the counter behind it."""


class _Moments:
    """Time and id prefix of all events of a millisecond: made once, which saves a call 5 %."""

    current: Moment
    """The last millisecond that was asked for."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Make ids from now on that no other process makes: called in a forked child."""
        self._source: tuple[float, float, str, Callable[[], int]] = (1.0, 0.0, "", int)
        self.current = (1.0, 0.0, "", "", int)  # they hold no time, so others are made

    def at(self, now: float) -> Moment:
        """The millisecond of a time, which is in seconds since the epoch."""
        moment = self.current
        if moment[0] <= now < moment[1]:
            return moment
        since, until, prefix, number = self._source
        # A second is also what bounds the harm where no hook is run: a fork that Python does not
        # know of, or a snapshot of a process (AWS Lambda SnapStart) that is restored many times.
        # Nor may a time from before it go on with it: a clock is set back, a record came late.
        if not since <= now < until:
            # Not by `uuid4`, which costs 3 us more: at an event a second, each pays for this.
            digits = os.urandom(16).hex()
            variant = "89ab"[int(digits[15], 16) % 4]
            prefix = f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-{variant}{digits[16:19]}-"
            first = _FIRST + int(digits[19:], 16) % (8 * _FIRST)
            number = itertools.count(first).__next__
            self._source = now, now + _SECONDS_OF_A_PREFIX, prefix, number
        begins, text = millisecond_of(now)
        self.current = moment = begins, begins + 0.001, text, prefix, number
        return moment


MOMENTS = _Moments()


def new_message_id(now: float | None = None) -> str:
    """A globally unique id. The server's removal of duplicates knows no other scope.

    It has the form of a random UUID. 74 bits are random, anew in each second and in each forked
    child. The last twelve digits count up from a random number. A uuid4 asks the system for
    random bytes each time, and costs 1.6 us more, a fifth of a call.

    Args:
        now: Seconds since the epoch, if the caller knows.
    """
    _begins, _ends, _text, prefix, number = MOMENTS.at(time.time() if now is None else now)
    return prefix + str(number())
