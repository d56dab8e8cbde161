"""Run the relay's benchmark: see `--help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic

from ..arguments import parser
from ..machine import describe
from ..plan import Task, in_turn, limited
from ..report import Report
from ..results import Results
from ..runner import Run, Server, sink_process
from . import plan
from .engines import ENGINES
from .measures import MEASURES
from .stage import Stage
from .table import RESULTS, text
from .traffic import message_bytes

__all__ = ["main"]

_PACKAGES = ("orjson", "isal", "requests", "urllib3", "redis", "confluent-kafka")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parsing = parser(
        "python -m tests.benchmarks.relays",
        """
        Measure the relay, with an engine, a sink in the gateway's place, relays and apps in
        processes of their own. Prints tables; ends with 0 only if no event was lost. A whole
        run writes the file that the guide shows.
        """,
        quick="in some minutes",
        names="relay-0, shard, producing, draining, calls, takeover, upload, lag",
    )
    parsing.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="begin no further round after so many; each measure has one anyway",
    )
    arguments = parsing.parse_args(words)
    if not (arguments.quick or arguments.only or arguments.rounds or arguments.show):
        arguments.json = arguments.json or RESULTS
    return arguments


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(task: Task, number: int, server: Server) -> tuple[Run, list[str], str]:
    """One round; what was found, what is wrong with it, and the engine's version."""
    server.control.ask("clear")
    arguments = {**task.arguments}
    query = arguments.pop("query")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with (
            ENGINES[task.client](place / "engine") as engine,
            Stage(engine, server, place, query) as stage,
        ):
            values, wrong = MEASURES[task.measure](stage, **arguments)
    named = f"{task.name}, {task.client}, round {number + 1}"
    run = Run(task.name, task.client, number, values)
    return run, [f"{named}: {what}" for what in wrong], engine.version


def _measured(
    tasks: Sequence[Task], minutes: float | None, *, quick: bool
) -> tuple[Report, list[str]]:
    began = monotonic()
    runs, wrong, versions = [], list[str](), set[str]()
    with sink_process() as server:
        for number, task in in_turn(tasks):
            if number and minutes and monotonic() - began > minutes * 60:
                break
            run, complaints, version = _run(task, number, server)
            runs.append(run)
            wrong += complaints
            versions.add(version)
            shown = ", ".join(f"{name} {value:,.4g}" for name, value in run.values.items())
            _tell(
                f"{monotonic() - began:5.0f} s  round {number + 1} of {task.rounds}  "
                f"{run.name:14} {run.client:10} {shown}{'  FAILED' if complaints else ''}"
            )
    report = Report(
        made=datetime.now(timezone.utc).date().isoformat(),
        quick=quick,
        seconds=round(monotonic() - began),
        machine={**describe(_PACKAGES), "engines": ", ".join(sorted(versions))},
        results=Results(runs, message_bytes()),
        notes="",
    )
    return report, wrong


def main(words: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    arguments = _arguments(words)
    wrong: list[str] = []
    if arguments.show:
        report = Report.read(arguments.show)
    else:
        tasks = plan.quick() if arguments.quick else plan.full()
        tasks = limited(tasks, arguments.only, arguments.rounds)
        report, wrong = _measured(tasks, arguments.minutes, quick=arguments.quick)
    print(text(report))
    if wrong:
        _tell("\n".join(wrong))
        return 1
    if arguments.json:
        report.write(arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
