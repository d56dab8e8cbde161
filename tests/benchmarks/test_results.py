"""Medians, ratios, verdicts and tables follow from the runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import plan
from .goals import GOALS, Goal, costs, rows
from .imports import PROGRAMS
from .publishing import SIDES
from .report import CHART, RESULTS, Report
from .results import Results, Spread, ratios
from .runner import Run
from .shapes import SHAPES
from .side_by_side import FLOOR, PRIVATE
from .table import COLUMNS, markdown, text
from .web_requests import ADDED, task_of

VALUES = {
    "call_us",
    "busy_call_us",
    "events_per_second",
    "cpu_us",
    "wire_bytes_per_event",
    "bytes_per_queued_event",
    "import_ms",
}

WITHOUT_CLIENT = {plan.IMPORTS: [*PROGRAMS], plan.PUBLISHING: [*SIDES]}


def runs(name: str, client: str, *figures: float, value: str = "call_us") -> list[Run]:
    """One run a round, each with its figure."""
    return [
        Run(name, client, number, {value: figure, "events": 1})
        for number, figure in enumerate(figures)
    ]


def runs_of_shape(name: str, client: str, loop: float, paced: float) -> list[Run]:
    """Calls that cost so many times a `QueueHandler`'s, and twice that of the floor."""
    return [
        Run(f"{pace}-{name}", client, 0, {"of_queuehandler": ratio, f"of_{FLOOR}": 2 * ratio})
        for pace, ratio in (("loop", loop), ("paced", paced))
    ]


def report(results: Results) -> Report:
    """A run of the benchmark with these results."""
    machine = dict.fromkeys(
        (
            "cores",
            "processor",
            "system",
            "python",
            "rudder-sdk-python",
            "segment-analytics-python",
            "posthog",
        ),
        "some",
    )
    return Report("2024-01-02", False, 1, machine, results)


def verdict(goal: Goal, *found: Run) -> tuple[bool, bool]:
    """Whether it is reached, and whether the aim is."""
    row = goal.row(Results(found, 463))
    assert row is not None
    return row.reached, row.aim_reached


def test_ratios_are_taken_within_rounds() -> None:
    """A machine that slows down from one round to the next changes no ratio."""
    results = Results([*runs("call", "a", 3, 30, 6), *runs("call", "b", 6, 60, 12)], 463)
    assert results.ratios("call", "a", "b", "call_us") == [0.5, 0.5, 0.5]


def test_the_last_round_serves_for_those_that_lack() -> None:
    """Slow clients run fewer rounds."""
    assert ratios([10, 20, 30], [10]) == [1, 2, 3]
    assert ratios([10], [10, 20]) == [1, 0.5]
    assert ratios([], [1]) == ratios([1], []) == []


def test_spread_is_median_lowest_and_highest() -> None:
    """Of nothing there is none."""
    assert Spread.of([5, 1, 2]) == Spread(2, 1, 5)
    assert Spread.of([1, 2]) == Spread(1.5, 1, 2)
    assert Spread.of([]) is None


def test_growth_is_the_dearest_against_the_first() -> None:
    """By round; sizes that were left out are left out."""
    results = Results([*runs("1", "a", 10, 10), *runs("4", "a", 15, 8), *runs("16", "a", 12)], 463)
    assert results.growth(("1", "4", "16", "64"), "a", "call_us") == [1.5, 1.2]
    assert results.growth(("1",), "a", "call_us") == []


def test_bend_is_one_for_a_straight_line() -> None:
    """And more where each further one costs more."""
    sizes = (("5", 5), ("50", 50), ("500", 500))
    found = [*runs("5", "a", 15, 15), *runs("50", "a", 60, 60), *runs("500", "a", 510, 960)]
    assert Results(found, 463).bend(sizes, "a", "call_us") == [1, 2]


@pytest.mark.parametrize(
    ("figure", "at_least", "expected"),
    [
        (0.9, False, (False, False)),
        (0.8, False, (True, False)),
        (0.5, False, (True, True)),
        (0.5, True, (False, False)),
        (0.8, True, (True, False)),
        (0.9, True, (True, True)),
    ],
)
def test_limits(figure: float, at_least: bool, expected: tuple[bool, bool]) -> None:
    """From above or from below, a limit itself is within."""
    aim = 0.9 if at_least else 0.5
    goal = Goal("it", lambda _: [figure], 0.8, lambda _: aim, at_least=at_least)
    assert verdict(goal) == expected


def test_memory_aims_at_the_message_and_fifty_bytes() -> None:
    """However large the message is."""
    (goal,) = [goal for goal in GOALS if goal.unit]
    for figure, expected in ((513, (True, True)), (514, (True, False)), (521, (False, False))):
        found = runs("memory", "logging", figure, value="bytes_per_queued_event")
        assert verdict(goal, *found) == expected


@pytest.mark.parametrize("tasks", [plan.full(), plan.quick()], ids=["full", "quick"])
def test_the_plan_has_what_the_tables_show(tasks: list[plan.Task]) -> None:
    """Each goal has a row, each column figures; none speaks of tasks that nobody does."""
    done = [
        Run(task.name, client, number, dict.fromkeys(VALUES, float(task.properties or 1)))
        for number, task in plan.in_turn(tasks)
        for client in WITHOUT_CLIENT.get(task.measure, [task.client])
    ]
    assert {plan.SHAPES, plan.REQUESTS, plan.PUBLISHING} <= {task.measure for task in tasks}
    done += [Run(f"loop-{name}", PRIVATE, 0, {"of_logging": 1.1}) for name in SHAPES]
    results = Results(done, 463)
    assert [row.goal for row in rows(results)] == list(GOALS)
    for column in COLUMNS:
        assert column.spread(results, "logging"), column
        assert column.spread(results, "rudder"), column


