"""Each block of code in README and guides is run, or checked."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.testing import capture_events

from ..conftest import WRITE_KEY
from ..each import each
from ..test_examples import run
from .pages import FOLDER, PAGES, README, ROOT, Block, blocks, check_ours

ELSEWHERE = {
    "relay.md": "tests/relay/test_guides.py",
    "relay-operations.md": "tests/relay/test_guides.py",
    "browser.md": "tests/live/test_sdks.py",
    "metrics.md": "tests/metrics/test_guide.py",
    "types.md": "tests/testing/test_session_types.py",
}
"""What tests the blocks of these pages that are no commands."""

OTHERS = ("eval", "export", "git", "jq", "kubectl", "uvicorn")
"""Programs in commands that are not ours."""


@cache
def examples() -> str:
    """All of them, which tests run."""
    return "\n".join(path.read_text() for path in sorted((ROOT / "examples").rglob("*.py")))


def found(*languages: str) -> list[Block]:
    """The blocks in some languages that are tested here."""
    return [block for page in PAGES for block in blocks(page, *languages)]


def to_run() -> list[Block]:
    """Those in Python that are no piece of an example."""
    return [
        block
        for block in found("python")
        if block.page.name not in ELSEWHERE and block.reason is None
        if block.code not in examples()
    ]


def filled(code: str, plane: LocalDataPlane, folder: Path) -> str:
    """A block with its stand-ins filled in: the data plane, the write key, a directory."""
    code = re.sub(r"DATA_PLANE_URL|http://127\.0\.0\.1:8080", plane.url, code)
    code = code.replace("/var/spool/app", str(folder))
    return re.sub(r'"(?:WRITE_KEY|local-write-key)"', repr(WRITE_KEY), code)


def skip_without_client(block: Block) -> None:
    """Starlette's client wants a package that is there from Python 3.11 on."""
    if "testclient" in block.code:
        pytest.importorskip("httpx2")


@pytest.mark.slow
@pytest.mark.parametrize("block", to_run(), ids=str)
def test_blocks_run(plane: LocalDataPlane, tmp_path: Path, block: Block) -> None:
    """Each runs as it stands; what it sends arrives."""
    skip_without_client(block)
    code = filled(block.code, plane, tmp_path)
    run(plane, "-c", code)
    sends_nothing = (
        "dictConfig",
        "def test_",
        "capture_events",
        "sink=",
        "suppress(",
        ".flush(60)",
    )
    sends = not any(word in code for word in sends_nothing)
    assert bool(plane.events) is sends
    assert ("sink=" in code) is (tmp_path / "events.jsonl").exists()
    assert plane.problems == []


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in to_run() if "def test_" in b.code], ids=str)
def test_tests_in_blocks_pass(plane: LocalDataPlane, tmp_path: Path, block: Block) -> None:
    """A block that shows a user's tests is run as such, too."""
    skip_without_client(block)
    file = tmp_path / "test_block.py"
    file.write_text(block.code)
    for beside in blocks(block.page, "json"):
        (tmp_path / "plan.json").write_text(beside.code)
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", str(file))
    assert f"{block.code.count('def test_')} passed" in printed


