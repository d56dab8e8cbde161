"""The relay in the fault matrix: each row accounts for every event by its id."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .rows import ROWS, Row

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes as POSIX has them"),
]

_CASES = [
    pytest.param(row, version, id=f"{row.name} ({version})")
    for row in ROWS
    for version in row.versions
]


@pytest.mark.parametrize(("row", "version"), _CASES)
def test_every_event_is_accounted_for(row: Row, version: str, tmp_path: Path) -> None:
    """What is owed arrives in each user's order, and twice only for a reason that is known."""
    if row.obstacle is not None:
        pytest.skip(f"it needs {row.obstacle}, which is not to be had here")
    row.play(tmp_path, version)


def test_names_differ() -> None:
    """Each row of the table says something of its own."""
    assert len({row.name for row in ROWS}) == len(ROWS)
