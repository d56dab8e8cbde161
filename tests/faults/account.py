"""What was accepted, and what became of it: every event by its number and its id."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["JOURNAL", "Account", "Line", "read_journal", "take_account"]

JOURNAL = "FAULTS_JOURNAL"
"""The environment variable that names the file into which processes note what they do."""


_NONE: frozenset[int] = frozenset()


def _shown(numbers: frozenset[int]) -> str:
    few = sorted(numbers)[:10]
    return f"{', '.join(map(str, few)) or 'none'}{', ...' if len(numbers) > len(few) else ''}"


@dataclass(frozen=True)
class Account:
    """The numbers of the events that were logged, and where each of them got to."""

    accepted: frozenset[int]
    delivered: frozenset[int]
    duplicates: int = 0
    """Deliveries beyond the first of each event."""
    dropped: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """By reason."""
    contradictions: tuple[str, ...] = ()
    """What can't be: an event with two ids, a ledger that says otherwise, ..."""

    @property
    def vanished(self) -> frozenset[int]:
        """Neither delivered nor dropped."""
        return self.accepted.difference(self.delivered, *self.dropped.values())

    def differences(self, expected: Account) -> list[str]:
        """In what it is not as expected, besides duplicates."""
        pairs = [
            ("accepted", expected.accepted, self.accepted),
            ("delivered", expected.delivered, self.delivered),
            *(
                (f"dropped, {reason}", expected.dropped.get(reason, _NONE), numbers)
                for reason, numbers in self.dropped.items()
            ),
            *(
                (f"dropped, {reason}", numbers, _NONE)
                for reason, numbers in expected.dropped.items()
                if reason not in self.dropped
            ),
        ]
        return [
            f"{what}: {len(found)} instead of {len(wanted)}; "
            f"lacking {_shown(wanted - found)}; not expected {_shown(found - wanted)}"
            for what, wanted, found in pairs
            if found != wanted
        ] + list(self.contradictions)


@dataclass(frozen=True)
class Line:
    """What a process has noted."""

    process: int
    kind: str
    details: tuple[Any, ...]


def read_journal(path: Path) -> list[Line]:
    """All that the processes have noted so far."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    notes = map(json.loads, whole.splitlines())
    return [Line(process, kind, tuple(details)) for process, kind, *details in notes]


def take_account(
    journal: Iterable[Line],
    events: Iterable[Mapping[str, Any]],
    problems: Iterable[tuple[Mapping[str, Any], str]] = (),
    *,
    durable: bool = False,
) -> Account:
    """Compare what processes noted with what arrived.

    Args:
        journal: What processes noted.
        events: What data planes hold.
        problems: What of that would be lost further on, and why.
        durable: Whether what was pending at a process's end is kept.
    """
    journal, events = list(journal), list(events)
    logged = Counter(line.details[0] for line in journal if line.kind == "logged")
    arrived = Counter(event["properties"]["n"] for event in events)
    ids: defaultdict[int, set[str]] = defaultdict(set)
    for event in events:
        ids[event["properties"]["n"]].add(event["messageId"])
    dropped: defaultdict[str, set[int]] = defaultdict(set)
    for line in journal:
        if line.kind == "dropped":
            number, message_id, reason = line.details
            dropped[_short(reason)].add(number)
            ids[number].add(message_id)
    contradictions = [
        *(f"event {n} was logged {times} times" for n, times in logged.items() if times > 1),
        *(f"event {n} has several ids" for n, own in ids.items() if len(own) > 1),
        *(f"event {event['messageId']} would be lost: {why}" for event, why in problems),
        *_ledgers(journal, durable=durable),
    ]
    if len({one for own in ids.values() for one in own}) < len(ids):
        contradictions.append("events share an id")
    return Account(
        accepted=frozenset(logged),
        delivered=frozenset(arrived),
        duplicates=sum(arrived.values()) - len(arrived),
        dropped={reason: frozenset(numbers) for reason, numbers in dropped.items()},
        contradictions=tuple(contradictions),
    )


def _short(reason: str) -> str:
    """A refusal without the server's words."""
    return reason.partition(":")[0]


def _ledgers(journal: Iterable[Line], *, durable: bool) -> Iterable[str]:
    """Where the handlers' own counts, at a process's end, differ from what it noted."""
    stats: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    logged: Counter[int] = Counter()
    dropped: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for line in journal:
        if line.kind == "stats":
            stats[line.process][line.details[0]] = line.details[1]
        elif line.kind == "logged":
            logged[line.process] += 1
        elif line.kind == "dropped":
            dropped[line.process][_short(line.details[2])] += 1
    for process, by_handler in stats.items():
        ledgers = list(by_handler.values())
        accepted = sum(ledger["accepted"] - ledger["adopted"] for ledger in ledgers)
        if accepted != logged[process]:
            yield f"process {process} logged {logged[process]}, its ledger has {accepted}"
        said: Counter[str] = Counter()
        for ledger in ledgers:
            said.update(ledger["dropped"])
            said["refused"] += ledger["refused"]
            settled = ledger["delivered"] + ledger["refused"] + sum(ledger["dropped"].values())
            spooled = ledger["pending"] if durable else 0
            if ledger["accepted"] != settled + spooled:
                yield f"the ledger of process {process} does not balance at its end: {ledger}"
        if +said != +dropped[process]:
            yield f"process {process} was told of {dropped[process]}, its ledger has {said}"
