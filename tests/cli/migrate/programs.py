"""The cases: each has a program as it is `before`, as it is `after`, and the remarks on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rudder_logging.cli import main

__all__ = ["CASES", "Case"]

_FOLDER = Path(__file__).parent / "cases"
_OLD_NAMES = """
import runpy, sys, segment.analytics, segment.analytics.client
sys.modules["analytics"] = segment.analytics
sys.modules["analytics.client"] = segment.analytics.client
sys.path.insert(0, ".")
runpy.run_path("main.py", run_name="__main__")
"""
"""Segment's SDK under its old name: the package that had it can't be installed beside others."""


class Case:
    """One program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before, self.after = folder / "before", folder / "after"
        remarks = folder / "remarks.txt"
        self.remarks = remarks.read_text() if remarks.exists() else ""

    def copy(self, to: Path, which: str = "before") -> Path:
        """The program, where it may be changed."""
        shutil.copytree(self.folder / which, to)
        return to

    def run(self, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the program in a process of its own."""
        is_old = "import analytics\n" in (directory / "main.py").read_text("latin-1")
        words = ["-c", _OLD_NAMES] if is_old else ["main.py"]
        return subprocess.run(
            [sys.executable, *words],
            env={**os.environ, **environment},
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


CASES = {folder.name: Case(folder) for folder in sorted(_FOLDER.iterdir()) if folder.is_dir()}


def write_anew() -> None:
    """Make `after` and the remarks what the command makes today, to be looked at."""
    import contextlib
    import io

    for case in CASES.values():
        shutil.rmtree(case.after, ignore_errors=True)
        case.copy(case.after)
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            main(["migrate", str(case.after), "--write"])
        remarks = told.getvalue().replace(f"{case.after}{os.sep}", "")
        (case.folder / "remarks.txt").write_text(remarks)


if __name__ == "__main__":
    write_anew()
