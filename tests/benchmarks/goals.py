"""What is to be reached, one row each, and whether it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .results import Results, Spread
from .shapes import SHAPES
from .side_by_side import OTHERS, PRIVATE

__all__ = ["FLAT", "GOALS", "Cost", "Goal", "Row", "costs", "rows"]

_THREADS = ("threads-1", "threads-4", "threads-16")
_BACKLOGS = tuple(f"backlog-{size}" for size in (1_000, 10_000, 100_000, 1_000_000))
_PROPERTIES = (("properties-5", 5), ("properties-50", 50), ("properties-500", 500))

FLAT = 1.25
"""What "flat" and "linear" mean on a machine that does other things, too."""


@dataclass(frozen=True)
class Goal:
    """One row of the table, before anything is measured.

    Args:
        title: What is compared with what.
        figures: One figure a round.
        reach: The limit.
        aim: A better one; it may depend on the run itself.
        at_least: Whether figures are to be above the limits instead of below.
        unit: Of the figures; none: they are ratios.
        words: What the limit means.
    """

    title: str
    figures: Callable[[Results], list[float]]
    reach: float
    aim: Callable[[Results], float | None] = lambda _results: None
    at_least: bool = False
    unit: str = ""
    words: str = ""

    def _meets(self, figure: float, limit: float | None) -> bool:
        if limit is None:
            return False
        return figure >= limit if self.at_least else figure <= limit

    def row(self, results: Results) -> Row | None:
        """What was measured, if it was."""
        spread = Spread.of(self.figures(results))
        if spread is None:
            return None
        aim = self.aim(results)
        return Row(
            self,
            spread,
            aim,
            reached=self._meets(spread.middle, self.reach),
            aim_reached=self._meets(spread.middle, aim),
        )


@dataclass(frozen=True)
class Row:
    """A goal and what was measured."""

    goal: Goal
    spread: Spread
    aim: float | None
    reached: bool
    aim_reached: bool


def _ratio(name: str, client: str, against: str, value: str) -> Callable[[Results], list[float]]:
    return lambda results: results.ratios(name, client, against, value)


def _dearest_with_keys(results: Results) -> list[float]:
    """Of all shapes in a loop, by round."""
    by_shape = [results.figures(f"loop-{name}", PRIVATE, "of_logging") for name in SHAPES]
    return [max(figures) for figures in zip(*filter(None, by_shape), strict=False)]


def _aim(figure: float) -> Callable[[Results], float | None]:
    return lambda _results: figure


def _parts(results: Results) -> float | None:
    spread = Spread.of(results.ratios("import", "parts", "rudder", "import_ms"))
    return None if spread is None else spread.middle


def _events(milliseconds: int, reach: float, aim: float) -> Goal:
    return Goal(
        f"events/s to the last acknowledgement, server at {milliseconds} ms,"
        " against the official SDK",
        _ratio(f"delivery-{milliseconds}", "logging", "rudder", "events_per_second"),
        reach,
        _aim(aim),
        at_least=True,
    )


GOALS = (
    Goal(
        '`logger.info(..., extra={"rudder": ...})` with the sender busy, against the official'
        " SDK's `track`",
        _ratio("delivery-0", "logging", "rudder", "busy_call_us"),
        0.3,
        _aim(0.2),
    ),
    Goal(
        "`rudder_logging.track(...)` with the sender busy, against the official SDK's",
        _ratio("delivery-0", "calls", "rudder", "busy_call_us"),
        0.3,
        _aim(0.2),
    ),
    _events(0, 4, 6),
    _events(50, 20, 35),
    _events(200, 50, 100),
    Goal(
        "CPU of the whole process per event, against the official SDK",
        _ratio("delivery-0", "logging", "rudder", "cpu_us"),
        0.2,
        _aim(0.15),
    ),
    Goal(
        "a log call with ten redacted keys, against one without: the dearest of all shapes",
        _dearest_with_keys,
        1.3,
        _aim(1.25),
    ),
    Goal(
        "memory per queued event",
        lambda results: results.figures("memory", "logging", "bytes_per_queued_event"),
        520,
        lambda results: results.message_bytes + 50,
        unit=" bytes",
    ),
    Goal(
        "`import rudder_logging`, against `import rudderstack.analytics`",
        _ratio("import", "logging", "rudder", "import_ms"),
        0.35,
        _parts,
    ),
    Goal(
        "the call alone by 1, 4, 16 threads: the dearest, against one",
        lambda results: results.growth(_THREADS, "logging", "call_us"),
        FLAT,
        words="flat",
    ),
    Goal(
        "the call alone while 1,000 to 1,000,000 events wait: the dearest, against the fewest",
        lambda results: results.growth(_BACKLOGS, "logging", "call_us"),
        FLAT,
        words="flat",
    ),
    Goal(
        "a further property's cost: from 50 to 500 properties, against from 5 to 50",
        lambda results: results.bend(_PROPERTIES, "logging", "call_us"),
        FLAT,
        words="linear",
    ),
    Goal(
        "bytes on the wire per event, against the official SDK",
        _ratio("delivery-0", "logging", "rudder", "wire_bytes_per_event"),
        1.0,
    ),
)
"""The first limit of each is to be reached, the second one then aimed for."""


_OF_A_QUEUE_HANDLER = {
    "logging": {
        "flat": 0.92,
        "list": 0.92,
        "ip": 0.97,
        "context": 1.10,
        "order": 1.15,
        "order-context": 1.35,
        "identify": 0.97,
        "integrations": 0.97,
        "page": 0.92,
        "bound": 0.92,
    },
    "spool": {"flat": 1.2, "order-context": 1.7},
}
_PACED_OF_LOOP = 1.2


@dataclass(frozen=True)
class Cost:
    """The cost of a log call of one shape, to one of ours."""

    of_queue_handler: float
    of_floor: float
    reach: float | None
    """The most that it is to cost of a `QueueHandler`'s call.

    In a loop it is fixed. Paced, a call may cost a fifth more of it than it does in a loop: what
    the `QueueHandler` loses likewise does not count.
    """

    @property
    def reached(self) -> bool:
        """As far as the table's two digits tell."""
        return self.reach is None or round(self.of_queue_handler, 2) <= round(self.reach, 2)


def costs(results: Results, shape: str, client: str) -> tuple[Cost, Cost] | None:
    """The costs in a loop, and paced; None: they were not measured."""
    found = [
        results.spread(f"{pace}-{shape}", client, f"of_{other}")
        for pace in ("loop", "paced")
        for other in OTHERS
    ]
    try:
        of_queue_handler, of_floor, paced, paced_of_floor = (one.middle for one in found if one)
    except ValueError:
        return None
    return (
        Cost(of_queue_handler, of_floor, _OF_A_QUEUE_HANDLER[client].get(shape)),
        Cost(paced, paced_of_floor, _PACED_OF_LOOP * of_queue_handler),
    )


def rows(results: Results, goals: Sequence[Goal] = GOALS) -> Iterator[Row]:
    """The goals of which something was measured."""
    for goal in goals:
        row = goal.row(results)
        if row is not None:
            yield row