def test_what_middlewares_add_is_shown() -> None:
    """A line for each number of events, where it was measured; and if it is too much for none."""
    done = [
        run
        for events, added in ((0, 5.1), (3, 40.0))
        for side, figure in (("without", 10.0), ("with", 12.0), (ADDED, added))
        for run in runs(task_of("asgi", events), side, figure, value="us")
    ]
    shown = text(report(Results(done, 463))).splitlines()
    assert [line.split() for line in shown if line.startswith("ASGI")] == [
        ["ASGI,", "0", "events", "10.0", "12.0", "5.1", "no"],
        ["ASGI,", "3", "events", "10.0", "12.0", "40.0"],
    ]


def test_tasks_take_turns() -> None:
    """All first rounds, then all second ones."""
    tasks = [plan.Task("one", "a", "call", 2), plan.Task("one", "b", "call", 1)]
    order = [(number, task.client) for number, task in plan.in_turn(tasks)]
    assert order == [(0, "a"), (0, "b"), (1, "a")]


def test_the_plan_can_be_limited() -> None:
    """By how names begin, and by rounds."""
    some = plan.limited(plan.full(), ["delivery-50", "memory"], 1)
    assert {task.name for task in some} == {"delivery-50", "memory"}
    assert {task.rounds for task in some} == {1}
    assert plan.limited(plan.full(), [], None) == plan.full()


@pytest.mark.parametrize(
    ("name", "client", "loop", "paced", "expected"),
    [
        ("flat", "logging", 0.92, 1.1, (True, True)),
        ("flat", "logging", 0.93, 1.13, (False, False)),
        ("order-context", "logging", 1.35, 1.6, (True, True)),
        ("order-context", "spool", 1.7, 2.1, (True, False)),
        ("page", "spool", 9.0, 9.0, (True, True)),
    ],
)
def test_limits_of_shapes(
    name: str, client: str, loop: float, paced: float, expected: tuple[bool, bool]
) -> None:
    """That of a shape in a loop; paced, a fifth more of a `QueueHandler`'s than it was there."""
    found = costs(Results(runs_of_shape(name, client, loop, paced), 463), name, client)
    assert found is not None
    assert tuple(cost.reached for cost in found) == expected


def test_each_shape_has_a_line() -> None:
    """With its size, and what each queue's calls cost at each pace; what is missed can be seen."""
    found = [
        run
        for name in SHAPES
        for client, loop in (("logging", 0.9), ("spool", 1.8))
        for run in runs_of_shape(name, client, loop, 2 * loop)
    ]
    found += [Run(f"loop-{name}", FLOOR, 0, {"bytes": 1_000.0}) for name in SHAPES]
    found += [Run(f"loop-{name}", PRIVATE, 0, {"of_logging": 1.21}) for name in SHAPES]
    marked = markdown(report(Results(found, 463)))
    for name, shape in SHAPES.items():
        (line,) = [line for line in marked.splitlines() if line.startswith(f"| {shape.title} ")]
        cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
        assert cells[:2] == ["1,000", "0.90 / 1.80"], name
        assert cells[3] == "1.80 / 3.60 **no**", name
        assert cells[4].endswith("**no**") is (name in ("flat", "order-context")), name
        assert cells[-1] == "1.21", name
    assert "1.80 / 3.60 no" in text(report(Results(found, 463)))
    assert SHAPES["flat"].title not in markdown(report(Results([], 463)))


def test_tables_show_figures_and_verdicts() -> None:
    """In Markdown as on the terminal; a goal that was missed is easy to see."""
    found = [
        *runs("import", "logging", 27, 15, 21, value="import_ms"),
        *runs("import", "parts", 10, 10, 10, value="import_ms"),
        *runs("import", "rudder", 100, 100, 100, value="import_ms"),
        *runs("threads-1", "logging", 10),
        *runs("threads-4", "logging", 20),
    ]
    marked = markdown(report(Results(found, 463)))
    (ours,) = [line for line in marked.splitlines() if line.startswith("| `import")]
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[1:] == ["<= 0.35", "<= 0.1", "0.21", "0.15 to 0.27", "yes"]
    (missed,) = [line for line in marked.splitlines() if "4, 16 threads" in line]
    assert missed.rstrip(" |").endswith("**no**")
    assert "posthog" not in marked.split("Measured on")[0]
    plain = text(report(Results(found, 463)))
    assert "0.15 to 0.27" in plain
    assert "*" not in plain


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """A report is the same after it was a file."""
    before = report(Results(runs("call", "logging", 1, 2), 463))
    before.write(tmp_path / "results.json")
    assert Report.read(tmp_path / "results.json") == before


def test_the_guide_shows_a_whole_run() -> None:
    """Not a quick one; and the chart shows the same figures."""
    shown = Report.read(RESULTS)
    assert not shown.quick
    assert [row.goal for row in rows(shown.results)] == list(GOALS)
    shapes = [name for name in SHAPES if costs(shown.results, name, "logging")]
    assert shapes == list(SHAPES)
    chart = CHART.read_text(encoding="utf-8")
    for column in COLUMNS:
        spread = column.spread(shown.results, "logging")
        assert spread is not None
        assert f">{column.shown(spread)}<" in chart
