"""Medians of the runs, and ratios within their rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .runner import Run

__all__ = ["Results", "Spread"]


@dataclass(frozen=True)
class Spread:
    """One figure, over all rounds."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread | None:
        """That of these; None if there are none."""
        return cls(median(figures), min(figures), max(figures)) if figures else None


@dataclass(frozen=True)
class Results:
    """All runs.

    Args:
        runs: In any order.
        message_bytes: What an event weighs as our message.
    """

    runs: Sequence[Run]
    message_bytes: int

    def figures(self, name: str, client: str, value: str) -> list[float]:
        """One of a task's values, by round."""
        runs = (run for run in self.runs if (run.name, run.client) == (name, client))
        return [run.values[value] for run in sorted(runs, key=lambda run: run.round)]

    def spread(self, name: str, client: str, value: str) -> Spread | None:
        """One of a task's values."""
        return Spread.of(self.figures(name, client, value))

    def ratios(self, name: str, client: str, against: str, value: str) -> list[float]:
        """One client's value in the other's of the same round.

        Where one of them ran fewer rounds than the other, its last one serves for the rest: what
        waits for the network takes long, and varies little.
        """
        return ratios(self.figures(name, client, value), self.figures(name, against, value))

    def growth(self, tasks: Sequence[str], client: str, value: str) -> list[float]:
        """How often the first task's value the largest is, by round."""
        by_task = [self.figures(name, client, value) for name in tasks]
        by_task = [figures for figures in by_task if figures]
        if len(by_task) < 2:  # nothing to compare
            return []
        rounds = range(max(map(len, by_task)))
        return [
            max(_at(figures, number) for figures in by_task) / _at(by_task[0], number)
            for number in rounds
        ]

    def bend(self, tasks: Sequence[tuple[str, int]], client: str, value: str) -> list[float]:
        """How often as much one more costs from the second size to the third, by round.

        As much as from the first to the second, that is: 1 is a straight line.

        Args:
            tasks: Three names, and the size that each of them is about.
            client: Whose.
            value: Which of its values.
        """
        (_, small), (_, middle), (_, large) = tasks
        found = [self.figures(name, client, value) for name, _size in tasks]
        return [
            (third - second) / (large - middle) / ((second - first) / (middle - small))
            for first, second, third in zip(*found, strict=False)
        ]


def ratios(figures: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round; the last figure of the shorter list serves for the rest of the longer."""
    if not figures or not others:
        return []
    rounds = range(max(len(figures), len(others)))
    return [_at(figures, number) / _at(others, number) for number in rounds]


def _at(figures: Sequence[float], number: int) -> float:
    return figures[min(number, len(figures) - 1)]
