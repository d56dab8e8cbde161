"""What a test itself knows of its events, by their numbers, to hold it against what is claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rudder_logging import Stats
from rudder_logging.dataplane import LocalDataPlane

__all__ = ["Account", "Arrivals", "check_nothing_new"]

_MAY_BE_ITS_FAULT = (400, 500)
_NOT_ITS_FAULT = "failed to read body from request"


class Arrivals:
    """What a data plane holds at this moment."""

    def __init__(self, plane: LocalDataPlane) -> None:
        events = plane.events
        self.stored = Counter(event["properties"]["n"] for event in events)
        """How often each number was stored."""
        self.order = list(self.stored)
        """The numbers by their first arrival."""
        self.ids: dict[int, set[str]] = {}
        """The message ids that each number came with."""
        for event in events:
            self.ids.setdefault(event["properties"]["n"], set()).add(event["messageId"])
        requests = plane.requests
        self.answered: dict[int, list[int]] = {}
        """The requests by which each number was stored with an answer that said so, by position."""
        self.lone: set[int] = set()
        """Those of one event."""
        for position, request in enumerate(requests):
            if request.status == 200:
                numbers = [event["properties"]["n"] for event in request.batch]
                self.lone.update([position] if len(numbers) == 1 else [])
                for number in numbers:
                    self.answered.setdefault(number, []).append(position)
        alone = [request for request in requests if request.status in _MAY_BE_ITS_FAULT]
        batches = [request.batch for request in alone if request.text != _NOT_ITS_FAULT]
        self.suspects = {batch[0]["properties"]["n"] for batch in batches if len(batch) == 1}
        """Numbers that were refused alone, in words that may concern the event or the way to the
        server. Which of both can only be known by sending others, so these may be overtaken."""


@dataclass
class Account:
    """What one handler was given, and what it said of it."""

    logged: list[int] = field(default_factory=list)
    """Numbers of valid events, in the order of the calls."""
    invalid: int = 0
    drops: list[tuple[int, str]] = field(default_factory=list)
    """Number and reason, as `on_drop` was told."""

    def on_drop(self, event: dict[str, Any], reason: str) -> None:
        """For the option of that name."""
        self.drops.append((event["properties"]["n"], reason))

    @property
    def dropped(self) -> set[int]:
        """All that was dropped or refused, for whatever reason."""
        return {number for number, _reason in list(self.drops)}

    def reasons(self) -> dict[str, int]:
        """Drops by reason, without those that the data plane refused."""
        reasons = (reason for _number, reason in list(self.drops))
        return dict(Counter(r for r in reasons if not r.startswith("refused:")))

    def check_underway(self, stats: Stats, plane: LocalDataPlane) -> None:
        """Nothing vanishes, and nothing is claimed that is not so. `stats` came first."""
        assert stats.balanced, stats
        assert (stats.accepted, stats.invalid) == (len(self.logged), self.invalid)
        arrived = {event["properties"]["n"] for event in plane.events}
        mine = set(self.logged)
        assert len(mine - arrived - self.dropped) <= stats.pending
        assert len(mine & arrived) >= stats.delivered
        assert len(self.drops) >= stats.refused + sum(stats.dropped.values())

    def check_settled(self, stats: Stats, arrivals: Arrivals) -> None:
        """In the end, each event is delivered or dropped, and the counts are those by number."""
        assert stats.balanced, stats
        assert stats.pending == 0
        assert (stats.accepted, stats.invalid) == (len(self.logged), self.invalid)
        assert len(self.drops) == len(self.dropped)
        assert stats.dropped == self.reasons()
        assert stats.refused == len(self.drops) - sum(self.reasons().values())
        assert stats.delivered == len(self.logged) - len(self.drops)
        missing = set(self.logged) - self.dropped - set(arrivals.answered)
        assert not missing, missing

    def check_order(self, arrivals: Arrivals) -> None:
        """Events came in the order of the calls, but for those that were under suspicion."""
        mine = set(self.logged) - arrivals.suspects
        order = [number for number in arrivals.order if number in mine]
        assert order == sorted(order)


def check_nothing_new(
    accounts: Iterable[Account], arrivals: Arrivals, ends: Sequence[int] = ()
) -> None:
    """What arrived was logged, has one id, and came twice only if an answer was lost.

    Args:
        accounts: Of all handlers.
        arrivals: What arrived.
        ends: How many requests there were when each process ended.
    """
    logged = {number for account in accounts for number in account.logged}
    assert set(arrivals.stored) <= logged
    assert {len(ids) for ids in arrivals.ids.values()} <= {1}
    for number, positions in arrivals.answered.items():
        for earlier, later in pairwise(positions):
            assert _is_forgotten(earlier, later, arrivals, ends), (number, positions, ends)


def _is_forgotten(earlier: int, later: int, arrivals: Arrivals, ends: Sequence[int]) -> bool:
    """Whether a process may have ended between an answer and the note that it came.

    That is the last request before its end, or the next, if the server had it at that moment; or
    one of a lone event, which may be sent before its turn and is noted when that has come.
    """
    between = [end for end in ends if earlier <= end <= later]
    return any(earlier >= end - 1 or earlier in arrivals.lone for end in between)
