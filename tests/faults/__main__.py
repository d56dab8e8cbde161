"""Run the fault matrix and print its table: `python -m tests.faults [part of a name ...]`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar

from .relays.rows import ROWS, Row
from .relays.rows import rows as relay_rows
from .scenario import Scenario
from .scenarios import SCENARIOS
from .table import row, rows

__all__ = ["main"]


_T = TypeVar("_T")


def _tried(
    one: Scenario | Row, words: list[str], play: Callable[[Path], _T]
) -> tuple[_T | None, bool]:
    """What came of it, if it was to be tried; and whether that was not as expected."""
    if words and not any(word.lower() in one.name.lower() for word in words):
        return None, False
    if one.obstacle is not None:
        sys.stderr.write(f"   --    {one.name}: needs {one.obstacle}\n")
        return None, False
    began, found = monotonic(), None
    with tempfile.TemporaryDirectory() as directory:
        try:
            found = play(Path(directory))
        except AssertionError as error:
            sys.stderr.write(f"{error}\n")
    verdict = "ok" if found else "FAILED"
    sys.stderr.write(f"{monotonic() - began:5.1f} s  {one.name}: {verdict}\n")
    return found, found is None


def main(words: list[str]) -> int:
    """Run the scenarios whose names have one of the words in them, all of them without any.

    Returns:
        0 if each came out as expected, 1 otherwise.
    """
    table, relays, failed = [], [], 0
    for scenario in SCENARIOS:
        account, has_failed = _tried(scenario, words, scenario.play)
        failed += has_failed
        if account:
            table.append(row(scenario.name, account, str(account.duplicates)))
    for one in ROWS:
        found, has_failed = _tried(one, words, one.play)
        failed += has_failed
        if found:
            relays.append(one.shown(*found))
    for lines in (rows(table) if table else "", relay_rows(relays) if relays else ""):
        sys.stdout.write(f"{lines}\n" if lines else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
