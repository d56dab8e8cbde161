"""What one client does in a process of its own, and what of it is measured.

Each returns numbers by name, one of which is always `events`: the number of events it has sent,
from 0 on, by which the runner finds lost ones.
"""

from __future__ import annotations

import gc
import resource
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .clients import Opened
from .control import Control

__all__ = ["ENOUGH_FOR_AN_UPLOAD", "MEASURES", "PATIENCE", "Stage", "Values", "run"]

Values = dict[str, float]

PATIENCE = 30.0
ENOUGH_FOR_AN_UPLOAD = 100  # each client's own threshold


@dataclass
class Stage:
    """A client, the sink it sends to, and how many events it has sent."""

    opened: Opened
    sink: Control
    sends: bool
    events: int = 0

    def call(self, count: int) -> float:
        """So many calls; returns the seconds they took."""
        call = self.opened.call
        numbers = range(self.events, self.events + count)
        began = perf_counter()
        for n in numbers:
            call(n)
        seconds = perf_counter() - began
        self.events += count
        return seconds

    def occupy(self) -> None:
        """Have the sender wait for an answer: nothing is taken from the queue meanwhile."""
        if self.sends:
            self.sink.ask("hold")
        self.call(ENOUGH_FOR_AN_UPLOAD)
        if self.sends and not self.sink.ask("await_held", timeout=PATIENCE):
            raise RuntimeError("the client has sent nothing")

    def relieve(self) -> None:
        """Let the sender have its answer, and return once all is delivered."""
        if self.sends:
            self.sink.ask("release")
        self.opened.flush()

    def cost_of_calls(self, chunks: int, calls: int) -> list[float]:
        """Microseconds a call, in so many chunks of so many calls."""
        return [self.call(calls) / calls * 1e6 for _ in range(chunks)]


def cost_of_a_call(stage: Stage, cycles: int, chunks: int, calls: int) -> Values:
    """The call alone. After each cycle the queue is emptied, and the first one only warms up."""
    costs: list[float] = []
    for cycle in range(cycles + 1):
        stage.occupy()
        found = stage.cost_of_calls(chunks, calls)
        stage.relieve()
        if cycle:
            costs += found
    return {"call_us": median(costs)}


def delivery(stage: Stage, events: int) -> Values:
    """The same in a tight loop while the sender works, until the last acknowledgement.

    The cost of a call is the mean here: what the sender's work does to some calls belongs to it.
    """
    stage.call(2 * ENOUGH_FOR_AN_UPLOAD)
    stage.opened.flush()
    cpu, began = _cpu_seconds(), perf_counter()
    calls = stage.call(events)
    stage.opened.flush()
    seconds, cpu = perf_counter() - began, _cpu_seconds() - cpu
    return {
        "busy_call_us": calls / events * 1e6,
        "events_per_second": events / seconds,
        "cpu_us": cpu / events * 1e6,
    }


def memory(stage: Stage, events: int) -> Values:
    """What an event takes while it waits and the server does not answer."""
    stage.occupy()
    before = _resident_bytes()
    stage.call(events)
    after = _resident_bytes()
    stage.relieve()
    return {"bytes_per_queued_event": (after - before) / events}


def threads(stage: Stage, count: int, calls: int, chunks: int) -> Values:
    """The call alone, by several threads at a time: seconds over all, by the calls of all."""
    costs = []
    for _ in range(chunks + 1):
        stage.occupy()
        costs.append(_by_threads(stage, count, calls // count) / calls * 1e6)
        stage.relieve()
    return {"call_us": median(costs[1:])}


def _by_threads(stage: Stage, count: int, calls: int) -> float:
    began: list[float] = []
    # The last to arrive looks at the clock: the main thread might come to it too late.
    gate = threading.Barrier(count, lambda: began.append(perf_counter()))
    first, call = stage.events, stage.opened.call

    def work(numbers: range) -> None:
        gate.wait()
        for n in numbers:
            call(n)

    workers = [
        threading.Thread(target=work, args=(range(first + i * calls, first + (i + 1) * calls),))
        for i in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = perf_counter() - began[0]
    stage.events += count * calls
    return seconds


def backlog(stage: Stage, size: int, chunks: int, calls: int) -> Values:
    """The call alone while so many events wait, and the delivery of them all."""
    cost_of_a_call(stage, 1, 1, calls)
    stage.occupy()
    before = stage.events
    held = stage.call(size)
    costs = stage.cost_of_calls(chunks, calls)
    began = perf_counter()
    stage.relieve()
    delivered = perf_counter() - began
    return {
        "call_us": median(costs),
        "delivery_us": delivered / (stage.events - before) * 1e6,
        "held_seconds": held + sum(costs) * calls / 1e6,
    }


def _cpu_seconds() -> float:
    """Of the whole process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _resident_bytes() -> int:
    """Of the process, once all garbage is gone. Linux only."""
    gc.collect()
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return int(line.split()[1]) * 1024


MEASURES: dict[str, Callable[..., Values]] = {
    "call": cost_of_a_call,
    "delivery": delivery,
    "memory": memory,
    "threads": threads,
    "backlog": backlog,
}
"""By the name that the plan uses; the further arguments are the plan's, too."""


def run(measure: str, stage: Stage, arguments: dict[str, Any]) -> Values:
    """Take one measure."""
    values = MEASURES[measure](stage, **arguments)
    return {**values, "events": stage.events}
