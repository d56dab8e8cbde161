"""Columns that a warehouse makes of a message, each with the type that the value would give it.

Source: rudder-server 1.66.0, its own transform of 64 values (tests/contract has the data), and
processor/internal/transformer/destination_transformer/embedded/warehouse (`datatype.go`,
`set.go`, `events.go`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .warehouse import (
    LONGEST_LOOKED_AT,
    OWN_FIELDS,
    RESERVED,
    TAKEN_TABLES,
    column_of,
    shortened,
)

__all__ = ["TABLES", "TYPES", "Column", "columns_of", "type_of"]

TYPES = ("boolean", "datetime", "float", "int", "mapping", "string")
"""Types of columns; `mapping` is that of a value that has none, but whose parts have."""

_TABLE_OF = {
    # `users` takes the types of `identifies`.
    "identify": "identifies",
    "track": "tracks",
    "page": "pages",
    "screen": "screens",
    "group": "groups",
    "alias": "aliases",
}
TABLES = frozenset(_TABLE_OF.values())
"""Tables that have all events of a type."""

_LONGEST_COLUMN = 127  # characters; in Postgres 63
_LONGEST_MOMENT = 39  # bytes
_MOMENT = re.compile(
    r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T \t\n\f\r](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):?(?:[0-5]\d)?)?)?",
    re.ASCII,
)


class Column(NamedTuple):
    """A value of a message, and the column that it goes to."""

    tables: tuple[str, ...]
    """Tables that have the column, the one that sees most events first."""
    name: str
    path: str
    """The place in the message, like `properties.address.city`."""
    keys: tuple[str, ...]
    """The same, one by one."""
    type: str
    """Of `TYPES`."""


def type_of(value: object) -> str | None:
    """The type of a column whose first value this is; None: it makes no column.

    Args:
        value: As JSON has it.
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "int" if isinstance(value, int) or value.is_integer() else "float"
    if isinstance(value, Mapping):
        return "mapping" if value else None
    if isinstance(value, str) and len(value) <= _LONGEST_MOMENT and _MOMENT.fullmatch(value):
        return "datetime"
    return None if _is_blank(value) else "string"


def columns_of(message: Mapping[str, Any]) -> Iterator[Column]:
    """The columns that a message's own values go to. Blank ones, and those that are lost, do not.

    Columns that RudderStack or this package fills of itself are left out, `context.library` among
    them: their types do not change.
    """
    event_type = message.get("type")
    table = _TABLE_OF.get(event_type) if isinstance(event_type, str) else None
    if table is None:
        return
    reserved = RESERVED[message["type"]]
    own = _event_table(message) if table == "tracks" else table
    for field in OWN_FIELDS[message["type"]] if own else ():
        yield from _below(message.get(field), (own,), (field,), "", reserved)
    context = message.get("context")
    if isinstance(context, Mapping):
        # The traits there are a copy, if they have been looked at.
        is_copy = table == "identifies" and bool(message.get("traits"))
        left_out = ("library", "traits") if is_copy else ("library",)
        context = {key: value for key, value in context.items() if key not in left_out}
        tables = (table, own) if own not in ("", table) else (table,)
        yield from _below(context, tables, ("context",), "context_", reserved)


def _event_table(message: Mapping[str, Any]) -> str:
    """The table of a track event; empty: it has none."""
    name = message.get("event")
    table = column_of(name)[:_LONGEST_COLUMN] if isinstance(name, str) else ""
    return f"_{table}" if table in TAKEN_TABLES else table


def _below(
    values: object,
    tables: tuple[str, ...],
    keys: tuple[str, ...],
    prefix: str,
    reserved: frozenset[str],
) -> Iterator[Column]:
    # Without recursion: a message that comes from elsewhere may be nested as deep as it likes.
    waiting = [(values, keys, ".".join(keys), prefix)]
    while waiting:
        values, keys, path, prefix = waiting.pop()
        if not isinstance(values, Mapping):
            continue
        for key, value in values.items():
            name, kind = str(key), type_of(value)
            if kind is None:
                continue
            column = column_of(prefix + name)[:_LONGEST_COLUMN]
            place = f"{path}.{shortened(name)}"
            if kind == "mapping" and len(prefix) + len(name) < LONGEST_LOOKED_AT:
                waiting.append((value, (*keys, name), place, f"{prefix}{name}_"))
            if column and (kind == "mapping" or column not in reserved):
                yield Column(tables, column, place, (*keys, name), kind)


def _is_blank(value: object) -> bool:
    while isinstance(value, list) and len(value) == 1 and value[0] is not None:
        value = value[0]
    return value in (None, "", [])
