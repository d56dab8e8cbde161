"""Types that drift: values of one column that a warehouse would give different types.

A column's type is that of the first value it sees. What comes later with another one is cut, put
into `rudder_discards`, or made a text, as rudder-server's `HandleSchemaChange`
(warehouse/slave/worker.go) has it. Sentences name paths, columns and types, never values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .columns import columns_of
from .planned_types import PlannedTypes
from .warehouse import shape_of

if TYPE_CHECKING:
    from .plan import TrackingPlan

__all__ = ["Drift", "Seen", "Sighting", "Types", "fits", "place_of"]

MOST_COLUMNS = 10_000

_NUMBERS = frozenset({"int", "float"})
_LONGEST_PLACE = 200
_LONGEST_ID = 64
_WIDEST = ("string", "float", "datetime", "int", "boolean", "mapping")


_Key = tuple[str, str]
"""Table and column."""


class Seen(NamedTuple):
    """A type, and the place at which it was seen first."""

    type: str
    place: str


class Sighting(NamedTuple):
    """A type of a column, as one process tells it to another."""

    table: str
    column: str
    path: str
    type: str
    place: str
    planned: Collection[str] = ()
    """Types that a tracking plan allows; none: it says none."""


@dataclass(frozen=True)
class Drift:
    """A value whose type is not that of its column."""

    table: str
    column: str
    path: str
    """The place in the later message, like `properties.total`."""
    first: Seen
    later: Seen
    is_new: bool = True
    """False: the same was found before."""
    is_known: bool = False
    """True: the first type is what a plan, or a project's file, says; else what a message had."""
    is_planned: bool = False
    """True: a tracking plan allows either type."""

    @property
    def name(self) -> str:
        """Table and column, with `…` in place of values in an event's name."""
        return f"{shape_of(self.table)}.{self.column}"

    @property
    def kind(self) -> tuple[str, str, frozenset[str]]:
        """The same for findings of the same two types in the same column."""
        return (self.table, self.column, frozenset({self.first.type, self.later.type}))

    @property
    def loses(self) -> bool:
        """True if a warehouse that sees the messages in this order loses something."""
        return self.first.type != "string" and "mapping" not in self._pair and not self._widens

    @property
    def effect(self) -> str:
        """The fate of the later one in a warehouse."""
        first, later = self.first.type, self.later.type
        if later == "mapping":
            return f"a warehouse gives each of its parts a column, and {self.column} stays NULL"
        if first == "mapping":
            return "a warehouse gives it a column of its own, and those of the parts stay NULL"
        if self._widens:
            return (
                "a warehouse takes that in this order, but one that gets a whole number first "
                "cuts the fraction of all others off, without a word"
            )
        if self._pair == _NUMBERS:
            return "a warehouse cuts its fraction off, without a word"
        if first == "string":
            return (
                f"a warehouse stores it as text, but one that gets it first has a column of type "
                f"{later}, and puts texts into rudder_discards"
            )
        return "a warehouse puts it into rudder_discards, and the column stays NULL"

    @property
    def cure(self) -> str:
        """The way out of it."""
        if self.is_planned:
            wide = next(name for name in _WIDEST if name in self._pair)
            return f"the plan allows both: have the column made as {wide} before the first event"
        if "mapping" in self._pair:
            return "give a mapping always, or the plain value another name"
        if self._pair == _NUMBERS:
            return (
                "send money in minor units (cents) or as text, or have the column made as float "
                "before the first event; a tracking plan's type holds all apps to one"
            )
        if self._pair == {"datetime", "string"}:
            return "leave it out where there is no date: null makes no column"
        return "give one type always; a tracking plan's type holds all apps to one"

    @property
    def fact(self) -> str:
        """Both types, and the place of the first."""
        since = "by" if self.is_known else "since"
        return (
            f"{self.path} is {self.later.type}, and the column {self.name} is {self.first.type} "
            f"{since} {self.first.place}"
        )

    def __str__(self) -> str:
        return f"{self.fact}: {self.effect}; {self.cure}"

    @property
    def _pair(self) -> frozenset[str]:
        return frozenset({self.first.type, self.later.type})

    @property
    def _widens(self) -> bool:
        return (self.first.type, self.later.type) == ("float", "int")


def fits(kind: str, allowed: Iterable[str]) -> bool:
    """Tell if a type is one of those that are allowed, or a warehouse makes it one of those."""
    return kind in allowed or (kind == "int" and "float" in allowed)


