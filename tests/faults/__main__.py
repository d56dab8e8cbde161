"""Run the fault matrix and print its table: `python -m tests.faults [part of a name ...]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import monotonic

from .account import Account
from .scenario import Scenario
from .scenarios import SCENARIOS
from .table import row, rows

__all__ = ["main"]


def _play(scenario: Scenario) -> Account | None:
    with tempfile.TemporaryDirectory() as directory:
        try:
            return scenario.play(Path(directory))
        except AssertionError as error:
            sys.stderr.write(f"{error}\n")
            return None


def main(words: list[str]) -> int:
    """Run the scenarios whose names have one of the words in them, all of them without any.

    Returns:
        0 if each came out as expected, 1 otherwise.
    """
    table, failed = [], 0
    for scenario in SCENARIOS:
        if words and not any(word.lower() in scenario.name.lower() for word in words):
            continue
        if scenario.obstacle is not None:
            sys.stderr.write(f"   --    {scenario.name}: needs {scenario.obstacle}\n")
            continue
        began = monotonic()
        account = _play(scenario)
        verdict = "ok" if account else "FAILED"
        sys.stderr.write(f"{monotonic() - began:5.1f} s  {scenario.name}: {verdict}\n")
        failed += account is None
        if account:
            table.append(row(scenario.name, account, str(account.duplicates)))
    sys.stdout.write(f"{rows(table)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
