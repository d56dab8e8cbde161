"""Programs that use an SDK become programs that use this package, and send the same events."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.cli import main
from rudder_logging.dataplane import LocalDataPlane

from ...conftest import WRITE_KEY
from .programs import CASES, Case

RUN = ["django_app", "flask_app", "old_segment", "script", "worker"]
OF_A_LIBRARY = {"messageId", "sentAt", "originalTimestamp", "receivedAt", "channel", "timestamp"}


def texts(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by name."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_program_moves(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is what was looked at, and so are the remarks; a second run finds nothing to change."""
    there = case.copy(tmp_path / "app")
    assert main(["migrate", str(there), "--write"]) == 0
    told = capsys.readouterr()
    assert texts(there) == texts(case.after)
    assert told.err.replace(f"{there}/", "") == case.remarks
    assert told.out == ""
    assert main(["migrate", str(there)]) == 0
    assert capsys.readouterr().out == ""
    is_left = re.search(r"^\S+:\d+: (?!with max_)", case.remarks, re.MULTILINE) is not None
    assert main(["migrate", str(there), "--check"]) == int(is_left)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_diff_is_shown_and_nothing_is_written(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`patch` makes of the diff what `--write` makes; `--check` fails."""
    there = case.copy(tmp_path / "app")
    assert main(["migrate", str(there)]) == 0
    diff = capsys.readouterr().out
    assert texts(there) == texts(case.before)
    added = {line[1:] for line in diff.splitlines() if line[0] == "+" and line[1:3] != "++"}
    after = {
        line
        for path in case.after.rglob("*.py")
        for line in path.read_bytes().decode("latin-1").splitlines()
    }
    assert added
    assert added <= after
    assert main(["migrate", str(there), "--check"]) == 1
    assert texts(there) == texts(case.before)


def as_meant(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event without what differs by library: what the app has not said."""
    meant = {k: v for k, v in event.items() if k not in OF_A_LIBRARY and v not in (None, {})}
    context = {k: v for k, v in event["context"].items() if k != "library"}
    traits = context.pop("traits", None)  # Segment's has them at the root, RudderStack's here
    meant["context"] = context
    if event["type"] == "identify":
        meant["traits"] = event.get("traits") or traits
    integrations = {k.replace("all", "All"): v for k, v in event.get("integrations", {}).items()}
    meant["integrations"] = {"All": True, **integrations}
    return meant


def sort_key(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Of several clients, each sends in the order of its calls, and they do in none."""
    return (event["type"], str(event.get("event")), str(event.get("userId")))


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_program_sends_the_same_events(name: str, tmp_path: Path, plane: LocalDataPlane) -> None:
    """The original by the real SDK, what became of it by this package, in a place that is hours
    from UTC: times that the app gives are the same moments.
    """
    case = CASES[name]
    environment = {
        "WRITE_KEY": WRITE_KEY,
        "DATA_PLANE_URL": plane.url,
        "TZ": "America/New_York",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    sent: list[list[dict[str, Any]]] = []
    for which in ("before", "after"):
        there = case.copy(tmp_path / which, which)
        done = case.run(there, **environment)
        assert done.returncode == 0, done.stderr
        plane.wait_for(1)
        sent.append(sorted({e["messageId"]: e for e in plane.events}.values(), key=sort_key))
        plane.clear()
    before, after = sent
    assert [as_meant(event) for event in after] == [as_meant(event) for event in before]
    assert any("analytics-python" in event["context"]["library"]["name"] for event in before)
    assert all(event["context"]["library"]["name"] == "rudder-logging" for event in after)
    for one, other in zip(before, after, strict=True):
        if "timestamp" in other:
            apart = moment(one["timestamp"]) - moment(other["timestamp"])
            assert abs(apart.total_seconds()) < 1800
    given = [event["messageId"] for event in before if event["messageId"] == "one-of-mine"]
    assert given == [event["messageId"] for event in after if event["messageId"] == "one-of-mine"]


def moment(text: str) -> datetime:
    """A time on the wire."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.mark.slow
@pytest.mark.parametrize("which", ["before", "after"])
def test_tests_with_mocks_pass(which: str, tmp_path: Path) -> None:
    """Those of the original, and those that became of it, with the variable that is asked for."""
    there = CASES["mocks"].copy(tmp_path / "app", which)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(there)],
        env={**os.environ, "RUDDER_DATA_PLANE_URL": "http://127.0.0.1:9"},
        cwd=there,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
