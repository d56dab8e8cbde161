"""Where a scenario takes place: a data plane of its own, and processes that end with it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rudder_logging.dataplane import LocalDataPlane

from .account import JOURNAL, Account, Line, read_journal, take_account

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PATIENCE", "PRELUDE", "Process", "Stage", "wait_until"]

PATIENCE = 120.0
"""Seconds after which something that has not happened won't: far more than it takes."""

ROOT = Path(__file__).parent.parent.parent

PRELUDE = """
import logging, os, signal, sys, threading, time
from tests.faults.child import log, note, on_drop, until, wire
handler = wire()
"""
"""What scripts begin with, unless a scenario says otherwise."""

_WRITE_KEY = "faults-write-key"


def wait_until(happened: Callable[[], object], what: str) -> None:
    """Wait for a condition; AssertionError names what did not happen."""
    deadline = monotonic() + PATIENCE
    while not happened():
        assert monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        sleep(0.01)


class Process:
    """A process in a group of its own, whose output goes to files."""

    def __init__(self, command: list[str], environment: dict[str, str], directory: Path) -> None:
        self._files = [directory / f"{len(list(directory.iterdir()))}.{kind}" for kind in "oe"]
        out, err = self._files
        with out.open("wb") as stdout, err.open("wb") as stderr:
            self._popen = subprocess.Popen(
                command,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.id = self._popen.pid

    @property
    def stderr(self) -> str:
        """What it, and its children, have written so far."""
        return self._files[1].read_text()

    @property
    def output(self) -> str:
        """All that it has written, for an assertion's message."""
        return "\n".join(file.read_text() for file in self._files)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; not to its children."""
        self._popen.send_signal(number)

    def wait(self, *codes: int | None) -> float:
        """Wait for its end; return the monotonic time of that.

        Args:
            *codes: What it may return, 0 by default; None: anything.
        """
        returned = self._popen.wait(PATIENCE)
        ended = monotonic()
        if None not in codes:
            assert returned in (codes or (0,)), f"the process returned {returned}, not {codes}"
        return ended

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped since this was asked last."""
        process, status = os.waitpid(self.id, os.WUNTRACED | os.WNOHANG)
        return process == self.id and os.WIFSTOPPED(status)

    def kill(self) -> None:
        """End it and all its children, whatever they are doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.id, signal.SIGKILL)
        self._popen.wait()


class Stage:
    """A data plane, a directory, and processes that are killed at its end.

    Args:
        directory: An empty one.
        durable: Whether the handlers in the processes keep events in a spool, in memory otherwise.
    """

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.directory = directory
        self.plane = LocalDataPlane(_WRITE_KEY)
        self._durable = durable
        self._queue = f"file://{directory / 'spool'}" if durable else "memory://"
        self._processes: list[Process] = []
        self._earlier: list[LocalDataPlane] = []
        self._journal = directory / "journal"

    def __enter__(self) -> Self:
        self.plane.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
        self.plane.stop()

    def replace_plane(self, **arguments: Any) -> None:
        """Have another data plane listen where the one before it did."""
        self.plane.stop()
        self._earlier.append(self.plane)
        self.plane = LocalDataPlane(_WRITE_KEY, self.plane.port, **arguments)
        self.plane.start()

    # Its processes.

    def environment(self, **options: Any) -> dict[str, str]:
        """What a process starts with; the options are the handlers'."""
        given = {
            "write_key": _WRITE_KEY,
            "data_plane_url": self.plane.url,
            "queue": self._queue,
            **options,
        }
        foreign = re.compile(r"RUDDER_|COVERAGE_|PYTHON(WARNINGS|DEVMODE)|.*_proxy$", re.IGNORECASE)
        return {
            **{name: value for name, value in os.environ.items() if not foreign.match(name)},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            JOURNAL: str(self._journal),
            **{f"RUDDER_{name.upper()}": str(value) for name, value in given.items()},
        }

    def start(self, *command: str, **options: Any) -> Process:
        """Start `python` with these arguments."""
        return self.start_program(sys.executable, *command, **options)

    def start_program(self, *command: str, **options: Any) -> Process:
        """Start a program."""
        process = Process([*command], self.environment(**options), self.directory)
        self._processes.append(process)
        return process

    def start_gate(self, *arguments: str) -> int:
        """Start what stands before a data plane, see `gate.py`; returns its port."""
        self.start("-m", "tests.faults.gate", *arguments)
        (line,) = self.wait_for_note("gate")
        return int(line.details[0])

    def start_script(
        self, script: str, prelude: str = PRELUDE, strict: bool = True, **options: Any
    ) -> Process:
        """Start a script.

        Args:
            script: Its text; indentation is taken off.
            prelude: Its first lines.
            strict: Make each warning an error, in Python's development mode.
            **options: The handlers'.
        """
        path = self.write(f"script{len(self._processes)}.py", prelude + textwrap.dedent(script))
        flags = ["-X", "dev", "-W", "error"] if strict else []
        return self.start(*flags, str(path), **options)

    def run(
        self,
        script: str,
        prelude: str = PRELUDE,
        *,
        code: int | None = 0,
        says: str = "",
        strict: bool = True,
        **options: Any,
    ) -> float:
        """Run a script to its end; return the monotonic time of that.

        Args:
            script: See `start_script`; so are the others.
            prelude: Its first lines.
            code: What it has to return.
            says: A pattern for all that it writes to stderr.
            strict: Make each warning an error.
            **options: The handlers'.
        """
        process = self.start_script(script, prelude, strict, **options)
        ended = process.wait(code)
        assert re.fullmatch(says, process.stderr, re.DOTALL), f"stderr is not {says!r}"
        return ended

    def go(self) -> None:
        """Let a script go on that waits `until("go")`."""
        self.write("go", "")

    def write(self, name: str, text: str) -> Path:
        """Write a file into the directory, in which the processes run."""
        path = self.directory / name
        path.write_text(textwrap.dedent(text))
        return path

    # What they noted, and what arrived.

    def noted(self, kind: str) -> list[Line]:
        """The lines of one kind that processes have noted so far."""
        return [line for line in read_journal(self._journal) if line.kind == kind]

    def wait_for_note(self, kind: str, count: int = 1) -> list[Line]:
        """Wait for so many lines of one kind."""
        wait_until(lambda: len(self.noted(kind)) >= count, f"{count} notes of {kind!r}")
        return self.noted(kind)

    def account(self) -> Account:
        """What was accepted, and what became of it."""
        planes = [*self._earlier, self.plane]
        events = [event for plane in planes for event in plane.events]
        problems = [problem for plane in planes for problem in plane.problems]
        journal = read_journal(self._journal)
        return take_account(journal, events, problems, durable=self._durable)

    def output(self) -> str:
        """All that the processes have written, for an assertion's message."""
        return "\n".join(
            f"--- process {process.id}\n{process.output}" for process in self._processes
        )
