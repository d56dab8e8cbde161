"""The processes of a measure: an engine, the gateway's sink, relays and producers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rudder_logging.relay.source import Lag, Source, open_source

from ..runner import ROOT, Server, environment
from .engines import Engine

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SOURCE", "Relay", "Stage", "cpu_seconds", "wait_until"]

SOURCE = "shop"
_PATIENCE = 300.0
_BETWEEN_LOOKS = 0.05
_MANY = 1_000_000
_BOUNDED = {"max_queue_size": 200_000, "overflow": "block", "block_timeout": _PATIENCE}
"""A producer that waits for its queue needs no memory for millions of events."""


def _app(do: str, **job: Any) -> dict[str, float]:
    """Have a process log events; what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.relays.producer", json.dumps({"do": do, **job})],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


class _Nobody:
    """Hears what a source does, and has nothing to say."""

    def leases_changed(self, gained: int, lost: int) -> None:
        """See `Observer`."""

    def idles(self, is_idle: bool) -> None:
        """See `Observer`."""

    def dropped(self, number: int, reason: str) -> None:
        """See `Observer`."""

    def failing(self, failure: object) -> None:
        """See `Observer`."""

    def well(self) -> None:
        """See `Observer`."""


def cpu_seconds(pid: int) -> float:
    """What the threads that a process has now have used so far, to the nanosecond."""
    times = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(time.read_text().split()[0]) for time in times) / 1e9


def wait_until(happened: Callable[[], object], what: str, every: float = _BETWEEN_LOOKS) -> None:
    """Wait for a condition, at which it looks every so many seconds.

    Raises:
        RuntimeError: It did not come.
    """
    deadline = monotonic() + _PATIENCE
    while not happened():
        if monotonic() > deadline:
            raise RuntimeError(f"waited {_PATIENCE:g} s for {what}")
        sleep(every)


@dataclass(frozen=True)
class Relay:
    """The command, in a process of its own."""

    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        return cpu_seconds(self.process.pid)

    def peak_bytes(self) -> int:
        """The most memory that it has had so far."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        self.process.send_signal(number)


class Stage:
    """Where a measure takes place. The block in which it is entered ends all relays.

    Args:
        engine: Empty.
        sink: It takes what the gateway would.
        folder: An empty directory.
        query: What the engine's URL has behind its `?`.
    """

    def __init__(self, engine: Engine, sink: Server, folder: Path, query: str = "") -> None:
        self.engine = engine
        self.sink = sink
        self._folder = folder
        self.url = f"{engine.url}?{query}" if query else engine.url
        self.events = 0
        """That were logged, numbered from 0 on."""
        self._source: Source = open_source(self.url, SOURCE, _Nobody())
        self._relays: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for relay in self._relays:
            relay.kill()
            relay.wait()
        self._source.close()

    # Producers.

    def options(self) -> dict[str, Any]:
        """A handler's, for the relay."""
        return {"relay": self.url, "source": SOURCE}

    def app(self, do: str, **job: Any) -> dict[str, float]:
        """Have a producer do something; what it found."""
        found = _app(do, **{"first": self.events, "options": self.options(), **job})
        self.events += int(found["events"])
        return found

    def produce(self, count: int, upload: int = 0) -> dict[str, float]:
        """Put so many events into the engine, by a process of its own."""
        return self.app("produce", count=count, upload=upload)

    def fill(self, count: int) -> None:
        """Put so many events into the engine, with as many processes as there are cores."""
        apps = 2 if count >= _MANY else 1
        share = count // apps
        options = {**self.options(), **_BOUNDED}
        with ThreadPoolExecutor(apps) as threads:
            firsts = range(self.events, self.events + count, share)
            jobs = [
                threads.submit(_app, "produce", first=first, count=share, upload=0, options=options)
                for first in firsts
            ]
            for job in jobs:
                job.result()
        self.events += count

    # The engine and the relays.

    def lag(self) -> Lag:
        """What the engine holds."""
        return self._source.lag()

    def wait_until_empty(self, seconds: float = _PATIENCE) -> bool:
        """Wait until the relays have delivered everything; False: they have not, in that time."""
        deadline = monotonic() + seconds
        while self.lag().events:
            if monotonic() > deadline:
                return False
            sleep(_BETWEEN_LOOKS)
        return True

    @contextmanager
    def relay(self, *flags: str) -> Iterator[Relay]:
        """Have a relay as long as the block lasts; it stops as a service's does."""
        key = self._folder / "write-key"
        key.write_text("benchmark\n")
        key.chmod(0o600)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rudder_logging", "relay", self.url),
                *("--source", f"{SOURCE}={key}"),
                *("--data-plane-url", f"http://127.0.0.1:{self.sink.port}"),
                *flags,
            ],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._relays.append(process)
        yield Relay(process)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(_PATIENCE)

    def receipt(self, *, losses: bool = True, doubles: bool = True) -> Sequence[str]:
        """What is wrong with what arrived at the sink.

        Args:
            losses: An event that did not arrive is lost.
            doubles: One that arrived twice is wrong.
        """
        found = self.sink.control.ask("receipt", expected=self.events)
        wrong = {"that nobody has sent": found["strangers"]}
        wrong |= {"lost": found["missing"]} if losses else {}
        wrong |= {"once more": found["doubled"]} if doubles else {}
        return [
            f"{number:,} of {self.events:,} events: {what}"
            for what, number in wrong.items()
            if number
        ]
