"""The relay's soak: apps, relays and a Redis, to which bad things happen without end."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path
from time import monotonic

from ..engines import redis_programs
from ..faults.relays.mix import Mix
from ..faults.relays.stage import RelayStage
from .accounts import Sample, flatness, points, sample

__all__ = ["main"]

_SECONDS_BETWEEN_LINES = 10.0


def _watch(
    stage: RelayStage, chaos: Mix, seconds: float, over: threading.Event, samples: list[Sample]
) -> None:
    """Take samples of the relay that is spared, and say how things stand."""
    begun = told = monotonic()
    pid = chaos.spared[0].process.id
    while not over.wait(1) and (now := monotonic()) < begun + seconds:
        samples.append(sample(pid, (now - begun) / seconds))
        if now >= told + _SECONDS_BETWEEN_LINES:
            told += _SECONDS_BETWEEN_LINES
            latest = samples[-1]
            print(
                f"{now - begun:6.0f} s: {stage.arrivals.count()} arrived; "
                f"{latest.rss / 2**20:.1f} MiB, {latest.descriptors} descriptors; "
                f"happens: {chaos.doing}",
                file=sys.stderr,
            )


def main(seconds: float, seed: int) -> int:
    """Run, and return the exit code."""
    samples: list[Sample] = []
    print(f"seed {seed}", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        RelayStage(Path(folder), max(redis_programs())) as stage,
    ):
        chaos, over = Mix(stage, seed, calm=8.0, spared=1), threading.Event()
        chaos.begin()
        watch = threading.Thread(target=_watch, args=(stage, chaos, seconds, over, samples))
        watch.start()
        try:
            chaos.go_on(seconds)
        finally:
            over.set()
            watch.join()
        chaos.end()
        stage.end_relays()
        account = stage.take()
        wrong = [*account.wrong, *stage.complaints(), *flatness(samples)]
        if wrong:
            wrong.append(stage.output())
    rows = [
        ("apps", len(stage.producers)),
        ("relays", len(stage.relays)),
        ("events logged", account.accepted),
        ("acknowledged by the engine", account.acknowledged),
        ("delivered", account.delivered),
        ("lost", account.lost),
        ("duplicates, explained", account.duplicates),
        *points(samples),
    ]
    print("\n".join(f"{name:32}{value!s:>12}" for name, value in rows))
    print("\n".join(wrong) if wrong else "all is well")
    return 1 if wrong else 0
