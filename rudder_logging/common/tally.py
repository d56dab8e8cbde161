"""Counts that any thread may raise at any moment."""

from __future__ import annotations

from collections import deque
from itertools import count, islice

__all__ = ["RAISED", "Tally"]


class Tally:
    """A count that any thread may raise at any moment, in one step of C and without a lock.

    A lock would not do. A signal handler, or a `__del__`, may log an event while its thread holds
    the queue's lock. Then it has to wait for whoever holds this one and wants the queue's.
    """

    def __init__(self) -> None:
        self._next = count()
        self.one = self._next.__next__
        """Count one; it returns something, of no use."""

    def add(self, number: int) -> None:
        """Count several."""
        deque(islice(self._next, number), maxlen=0)

    def value(self) -> int:
        """The number so far."""
        return int(repr(self._next)[len("count(") : -1])  # the only way that does not raise it


RAISED = Tally()
"""Functions that raised in this process when asked what is to be bound."""
