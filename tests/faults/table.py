"""The table that the scenarios make."""

from __future__ import annotations

from collections.abc import Iterable

from .account import Account
from .scenarios import SCENARIOS

__all__ = ["markdown", "row", "rows"]


def row(name: str, account: Account, duplicates: str) -> tuple[str, ...]:
    """The cells of one line of the table."""
    dropped = ", ".join(
        [
            *(f"{len(found):,} `{reason}`" for reason, found in account.dropped.items()),
            *([f"{len(account.vanished):,}, uncounted"] if account.vanished else []),
        ]
    )
    counts = (f"{len(numbers):,}" for numbers in (account.accepted, account.delivered))
    return (name, *counts, duplicates, dropped or "0")


def rows(cells: Iterable[tuple[str, ...]]) -> str:
    """The table, in Markdown, with columns that stand one below the other."""
    lines = [("what happens", "accepted", "delivered", "duplicates", "dropped"), *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    is_number = (False, True, True, True, False)

    def line(cells: tuple[str, ...]) -> str:
        shown = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number, strict=True)
        )
        return f"| {' | '.join(shown)} |"

    rule = "|".join(
        "-" * (width + 1) + (":" if right else "-")
        for width, right in zip(widths, is_number, strict=True)
    )
    return "\n".join([line(lines[0]), f"|{rule}|", *map(line, lines[1:])])


def markdown() -> str:
    """What is expected, as the guide shows it."""
    return rows(row(one.name, one.expected, _shown(one.duplicates)) for one in SCENARIOS)


def _shown(numbers: range) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
