"""`rudder-logging relay` in processes of its own."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

from rudder_logging.dataplane import LocalDataPlane

from ..cli.command import COMMAND, environment
from .feeds import PATIENCE, until

ON_SHELF = (sys.executable, "-X", "dev", "-W", "error", "-m", "tests.relay.on_shelf", "relay")
"""Over sources in its own memory, which have as many messages as the URL says."""
ON_ENGINE = (*COMMAND, "relay")
ROOT = Path(__file__).parents[2]


class Relaying:
    """The command in a process, and what it wrote."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def stderr(self) -> str:
        """All so far."""
        return self._log.read_text()

    def says(self, words: str) -> None:
        """Wait for words on stderr."""
        until(lambda: words in self.stderr, f"no {words!r}")

    def end(self, number: int = signal.SIGTERM) -> tuple[str, int]:
        """Send a signal, and wait for its end: the results that it printed, and the exit code."""
        self.process.send_signal(number)
        return self.result()

    def result(self) -> tuple[str, int]:
        """Wait for its end: the results that it printed, and the exit code."""
        stdout, _ = self.process.communicate(timeout=PATIENCE)
        return stdout, self.process.returncode

    def get(self, path: str) -> requests.Response:
        """Ask it over HTTP, where `--metrics` has it answer."""
        self.says("Answering")
        found = re.search(r"Answering (\S+)/metrics", self.stderr)
        assert found
        return requests.get(f"{found[1]}{path}", timeout=60)

    def sources(self, path: str = "/healthz") -> dict[str, Any]:
        """Its own account of its sources, by name."""
        sources: dict[str, Any] = self.get(path).json()["sources"]
        return sources


@contextlib.contextmanager
def relaying(
    plane: LocalDataPlane | None,
    log: Path,
    *words: object,
    command: Sequence[str] = ON_ENGINE,
    **more: str,
) -> Iterator[Relaying]:
    """The relay in a process of its own, with its stderr in a file."""
    flags = [] if plane is None else ["--data-plane-url", plane.url]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*command, *map(str, words), *flags],
            cwd=ROOT,
            env=environment(None, **more),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            yield Relaying(process, log)
        finally:
            process.kill()
