"""The fault matrix: each scenario accounts for every event."""

from __future__ import annotations

from pathlib import Path

import pytest

from .table import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_event_is_accounted_for(scenario: Scenario, tmp_path: Path) -> None:
    """What was accepted is delivered, or dropped for the reason that the table gives."""
    scenario.play(tmp_path)
