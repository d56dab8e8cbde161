"""The command `rudder-logging` in a process of its own, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY

COMMAND = (sys.executable, "-X", "dev", "-W", "error", "-m", "rudder_logging")
SECONDS = 50


def environment(plane: LocalDataPlane | None = None, **more: str) -> dict[str, str]:
    """The process's environment: it leads to `plane`, if one is given."""
    leading = {}
    if plane is not None:
        leading = {"RUDDER_WRITE_KEY": WRITE_KEY, "RUDDER_DATA_PLANE_URL": plane.url}
    return {**os.environ, **leading, **more}


def run(
    *words: object, plane: LocalDataPlane | None = None, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env=environment(plane, **more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def start(
    *words: object,
    plane: LocalDataPlane | None = None,
    stdin: Any = subprocess.DEVNULL,
    **more: str,
) -> subprocess.Popen[str]:
    """Start it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        env=environment(plane, **more),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complaint(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line in which the command says why it ended with that code."""
    assert done.returncode == code, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: "), done.stderr
    assert "Traceback" not in done.stderr
    return lines[0].removeprefix("Error: ")


def ids(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of what arrived."""
    return [event["messageId"] for event in events]
