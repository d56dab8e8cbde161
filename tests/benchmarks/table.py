"""The results as tables: for the terminal and, in Markdown, for the guide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from .clients import CLIENTS
from .goals import Cost, Row, costs, rows
from .publishing import SIDES
from .report import Report
from .results import Results, Spread
from .shapes import SHAPES
from .side_by_side import FLOOR, PRIVATE
from .web_requests import ADDED, EVENTS, KINDS, MOST_ADDED, task_of

__all__ = [
    "COLUMNS",
    "Cells",
    "Column",
    "goals_lines",
    "markdown",
    "marked",
    "plain",
    "shown",
    "text",
]


@dataclass(frozen=True)
class Column:
    """A figure that is shown for every client."""

    title: str
    name: str
    """Of the task."""
    value: str
    digits: int = 0
    unless: tuple[str, ...] = ()
    """The clients for which it means nothing."""

    def spread(self, results: Results, client: str) -> Spread | None:
        """A client's figure, if there is one."""
        return None if client in self.unless else results.spread(self.name, client, self.value)

    def shown(self, spread: Spread) -> str:
        """It as text."""
        return f"{spread.middle:,.{self.digits}f}"


COLUMNS = (
    Column("call alone, us", "call", "call_us", 1),
    # What the floor does in a call is to post, now and then.
    Column("call, sender busy, us", "delivery-0", "busy_call_us", 1, unless=("floor",)),
    Column("events/s, 0 ms", "delivery-0", "events_per_second"),
    Column("events/s, 50 ms", "delivery-50", "events_per_second"),
    Column("events/s, 200 ms", "delivery-200", "events_per_second"),
    Column("CPU/event, us", "delivery-0", "cpu_us", 1),
    Column("bytes/event on the wire", "delivery-0", "wire_bytes_per_event", 1),
    Column("bytes/queued event", "memory", "bytes_per_queued_event"),
)

Cells = tuple[str, ...]

_SIGNIFICANT = 3
_LARGE = 10_000


def shown(figure: float, unit: str = "") -> str:
    """Three digits; of a large figure all before the point, and one behind it if it has few."""
    if abs(figure) >= _LARGE:
        return f"{figure:,.0f}{unit}"
    if abs(figure) >= 10 ** (_SIGNIFICANT - 1):
        return f"{figure:,.1f}".removesuffix(".0") + unit
    return f"{figure:.{_SIGNIFICANT}g}{unit}"


def _limit(row: Row, limit: float | None) -> str:
    if limit is None:
        return ""
    return f"{'>=' if row.goal.at_least else '<='} {shown(limit, row.goal.unit)}"


def _verdict(row: Row) -> str:
    if row.aim_reached:
        return "yes, and the aim"
    return "yes" if row.reached else "**no**"


def goals_lines(found: Iterable[Row], title: str = "") -> list[Cells]:
    """A table of what is to be reached, and whether it is."""
    lines: list[Cells] = [(title, "to reach", "aim", "measured", "lowest to highest", "reached")]
    for row in found:
        reach = _limit(row, row.goal.reach)
        lines.append(
            (
                row.goal.title,
                f"{row.goal.words} ({reach})" if row.goal.words else reach,
                _limit(row, row.aim),
                shown(row.spread.middle, row.goal.unit),
                f"{shown(row.spread.low)} to {shown(row.spread.high)}",
                _verdict(row),
            )
        )
    return lines


def _ratios(cost: Cost) -> str:
    shown = f"{cost.of_queue_handler:.2f} / {cost.of_floor:.2f}"
    return shown if cost.reached else f"{shown} **no**"


def _shapes(results: Results) -> list[Cells]:
    """Without lines if none was measured."""
    titles = ("in a loop", "to reach", "10 a second")
    lines: list[Cells] = [
        ("", "bytes", *titles, *(f"durable, {title}" for title in titles), "ten keys redacted")
    ]
    for name, shape in SHAPES.items():
        size = results.spread(f"loop-{name}", FLOOR, "bytes")
        found = [costs(results, name, client) for client in ("logging", "spool")]
        cells: list[str] = []
        for loop, paced in filter(None, found):
            reach = f"{loop.reach:.2f}" if loop.reach else ""
            cells += (_ratios(loop), reach, _ratios(paced))
        redacted = results.spread(f"loop-{name}", PRIVATE, "of_logging")
        cells.append(f"{redacted.middle:.2f}" if redacted else "")
        if size and found[0]:
            lines.append((shape.title, f"{size.middle:,.0f}", *cells))
    return lines


