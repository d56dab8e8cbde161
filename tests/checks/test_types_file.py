"""`rudder-types.json`: a project's types over time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import ConfigError
from rudder_logging.checks.drift import Types
from rudder_logging.checks.types_file import TypesFile

from ..each import each


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "rudder-types.json"


def seen(*messages: dict[str, Any]) -> Types:
    """Types of some messages."""
    types = Types()
    for message in messages:
        types.look_at(message, "here")
    return types


def track(event: str = "Paid", **properties: Any) -> dict[str, Any]:
    """A track event."""
    return {"type": "track", "event": event, "properties": properties, "context": {"app": "x"}}


def write(path: Path, *messages: dict[str, Any]) -> list[str]:
    """Write the types of messages; return the changes."""
    file, types = TypesFile(path), seen(*messages)
    changes = [str(change) for change in file.changes(types.seen())]
    file.write(types.seen())
    return changes


def columns(path: Path) -> dict[str, str]:
    """The columns that a file has."""
    found: dict[str, str] = json.loads(path.read_text())["columns"]
    return found


def test_the_file_has_a_line_for_each_column_in_order(path: Path) -> None:
    """So that diffs are small, and merges rarely meet."""
    write(path, track(b=1, a="x", address={"city": "Rome"}), track("Ask", c=True))
    assert path.read_text() == (
        '{\n  "version": 1,\n  "columns": {\n'
        '    "ask.c": "boolean",\n'
        '    "paid.a": "string",\n'
        '    "paid.address": "mapping",\n'
        '    "paid.address_city": "string",\n'
        '    "paid.b": "int",\n'
        '    "tracks.context_app": "string"\n  }\n}\n'
    )


def test_the_order_of_events_does_not_matter(path: Path) -> None:
    """The same types are the same file."""
    messages = [track(a=1), track("Ask", b=2.5), track(a=0.5), track("Ask", b=1)]
    write(path, *messages)
    before = path.read_bytes()
    path.unlink()
    write(path, *reversed(messages))
    assert path.read_bytes() == before
    assert write(path, *messages) == []
    assert path.read_bytes() == before


@each(
    ("before", "now", "after"),
    [
        ([1], [2], "int"),
        ([1], [1.5], "float"),
        ([1, 1.5], [2], "float"),
        ([1.5], [2], "float"),
        ([1], ["x"], "string"),
        (["x"], [1], "int"),
        ([1], ["x", 2], "int | string"),
        (["2026-01-01", "n/a"], ["2026-01-01"], "datetime | string"),
        ([1], [{"a": 1}], "mapping"),
    ],
)
def test_a_change_is_written(path: Path, before: list[Any], now: list[Any], after: str) -> None:
    """What was seen, unless the file allows it already; whole numbers fit into fractions."""
    write(path, *(track(p=value) for value in before))
    was = columns(path)["paid.p"]
    changes = write(path, *(track(p=value) for value in now))
    assert columns(path)["paid.p"] == after
    changed = [change for change in changes if change.startswith("paid.p:")]
    assert changed == ([f"paid.p: {was} becomes {after}"] if was != after else [])


def test_what_was_not_seen_stays(path: Path) -> None:
    """A part of the tests may be run."""
    write(path, track(a=1), track("Ask", b=1))
    write(path, track("New", c=1))
    assert columns(path).keys() == {"ask.b", "new.c", "paid.a", "tracks.context_app"}


def test_known_types_come_first(path: Path) -> None:
    """With the line that has them."""
    write(path, track(a=1, b=2.5, c=1), track(c="x"))
    types = Types(known=TypesFile(path).known)
    assert types.look_at(track(b=1, c=3), "test.py:1") == []
    assert types.look_at(track(c="x"), "test.py:2") == []
    (drift,) = types.look_at(track(a=0.5), "test.py:3")
    assert drift.is_known
    assert drift.first == ("int", "rudder-types.json:4")
    assert "is int by rudder-types.json:4: a warehouse cuts its fraction" in str(drift)


@each(
    ("text", "words"),
    [
        ("{", "rudder-types.json is not JSON: "),
        ("[]", "must be a JSON object with 'columns'"),
        ('{"version": 1}', "must be a JSON object with 'columns'"),
        ('{"version": 2, "columns": {}}', 'must have "version": 1; a newer'),
        ('{"version": 1, "columns": {"a": "int"}}', "called table.column, not 'a'"),
        ('{"version": 1, "columns": {"a.b": "integer"}}', "a.b must be one of boolean, datetime"),
        ('{"version": 1, "columns": {"a.b": 7}}', "a.b must be one of"),
        ("<<<<<<< HEAD", "is not JSON"),
        ("[" * 100_000, "is not a file of types"),
    ],
)
def test_a_file_that_is_none_is_told(path: Path, text: str, words: str) -> None:
    """With its place, and the cure."""
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        TypesFile(path)
    assert words in str(error.value)


def test_a_file_that_was_written_by_hand(path: Path) -> None:
    """In one line, without its places."""
    path.write_text('\ufeff{"columns": {"paid.p": "int"}, "version": 1}')
    assert TypesFile(path).known == {("paid", "p"): (frozenset({"int"}), "rudder-types.json")}
