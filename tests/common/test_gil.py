"""The import says so where Python runs without its lock."""

from __future__ import annotations

import subprocess
import sys

import pytest

WARNS = "-W", "error::RuntimeWarning"


def import_with(lock: str) -> subprocess.CompletedProcess[str]:
    """Import the package where `sys` says this of the lock."""
    code = f"import sys\n{lock}\nimport rudder_logging\nprint(rudder_logging.__version__)"
    return subprocess.run(
        [sys.executable, *WARNS, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_import_warns_without_the_lock() -> None:
    """With the cure; the warning shows the line that imports."""
    off = "sys._is_gil_enabled = lambda: False"
    done = import_with(off)
    assert done.returncode == 1
    assert "RuntimeWarning: rudder_logging was not tried without" in done.stderr
    assert "start Python with -X gil=1, or without PYTHON_GIL=0" in done.stderr
    done = import_with(f"{off}\nimport warnings; warnings.simplefilter('always')")
    assert (done.returncode, done.stderr.count("RuntimeWarning")) == (0, 1)
    assert done.stderr.startswith("<string>:4: RuntimeWarning")


@pytest.mark.slow
@pytest.mark.parametrize(
    "lock",
    ["sys._is_gil_enabled = lambda: True", "vars(sys).pop('_is_gil_enabled', None)"],
    ids=["on", "before Python 3.13"],
)
def test_import_is_silent_with_the_lock(lock: str) -> None:
    """As usual, and on a free-threaded build in which orjson's import has turned it on."""
    done = import_with(lock)
    assert (done.returncode, done.stderr) == (0, "")
