"""What the soak's processes said, put together and judged."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Accounts", "Sample", "flatness", "points", "read", "sample"]

_WARM_UP = 0.1
_MEMORY_FACTOR, _MEMORY_SLACK = 1.1, 8 * 1024 * 1024
_DESCRIPTOR_SLACK = 5


@dataclass(frozen=True)
class Sample:
    """The process under test at one moment."""

    at: float
    """As a share of the run."""
    rss: int
    """Bytes."""
    descriptors: int


def sample(pid: int, at: float) -> Sample:
    """A process now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    return Sample(at, pages * os.sysconf("SC_PAGE_SIZE"), descriptors)


@dataclass
class Accounts:
    """Every event, over all processes."""

    processes: int = 0
    logged: int = 0
    delivered: int = 0
    lost: list[str] = field(default_factory=list)
    duplicates: int = 0
    needless_duplicates: list[str] = field(default_factory=list)
    """Sent again although an answer had come."""
    dropped: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    """Whatever else is not as it should be."""


def _lines(folder: Path, name: str) -> list[tuple[str, str]]:
    """Process and line of what the app's processes noted under a name."""
    return [
        (path.name.rpartition("-")[2], line)
        for path in sorted(folder.glob(f"{name}-*"))
        for line in path.read_text().splitlines()
    ]


def read(folder: Path) -> Accounts:
    """Hold against each other what was logged, dropped, counted and stored."""
    accounts = Accounts()
    arrived = json.loads((folder / "plane.json").read_text())
    stored = {writer: bytes.fromhex(text) for writer, text in arrived["stored"].items()}
    answered = {writer: bytes.fromhex(text) for writer, text in arrived["answered"].items()}
    dropped = {event_id for _, line in _lines(folder, "drops") for event_id in [line.split()[0]]}
    logged_by: Counter[str] = Counter()
    drops_by: dict[str, Counter[str]] = {}
    for process, line in _lines(folder, "drops"):
        drops_by.setdefault(process, Counter())[line.partition(" ")[2]] += 1
    for process, line in _lines(folder, "logged"):
        writer, count = line.split()
        logged_by[process] += int(count)
        times, said = stored.pop(writer, b""), answered.get(writer, b"")
        for number in range(int(count)):
            event_id = f"{writer}/{number}"
            came = times[number] if number < len(times) else 0
            accounts.duplicates += max(came - 1, 0)
            if came:
                accounts.delivered += 1
                if said[number] > 1:
                    accounts.needless_duplicates.append(event_id)
            elif event_id not in dropped:
                accounts.lost.append(event_id)
        if any(times[int(count) :]):
            accounts.complaints.append(f"{writer}: events arrived that were not logged")
    accounts.complaints += [f"{writer} arrived and is unknown" for writer in stored]
    accounts.complaints += [line for _, line in _lines(folder, "failed")]
    accounts.logged = logged_by.total()
    for process, line in _lines(folder, "stats"):
        accounts.processes += 1
        _compare(accounts, process, json.loads(line), logged_by[process], drops_by.get(process))
    for drops in drops_by.values():
        accounts.dropped += drops
    return accounts


def _compare(
    accounts: Accounts,
    process: str,
    stats: dict[str, Any],
    logged: int,
    drops: Counter[str] | None,
) -> None:
    """A process's ledger against what it was given and what `on_drop` was told."""
    told = drops or Counter()
    refused = sum(count for reason, count in told.items() if reason.startswith("refused:"))
    expected = {
        "balanced": True,
        "settled": True,
        "pending": 0,
        "accepted": logged,
        "refused": refused,
        "delivered": logged - told.total(),
        "invalid": 0,
        "callback_errors": 0,
        "listener_restarts": 0,
    }
    for name, value in expected.items():
        if stats[name] != value:
            accounts.complaints.append(
                f"process {process}: {name} is {stats[name]}, and should be {value}"
            )
    if sum(stats["dropped"].values()) != told.total() - refused:
        accounts.complaints.append(f"process {process}: on_drop was not told of every drop")


def _around(samples: list[Sample], share: float) -> tuple[str, str]:
    """Memory and descriptors there: the median of a tenth of the run."""
    near = [s for s in samples if abs(s.at - share) <= 0.05]
    if not near:
        return "-", "-"
    memory = median(s.rss for s in near) / 2**20
    return f"{memory:.1f} MiB", f"{median(s.descriptors for s in near):g}"


def points(samples: list[Sample]) -> list[tuple[str, str]]:
    """Memory and descriptors at the begin, in the middle, and at the end, for a table."""
    at = {f"{share:.0%}": _around(samples, share) for share in (0.1, 0.5, 1.0)}
    return [
        *((f"memory at {share}", memory) for share, (memory, _) in at.items()),
        *((f"descriptors at {share}", held) for share, (_, held) in at.items()),
    ]


def flatness(samples: list[Sample]) -> list[str]:
    """What grew over the run that should not have: last quarter against the first one."""
    first = [s for s in samples if _WARM_UP <= s.at < _WARM_UP + 0.25]
    last = [s for s in samples if s.at >= 0.75]
    if not first or not last:
        return ["the run was too short to tell whether memory is flat"]
    grown = []
    before, after = median(s.rss for s in first), median(s.rss for s in last)
    if after > before * _MEMORY_FACTOR + _MEMORY_SLACK:
        grown.append(f"memory grew from {before / 2**20:.1f} to {after / 2**20:.1f} MiB")
    fds_before = median(s.descriptors for s in first)
    fds_after = median(s.descriptors for s in last)
    if abs(fds_after - fds_before) > _DESCRIPTOR_SLACK:
        grown.append(f"open descriptors went from {fds_before:g} to {fds_after:g}")
    return grown
