"""What the integrations' tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A data plane, and a directory for processes. Of a test that fails, pytest shows what they
    have written.
    """
    with Stage(tmp_path) as stage:
        try:
            yield stage
        finally:
            print(stage.output())  # noqa: T201
