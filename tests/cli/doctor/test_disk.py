"""The doctor on the disk: nothing is made or changed, and what is wrong is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rudder_logging import Config, RudderHandler
from rudder_logging.cli.doctor.disk import examine
from rudder_logging.cli.doctor.findings import Finding, Severity
from rudder_logging.queues.file.spool import Spool
from rudder_logging.queues.urls import parse_spool_url

SOURCE = {"write_key": "k", "data_plane_url": "https://example.com"}


def look(path: Path, query: str = "", **options: Any) -> list[Finding]:
    """All findings for a spool."""
    config = Config.load({}, **{**SOURCE, "queue": f"file://{path}{query}", **options})
    return list(examine(config))


def fault(found: list[Finding], code: str, severity: Severity = Severity.STOPS) -> Finding:
    """The one that is not well, and of what kind it is."""
    (finding,) = [one for one in found if one.severity is not Severity.WELL]
    assert (finding.severity, finding.area, finding.code) == (severity, "disk", code)
    assert finding.cure
    return finding


def own_directory(path: Path) -> Path:
    """The source's directory in a spool."""
    url = parse_spool_url(f"file://{path}")
    assert url is not None
    return Path(Spool(url, "k https://example.com", print).path)


def test_queue_in_memory() -> None:
    """There is nothing to look at."""
    assert list(examine(Config.load({}, **SOURCE))) == []


def test_spool_that_will_be_made(tmp_path: Path) -> None:
    """It is not made by looking."""
    found = look(tmp_path / "a" / "b")
    assert {one.severity for one in found} == {Severity.WELL}
    assert found[0].code == "spool"
    assert f"{tmp_path}/a/b" in found[0].text
    assert list(tmp_path.iterdir()) == []


def test_spool_that_is_well(tmp_path: Path) -> None:
    """What waits in it is told."""
    own = own_directory(tmp_path)
    own.mkdir(0o700)
    (own / ("0" * 20 + "-1-00000000.00000001.jsonl")).write_bytes(b"x" * 1_500_000)
    state, room = look(tmp_path)
    assert (state.code, room.code) == ("spool", "spool-room")
    assert state.severity is Severity.WELL
    for fact in (str(tmp_path), "mode 700", tmp_path.owner()):
        assert fact in state.text
    assert "1.5 MB" in room.text
    assert "1,073.7 MB" in room.text


@pytest.mark.parametrize("of", ["spool", "source"])
def test_directory_that_others_can_write_to(tmp_path: Path, of: str) -> None:
    """Its mode is told, and the command that mends it, as the next handler will."""
    own = own_directory(tmp_path)
    own.mkdir(0o700)
    (tmp_path if of == "spool" else own).chmod(0o777)
    finding = fault(look(tmp_path), "spool-mode", Severity.WARNING)
    assert str(tmp_path if of == "spool" else own) in finding.text
    assert "777" in finding.text
    assert "chmod" in finding.cure


def test_events_under_another_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are told, with what sends them: by the doctor, and once when a handler is made."""
    left = RudderHandler("wrong-key", "https://wrong.example:8443/x", queue=f"file://{tmp_path}")
    left.accept({"user_id": "u"}, "e", 0.0)
    left._pipeline.queue.after_fork()  # as if its process had been killed
    before = sorted(tmp_path.rglob("*"))
    finding = fault(look(tmp_path), "left-by-others", Severity.WARNING)
    for fact in ("1 event ", "1970-01-01T00:00:00.000Z", "https://wrong.example:8443"):
        assert fact in finding.text
    assert "rudder-logging replay" in finding.cure
    assert sorted(tmp_path.rglob("*")) == before
    RudderHandler(*SOURCE.values(), queue=f"file://{tmp_path}").close()
    told = [
        record.getMessage()
        for record in caplog.records
        if "another write key" in record.msg % record.args
    ]
    assert told == [f"{finding.text}: {finding.cure}"]
    assert "wrong-key" not in told[0]


def test_file_in_its_place(tmp_path: Path) -> None:
    """The path is told."""
    (tmp_path / "spool").touch()
    spool = tmp_path / "spool"
    assert str(spool) in fault(look(spool), "spool-refused").text
    assert str(spool) in fault(look(spool / "below"), "spool-unreadable").text


def test_directory_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the handler will refuse it."""
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert str(tmp_path) in fault(look(tmp_path), "spool-refused").text


def test_directory_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so that a test can't do without a fake."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for path in (tmp_path, tmp_path / "new"):
        assert str(tmp_path) in fault(look(path), "spool-unwritable").text


@pytest.mark.parametrize(
    ("waiting", "free", "code", "severity"),
    [
        (1_000, 10**9, "spool-full", Severity.STOPS),
        (900, 10**9, "spool-almost-full", Severity.WARNING),
        (0, 999, "disk-almost-full", Severity.WARNING),
    ],
)
def test_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waiting: int,
    free: int,
    code: str,
    severity: Severity,
) -> None:
    """A spool that is full, or nearly; a disk that is."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    own = own_directory(tmp_path)
    own.mkdir(0o700)
    (own / ("0" * 20 + "-1-00000000.00000001.jsonl")).write_bytes(b"x" * waiting)
    fault(look(tmp_path, "?max_bytes=1000"), code, severity)


def test_dead_letters(tmp_path: Path) -> None:
    """Where they go must be there."""
    options = {**SOURCE, "dead_letter": str(tmp_path / "dead.jsonl")}
    (finding,) = examine(Config.load({}, **options))
    assert (finding.severity, finding.code) == (Severity.WELL, "dead-letters")
    for path in (tmp_path, tmp_path / "missing" / "dead.jsonl"):
        options["dead_letter"] = str(path)
        found = list(examine(Config.load({}, **options)))
        assert str(path) in fault(found, "dead-letters", Severity.WARNING).text
