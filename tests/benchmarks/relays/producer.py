"""An app's process: logs events for the relay, as told in JSON, and prints what that took.

    python -m tests.benchmarks.relays.producer JOB

A loop logs faster than any app, so nothing bounds the queue.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, sleep
from typing import Any

from rudder_logging import RudderHandler

from ..control import Control
from ..measures import ENOUGH_FOR_AN_UPLOAD, PATIENCE, Values
from .traffic import event

__all__ = ["main"]

_NO_BOUND: dict[str, Any] = {"max_queue_size": 100_000_000, "max_queue_bytes": 40_000_000_000}
_PAUSE = 0.2  # in which an upload surely begins


class _App:
    """A logger with a handler, and what it has logged."""

    def __init__(self, first: int, **options: Any) -> None:
        self.handler = RudderHandler(**{**_NO_BOUND, **options})
        self._logger = logging.getLogger(f"benchmark.{id(self)}")
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self.handler)
        self.next = first

    def call(self, count: int) -> float:
        """So many calls; returns the seconds they took. What an app makes its event of counts."""
        info = self._logger.info
        numbers = range(self.next, self.next + count)
        began = perf_counter()
        for n in numbers:
            line, fields = event(n)
            info(line, extra={"rudder": fields})
        self.next += count
        return perf_counter() - began

    def flush(self) -> None:
        """Return once everything is acknowledged."""
        if not self.handler.flush(timeout=300):
            raise RuntimeError("not everything was delivered")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def produce(first: int, count: int, upload: int, options: dict[str, Any]) -> Values:
    """Log so many events, in a loop, and see them all acknowledged.

    Args:
        first: The number of the first event.
        count: How many.
        upload: Wait for the acknowledgement after each so many; 0: at the end only.
        options: Of the handler.
    """
    app = _App(first, **options)
    cpu, began = _cpu_seconds(), perf_counter()
    calls = 0.0
    step = upload or count
    for done in range(0, count, step):
        calls += app.call(min(step, count - done))
        app.flush()
    seconds, cpu = perf_counter() - began, _cpu_seconds() - cpu
    app.handler.close()
    return {
        "call_us": calls / count * 1e6,
        "events_per_second": count / seconds,
        "cpu_us": cpu / count * 1e6,
        "events": count,
    }


def drain(first: int, count: int, engine: int, options: dict[str, Any]) -> Values:
    """Log so many events while the engine does not answer; the delivery of them all, then.

    Args:
        first: The number of the first event.
        count: How many.
        engine: Its process.
        options: Of the handler.
    """
    app = _App(first, **options)
    app.call(ENOUGH_FOR_AN_UPLOAD)
    app.flush()  # it is connected
    os.kill(engine, signal.SIGSTOP)
    try:
        app.call(count)
    finally:
        os.kill(engine, signal.SIGCONT)
    cpu, began = _cpu_seconds(), perf_counter()
    app.flush()
    seconds, cpu = perf_counter() - began, _cpu_seconds() - cpu
    app.handler.close()
    return {
        "events_per_second": count / seconds,
        "cpu_us": cpu / count * 1e6,
        "events": ENOUGH_FOR_AN_UPLOAD + count,
    }


def calls(
    first: int,
    turns: int,
    count: int,
    engine: int,
    sink: dict[str, int],
    options: dict[str, Any],
) -> Values:
    """The log call alone, for the relay and for the gateway, block by block in turn.

    Nothing is delivered meanwhile: the gateway holds an upload, and the engine does not answer.

    Args:
        first: The number of the first event.
        turns: Blocks of either.
        count: Calls of a block.
        engine: Its process.
        sink: Its ports.
        options: Of the handler for the relay.
    """
    relay = _App(first, **options)
    gateway = _App(0, write_key="benchmark", data_plane_url=f"http://127.0.0.1:{sink['port']}")
    costs: dict[str, list[float]] = {"relay": [], "gateway": []}
    with Control(sink["control_port"]) as control:
        for app in (relay, gateway):
            app.call(ENOUGH_FOR_AN_UPLOAD)
            app.flush()
        control.ask("hold")
        os.kill(engine, signal.SIGSTOP)
        try:
            for app in (relay, gateway):
                app.call(ENOUGH_FOR_AN_UPLOAD)
            control.ask("await_held", timeout=PATIENCE)
            sleep(_PAUSE)
            gc.collect()
            gc.disable()
            for turn in range(turns):
                both = [("relay", relay), ("gateway", gateway)]
                for name, app in both[:: 1 if turn % 2 else -1]:
                    costs[name].append(app.call(count) / count * 1e6)
        finally:
            os.kill(engine, signal.SIGCONT)
            control.ask("release")
        gc.enable()
        for app in (relay, gateway):
            app.flush()
            app.handler.close()
    pairs = zip(costs["relay"], costs["gateway"], strict=True)
    return {
        "call_us": median(costs["relay"]),
        "gateway_call_us": median(costs["gateway"]),
        "of_gateway": median(one / other for one, other in pairs),
        "events": relay.next - first,
    }


_JOBS: dict[str, Callable[..., Values]] = {"produce": produce, "drain": drain, "calls": calls}


def main(job: dict[str, Any]) -> None:
    """Do what is told, and print what was found."""
    print(json.dumps(_JOBS[job.pop("do")](**job)), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
