"""JSON as the gateway reads it: strict, of two equal keys the first wins, at any depth in use."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

__all__ = ["json_text", "overflows", "parse"]

_Number = Callable[[str], float]

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_SURROGATES = dict.fromkeys(range(55296, 57344), "�")
_MOST_LEVELS = 200_000
"""Read in a second or two. A gateway takes more, but its time grows with the square of them."""


def parse(body: bytes, infinite: list[str] | None = None) -> Any:
    """Read a body; a number too large for the gateway is an infinity.

    Args:
        body: UTF-8, more or less.
        infinite: Gets the text of each number that is one.

    Raises:
        ValueError: It is not JSON, or nested over 200,000 levels.
    """
    # Bad bytes become lone surrogates first, as \ud800 escapes do; then all become U+FFFD.
    text = body.decode("utf-8", "surrogateescape")
    number, integer = _numbers([] if infinite is None else infinite)
    try:
        document = json.loads(
            text,
            object_pairs_hook=_first_wins,
            parse_constant=_refuse,
            parse_float=number,
            parse_int=integer,
        )
        return _mended(document) if "\\ud" in text.lower() or not _is_valid(text) else document
    except RecursionError:  # Python's own parser takes about a thousand levels
        return _deep(text, number, integer)


def overflows(document: Any) -> bool:
    """Tell if there is a number in it that the gateway can't write again."""
    rest = [document]
    while rest:
        value = rest.pop()
        if isinstance(value, float) and math.isinf(value):
            return True
        if isinstance(value, (list, dict)):
            rest += value.values() if isinstance(value, dict) else value
    return False


def json_text(value: Any) -> str:
    """A value as text: of text itself, of nothing nothing, of anything else its JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value)
    except RecursionError:
        return f"{type(value).__name__} {id(value)}"


def _first_wins(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _numbers(infinite: list[str]) -> tuple[_Number, _Number]:
    """Readers of numbers: with a point or an exponent, and without."""

    def number(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            infinite.append(text)
        return value

    def integer(text: str) -> float:
        value = number(text)
        return value if math.isinf(value) else int(text)

    return number, integer


def _is_valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_SURROGATES)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _deep(text: str, number: _Number, integer: _Number) -> Any:
    """The same by a stack of its own, which ends much later."""
    root: list[Any] = []
    open_ones: list[tuple[Any, str]] = [
        (root, "")
    ]  # each with the key that it waits for a value of
    at = _skip(text, 0)
    while True:
        container, key = open_ones[-1]
        value, at = _value(text, at, number, integer)
        if isinstance(container, list):
            container.append(value)
        else:
            container.setdefault(key, value)
        if isinstance(value, (list, dict)):
            closing = "]" if isinstance(value, list) else "}"
            if text[at : at + 1] != closing:
                key, at = _key(text, at) if closing == "}" else ("", at)
                if len(open_ones) > _MOST_LEVELS:
                    raise json.JSONDecodeError("Too many levels of nesting", text, at)
                open_ones.append((value, key))
                continue
            at = _skip(text, at + 1)
        while len(open_ones) > 1:
            container, _ = open_ones[-1]
            found = text[at : at + 1]
            if found == ",":
                at = _skip(text, at + 1)
                if isinstance(container, dict):
                    key, at = _key(text, at)
                    open_ones[-1] = (container, key)
                break
            if found != ("]" if isinstance(container, list) else "}"):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            open_ones.pop()
            at = _skip(text, at + 1)
        else:
            if at != len(text):
                raise json.JSONDecodeError("Extra data", text, at)
            return root[0]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _key(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] != '"':
        raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
    key, at = scanstring(text, at + 1, True)
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
    return key.translate(_SURROGATES), _skip(text, at + 1)


def _value(text: str, at: int, number: _Number, integer: _Number) -> tuple[Any, int]:
    """A value, of a list or an object only its opening; and the next place that is no space."""
    first = text[at : at + 1]
    if first in ("[", "{"):
        return [] if first == "[" else {}, _skip(text, at + 1)
    if first == '"':
        value, at = scanstring(text, at + 1, True)
        return value.translate(_SURROGATES), _skip(text, at)
    if first in _WORDS and text.startswith(_WORDS[first][0], at):
        return _WORDS[first][1], _skip(text, at + len(_WORDS[first][0]))
    match = _NUMBER.match(text, at)
    if not match:
        raise json.JSONDecodeError("Expecting value", text, at)
    is_whole = match[2] is None and match[3] is None
    return (integer if is_whole else number)(match[0]), _skip(text, match.end())
