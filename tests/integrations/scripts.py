"""Runs an example as a process of its own, to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY

__all__ = ["run_example"]

ROOT = Path(__file__).parent.parent.parent
_PATIENCE = 120.0


def run_example(plane: LocalDataPlane, path: str) -> subprocess.CompletedProcess[str]:
    """Run it with the data plane's settings in its environment; it has to end well."""
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
    }
    done = subprocess.run(
        [sys.executable, path],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rudder_logging" not in done.stderr  # nothing is told
    return done
