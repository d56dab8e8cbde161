"""Parsers of what `Privacy` and its parts are given: objects, or what JSON has in their place.

A parser raises ValueError with the rest of a sentence that begins with the option's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import Any

from ..common.importing import imported
from ..common.parsing import Parser
from ..events.fields import type_of
from .limits import Rate

__all__ = [
    "OBJECT",
    "function_or_ids",
    "mapping_of",
    "names",
    "path",
    "paths",
    "patterns",
    "rate",
    "secret",
    "share",
    "switch",
    "text",
]

_SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60}
_SECONDS |= {"h": 3_600, "hour": 3_600, "d": 86_400, "day": 86_400}
_RATE = re.compile(r"(\d+)\s*/\s*([a-z]+)")
_PATH = re.compile(r"[^.\[\]]+(?:\[\])*(?:\.[^.\[\]]+(?:\[\])*)*")
OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""Text that says where to import something from."""


def switch(value: Any) -> bool:
    """On or off."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "false": False, "on": True, "off": False}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ValueError("must be true or false")


def text(value: Any) -> str:
    """Text."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {type_of(value)}")  # noqa: TRY004 - see above
    return value


def secret(value: Any) -> bytes:
    """A key of hashes, as bytes or text."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes) or not value:
        raise ValueError("must be a secret, as text or bytes, and not empty")
    return value


def names(value: Any) -> tuple[str, ...]:
    """Some names, none of which is empty; each counts once."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
        raise ValueError(f"must be a list of names, not {type_of(value)}")  # noqa: TRY004
    found = tuple(dict.fromkeys(value))
    if not all(isinstance(one, str) and one.strip() for one in found):
        raise ValueError("must be a list of names; one is none")
    return found


def mapping_of(parse: Parser) -> Parser:
    """A mapping by names of events."""

    def parse_each(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"must be a mapping by event, not {type_of(value)}")  # noqa: TRY004
        read = {}
        for name, given in value.items():
            if not isinstance(name, str) or not name:
                raise ValueError("must be a mapping by event; one name is none")
            try:
                read[name] = parse(given)
            except ValueError as error:
                raise ValueError(f"of {name!r} {error}") from None
        return read

    return parse_each


def share(value: Any) -> float:
    """A share of all, from 0.0 to 1.0."""
    try:
        number = float("none" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise ValueError("must be a number from 0.0 to 1.0")
    return number


def rate(value: Any) -> Rate:
    """A number of events in a time; alone, in a second."""
    if isinstance(value, Rate):
        if not (value.events >= 0 and value.seconds > 0):
            raise ValueError("must have no fewer events than none, in more seconds than none")
        return value
    given = f"{value}/s" if type(value) is int else value
    found = _RATE.fullmatch(given.strip().lower()) if isinstance(given, str) else None
    if found is None or found[2] not in _SECONDS:
        raise ValueError("must be like 1000/s, 100/min, 10/h or 1/day")
    return Rate(int(found[1]), _SECONDS[found[2]])


def paths(value: Any) -> tuple[str, ...]:
    """Paths of properties."""
    found = names(value)
    if not all(map(_PATH.fullmatch, found)):
        raise ValueError("must be a list of paths, like revenue or products[].sku")
    return found


def patterns(value: Any) -> tuple[str, ...]:
    """Regular expressions."""
    found = names(value)
    try:
        for one in found:
            re.compile(one)
    except re.error as error:
        raise ValueError(f"has {one!r}, which is no regular expression: {error}") from None
    return found


def function_or_ids(value: Any) -> Any:
    """A function, or where to import it from; or ids."""
    if isinstance(value, str):
        if not OBJECT.fullmatch(value):
            raise ValueError("must be a list of ids, or a function as module:name")
        value = imported(value, "a function")
    return value if callable(value) else names(value)


def path(value: Any) -> str:
    """A file's path, which stays that file's if the process goes to another directory."""
    return str(os.path.abspath(os.fspath(value)))  # noqa: PTH100 - links stay
