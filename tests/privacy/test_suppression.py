"""Suppression: by any id, in every field that holds one; by ids, files and functions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import ConfigError
from rudder_logging.events.persons import ids_of
from rudder_logging.privacy.options import Suppression
from rudder_logging.privacy.suppression import Suppressed

from ..each import each


@each(
    "event",
    [
        {"userId": "x"},
        {"anonymousId": "x"},
        {"previousId": "x"},
        {"groupId": "x"},
        {"mergeProperties": [{"type": "a", "value": "y"}, {"type": "b", "value": "x"}]},
        {"properties": {"a": [{"user_id": "x"}]}},
        {"properties": {"anonymousId": "x"}},
        {"traits": {"id": "x"}},
        {"context": {"traits": {"ID": "x"}}},
        {"context": {"externalId": [{"type": "a", "id": "x"}]}},
        {"context": {"page": {"userId": "x"}}},
    ],
)
def test_fields_that_hold_an_id(event: dict[str, Any]) -> None:
    """The server's own suppression looks at `userId` alone."""
    assert "x" in ids_of(event)


def test_numbers_are_ids_and_other_values_none() -> None:
    """A product's `id` is nobody's, and neither is `true`."""
    event = {
        "userId": "u",
        "mergeProperties": "odd",
        "context": {"externalId": [7]},
        "properties": {"user_id": 42, "id": "p", "product": {"id": "q"}, "anonymous_id": True},
    }
    assert ids_of(event) == {"u", "42"}


def test_ids_and_functions() -> None:
    """A function without a parameter has them all; one with a parameter judges one."""
    ids = ["a", "b"]
    for whom in (ids, lambda: ids, lambda one: one in ids, ids.__contains__):
        holds = Suppression(whom).source()
        assert holds({"x", "b"})
        assert not holds({"x", "y"})


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Whether it is replaced or written anew; if it is gone, nobody can be told apart."""
    file = tmp_path / "suppressed.txt"
    file.write_text("a\n\n  b \n")
    holds = Suppression(str(file)).source()
    assert [holds({one}) for one in ("a", "b", "c", "")] == [True, True, False, False]
    with file.open("a") as more:
        more.write("c\n")
    assert holds({"c"})
    other = tmp_path / "other"
    other.write_text("d\n\n  b \nc\n")
    os.utime(other, ns=(1, file.stat().st_mtime_ns))
    other.replace(file)
    assert [holds({one}) for one in ("a", "d")] == [False, True]
    file.unlink()
    with pytest.raises(OSError, match=r"suppressed\.txt"):
        holds({"a"})


def test_what_can_t_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    """A file that is missing, or ids that are none."""
    with pytest.raises(ConfigError, match="does not exist"):
        Suppression(tmp_path / "none.txt")
    with pytest.raises(ConfigError, match="list of names"):
        Suppression([1, 2])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="can't be imported"):
        Suppression("no.such.module:function")


def test_the_repr_has_no_ids() -> None:
    """They are people's."""
    assert repr(Suppression(["jane"])) == "Suppression(1 ids)"


def test_more_may_be_added() -> None:
    """At any time."""
    suppressed = Suppressed()
    assert not suppressed
    suppressed.add(["a"])
    assert suppressed
    assert suppressed.holds({"a", "b"})
