"""README and guides as pages: bounds, tables, the two commands; guides of frameworks."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import re
import uuid
from importlib.metadata import metadata
from pathlib import Path

import rudder_logging
from rudder_logging.config import ALIASES, OPTIONS
from rudder_logging.events.table import EVENT_TYPES
from rudder_logging.testing import capture_events

from ..each import each
from ..readme import GENERATED, filled
from .pages import FOLDER, PAGES, README, ROOT, blocks, targets

MOST_WORDS = 1_200
MOST_LINES = 200

LONGEST = 1_700
TABLES = {"faults.md", "performance.md"}
"""Pages that are tables, for the most part."""


def table(page: Path) -> list[list[str]]:
    """The cells of all rows of a page's tables."""
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_readme_is_one_page() -> None:
    """What does not fit stands in a guide."""
    text = README.read_text()
    assert len(text.split()) <= MOST_WORDS
    assert text.count("\n") <= MOST_LINES


@each("page", list(GENERATED))
def test_tables_are_up_to_date(page: Path) -> None:
    """The tables follow from the code; `python -m tests.readme` writes them."""
    assert page.read_text() == filled(page)


def test_set_up_has_exactly_two_commands_of_one_line() -> None:
    """The first runs the quickstart, the second the tests, in the section's only fences."""
    section = README.read_text().split("## Set up")[1].split("\n## ")[0]
    commands = re.findall(r"```\w*\n(.*?)```", section, flags=re.DOTALL)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "examples/quickstart.py" in commands[0]
    assert "pytest" in commands[1]


def test_description_has_no_link_that_a_package_index_can_not_follow() -> None:
    """It is the README, with a command in the place of each link to a guide, and no picture.
    (Install again after a change of the README.)
    """
    built = metadata("rudder-logging")
    text = str(built.json["description"])
    assert text.startswith("# rudder_logging")
    assert re.findall(r"\]\((?!https?:)[^)]*\)", text) == []
    assert "`rudder-logging guide testing`" in text
    assert all(", https://" in url for url in built.get_all("Project-URL", [""]))


def test_readme_wires_each_framework() -> None:
    """Each integration has a row, and its two lines are those of the guide."""
    wired = {}
    for first, second in (cells for cells in table(README) if "<br>" in cells[-1]):
        (_, page) = re.findall(r"(\[[^]]+\])\(rudder_logging/guides/([\w.-]+)\)", first)[-1]
        wired[page] = re.findall(r"`([^`]+)`", second)
    assert len(wired) > 10
    for page, (imported, line) in wired.items():
        text = (FOLDER / page).read_text()
        if imported.startswith("from "):
            ast.parse(imported)
            exec(imported, {})
        for word in re.findall(r"[\w.]{8,}", line):
            assert word in text, (page, word)


def test_promises_have_their_proof_linked() -> None:
    """Five of them, each with a page of tests or a guide."""
    section = README.read_text().split("## Five promises")[1].split("\n## ")[0]
    promises = re.findall(r"^- .*$", section, re.MULTILINE)
    assert len(promises) == 5
    assert all("Proof: [" in promise for promise in promises)


def test_moving_table_speaks_of_real_options() -> None:
    """What the moving tables call "the same" exists here: a setting, or an argument."""
    known = {*OPTIONS, *ALIASES, "Client"}
    known |= {field.arg for row in EVENT_TYPES.values() for field in row.fields}
    sections = (FOLDER / "migration.md").read_text().split("\n## Coming from ")[1:]
    assert len(sections) == 3
    for section in sections:
        for line in section.split("\n## ")[0].splitlines():
            cells = line.split("|")
            if len(cells) > 3 and cells[2].strip().startswith("the same"):
                for name in re.findall(r"`(\w+)`", cells[1]):
                    assert name in known, name


FRAMEWORKS = sorted(
    {path.stem for path in (ROOT / "rudder_logging" / "integrations").glob("[a-z]*")}
    | {"context", "fastapi"}
)


@each("name", FRAMEWORKS)
def test_guides_show_their_examples(name: str) -> None:
    """A framework's guide is a page, and its code is, but for tests, the example's."""
    guide = FOLDER / f"{name}.md"
    assert guide.read_text().count("\n") <= 80
    example = (ROOT / "examples" / f"{name}_app.py").read_text()
    assert example.count("\n") <= 40
    shown = [block.code for block in blocks(guide, "python") if "def test_" not in block.code]
    assert shown
    assert [code for code in shown if code not in example] == []


@each("page", [page for page in PAGES if page.name not in TABLES])
def test_guides_are_short(page: Path) -> None:
    """A guide that is longer is two."""
    assert len(page.read_text().split()) <= LONGEST


def test_pictures_are_small() -> None:
    """They are in the wheel, and each is on a page."""
    shown = {target.rpartition("/")[2] for page in PAGES for target in targets(page)}
    for picture in [*FOLDER.glob("*.png"), *FOLDER.glob("*.svg")]:
        assert picture.name in shown
        assert picture.stat().st_size < 200_000


def test_values_become_what_the_guide_says() -> None:
    """The table's first column is Python, and its second is the JSON."""
    names = {
        name: getattr(module, name)
        for module in (dt, decimal, pathlib, uuid)
        for name in ("Decimal", "Path", "UUID", "date", "datetime", "timedelta", "timezone")
        if hasattr(module, name)
    }
    names["Colour"] = enum.Enum("Colour", {"RED": "red"})
    names["Point"] = dataclasses.make_dataclass("Point", ["x"])
    section = (FOLDER / "events.md").read_text().split("## Values")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`[^|]* \| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(rows) > 10
    with capture_events() as events:
        for value, _ in rows:
            rudder_logging.track("42", "Tried", {"value": eval(value, dict(names))})
    sent = [event["properties"]["value"] for event in events]
    assert sent == [json.loads(text) for _, text in rows]
