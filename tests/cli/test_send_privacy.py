"""`rudder-logging send` lets out what `RUDDER_PRIVACY` lets out."""

from __future__ import annotations

import pytest

from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane


def test_send(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Redacted; or not at all, with the reason."""
    assert plane.write_key is not None
    monkeypatch.setenv("RUDDER_WRITE_KEY", plane.write_key)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", plane.url)
    words = [
        "send",
        "track",
        "--user-id",
        "u",
        "--event",
        "e",
        "--properties",
        '{"pwd": 1, "a": 2}',
    ]
    monkeypatch.setenv("RUDDER_PRIVACY", "{}")
    assert main(words) == ExitCode.OK
    assert [event["properties"] for event in plane.events] == [{"a": 2}]
    monkeypatch.setenv("RUDDER_PRIVACY", '{"suppressed": ["u"]}')
    assert main(words) == ExitCode.FAILED
    assert "keeps it back: suppressed" in capsys.readouterr().err
    assert len(plane.events) == 1
