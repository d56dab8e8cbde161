"""Run the soak: see `--help`."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

from . import relay
from .accounts import Accounts, Sample, flatness, points, read, sample
from .app import CHILDREN, THREADS

_ROOT = Path(__file__).parent.parent.parent
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_TO_END = 300.0
_SHOWN = 5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=f"""
            Log events for a long time, by {THREADS} threads and {CHILDREN} forked children at a
            time, to a data plane that fails at random; then account for each of them by its id.
            Ends with 0 only if none is lost, none came twice without a lost answer, order was
            kept, all ledgers agree, and memory and descriptors are flat. Linux only: it reads
            /proc.
            """,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to log (%(default)s)")
    parser.add_argument(
        "--queue",
        default="memory://",
        help="the handler's option `queue`: memory:// or file:///directory (%(default)s)",
    )
    parser.add_argument(
        "--relay",
        action="store_true",
        help="have apps log to a Redis and relays deliver, and kill, stop and cut off all of them",
    )
    parser.add_argument(
        "--seed", type=int, help="of the faults and of the load; by default another one each time"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the files in which the processes account"
    )
    return parser.parse_args()


class _Process:
    """One of ours, that answers a line with a line."""

    def __init__(self, module: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def read(self) -> str:
        """The next line that it says."""
        return self._pipe(self.process.stdout).readline().strip()

    def ask(self, line: str) -> dict[str, Any]:
        """Say a line, and return the answer."""
        stdin = self._pipe(self.process.stdin)
        stdin.write(line + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(self.read())
        return answer

    def end(self, timeout: float) -> int:
        """Let it end by itself, or kill it after so many seconds; its exit code."""
        self._pipe(self.process.stdin).close()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._pipe(self.process.stdout).close()


def _watch(app: _Process, plane: _Process, seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    begun = told = monotonic()
    while (now := monotonic()) < begun + seconds and app.process.poll() is None:
        samples.append(sample(app.process.pid, (now - begun) / seconds))
        if now >= told + _SECONDS_BETWEEN_LINES:
            told += _SECONDS_BETWEEN_LINES
            counts = plane.ask("progress")
            latest = samples[-1]
            print(
                f"{now - begun:6.0f} s: {counts['events']} stored, "
                f"{counts['duplicates']} twice, {counts['out_of_order']} out of order; "
                f"{latest.rss / 2**20:.1f} MiB, {latest.descriptors} descriptors; "
                f"the server does: {counts['doing']}",
                file=sys.stderr,
            )
        sleep(1)
    return samples


def _table(accounts: Accounts, samples: list[Sample]) -> str:
    rows = [
        ("processes", accounts.processes),
        ("events logged", accounts.logged),
        ("delivered", accounts.delivered),
        ("lost", len(accounts.lost)),
        ("duplicates after lost answers", accounts.duplicates),
        ("duplicates without need", len(accounts.needless_duplicates)),
        *((f"dropped: {reason}", count) for reason, count in sorted(accounts.dropped.items())),
        *points(samples),
    ]
    return "\n".join(f"{name:32}{value!s:>12}" for name, value in rows)


def main() -> int:
    """Run, and return the exit code."""
    arguments = _arguments()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    seconds = arguments.minutes * 60
    if arguments.relay:
        return relay.main(seconds, seed)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"seed {seed}, files in {folder}", file=sys.stderr)
    plane = _Process("tests.soak.plane", seed)
    app = _Process(
        "tests.soak.app", folder, plane.read(), arguments.queue, seed, min(60.0, seconds / 6)
    )
    samples = _watch(app, plane, seconds)
    plane.ask("heal")
    (folder / "stop").touch()
    code = app.end(_SECONDS_TO_END)
    counts = plane.ask(f"report {folder / 'plane.json'}")
    plane.end(_SECONDS_TO_END)
    accounts = read(folder)
    print(_table(accounts, samples))
    wrong = [
        *accounts.complaints,
        *flatness(samples),
        *(f"lost: {event_id}" for event_id in accounts.lost[:_SHOWN]),
        *(f"needlessly twice: {event_id}" for event_id in accounts.needless_duplicates[:_SHOWN]),
    ]
    if counts["out_of_order"]:
        wrong.append(f"{counts['out_of_order']} events came out of order")
    if counts["strangers"]:
        wrong.append(f"{counts['strangers']} events came with another id")
    if code:
        wrong.append(f"the app ended with {code}")
    print("\n".join(wrong) if wrong else "all is well")
    if not arguments.keep:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
