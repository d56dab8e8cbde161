"""Output of the doctor's findings: a table, lines, or JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from ...common.printable import printable
from .findings import Finding, Severity, any_stops
from .passage import Passage
from .tree import named

__all__ = ["as_document", "show"]

_STYLES = {Severity.STOPS: "bold red", Severity.WARNING: "yellow", Severity.WELL: "green"}
_ORDER = list(_STYLES)


def as_document(passages: Sequence[Passage], findings: Sequence[Finding]) -> dict[str, Any]:
    """The object that `--json` shows: `ok`, `loggers`, `findings`."""
    return {
        "ok": not any_stops(findings),
        "loggers": [
            {
                "logger": passage.logger.name,
                "by_call": passage.by_call,
                "leaves": passage.leaves,
                "by": [str(reach) for reach in passage.leaves_by],
            }
            for passage in passages
        ],
        "findings": [
            {**asdict(finding), "severity": finding.severity.value, "cure": finding.cure or None}
            for finding in findings
        ],
    }


def show(passages: Sequence[Passage], findings: Sequence[Finding]) -> None:
    """Print them: as a table on a terminal, else one line each, without colour."""
    ordered = sorted(findings, key=lambda finding: _ORDER.index(finding.severity))
    if sys.stdout.isatty():
        _show_table(passages, ordered)
        return
    for passage in passages:
        click.echo(printable(_verdict(passage)))
    for finding in ordered:
        cure = f" Cure: {finding.cure}." if finding.cure else ""
        where = f"{finding.severity.value:<8} {finding.area:<8} {finding.subject}"
        click.echo(printable(f"{where}: {finding.text}.{cure}"))
    click.echo(_summary(findings))


def _verdict(passage: Passage) -> str:
    what = f"An event logged to {named(passage.logger)} at INFO"
    if passage.by_call:
        what = "An event by a call of the package, like track()"
    if not passage.leaves:
        return f"{what}: does NOT leave."
    by = " and ".join(map(str, passage.leaves_by)) or "a handler that is made of the settings"
    return f"{what}: leaves, by {by}."


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    stops, warnings = counts[Severity.STOPS], counts[Severity.WARNING]
    what = f"{stops} finding{'s stop' if stops > 1 else ' stops'}" if stops else "nothing stops"
    return f"{what} events, {warnings or 'no'} warning{'' if warnings == 1 else 's'}."


def _show_table(passages: Sequence[Passage], ordered: Sequence[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - costly
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for passage in passages:
        style = "green" if passage.leaves else "bold red"
        console.print(Text(printable(_verdict(passage)), style))
    table = Table(show_lines=True)
    for column in ("", "finding", "cure"):
        table.add_column(column, overflow="fold")
    for finding in ordered:
        mark = Text(finding.severity.value, _STYLES[finding.severity])
        where = (printable(f"{finding.area}, {finding.subject}:"), "dim")
        what = Text.assemble(where, "\n", printable(finding.text))
        table.add_row(mark, what, Text(printable(finding.cure)))
    console.print(table)
    console.print(Text(_summary(ordered)))
