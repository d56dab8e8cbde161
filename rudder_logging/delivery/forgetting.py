"""Having the engine of a relay forget people, from the thread that delivers."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Collection

from ..common.clock import monotonic
from ..sinks.base import Forgetting, Sink
from .retry import RetryPolicy

__all__ = ["Errand"]

_log = logging.getLogger("rudder_logging")


class Errand:
    """People whom a sink is to forget, until it is done. One thread at a time runs it.

    It comes between two uploads: what was appended before is covered, what comes later is not. An
    engine that fails is asked again; events go on leaving meanwhile.

    Args:
        policy: Says after how many seconds.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._people: set[str] = set()
        self._failures = 0
        self.due = math.inf
        """The time at which it is to be run; infinite: nobody is to be forgotten."""

    def add(self, people: Collection[str]) -> None:
        """Have people be forgotten. It costs no I/O, and any thread may call."""
        self._people.update(people)
        self.due = 0.0

    def run(self, sink: Sink, time_left: float | None) -> None:
        """Do it, if it is to be done. What fails is told once."""
        if self.due == math.inf or not isinstance(sink, Forgetting):
            return
        people = frozenset(self._people)
        self.due = math.inf  # first: more may be added meanwhile
        failure = sink.forget(people, None if time_left is None else monotonic() + time_left)
        if failure is not None:
            if not self._failures:
                _log.error(
                    "the relay's engine was not told to forget %d ids: %s; %s. That is tried again",
                    len(people),
                    failure.error,
                    failure.cure,
                )
            self._failures += 1
            delay = self._policy.probe_delay(self._failures, random.random())  # noqa: S311 - jitter
            self.due = min(self.due, monotonic() + delay)
            return
        self._people -= people
        if self._people:
            self.due = 0.0
        if self._failures:
            self._failures = 0
            _log.warning("the relay's engine has been told now whom to forget")

    def give_up(self) -> None:
        """The process ends: say once if it was not done, also where it is being tried just now."""
        left, self._people, self.due = len(self._people), set(), math.inf
        if left:
            _log.error(
                "the process ends, and the relay's engine was not told to forget %d ids; "
                "rudder-logging relay forget does it",
                left,
            )
