"""Every sink keeps the contract: the suite that the package ships, over ours and a stranger's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import Config
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.sinks import Sink, open_sink
from rudder_logging.testing import SinkContract

from ..conftest import WRITE_KEY
from .one_file import FileSink


class TestGatewaySink(SinkContract):
    """The gateway's sink, over HTTP."""

    @pytest.fixture(autouse=True)
    def _plane(self, plane: LocalDataPlane) -> None:
        self.plane = plane

    def make_sink(self) -> Sink:
        """See `SinkContract`."""
        return open_sink(Config.load({}, write_key=WRITE_KEY, data_plane_url=self.plane.url))

    def arrived(self) -> list[dict[str, Any]]:
        """See `SinkContract`."""
        return self.plane.events

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `SinkContract`."""
        self.plane.stop()
        yield
        self.plane.start()


class TestFileSink(SinkContract):
    """A sink of one file, which knows nothing private."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "sink"
        self.folder.mkdir()

    def make_sink(self) -> Sink:
        """See `SinkContract`."""
        return FileSink(self.folder / "events.jsonl")

    def arrived(self) -> list[dict[str, Any]]:
        """See `SinkContract`."""
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `SinkContract`."""
        elsewhere = self.folder.rename(self.folder.with_name("elsewhere"))
        yield
        elsewhere.rename(self.folder)
