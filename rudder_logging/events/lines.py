"""A log line without an event, as JSON, and lines that a stream can take: none is lost.

The values are written as python-json-logger does, on which `RudderFormatter` is built. But that
gives the app's containers to orjson live (see `encoding`), and it loses the line over a lone
surrogate, an integer of over 64 bits, or deep nesting.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Callable
from datetime import date, datetime, time
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from ..exceptions import InvalidEventError
from .encoding import MAX_DEPTH, MAX_VALUES, are_native, jsonable, key_of, repaired

__all__ = ["line_of", "writable"]

_WRITTEN_BY_ORJSON = (str, int, dict, list, date, time, UUID, Enum)


def line_of(values: dict[str, Any], default: Callable[[Any], Any] | None, *, indent: bool) -> str:
    """The line of a record's values.

    Args:
        values: By name.
        default: What the formatter's owner wants of types that orjson does not write.
        indent: Whether to spread it over several lines, for people.
    """
    options = orjson.OPT_INDENT_2 if indent else 0
    private = _Copier(default).private(values, 0)
    try:
        return orjson.dumps(private, None, options).decode()
    except (TypeError, ValueError):
        return orjson.dumps(repaired(private), None, options).decode()


def writable(line: str, formatter: logging.Formatter) -> str:
    """A line of JSON as all streams can take it whose handlers have that formatter.

    A stream's own way with characters that it lacks would lose the line, or make it no JSON.
    """
    if line.isascii():
        return line
    handlers: list[Any] = [
        handler
        for reference in list(getattr(logging, "_handlerList", ()))
        if (handler := reference()) is not None and handler.formatter is formatter
    ]
    for handler in handlers:
        encoding = getattr(getattr(handler, "stream", None), "encoding", None)
        if isinstance(encoding, str):
            try:
                line.encode(encoding)
            except (UnicodeEncodeError, LookupError):
                return re.sub(r"[^\x00-\x7f]", lambda char: json.dumps(char[0])[1:-1], line)
    return line


class _Copier:
    def __init__(self, default: Callable[[Any], Any] | None) -> None:
        self._default = default
        self._room = MAX_VALUES

    def private(self, value: Any, depth: int) -> Any:
        """A copy down to the last value; what there is no room for becomes the name of its type."""
        for _ in range(MAX_DEPTH):  # conversions of one value, which have to end somewhere
            kind = type(value)
            if are_native((kind,)):
                return value
            if kind is dict or kind is list or kind is tuple:
                return self._copy_of(value, depth)
            value = self._step(value)
        return f"<{type(value).__qualname__}>"

    def _copy_of(self, container: Any, depth: int) -> Any:
        copy: Any = {**container} if type(container) is dict else [*container]
        self._room -= len(copy)
        if depth == MAX_DEPTH or self._room < 0:
            return f"<{type(container).__qualname__}>"
        if type(copy) is dict:
            return {key_of(key): self.private(item, depth + 1) for key, item in copy.items()}
        return [self.private(item, depth + 1) for item in copy]

    def _step(self, value: Any) -> object:
        try:
            if isinstance(value, datetime):
                return value.isoformat()  # without a zone, it may mean local time in a log
            if self._default is not None and not (
                isinstance(value, _WRITTEN_BY_ORJSON) or dataclasses.is_dataclass(type(value))
            ):
                return self._default(value)
            return jsonable(value)
        except InvalidEventError:
            return f"<{type(value).__qualname__}>"
        except Exception:  # noqa: BLE001 - the app's `default`, or its time zone
            return jsonable(value)