def place_of(message: Mapping[str, Any]) -> str:
    """A message as a place: its id and time."""
    time = message.get("timestamp") or message.get("originalTimestamp")
    shown = f"message {str(message.get('messageId'))[:_LONGEST_ID]}"
    return f"{shown} of {time[:_LONGEST_ID]}" if isinstance(time, str) else shown


class Types:
    """The types of columns, as messages come.

    Args:
        plan: Its types come first, for what it plans.
        known: Types that columns have, by table and column, as a project's file says; each with
            the place that says it.
        limit: How many columns are remembered; what comes after them is not looked at.
    """

    def __init__(
        self,
        plan: TrackingPlan | None = None,
        known: Mapping[_Key, tuple[frozenset[str], str]] | None = None,
        limit: int = MOST_COLUMNS,
    ) -> None:
        self._plan = PlannedTypes(plan)
        self._known = known or {}
        self._limit = limit
        self._seen: dict[_Key, dict[str, tuple[str, str]]] = {}
        self._planned: dict[_Key, frozenset[str]] = {}
        self._told: set[tuple[str, str, frozenset[str]]] = set()
        self._is_full = self._is_told_full = False

    def look_at(self, message: Mapping[str, Any], place: str) -> list[Drift]:
        """Compare a message's types with those before it, and remember them.

        Args:
            message: As it is on the wire, decoded.
            place: What to call it: a line, an id.
        """
        found = []
        place = place[:_LONGEST_PLACE]
        for column in columns_of(message):
            planned = self._plan.at(message, column.keys)
            later = Seen(column.type, place)
            each = (
                self._compare((table, column.name), column.path, later, planned)
                for table in column.tables
            )
            drifts = [drift for drift in each if drift is not None]
            if drifts:  # of two tables, the one that loses more
                found.append(max(drifts, key=lambda drift: drift.loses))
        return found

    def full(self) -> str | None:
        """A sentence, the first time that more columns came than are remembered; else None."""
        if not self._is_full or self._is_told_full:
            return None
        self._is_told_full = True
        return f"types of the first {self._limit:,} columns are compared; there are more"

    def seen(self) -> Iterator[Sighting]:
        """Each type of each column, with the place that had it first."""
        for key, types in self._seen.items():
            planned = sorted(self._planned.get(key, ()))
            for kind, (path, place) in types.items():
                yield Sighting(*key, path, kind, place, planned)

    def merge(self, seen: Iterable[Iterable[Any]]) -> list[Drift]:
        """Remember what others have `seen`, as if the messages had come here."""
        found = (
            self._compare((one.table, one.column), one.path, Seen(one.type, one.place), one.planned)
            for one in (Sighting(*each) for each in seen)
        )
        return [drift for drift in found if drift is not None]

    def _compare(self, key: _Key, path: str, later: Seen, planned: Collection[str]) -> Drift | None:
        """Remember a type; return the drift that it is."""
        known, source = self._known.get(key, (frozenset[str](), ""))
        if planned:
            known, source = frozenset(planned), self._plan.source
        types = self._seen.get(key)
        if types is None:
            if len(self._seen) >= self._limit:
                self._is_full = True
                return None
            types = self._seen[key] = {}
        types.setdefault(later.type, (path, later.place))
        if planned:
            self._planned[key] = known
        if known and not fits(later.type, known):
            first = Seen(next(kind for kind in _WIDEST if kind in known), source)
            return self._told_of(Drift(*key, path, first, later, is_known=True))
        if known and not planned:
            return None
        other = _compared_with(later.type, types)
        if other is None:
            return None
        first = Seen(other, types[other][1])
        return self._told_of(Drift(*key, path, first, later, is_planned=bool(planned)))

    def _told_of(self, drift: Drift) -> Drift:
        if drift.kind in self._told:
            return replace(drift, is_new=False)
        self._told.add(drift.kind)
        return drift


def _compared_with(kind: str, types: Iterable[str]) -> str | None:
    """The type of a column that another value's type differs from; None: it differs from none.

    Args:
        kind: The value's type.
        types: Those that were seen, in their order, this one among them.
    """
    first = next((one for one in types if one != "mapping"), None)
    if kind == "mapping" or kind != first:
        return first
    return "mapping" if "mapping" in types else None
