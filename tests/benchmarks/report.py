"""A run of the benchmark as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .results import Results
from .runner import Run

__all__ = ["CHART", "RESULTS", "Report"]

RESULTS = Path(__file__).parent / "results.json"
"""The one that the guide shows."""

CHART = Path(__file__).parents[2] / "rudder_logging" / "guides" / "benchmarks.svg"
"""Its picture, in the README and in the guide."""


@dataclass(frozen=True)
class Report:
    """Everything that is known about a run of the benchmark."""

    made: str
    """The day."""
    quick: bool
    seconds: int
    """That it took."""
    machine: dict[str, str]
    results: Results
    notes: str = (
        "segment-analytics-python and posthog send one batch of 100 a round trip, so their rates "
        "at 50 and 200 ms do not depend on the number of events: they are given fewer; "
        "in a quick run, so is the official SDK"
    )

    def write(self, path: Path) -> None:
        """Write it as JSON, one line a run."""
        head = {
            "made": self.made,
            "quick": self.quick,
            "seconds": self.seconds,
            "machine": self.machine,
            "message_bytes": self.results.message_bytes,
            "notes": self.notes,
        }
        lines = [f"{json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
        runs = ",\n".join(json.dumps(asdict(run)) for run in self.results.runs)
        path.write_text("\n".join(["{", *lines, '"runs": [', runs, "]", "}"]) + "\n")

    @classmethod
    def read(cls, path: Path) -> Report:
        """One that was written."""
        found = json.loads(path.read_text())
        return cls(
            found["made"],
            found["quick"],
            found["seconds"],
            found["machine"],
            Results([Run(**run) for run in found["runs"]], found["message_bytes"]),
            found["notes"],
        )