@each("block", found("json"))
def test_json_is_json(block: Block) -> None:
    """It can be copied."""
    assert json.loads(block.code)


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a block, pipes taken apart."""
    text = re.sub(r"\\\n\s*", " ", block.code)
    words = [shlex.split(line, comments=True) for line in re.split(r"\n| && | \| ", text)]
    return [line for line in words if line]


(_TABLE,) = re.findall(
    r"^\[project\.optional-dependencies\]\n(.*?)^\[",
    (ROOT / "pyproject.toml").read_text(),
    re.MULTILINE | re.DOTALL,
)
EXTRAS = re.findall(r"^([\w-]+) = \[", _TABLE, re.MULTILINE)
OURS = {"test", "bench", "dev"}
"""Extras for work on the code itself."""


def check_installed(words: list[str]) -> None:
    """The package is in no registry yet: what is installed is this clone, with extras it has."""
    assert "rudder-logging" not in " ".join(words)
    for word in words:
        if word.startswith((".", "/")):
            (extras,) = re.findall(r"^(?:\.|/path/to/this/clone)\[([\w,]+)\]$", word)
            assert set(extras.split(",")) <= set(EXTRAS), word


def check_python(words: list[str]) -> None:
    """A module or a file that is there."""
    if words[:2] == ["-m", "pip"]:
        check_installed(words[3:])
    elif words[0] == "-m":
        assert importlib.util.find_spec(words[1]), words
    else:
        assert words[0] == "shop.py" or (ROOT / words[0]).exists(), words


@each("block", found("sh"))
def test_commands_can_be_given(block: Block) -> None:
    """Each command that is shown can be given here."""
    for program, *words in commands(block) if block.reason is None else ():
        name = program.removeprefix(".venv/bin/")
        if name == "rudder-logging":
            check_ours(words)
        elif name in ("python", "python3"):
            check_python(words)
        elif name == "pip":
            check_installed(words[1:])
        else:
            assert name in OTHERS, str(block)


@each("page", PAGES)
def test_installations_in_prose_can_be_given(page: Path) -> None:
    """Likewise."""
    for command in re.findall(r"`pip install ([^`\n]+)`", page.read_text()):
        check_installed(shlex.split(command))


def test_readme_names_the_extras() -> None:
    """Each that a user may want, with what it is for."""
    named = re.findall(r"`([\w-]+)`", README.read_text().split("Extras, as in")[1])
    assert sorted(named) == sorted(set(EXTRAS) - OURS)


KNOWN = {"python", "json", "sh", "text"}


def test_no_block_goes_unchecked() -> None:
    """One in another language says why it can't be run, or which test has it."""
    unknown = [
        str(block)
        for block in found()
        if block.language not in KNOWN and block.page.name not in ELSEWHERE
        if block.reason is None
    ]
    assert unknown == []
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []


def outputs(name: str) -> list[str]:
    """The blocks of a guide that show what is printed."""
    return [block.code for block in blocks(FOLDER / name, "text")]


def test_failure_of_a_test_is_what_the_guide_shows() -> None:
    """The words of `one()`, with the places of two log calls."""
    (shown,) = outputs("testing.md")
    identify = {"type": "identify", "user_id": "42"}
    app = (
        "\n" * 11
        + f"shop.info('signed in', extra={{'rudder': {identify}}})"
        + "\n" * 19
        + "shop.info('Order Completed', extra={'rudder': {'user_id': '43'}})"
    )
    with capture_events() as events:
        exec(compile(app, "shop/app.py", "exec"), {"shop": logging.getLogger("shop")})
    with pytest.raises(AssertionError) as raised:
        events.one(type="track", event="Order Completed", user_id="42")
    assert shown == f"AssertionError: {raised.value}\n"


@pytest.mark.slow
def test_doctor_says_what_its_guide_shows(
    plane: LocalDataPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the configuration and of the log that stand there."""
    said, log, said_of_log = outputs("doctor.md")
    (configuration,) = blocks(FOLDER / "doctor.md", "json")
    (tmp_path / "logging.json").write_text(filled(configuration.code, plane, tmp_path))
    (tmp_path / "events.log").write_text(log)

    def doctor(*words: str) -> str:
        code = (
            "import os, sys; os.chdir({!r}); from rudder_logging.cli import main; sys.exit(main())"
        )
        printed = run(plane, "-c", code.format(str(tmp_path)), "doctor", *words, code=1)
        return re.sub(r"\d+ ms", "N ms", printed.replace(plane.url, "http://127.0.0.1:8080"))

    monkeypatch.delenv("RUDDER_DRAIN_ON_SIGTERM", raising=False)
    shown = re.sub(r"\d+ ms", "N ms", said)
    assert doctor("--config", "logging.json", "shop.orders") == shown
    assert doctor("--messages", "events.log") == said_of_log


def test_no_output_goes_unchecked() -> None:
    """Each block of text is compared above, or elsewhere."""
    pages = {block.page.name for block in found("text") if block.reason is None}
    assert pages - set(ELSEWHERE) == {"doctor.md", "testing.md", "typed-events.md"}
