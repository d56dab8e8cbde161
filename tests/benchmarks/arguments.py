"""What can be said to every benchmark's command."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["parser"]


def parser(prog: str, description: str, *, quick: str, names: str) -> argparse.ArgumentParser:
    """Make a parser of what all of them take.

    Args:
        prog: The command.
        description: Of what it measures.
        quick: The time that a quick run takes, in words.
        names: Beginnings of names that `--only` knows.
    """
    made = argparse.ArgumentParser(prog=prog, description=description)
    made.add_argument("--quick", action="store_true", help=f"an impression {quick}")
    made.add_argument("--rounds", type=int, metavar="N", help="at most so many rounds of anything")
    made.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help=f"only what begins so: {names}"
    )
    made.add_argument("--json", type=Path, metavar="PATH", help="write the results there")
    made.add_argument(
        "--show", type=Path, metavar="PATH", help="measure nothing: show the results written there"
    )
    return made
