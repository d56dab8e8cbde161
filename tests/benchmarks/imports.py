"""What importing costs: the time of a process that imports and ends, less one that only ends."""

from __future__ import annotations

import os
import subprocess
import sys
from time import perf_counter

__all__ = ["PROGRAMS", "cost_of_imports"]

PROGRAMS = {
    "nothing": "pass",
    "logging": "import rudder_logging",
    "rudder": "import rudderstack.analytics",
    "parts": "import logging, orjson, pythonjsonlogger.orjson",
}
"""By the name that results use; `parts` is what ours needs in any case."""


def cost_of_imports(times: int, folder: str) -> dict[str, dict[str, float]]:
    """Milliseconds by program: of each the fastest of several, which took turns."""
    # An installed package has its bytecode beside it; so is a checkout's to be written and used.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(times):
        for name, program in PROGRAMS.items():
            began = perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, cwd=folder, env=environment)
            seconds[name].append(perf_counter() - began)
    best = {name: min(found) * 1000 for name, found in seconds.items()}
    nothing = best.pop("nothing")
    return {name: {"import_ms": found - nothing} for name, found in best.items()}
