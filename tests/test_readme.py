"""The README tells the truth: its tables, its blocks, its two commands; and so do the examples."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

from rudder_logging.config import ALIASES, OPTIONS
from rudder_logging.dataplane import LocalDataPlane

from .conftest import WRITE_KEY
from .faults.stage import PATIENCE
from .readme import GENERATED, README, filled

ROOT = README.parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(), flags=re.DOTALL)
GUIDES = [
    guide
    for guide in sorted((ROOT / "rudder_logging" / "guides").glob("*.md"))
    # That of browsers shows HTML: tests/live. Those of the relay: tests/relay.
    if guide.stem not in ("browser", "capacity", "contributing")
    and not guide.stem.startswith("relay")
]
PYTHON_BLOCKS = [code for language, code in BLOCKS if language == "python"]


def run(plane: LocalDataPlane, *arguments: str, code: int = 0) -> str:
    """Run Python in a process of its own, which has to return a code; return what it printed."""
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
    }
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_tables_are_up_to_date(path: Path) -> None:
    """The tables follow from the code; `python -m tests.readme` writes them."""
    assert path.read_text() == filled(path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PYTHON_BLOCKS)))
def test_blocks_run(plane: LocalDataPlane, tmp_path: Path, number: int) -> None:
    """Each Python block runs as it stands, with its capitals filled in; what it sends arrives."""
    code = PYTHON_BLOCKS[number].replace("DATA_PLANE_URL", plane.url)
    code = code.replace("/var/spool/app", str(tmp_path))
    run(plane, "-c", code.replace('"WRITE_KEY"', repr(WRITE_KEY)))
    sends_here = not any(word in code for word in ("dictConfig", "LocalDataPlane", "sink="))
    assert bool(plane.events) is sends_here
    assert ("sink=" in code) is (tmp_path / "events.jsonl").exists()
    assert plane.problems == []


@pytest.mark.slow
@pytest.mark.parametrize("code", [code for code in PYTHON_BLOCKS if "def test_" in code])
def test_tests_in_blocks_pass(plane: LocalDataPlane, tmp_path: Path, code: str) -> None:
    """A block that shows a user's tests is run as such, too."""
    block = tmp_path / "test_block.py"
    block.write_text(code)
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", str(block))
    assert f"{code.count('def test_')} passed" in printed


def test_set_up_has_exactly_two_commands_of_one_line() -> None:
    """The first runs the quickstart, the second the tests, in the section's only fences."""
    section = README.read_text().split("## Set up")[1].split("\n## ")[0]
    commands = re.findall(r"```\w*\n(.*?)```", section, flags=re.DOTALL)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "examples/quickstart.py" in commands[0]
    assert "pytest" in commands[1]


def test_all_that_is_to_be_installed_is_this_clone() -> None:
    """The package is in no registry yet; each extra that is named is one of its own."""
    commands = re.findall(r"pip install ([^\n`&]+)", README.read_text())
    assert len(commands) > 2
    there = metadata("rudder-logging").get_all("Provides-Extra", [])
    for command in commands:
        found = re.search(r'(?:^|\s)"\.\[([\w,]+)\]"', command)
        assert found is not None, command
        assert set(found[1].split(",")) <= set(there), command


def test_moving_table_speaks_of_real_options() -> None:
    """What the moving table calls "the same" exists here."""
    section = README.read_text().split("## Coming from")[1].split("\n## ")[0]
    for line in section.splitlines():
        cells = line.split("|")
        if len(cells) > 3 and cells[2].strip().startswith("the same"):
            for name in re.findall(r"`(\w+)`", cells[1]):
                assert name in {*OPTIONS, *ALIASES}, name


@pytest.mark.slow
def test_quickstart_shows_what_arrived(plane: LocalDataPlane) -> None:
    """It prints a table of all events, and a ledger that balances."""
    printed = run(plane, "examples/quickstart.py")
    for word in ("identify", "Article Read", "Sample Doc", "Brightness", "group-1", "Coupon Used"):
        assert word in printed
    assert "8 accepted = 8 delivered + 0 dropped + 0 refused + 0 pending" in printed
    assert plane.events == []


