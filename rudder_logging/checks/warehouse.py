"""Warehouse rules: parts of a message that would be dropped or renamed behind the data plane.

Source: rudder-server 1.83.0, processor/internal/transformer/destination_transformer/embedded/
warehouse (`events.go`, `set.go`, `safe.go`, `internal/rules`), with its default settings;
of SQL's words see `keywords`. Sentences name fields and columns, never values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ..events.encoding import is_of_no_use
from .keywords import WAREHOUSES, keyword_in

__all__ = [
    "LONGEST_LOOKED_AT",
    "OF_SQL",
    "OWN_FIELDS",
    "RESERVED",
    "TAKEN_TABLES",
    "EventNames",
    "column_of",
    "findings",
    "shape_of",
    "shortened",
]

_RESERVED = frozenset(
    "id anonymous_id user_id sent_at timestamp received_at original_timestamp channel context_ip "  # noqa: SIM905
    "context_request_ip context_passed_ip".split()
)
RESERVED: Mapping[str, frozenset[str]] = {
    "identify": _RESERVED,
    # `event` is no reserved column, but overwritten, which comes to the same.
    "track": _RESERVED | {"event", "event_text", "record_id"},
    "page": _RESERVED | {"name"},
    "screen": _RESERVED | {"name"},
    "group": _RESERVED | {"group_id"},
    "alias": _RESERVED | {"previous_id"},
}
"""Columns that are RudderStack's own, by an event's type."""
TAKEN_TABLES = frozenset(
    {"tracks", "pages", "screens", "aliases", "groups", "accounts", "users", "identifies"}
)
"""Tables that are RudderStack's own: an event of that name gets a `_` in front."""
_LONGEST_NAME = 63  # characters, in Postgres; elsewhere 127
_MOST_COLUMNS = 1600
_LONGEST_REMEMBERED = 256  # characters; what comes from elsewhere may be as long as a request
LONGEST_LOOKED_AT = 1_000
"""Characters of all names on the way to a value; what is nested deeper counts as one value."""

_PLACES = ("properties", "traits")
_FILLED_BY = {"context_ip": "context.ip", "name": "properties.name"}
"""Reserved columns that are filled from there, so that it is no loss."""


def findings(message: Mapping[str, Any]) -> list[str]:
    """Find what a warehouse would silently drop or rename of a message.

    `validate` answers another question: would a data plane take the message at all.
    """
    event_type = message.get("type")
    reserved = RESERVED.get(event_type) if isinstance(event_type, str) else None
    if reserved is None:
        return []
    found = list(_of_event_name(message["event"])) if _names_a_table(message) else []
    columns: dict[str, str] = {}
    found.extend(
        f"{path} is only the name of an object; give what is in it"
        for path, value in _texts_of(message)
        if is_of_no_use(value)
    )
    for path, name in _columns_of(message):
        column = column_of(name)
        if not column:
            found.append(
                f"{path} is dropped: a column's name keeps ASCII letters and digits only, "
                "and it has none; rename it"
            )
        elif column in reserved:
            if not _fills(message, path, column):
                found.append(
                    f"{path} is dropped: the column {column} is RudderStack's own; rename it"
                )
        elif column in columns:
            found.append(
                f"{path} and {columns[column]} are one column, {column}, which keeps only one "
                "of the values; rename one"
            )
        else:
            columns[column] = path
            if renamed := _renamed(name, column):
                found.append(f"{path} {renamed}; rename it")
    total = len(columns) + len(reserved)
    if total > _MOST_COLUMNS:
        found.append(
            f"the event fails in warehouses: it has {total} columns, over {_MOST_COLUMNS}; "
            "send less with it, or lists, which are one column each"
        )
    return found


def column_of(name: str) -> str:
    """The column, or table, that a name becomes; empty: none.

    Args:
        name: Of a nested value, all names on the way joined by `_`.
    """
    return _column_of(name) if len(name) > _LONGEST_REMEMBERED else _remembered_column(name)


def _column_of(name: str) -> str:
    leading = name[: len(name) - len(name.lstrip("_"))]
    kept = "_".join(re.findall("[A-Za-z0-9]+", name))
    column = leading + "_".join(word.lower() for word in _WORD.findall(kept))
    return f"_{column}" if column[:1].isdigit() else column


_remembered_column = lru_cache(maxsize=8192)(_column_of)


# Digits stay with the letters before them, or else with those behind them.
_WORD = re.compile("[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]+|[0-9]+(?:[A-Z]?[a-z]+|[A-Z]*)|[A-Z]+(?![a-z])")


