"""`python -m tests.faults`: run the fault matrix, and print its table."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import monotonic

from .account import Account
from .table import SCENARIOS


def main() -> int:
    """Run all scenarios. Returns 1 if one of them went otherwise than expected."""
    accounts: dict[str, Account] = {}
    failed = 0
    for _number, scenario in enumerate(SCENARIOS, 1):
        began = monotonic()
        with tempfile.TemporaryDirectory() as directory:
            try:
                accounts[scenario.name] = scenario.play(Path(directory))
            except AssertionError:
                failed += 1
        monotonic() - began
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
