"""`rudder-logging plan diff`: its output, and the exit code for CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode

from ..guides.pages import FOLDER, blocks
from .typed import EXAMPLE

DATE = "identify, traits.createdAt does not have the format date-time any more"


@pytest.fixture
def plans(tmp_path: Path) -> tuple[str, str]:
    """The shop's plan, and a later one."""
    old = EXAMPLE / "plan.json"
    text = old.read_text()
    for before, after in (
        ('["EUR", "USD"]', '["EUR", "GBP"]'),
        ('"quantity": {"type": "integer"', '"quantity": {"type": "number"'),
        ('"format": "date-time"', '"description": "When"'),
    ):
        assert before in text
        text = text.replace(before, after)
    new = tmp_path / "plan.json"
    new.write_text(text)
    return str(old), str(new)


def test_each_change_is_a_line(plans: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """With its verdict, event and path; the sum is on stderr."""
    assert main(["plan", "diff", *plans]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"breaks warehouse: {DATE}; a column of the old type discards the values",
        "breaks callers: track 'Order Completed', properties.currency can't be \"USD\" any more",
        "harmless: track 'Order Completed', properties.currency may be \"GBP\", too",
        "harmless: track 'Order Completed', properties.products[].quantity may be a number, too",
    ]
    assert err == "4 changes, of which 2 break something\n"
    (shown,) = blocks(FOLDER / "typed-events.md", "text")
    assert shown.code == "".join(out.splitlines(keepends=True)[:3])


def test_the_exit_code_is_for_ci(
    plans: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """1 with --exit-code if something breaks; harmless changes and none are 0."""
    old, new = plans
    assert main(["plan", "diff", old, new, "--exit-code"]) == ExitCode.FAILED
    assert main(["plan", "diff", old, old, "--exit-code"]) == ExitCode.OK
    assert capsys.readouterr().err.splitlines()[-1] == "no changes"
    wider = Path(new).read_text().replace('["EUR", "GBP"]', '["EUR", "GBP", "CHF"]')
    other = Path(new).with_name("other.json")
    other.write_text(wider)
    assert main(["plan", "diff", new, str(other), "--exit-code"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("harmless: ")


def test_json_has_the_same(plans: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line of it."""
    assert main(["plan", "diff", *plans, "--json"]) == ExitCode.OK
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["breaking"] == 2
    assert told["changes"][1] == {
        "event": "track 'Order Completed'",
        "path": "properties.currency",
        "text": 'can\'t be "USD" any more',
        "breaks": ["callers"],
    }
    assert len(told["changes"]) == 4


def test_what_is_no_plan_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that names the file, with exit code 2."""
    other = tmp_path / "other.json"
    assert main(["plan", "diff", str(EXAMPLE / "plan.json"), str(other)]) == ExitCode.BAD_INPUT
    assert f"{other} can't be read" in capsys.readouterr().err
