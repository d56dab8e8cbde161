"""Run the benchmark: see `--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic

from . import chart, plan
from .arguments import parser
from .event import message_bytes
from .machine import describe, missing_packages
from .report import CHART, RESULTS, Report
from .results import Results
from .runner import run_plan, sink_process
from .table import text

__all__ = ["main"]


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parsing = parser(
        "python -m tests.benchmarks",
        """
        Measure this package next to other clients, in turn, each in a process of its own,
        against a server that counts what arrives. Prints tables; ends with 0 only if no
        event was lost. Whole runs write the files that the guide shows.
        """,
        quick="within a minute",
        names="shapes, requests, call, delivery-0, memory, import, publish, threads, properties, "
        "backlog",
    )
    parsing.add_argument("--svg", type=Path, metavar="PATH", help="write the chart there")
    arguments = parsing.parse_args(words)
    if not (arguments.quick or arguments.only or arguments.rounds or arguments.show):
        arguments.json = arguments.json or RESULTS
        arguments.svg = arguments.svg or CHART
    return arguments


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measured(tasks: Sequence[plan.Task], *, quick: bool) -> tuple[Report, list[str]]:
    """Run the tasks; what came out, and what is wrong with it."""
    began = monotonic()
    runs, wrong = [], []
    with sink_process() as server:
        for run, complaints in run_plan(tasks, server, _tell):
            runs.append(run)
            wrong += complaints
    report = Report(
        made=datetime.now(timezone.utc).date().isoformat(),
        quick=quick,
        seconds=round(monotonic() - began),
        machine=describe(),
        results=Results(runs, message_bytes()),
    )
    return report, wrong


def main(words: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    arguments = _arguments(words)
    missing = missing_packages()
    if missing:
        _tell(f'{", ".join(missing)} not found: python -m pip install -e ".[bench]"')
        return 2
    wrong: list[str] = []
    if arguments.show:
        report = Report.read(arguments.show)
    else:
        tasks = plan.quick() if arguments.quick else plan.full()
        tasks = plan.limited(tasks, arguments.only, arguments.rounds)
        report, wrong = _measured(tasks, quick=arguments.quick)
    print(text(report))
    if wrong:
        _tell("\n".join(wrong))
        return 1
    if arguments.json:
        report.write(arguments.json)
    if arguments.svg:
        chart.draw(report, arguments.svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