class EventNames:
    """Finds event names that differ only in values, as in `Order 123 paid`.

    Each distinct name becomes a table in a warehouse.

    Args:
        limit: How many kinds of names are remembered; what comes after them is not looked at.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._first: dict[int, int] = {}  # hashes: of the shape, of the first name that had it

    def finding(self, message: Mapping[str, Any]) -> str | None:
        """Compare a message's event name with those before it; None: nothing is wrong."""
        if not _names_a_table(message):
            return None
        name = message["event"]
        shape = shape_of(name)
        if shape == name:
            return None
        key = hash(shape)
        if key not in self._first and len(self._first) >= self._limit:
            return None
        if self._first.setdefault(key, hash(name)) == hash(name):
            return None
        return (
            f"event names that differ only in values, like {_shown(shape)}, become a table each; "
            "give one name, and the value as a property"
        )


_VALUE = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
    r"|(?<![^\W_])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}(?![^\W_])"
    r"|\d+(?:[.,:/-]\d+)*",
    re.IGNORECASE,
)


def shape_of(text: str) -> str:
    """A text without its values: those that differ only in them have one shape."""
    return _VALUE.sub("…", text)


def _names_a_table(message: Mapping[str, Any]) -> bool:
    return message.get("type") == "track" and isinstance(message.get("event"), str)


def _of_event_name(name: str) -> Iterator[str]:
    table = column_of(name)
    if not table:
        yield (
            "the event gets no table of its own, and its properties are dropped: its name has no "
            "ASCII letter or digit; name it in those"
        )
    elif table in TAKEN_TABLES:
        yield (
            f"the event's table is _{table}, because {table} is RudderStack's own; "
            "give the event another name"
        )
    elif renamed := _renamed(name, table):
        yield f"the event's name {renamed}; rename it"


def _columns_of(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each value's place, and the name that its column is made of."""
    for place in _PLACES:
        if place in OWN_FIELDS[message["type"]]:
            yield from _flattened(message.get(place), place, "")
    context = message.get("context")
    if isinstance(context, Mapping):
        if message.get("traits") and message["type"] == "identify":
            # A copy of the traits, which have been looked at.
            context = {name: value for name, value in context.items() if name != "traits"}
        yield from _flattened(context, "context", "context_")


OWN_FIELDS: Mapping[str, tuple[str, ...]] = {
    name: ("properties",) if name in ("track", "page", "screen") else ("traits",)
    for name in RESERVED
}
"""Fields whose values are columns, `context` aside, by an event's type."""


def _flattened(values: object, path: str, prefix: str) -> Iterator[tuple[str, str]]:
    # Without recursion: a message that comes from elsewhere may be nested as deep as it likes.
    waiting = [(values, path, prefix)]
    while waiting:
        values, path, prefix = waiting.pop()
        if not isinstance(values, Mapping):
            continue
        for key, value in values.items():
            name = str(key)
            place = f"{path}.{shortened(name)}"
            # A name that is cut anyway is not made longer by each of a thousand levels.
            if isinstance(value, Mapping) and len(prefix) + len(name) < LONGEST_LOOKED_AT:
                waiting.append((value, place, f"{prefix}{name}_"))
            elif value not in (None, "", [], [""]):  # blank ones have no column
                yield place, prefix + name


def _texts_of(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each text with its place, those in lists too."""
    waiting: list[tuple[str, Any]] = [
        (place, message[place]) for place in ("context", *_PLACES) if place in message
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, Mapping) and len(path) < LONGEST_LOOKED_AT:
            waiting.extend((f"{path}.{shortened(str(key))}", item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((path, item) for item in value)


def _fills(message: Mapping[str, Any], path: str, column: str) -> bool:
    if path != _FILLED_BY.get(column):
        return False
    # A page's root name wins over that of its properties.
    return column != "name" or message.get("name") in (None, "", message["properties"]["name"])


def _renamed(name: str, becomes: str) -> str | None:
    """Tell how a name changes beyond case and separators; None: it does not."""
    if len(becomes) > _LONGEST_NAME:
        return f"is cut to {_LONGEST_NAME} characters in Postgres, and to 127 elsewhere"
    if warehouses := keyword_in(becomes):
        where = ", ".join(warehouses)
        if len(warehouses) == len(WAREHOUSES):
            where = "all warehouses but ClickHouse"
        return f"becomes _{becomes} in {where}{OF_SQL}"
    if re.search(r"[^A-Za-z0-9_. -]", name):
        return f"becomes {becomes}: only ASCII letters and digits are kept"
    if name[:1].isdigit():
        return f"becomes {becomes}: none begins with a digit"
    return None


OF_SQL = ": it is a word of their SQL"
"""The part of a finding that says of a name that it gets an underscore."""


def shortened(name: str) -> str:
    """A name, or the first of a long one."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:40]}…"


def _shown(text: str) -> str:
    return repr(shortened(text))
