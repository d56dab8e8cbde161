"""Faults on command: what the local data plane does wrong, and how often."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT_TEXTS", "Fault", "FaultPlan"]

DEFAULT_TEXTS = {
    400: "invalid json",
    401: "invalid write key",
    404: "source is disabled",
    413: "request size exceeds max limit",
    429: "max requests limit reached",
    500: "failed to read body from request",
    503: "Service Unavailable",
    504: "gateway timeout",
}
"""The gateway's words for each status, where it has any (gateway/response/response.go)."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Args:
        kind: `answer`: answer `status` and store nothing. `cut_before`: store nothing and cut the
            connection without an answer. `cut_after`: store the events, then cut it.
            `hang`: store nothing and never answer.
        status: Of an `answer`.
        text: Its body; by default the gateway's words for that status.
        retry_after: Its Retry-After header: seconds, or an HTTP date.
    """

    kind: Literal["answer", "cut_before", "cut_after", "hang"]
    status: int = 503
    text: str | None = None
    retry_after: float | str | None = None

    @property
    def words(self) -> str:
        """The body of an answer."""
        return DEFAULT_TEXTS.get(self.status, "") if self.text is None else self.text


class FaultPlan:
    """Faults in the order in which they were asked for, each for a number of requests.

    Where none is planned, `shares` says how large a part of the requests each status answers.
    """

    def __init__(self) -> None:
        self._planned: deque[tuple[Fault, int | None]] = deque()
        self._lock = threading.Lock()
        self.shares: Mapping[int, float] = {}

    def add(self, fault: Fault, times: int | None) -> None:
        """Plan a fault for so many requests; None: for all, until `clear`."""
        with self._lock:
            self._planned.append((fault, times))

    def next(self) -> Fault | None:
        """The fault for the request at hand, if there is one."""
        with self._lock:
            while self._planned:
                fault, times = self._planned[0]
                if times is None:
                    return fault
                self._planned.popleft()
                if times > 0:
                    self._planned.appendleft((fault, times - 1))
                    return fault
        drawn = random.random()  # noqa: S311 - a die, not a secret
        for status, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                return Fault("answer", status)
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._planned.clear()
            self.shares = {}
