"""A project's types over time: `rudder-types.json`, a line for each column, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..exceptions import ConfigError
from .columns import TABLES, TYPES
from .drift import Sighting, fits

__all__ = ["NAME", "Change", "TypesFile"]

NAME = "rudder-types.json"
_VERSION = 1
_BETWEEN = " | "  # of types that a project has let into one column
_Columns = dict[tuple[str, str], frozenset[str]]
"""Types by table and column."""


class Change(NamedTuple):
    """A column whose types are to be others than the file has."""

    name: str
    before: str
    """Empty: it is new."""
    after: str

    def __str__(self) -> str:
        return f"{self.name}: {self.before} becomes {self.after}"


class TypesFile:
    """The types that a project's columns have, as a file that is checked in says it.

    Args:
        path: Its path. It need not be there.

    Raises:
        ConfigError: It can't be read, or is no such file; the message says where and why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: _Columns = {}
        self._lines: dict[tuple[str, str], int] = {}
        self.exists = path.exists()
        if self.exists:
            self._read()

    @property
    def known(self) -> Mapping[tuple[str, str], tuple[frozenset[str], str]]:
        """Types by table and column, with the place in the file."""
        name = self.path.name
        return {
            key: (types, f"{name}:{self._lines[key]}" if key in self._lines else name)
            for key, types in self._columns.items()
        }

    def changes(self, seen: Iterable[Sighting]) -> list[Change]:
        """List what `write` would change, in the file's order: new columns, and other types."""
        return [
            Change(_name(key), _in_words(self._columns.get(key, ())), _in_words(types))
            for key, types in sorted(self._with(seen).items())
            if types != self._columns.get(key)
        ]

    def write(self, seen: Iterable[Sighting]) -> None:
        """Add new columns, and have others the types that were seen. What was not seen stays.

        Raises:
            OSError: It can't be written.
        """
        columns = self._with(seen)
        shown = {_name(key): _in_words(types) for key, types in sorted(columns.items())}
        text = json.dumps({"version": _VERSION, "columns": shown}, indent=2, ensure_ascii=False)
        self.path.write_text(f"{text}\n", encoding="utf-8")

    def _with(self, seen: Iterable[Sighting]) -> _Columns:
        found: dict[tuple[str, str], set[str]] = {}
        for one in seen:
            # An event's table has the context of `tracks`, which has that of all events.
            if one.table in TABLES or not one.path.startswith("context."):
                found.setdefault((one.table, one.column), set()).add(one.type)
        columns = dict(self._columns)
        for key, types in found.items():
            if not all(fits(kind, columns.get(key, ())) for kind in types):
                columns[key] = frozenset(types - {"int"} if "float" in types else types)
        return columns

    def _read(self) -> None:
        name = self.path.name
        try:
            text = self.path.read_text(encoding="utf-8-sig")
            document = json.loads(text)
        except OSError as error:
            raise ConfigError(f"{name} can't be read: {error.strerror}") from None
        except json.JSONDecodeError as error:
            at = f"line {error.lineno}, column {error.colno}"
            raise ConfigError(f"{name} is not JSON: {error.msg} at {at}{_CURE}") from None
        except (UnicodeDecodeError, RecursionError):
            raise ConfigError(f"{name} is not a file of types{_CURE}") from None
        if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
            raise ConfigError(f"{name} must be a JSON object with 'columns'{_CURE}")
        if document.get("version") != _VERSION:
            raise ConfigError(
                f'{name} must have "version": {_VERSION}; a newer rudder_logging may have '
                "written it"
            )
        for column, types in document["columns"].items():
            self._columns[_key(name, column)] = _types(name, column, types)
        for number, line in enumerate(text.splitlines(), 1):
            quoted = line.strip().partition('": ')[0]
            table, _, column = quoted[1:].partition(".")
            if (table, column) in self._columns:
                self._lines[table, column] = number


_CURE = "; mend it, or delete it and run pytest --rudder-types-update"


def _key(file: str, name: str) -> tuple[str, str]:
    table, between, column = name.partition(".")
    if not (table and between and column):
        raise ConfigError(f"{file}: columns are called table.column, not {name!r}")
    return table, column


def _types(file: str, name: str, given: Any) -> frozenset[str]:
    types = given.split(_BETWEEN) if isinstance(given, str) else []
    if not types or not all(one in TYPES for one in types):
        known = ", ".join(TYPES)
        raise ConfigError(
            f"{file}: {name} must be one of {known}, or some with {_BETWEEN!r} between"
        )
    return frozenset(types)


def _name(key: tuple[str, str]) -> str:
    return ".".join(key)


def _in_words(types: Iterable[str]) -> str:
    return _BETWEEN.join(sorted(types))
