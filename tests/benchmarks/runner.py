"""Runs the plan, and holds what was sent against what arrived."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from .clients import CLIENTS
from .control import Control
from .imports import cost_of_imports
from .plan import IMPORTS, PUBLISHING, REQUESTS, SHAPES, Task, in_turn
from .publishing import cost_of_publishing

__all__ = ["ROOT", "Run", "Server", "complaints", "environment", "run_plan", "sink_process"]

_WITHOUT_CLIENT: dict[str, Callable[..., dict[str, dict[str, float]]]] = {
    IMPORTS: cost_of_imports,
    PUBLISHING: cost_of_publishing,
}
ROOT = Path(__file__).parent.parent.parent
_SECONDS_FOR_A_TASK = 300.0
# Clients give up waiting for an answer after 15 seconds, and then rightly send the batch again.
_SECONDS_UNTIL_DOUBLES = 14.0


@dataclass(frozen=True)
class Run:
    """One task of one client in one round, and what was found."""

    name: str
    client: str
    round: int
    values: dict[str, float]
    receipt: dict[str, int] | None = None
    """The sink's, for those who send."""


@dataclass(frozen=True)
class Server:
    """The sink in its process."""

    port: int
    control_port: int
    control: Control


def environment() -> dict[str, str]:
    """The machine's, without settings of clients."""
    foreign = re.compile(r"(RUDDER|POSTHOG)_|.*_proxy$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not foreign.match(name)}


@contextmanager
def sink_process() -> Iterator[Server]:
    """Have a sink as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.sink"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    port, control_port = json.loads(process.stdout.readline())
    try:
        with Control(control_port) as control:
            yield Server(port, control_port, control)
    finally:
        process.communicate()


def run_child(job: dict[str, Any]) -> dict[str, Any]:
    """Have a process do a task; what it found.

    Raises:
        RuntimeError: It failed, and has said why on stderr.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.child", json.dumps(job)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=_SECONDS_FOR_A_TASK,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the process of {job['client']} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_plan(
    tasks: Sequence[Task], server: Server, tell: Callable[[str], object]
) -> Iterator[tuple[Run, list[str]]]:
    """Run all tasks, round by round; yields each run, and what is wrong with it."""
    began = monotonic()
    for number, task in in_turn(tasks):
        with tempfile.TemporaryDirectory() as folder:
            if (measure := _WITHOUT_CLIENT.get(task.measure)) is not None:
                costs = measure(folder=folder, **task.arguments)
                runs = [Run(task.name, name, number, values) for name, values in costs.items()]
                found = [(run, list[str]()) for run in runs]
            else:
                found = _run(number, task, server, folder)
        for run, wrong in found:
            shown = ", ".join(f"{name} {value:,.4g}" for name, value in run.values.items())
            tell(
                f"{monotonic() - began:5.0f} s  round {number + 1} of {task.rounds}  "
                f"{run.name:16} {run.client:12} {shown}{'  FAILED' if wrong else ''}"
            )
            yield run, wrong


def _run(number: int, task: Task, server: Server, folder: str) -> list[tuple[Run, list[str]]]:
    server.control.ask("clear")
    server.control.ask("set_latency", seconds=task.latency)
    job = {
        "client": task.client,
        "measure": task.measure,
        "arguments": task.arguments,
        "properties": task.properties,
        "port": server.port,
        "control_port": server.control_port,
        "folder": folder,
    }
    found = run_child(job)
    values: dict[str, float] = found["values"]
    errors: list[str] = found["errors"]
    receipt = None
    if task.measure in (SHAPES, REQUESTS) or CLIENTS[task.client].sends:
        receipt = server.control.ask("receipt", expected=int(values["events"]))
        values["wire_bytes_per_event"] = receipt["wire_bytes"] / receipt["expected"]
    run = Run(task.name, task.client, number, values, receipt)
    wrong = [f"{_named(run)}: {what}" for what in [*complaints(run), *errors]]
    return [
        (run, wrong),
        *(
            (Run(name, client, number, costs), [])
            for name, by_client in found.get("costs", {}).items()
            for client, costs in by_client.items()
        ),
    ]


def _named(run: Run) -> str:
    return f"{run.name}, {run.client}, round {run.round + 1}"


def complaints(run: Run) -> list[str]:
    """What should not have become of the events of a run."""
    if run.receipt is None:
        return []
    found = []
    expected = run.receipt["expected"]
    if run.receipt["missing"]:
        found.append(f"{run.receipt['missing']:,} of {expected:,} events were lost")
    if run.receipt["strangers"]:
        found.append(f"{run.receipt['strangers']:,} events arrived that nobody had sent")
    had_to_wait = run.values.get("held_seconds", 0.0) > _SECONDS_UNTIL_DOUBLES
    if run.receipt["doubled"] and not had_to_wait:
        found.append(f"{run.receipt['doubled']:,} of {expected:,} events arrived once more")
    return found
