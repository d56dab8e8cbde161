"""What the integrations' tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rudder_logging.handler.commits import Uncommitted, register
from tests.faults.stage import Stage

from .web_servers import Server


@pytest.fixture
def fresh(server: Server) -> Server:
    """The server, whose data plane has nothing yet."""
    server.plane.clear()
    return server


@pytest.fixture
def waiting() -> Iterator[list[Uncommitted]]:
    """The events that wait for a commit of the database `replica`."""
    events: list[Uncommitted] = []
    take_back = register(lambda database: events.append if database == "replica" else None)
    yield events
    take_back()


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
