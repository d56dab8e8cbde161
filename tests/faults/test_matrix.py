"""The fault matrix: each scenario accounts for every event."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .scenario import Scenario
from .scenarios import SCENARIOS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes as POSIX has them"),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_event_is_accounted_for(scenario: Scenario, tmp_path: Path) -> None:
    """What was accepted is delivered, or dropped for the reason that the table gives."""
    if scenario.obstacle is not None:
        pytest.skip(f"it needs {scenario.obstacle}, which is not to be had here")
    scenario.play(tmp_path)


def test_names_differ() -> None:
    """Each row of the table says something of its own."""
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
