"""Modules that `codegen` writes, as tests use them."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

from rudder_logging.checks.plan import TrackingPlan
from rudder_logging.cli.codegen.module import Written, write

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "typed_events"


def written(plan: Any, logger: str = "rudder") -> Written:
    """What becomes of a plan."""
    return write(TrackingPlan(plan, "plan.json"), logger)


def loaded(plan: Any, logger: str = "rudder") -> ModuleType:
    """The module, as an app imports it."""
    text = written(plan, logger).text
    name = f"typed_events_{zlib.crc32(text.encode('utf-8', 'surrogatepass'))}"
    module = ModuleType(name)
    sys.modules[name] = module  # TypedDict looks for it
    exec(compile(text, f"{name}.py", "exec"), vars(module))
    return module


def functions(module: ModuleType) -> dict[str, Any]:
    """The functions of its events, by name."""
    return {
        name: one
        for name, one in vars(module).items()
        if "logger" in (getattr(one, "__kwdefaults__", None) or ())
    }


def event(name: str, properties: dict[str, Any], **schema: Any) -> dict[str, Any]:
    """An entry of a plan: a track event."""
    return {"name": name, "schema": {"properties": properties, **schema}}


def tool(name: str, *words: str, cwd: Path) -> str:
    """Run a checker; return what it printed, or an empty text if it is content."""
    done = subprocess.run(
        [sys.executable, "-m", name, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