def _clients(results: Results) -> list[Cells]:
    lines: list[Cells] = [("", *(column.title for column in COLUMNS))]
    for name, client in CLIENTS.items():
        spreads = [column.spread(results, name) for column in COLUMNS]
        cells = [
            column.shown(spread) if spread else ""
            for column, spread in zip(COLUMNS, spreads, strict=True)
        ]
        if any(cells):
            lines.append((client.title, *cells))
    return lines


def _requests(results: Results) -> list[Cells]:
    """Without lines if none was measured."""
    lines: list[Cells] = [("", "without, us", "with, us", "added, us")]
    for kind, events in product(KINDS, EVENTS):
        name = task_of(kind, events)
        sides = [results.spread(name, side, "us") for side in ("without", "with", ADDED)]
        cells = [f"{side.middle:.1f}" for side in sides if side]
        if cells:
            if not events and float(cells[-1]) > MOST_ADDED:
                cells[-1] += " **no**"
            lines.append((f"{kind.upper()}, {events} events", *cells))
    return lines


def _publishing(results: Results) -> list[Cells]:
    """Without lines if it was not measured."""
    lines: list[Cells] = [("", "us", "of the first")]
    for side, title in SIDES.items():
        found = [results.spread("publish", side, value) for value in ("publish_us", "of_without")]
        if all(found):
            lines.append((title, *(shown(spread.middle) for spread in found if spread)))
    return lines


def _aligned(lines: Sequence[Cells]) -> list[list[str]]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]


def plain(lines: Sequence[Cells]) -> str:
    """A table for a terminal."""
    cleaned = [tuple(cell.replace("*", "").replace("`", "") for cell in line) for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in _aligned(cleaned))


def marked(lines: Sequence[Cells]) -> str:
    """The same in Markdown."""

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    first, *others = _aligned(lines)
    rule = f"|{'|'.join('-' * (len(cell) + 2) for cell in first)}|"
    return "\n".join([line(first), rule, *map(line, others)])


def _setting(report: Report) -> str:
    machine = report.machine
    versions = ", ".join(
        f"{client.package} {machine[client.package]}"
        for client in CLIENTS.values()
        if client.package
    )
    quick = "A quick run: fewer rounds and events, a backlog of 100,000 at most. "
    caution = quick if report.quick else ""
    return (
        f"{caution}Measured on {report.made} on {machine['cores']} cores of "
        f"{machine['processor']}, {machine['system']}, {machine['python']}; {versions}. "
        f"A message is {report.results.message_bytes} bytes."
    )


_OF_SHAPES = (
    "A log call, by the shape of its event: of a QueueHandler's / of the floor's."
    " A no: it is more than is to be reached. With ten keys redacted: of the call without."
)

_OF_REQUESTS = (
    "A request of an app that does nothing but log, with our middleware and without. To a request"
    f" that logs nothing it is to add {MOST_ADDED:g} us at the most."
)


def _all(report: Report, drawn: Callable[[Sequence[Cells]], str]) -> str:
    shapes = _shapes(report.results)
    tables = [drawn(goals_lines(rows(report.results))), drawn(_clients(report.results))]
    if len(shapes) > 1:
        tables = [_OF_SHAPES, drawn(shapes), *tables]
    requests = _requests(report.results)
    if len(requests) > 1:
        tables += [_OF_REQUESTS, drawn(requests)]
    publishing = _publishing(report.results)
    if len(publishing) > 1:
        tables += ["CPU of a task that Celery sends:", drawn(publishing)]
    return "\n\n".join([*tables, _setting(report)])


def text(report: Report) -> str:
    """All tables, for a terminal."""
    return _all(report, plain)


def markdown(report: Report) -> str:
    """All tables, for the guide."""
    return _all(report, marked)
