"""What producers were told, and what became of it: every event by its id."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rudder_logging.dataplane.inbox import Inbox, ReceivedRequest, problem

from .journal import Journal

__all__ = ["Account", "Arrival", "Arrivals", "place", "take_account"]

_SHOWN = 10


def place(event_id: str) -> tuple[str, int]:
    """Whose event it is, a producer's and a user's; and its number among those."""
    whose, _, number = event_id.rpartition("/")
    return whose, int(number)


class Arrival(NamedTuple):
    """One event as one request brought it."""

    id: str
    request: int
    answered: bool
    """Whether an answer said that it is stored."""


class Arrivals(Inbox):
    """In the place of a data plane's inbox: keeps ids, not events."""

    def __init__(self) -> None:
        super().__init__()
        self._arrivals: list[Arrival] = []
        self._ids: set[str] = set()
        self._seen = 0

    def add(self, request: ReceivedRequest, events: tuple[dict[str, Any], ...]) -> None:
        """Keep what is stored of a request."""
        checked = [(event, problem(event)) for event in events]
        with self._changed:
            self._seen += 1
            self._problems += [(event, words) for event, words in checked if words is not None]
            self._ids.update(event["messageId"] for event in events)
            self._arrivals += (
                Arrival(event["messageId"], self._seen, request.status == 200) for event in events
            )
            self._changed.notify_all()

    @property
    def seen(self) -> int:
        """Requests so far."""
        return self._seen

    @property
    def all(self) -> list[Arrival]:
        """The events so far, in the order in which they were stored."""
        with self._changed:
            return list(self._arrivals)

    def lack(self, owed: Collection[str]) -> bool:
        """Whether one of these has not come yet."""
        with self._changed:
            return not self._ids.issuperset(owed)

    def count(self) -> int:
        """How many different events have come."""
        with self._changed:
            return len(self._ids)


@dataclass(frozen=True)
class Account:
    """How many events there were, and all that is not as it has to be."""

    accepted: int
    acknowledged: int
    delivered: int
    lost: int
    """Owed, and not delivered: by the engine, where that was made to lose something."""
    duplicates: int
    wrong: list[str] = field(default_factory=list)


def _some(what: str, ids: Iterable[str]) -> list[str]:
    few = sorted(ids, key=place)
    return [f"{len(few)} {what}: {', '.join(few[:_SHOWN])}"] if few else []


def take_account(
    journals: Iterable[Journal],
    arrivals: Sequence[Arrival],
    *,
    faults: Collection[tuple[int, int]] = (),
    in_flight: int = 0,
    doubtful: Collection[str] = (),
    engine_lost: Collection[str] = (),
) -> Account:
    """Compare what producers noted with what arrived.

    Args:
        journals: Of all producers.
        arrivals: In the order in which they were stored.
        faults: How many requests there had been when something began to be done to a relay, to the
            engine or to a way, and when that was over: an answer, a lease or an acknowledgement may
            be lost by it.
        in_flight: How many requests, under way at such a moment, may be stored after it.
        doubtful: What may be in the engine twice: a producer died before it noted an answer.
        engine_lost: What the engine may have lost. What of that a relay had in hand arrives, but
            perhaps after later ones: another relay may own the shard by then.
    """
    journals = list(journals)
    logged = [one for journal in journals for one in journal.logged]
    owed = {one for journal in journals for one in journal.owed}
    first = dict.fromkeys(arrival.id for arrival in arrivals)
    lost = owed - first.keys()
    needless = [
        later.id
        for earlier, later in _repeated(arrivals)
        if earlier.answered
        and later.id not in doubtful
        and not any(
            earlier.request <= end + in_flight and begin <= later.request for begin, end in faults
        )
    ]
    wrong = [
        *_some("lost", lost.difference(engine_lost)),
        *_some("never logged", first.keys() - set(logged)),
        *_some("logged twice", (one for one, times in Counter(logged).items() if times > 1)),
        *_some("out of order", _out_of_order(one for one in first if one not in engine_lost)),
        *_some("twice without need", needless),
        *(words for journal in journals for words in journal.contradictions()),
    ]
    return Account(
        accepted=len(logged),
        acknowledged=sum(len(journal.acknowledged) for journal in journals),
        delivered=len(first),
        lost=len(lost),
        duplicates=len(arrivals) - len(first),
        wrong=wrong,
    )


def _repeated(arrivals: Iterable[Arrival]) -> Iterable[tuple[Arrival, Arrival]]:
    """Each arrival beyond an event's first, and the one before it."""
    latest: dict[str, Arrival] = {}
    for arrival in arrivals:
        earlier = latest.get(arrival.id)
        if earlier is not None:
            yield earlier, arrival
        latest[arrival.id] = arrival


def _out_of_order(first: Iterable[str]) -> Iterable[str]:
    """Those that came after a later event of the same user and producer."""
    newest: defaultdict[str, int] = defaultdict(lambda: -1)
    for one in first:
        whose, number = place(one)
        if number < newest[whose]:
            yield one
        newest[whose] = max(number, newest[whose])