@pytest.mark.slow
def test_quickstart_behind_a_proxy(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data plane is here: a proxy of the environment is not asked, whatever NO_PROXY says.
    If the events do not arrive all the same, the quickstart fails.
    """
    nobody = "http://127.0.0.1:9"
    monkeypatch.setenv("HTTP_PROXY", nobody)
    assert "0 pending" in run(plane, "examples/quickstart.py")
    monkeypatch.setenv("RUDDER_PROXIES", json.dumps({"http": nobody}))
    monkeypatch.setenv("RUDDER_SHUTDOWN_TIMEOUT", "0.5")
    assert "8 pending" in run(plane, "examples/quickstart.py", code=1)


@pytest.mark.slow
def test_seed_calls_arrive(plane: LocalDataPlane) -> None:
    """The documentation's snippets, as a script that just ends, deliver all seven events."""
    run(plane, "examples/seed_calls.py")
    assert [event["type"] for event in plane.events] == [
        "track",
        "identify",
        "track",
        "page",
        "screen",
        "group",
        "alias",
    ]


@pytest.mark.slow
def test_stdout_events_are_json_lines(plane: LocalDataPlane) -> None:
    """Each line is JSON: the ordinary one as python-json-logger's, the event as a message."""
    ordinary, event = map(json.loads, run(plane, "examples/stdout_events.py").splitlines())
    assert ordinary["message"] == "the shop is open"
    assert (event["event"], event["userId"]) == ("Product Viewed", "123456")


@pytest.mark.slow
def test_checkout_example_passes(plane: LocalDataPlane) -> None:
    """The example of a user's tests passes under pytest."""
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", "examples/test_checkout.py")
    assert "2 passed" in printed


@pytest.mark.slow
def test_shop_example_passes(plane: LocalDataPlane) -> None:
    """The sample app's tests show each helper, and pass; `test_shop_example.py` breaks the app."""
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", "examples/shop")
    assert "9 passed" in printed
    assert "warning" not in printed
    assert plane.events == []


@pytest.mark.slow
def test_context_example_binds(plane: LocalDataPlane) -> None:
    """Its events have the visitor; after the login the user, in the pool and in the task, too."""
    run(plane, "examples/context_app.py")
    ids = {event["event"]: event.get("userId") for event in plane.events}
    assert ids == {"Login Viewed": None, "Password Checked": "42", "Mail Sent": "42"}
    for event in plane.events:
        assert event["anonymousId"] == "a1"
        assert event["context"]["ip"] == "203.0.113.7"
        assert event["context"]["page"] == {"path": "/login"}


@pytest.mark.slow
def test_privacy_app(plane: LocalDataPlane) -> None:
    """Of two people, one is suppressed while the event waits; of the other, little is left."""
    run(plane, "examples/privacy_app.py")
    (event,) = plane.events
    assert len(event["userId"]) == 64
    assert event["properties"] == {"revenue": 9, "products": [{"sku": "a"}]}
    assert event["context"]["ip"] == "203.0.113.0"
    assert event["context"]["app"] == {"name": "shop"}
    assert event["context"]["consentManagement"]["deniedConsentIds"] == ["C0002"]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guides_show_their_examples(guide: Path) -> None:
    """A framework's guide is a page, and its code is the example's, which a test runs."""
    text = guide.read_text()
    assert text.count("\n") <= 80
    example = (ROOT / "examples" / f"{guide.stem}_app.py").read_text()
    assert example.count("\n") <= 40
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    assert [block for block in blocks if block not in example] == []


def test_every_example_is_run_here() -> None:
    """A new example, or a new directory of them, needs a test here, or among the integrations'."""
    folders = [ROOT / "tests" / name for name in ("integrations", "relay")]
    tests = [Path(__file__), *(path for folder in folders for path in folder.glob("*.py"))]
    source = "".join(path.read_text() for path in tests)
    for example in (ROOT / "examples").rglob("*.py"):
        path = example.relative_to(ROOT)
        shown = path if path.parent.name == "examples" else path.parent
        assert f'"{shown.as_posix()}"' in source
