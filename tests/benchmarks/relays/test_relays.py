"""The relay's verdicts, arithmetic and tables follow from the runs, and its measures count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engines import NEEDS_REDIS

from ..goals import rows
from ..plan import Task
from ..report import Report
from ..results import Results
from ..runner import Run
from . import __main__ as command
from . import plan
from .capacity import EXAMPLES, Figures, markdown
from .engines import ENGINES
from .goals import goals
from .table import RESULTS, text
from .traffic import message, message_bytes

FIGURES: Mapping[str, float] = {
    "events_per_second": 60_000,
    "of_gateway": 1.05,
    "call_us": 10,
    "seconds": 1.0,
    "peak_mib": 120,
    "relay_cpu_us": 15,
    "engine_cpu_us": 2,
    "cpu_us": 17,
    "wire_bytes": 40,
    "events_per_upload": 2_000,
    "engine_bytes": 60,
    "frame_bytes": 50,
    "network_bytes": 90,
}
NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="reads /proc, as Linux has it"
)


def results(**figures: float) -> Results:
    """One round of everything, with the same figures everywhere."""
    values = {**FIGURES, **figures}
    return Results([Run(task.name, task.client, 0, values) for task in plan.full()], 464)


def report(found: Results) -> Report:
    """A run with these results."""
    names = ("cores", "processor", "system", "python", "engines")
    return Report("2026-01-02", False, 1, dict.fromkeys(names, "some"), found, "")


def reached(**figures: float) -> list[bool]:
    """Whether each goal is."""
    return [row.reached for row in rows(results(**figures), goals("redis"))]


def test_limits_are_those_of_the_specification() -> None:
    """A limit itself is within; one that is passed is a no, in the table too."""
    at_their_limits = reached()
    assert at_their_limits == [True, True, True, False, False, True, True, True, True]
    assert reached(events_per_second=100_000)[3:5] == [True, True]
    assert reached(seconds=1.01)[5:7] == [False, True]
    assert reached(seconds=20.01)[5:7] == [False, False]
    assert reached(peak_mib=121)[7] is False
    shown = text(report(results(of_gateway=1.06)))
    assert "no" in shown
    assert "one process logs 100,000 events/s at the most" in shown


def test_costs_are_flat_until_one_of_them_grows() -> None:
    """The dearest counts, however many events wait at it."""
    found = [*results().runs]
    dear = Run("lag-10000", "redis", 0, {**FIGURES, "cpu_us": 17 * 1.26})
    found = [dear if run.name == dear.name else run for run in found]
    verdicts = [row.reached for row in rows(Results(found, 464), goals("redis"))]
    assert verdicts[-1] is False


def test_capacity_is_arithmetic() -> None:
    """Each line's right side is what its middle says."""
    shown = markdown(report(results(events_per_second=100_000)))
    apps, million = shown.split("## ")[1:]
    assert "200,000 events/s x 1.5 / 100,000 of one relay" in apps
    for line in (
        "| relays ",
        "200,000 x 15 us",
        "200,000 x (2 us stored + 2 us taken)",
        "200,000 x 3,600 s x 60 bytes",
    ):
        assert line in apps
    cells = {
        row.split("|")[1].strip(): row.split("|")[3].strip()
        for row in million.splitlines()
        if row.startswith("|")
    }
    assert cells["relays"] == "15"
    assert cells["cores that they use"] == "15"
    assert cells["shards, at the least"] == "15"
    assert cells["the engine's CPU"] == "4 cores"
    assert cells["nodes of it, each busy to 60 %"] == "7"
    assert cells["memory for an hour without a gateway"] == "216 GB"
    assert cells["network to the gateway"] == "40 MB/s"
    assert cells["connections to the gateway"].startswith("120, not ")


def test_examples_have_figures() -> None:
    """What their apps append at a time was measured."""
    assert {example.upload for example in EXAMPLES} <= set(plan.UPLOADS)
    assert [example.events for example in EXAMPLES] == [200_000, 1_000_000]
    Figures.of(results(), "redis", plan.UPLOADS)


def test_events_are_of_many_users_and_no_two_are_alike() -> None:
    """As an app's are: what repeats itself is compressed to nothing."""
    assert 440 <= message_bytes() <= 490
    users = {message(n).split(b'"userId":"')[1].split(b'"')[0] for n in range(1_000)}
    assert len(users) > 900


def test_quick_runs_measure_the_same() -> None:
    """But for the longest backlogs."""
    names = {task.name for task in plan.full()} - {task.name for task in plan.quick()}
    assert names == {"lag-1000000", "lag-10000000"}


def test_results_in_the_guide_are_complete() -> None:
    """Every measure of the plan."""
    found = Report.read(RESULTS)
    tasks = plan.quick() if found.quick else plan.full()
    runs = {(run.name, run.client) for run in found.results.runs}
    assert runs == {(task.name, task.client) for task in tasks}


TINY: Mapping[str, dict[str, Any]] = {
    "producing": {"events": 400, "upload": 100},
    "draining": {"events": 400},
    "calling": {"turns": 2, "calls": 20},
    "relaying": {"waiting": 400, "cycles": 2},
    "takeover": {"kill": False},
}


@pytest.mark.slow
@NEEDS_REDIS
@NEEDS_PROC
@pytest.mark.parametrize("measure", TINY)
def test_measures_lose_nothing(
    measure: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of them, with real processes; a lost event would make it end with 1."""
    task = Task("tiny", "redis", measure, 1, {**TINY[measure], "query": ""})
    monkeypatch.setattr(plan, "quick", lambda: [task])
    assert command.main(["--quick"]) == 0
    assert "Measured on" in capsys.readouterr().out


@pytest.mark.slow
@NEEDS_REDIS
@NEEDS_PROC
def test_lost_events_make_it_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures of lost events are not written."""
    task = Task("tiny", "redis", "broken", 1, {"query": ""})
    monkeypatch.setattr(plan, "quick", lambda: [task])
    broken = {"broken": lambda _stage: ({"events": 1.0}, ["1 of 1 events: lost"])}
    monkeypatch.setattr(command, "MEASURES", broken)
    assert command.main(["--quick", "--json", str(tmp_path / "x.json")]) == 1
    assert not (tmp_path / "x.json").exists()
    assert "1 of 1 events: lost" in capsys.readouterr().err


def test_engines_are_those_of_the_plan() -> None:
    """Each task's can be started."""
    assert {task.client for task in plan.full()} == set(ENGINES)
