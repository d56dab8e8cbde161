"""Celery's publish: without our integration, with it, and with something bound, in turn.

    python -m tests.benchmarks.publishing TURNS CALLS

The broker is in memory: with a real one a publish costs more, and what we add is as much.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from celery import Celery

from rudder_logging import bind
from rudder_logging.integrations.celery import install

__all__ = ["SIDES", "cost_of_publishing"]

SIDES = {
    "without": "without our integration",
    "with": "with it, and nothing bound",
    "bound": "with it, and a user and a page bound",
}
"""Their titles, by the name that results use."""

_ROOT = Path(__file__).parent.parent.parent
_CONTEXT = {
    "ip": "203.0.113.7",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "page": {"path": "/products/8472", "url": "https://shop.example.com/products/8472"},
}


def cost_of_publishing(turns: int, calls: int, folder: str) -> dict[str, dict[str, float]]:
    """Microseconds of CPU a message, and their ratio to `without`; in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.publishing", str(turns), str(calls)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def _app() -> Any:
    return Celery("benchmark", broker="memory://", set_as_current=False)


def _seconds(app: Any, block: AbstractContextManager[object], calls: int) -> float:
    with block:
        began = process_time()
        for number in range(calls):
            app.send_task("work", (number,))
        seconds = process_time() - began
    app.control.purge()
    return seconds


def main(turns: int, calls: int) -> None:
    """Print the medians. The first turn only warms up."""
    plain, installed = _app(), _app()
    install(installed)
    gc.disable()
    found = [_turn(plain, installed, calls, number) for number in range(turns + 1)][1:]
    costs = {
        side: {
            "publish_us": median(turn[side] for turn in found) / calls * 1e6,
            # Within a turn: all may be slow for a moment.
            "of_without": median(turn[side] / turn["without"] for turn in found),
        }
        for side in SIDES
    }
    print(json.dumps(costs))


def _turn(plain: Any, installed: Any, calls: int, number: int) -> dict[str, float]:
    """Seconds of CPU by side. Each is the first of them in every third turn."""
    gc.collect()
    blocks: dict[str, tuple[Any, AbstractContextManager[object]]] = {
        "without": (plain, nullcontext()),
        "with": (installed, nullcontext()),
        "bound": (installed, bind(user_id="user-4711", context=_CONTEXT)),
    }
    names, first = [*SIDES], number % len(SIDES)
    return {side: _seconds(*blocks[side], calls) for side in (*names[first:], *names[:first])}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
