"""The command does what it says, and fails if an event is lost. Nothing is timed here."""

from __future__ import annotations

import http.client
import importlib.util
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from . import __main__ as command
from . import plan, runner
from .goals import costs
from .plan import Task
from .publishing import SIDES
from .report import Report
from .results import Results
from .runner import Run, complaints, run_plan, sink_process
from .shapes import SHAPES
from .side_by_side import FLOOR, PRIVATE
from .table import text
from .test_results import report, runs
from .test_sink import upload
from .web_requests import ADDED, EVENTS, KINDS, task_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("resource") is None, reason="measures CPU as POSIX has it"
    ),
]

MEASURES: list[tuple[str, dict[str, Any]]] = [
    ("call", {"cycles": 1, "chunks": 1, "calls": 10}),
    ("delivery", {"events": 300}),
    ("threads", {"count": 4, "calls": 100, "chunks": 1}),
    ("backlog", {"size": 500, "chunks": 2, "calls": 10}),
]
if Path("/proc/self/status").exists():
    MEASURES.append(("memory", {"events": 300}))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that say they sent ten events, and send what `sent` says."""
    sent = {"logging": range(10), "calls": range(9), "spool": [*range(10), 3]}

    def child(job: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", job["port"])
        connection.request("POST", "/v1/batch", upload(sent[job["client"]]))
        connection.getresponse().read()
        connection.close()
        return {"values": {"call_us": 1.0, "events": 10}, "errors": []}

    def tasks() -> list[Task]:
        return [Task(client, client, "call", 1) for client in sent]

    monkeypatch.setattr(runner, "run_child", child)
    monkeypatch.setattr(plan, "quick", tasks)
    monkeypatch.setattr(command, "missing_packages", list)


def run(tmp_path: Path, client: str) -> tuple[int, bool]:
    """The command's exit code with one client, and whether it wrote its results."""
    path = tmp_path / f"{client}.json"
    code = command.main(["--quick", "--only", client, "--json", str(path)])
    return code, path.exists()


@pytest.mark.usefixtures("fake")
def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results on stdout, progress on stderr."""
    assert run(tmp_path, "logging") == (0, True)
    said = capsys.readouterr()
    assert "Measured on" in said.out
    assert "round 1 of 1" in said.err
    written = Report.read(tmp_path / "logging.json").results.runs
    assert [one.receipt and one.receipt["missing"] for one in written] == [0]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("client", "words"),
    [("calls", "1 of 10 events were lost"), ("spool", "1 of 10 events arrived once more")],
)
def test_a_lost_or_doubled_event_makes_it_fail(
    client: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures of lost events are not written."""
    assert run(tmp_path, client) == (1, False)
    assert words in capsys.readouterr().err


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that mends it."""
    monkeypatch.setattr(command, "missing_packages", lambda: ["posthog"])
    assert command.main(["--quick"]) == 2
    said = capsys.readouterr().err
    assert "posthog" in said
    assert 'pip install -e ".[bench]"' in said


def test_doubles_after_a_long_wait_are_right() -> None:
    """A client that has waited for its timeout has to send the batch again."""
    receipt = {"expected": 1, "missing": 0, "strangers": 0, "doubled": 1}
    assert complaints(Run("backlog", "logging", 0, {"held_seconds": 1.0}, receipt))
    assert not complaints(Run("backlog", "logging", 0, {"held_seconds": 15.0}, receipt))


@pytest.mark.parametrize(("measure", "arguments"), MEASURES)
def test_measures_lose_nothing(measure: str, arguments: dict[str, Any]) -> None:
    """Each one, in its process, with clients that are here anyway."""
    clients = ["logging", "calls", "spool", "queuehandler"]
    clients += ["floor"] if measure == "delivery" else []
    tasks = [Task(measure, client, measure, 1, arguments) for client in clients]
    with sink_process() as server:
        found = list(run_plan(tasks, server, tell=lambda _line: None))
    assert [run.client for run, _wrong in found] == clients
    assert [wrong for _run, wrong in found] == [[]] * len(clients)


def test_shapes_are_measured_side_by_side() -> None:
    """Each of them, both queues against both others, at both paces; and nothing is lost."""
    arguments = {
        "loop": {"cycles": 1, "turns": 2, "calls": 10},
        "paced": {"turns": 2, "rate": 1_000.0},
    }
    with sink_process() as server:
        tasks = [Task(plan.SHAPES, "", plan.SHAPES, 1, arguments)]
        found = list(run_plan(tasks, server, tell=lambda _line: None))
    assert [wrong for _run, wrong in found if wrong] == []
    whole, *others = [run for run, _wrong in found]
    assert whole.receipt is not None
    assert whole.receipt["expected"] > 0
    results = Results(others, 463)
    for name in SHAPES:
        assert results.spread(f"loop-{name}", FLOOR, "bytes")
        assert all(costs(results, name, client) for client in ("logging", "spool"))
        assert results.spread(f"loop-{name}", PRIVATE, "of_logging")
    assert "ten redacted keys" in text(report(results))


def test_requests_are_measured_with_middlewares_and_without() -> None:
    """Both kinds, with each number of events; and nothing is lost."""
    with sink_process() as server:
        tasks = [Task(plan.REQUESTS, "", plan.REQUESTS, 1, {"turns": 2, "calls": 10})]
        found = list(run_plan(tasks, server, tell=lambda _line: None))
    assert [wrong for _run, wrong in found if wrong] == []
    whole, *others = [run for run, _wrong in found]
    assert whole.receipt is not None
    assert whole.receipt["expected"] > 0
    results = Results(others, 463)
    for kind, events in product(KINDS, EVENTS):
        assert results.spread(task_of(kind, events), ADDED, "us")


def test_publishing_is_measured_with_the_integration_and_without() -> None:
    """Celery's, with nothing bound and with something."""
    tasks = [Task(plan.PUBLISHING, "", plan.PUBLISHING, 1, {"turns": 1, "calls": 2})]
    with sink_process() as server:
        found = list(run_plan(tasks, server, tell=lambda _line: None))
    assert [run.client for run, _wrong in found] == [*SIDES]
    shown = text(report(Results([run for run, _wrong in found], 463)))
    assert all(title in shown for title in SIDES.values())


def test_a_process_that_fails_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    """It has said why on stderr."""
    with sink_process() as server, pytest.raises(RuntimeError, match="logging ended with 1"):
        list(run_plan([Task("x", "logging", "nonsense", 1)], server, tell=lambda _line: None))
    assert "nonsense" in capfd.readouterr().err


def test_the_chart_can_be_drawn(tmp_path: Path) -> None:
    """Where the library for it is installed."""
    pytest.importorskip("matplotlib")
    from .chart import draw

    draw(report(Results(runs("call", "logging", 12.34), 463)), tmp_path / "chart.svg")
    assert ">12.3<" in (tmp_path / "chart.svg").read_text(encoding="utf-8")
