"""Python as `ruff format` and black lay it out: what does not fit is made to, and not reflowed."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["LINE", "Node", "exploded", "quoted", "sentence", "width", "wrapped"]

LINE = 88
"""Columns: the default of both."""


@dataclass(frozen=True)
class Node:
    """A type, as code: `Sequence[str]`, or alternatives of the head `|`."""

    head: str
    args: tuple[Node, ...] = ()

    @property
    def text(self) -> str:
        """It on one line."""
        texts = [arg.text for arg in self.args]
        if self.head == "|":
            return " | ".join(texts)
        return f"{self.head}[{', '.join(texts)}]" if texts else self.head

    @property
    def names(self) -> Iterator[str]:
        """The names that it uses."""
        yield self.head
        for arg in self.args:
            yield from arg.names


def width(text: str) -> int:
    """Columns that a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def exploded(head: str, items: list[str], indent: str = "", brackets: str = "()") -> list[str]:
    """A bracket with an item a line, which formatters leave so for its last comma."""
    lines = [f"{indent}    {item}," for item in items]
    return [f"{indent}{head}{brackets[0]}", *lines, f"{indent}{brackets[1]}"]


def quoted(value: str) -> str:
    """A string in Python, in the quotes that need fewer escapes."""
    inner = "".join(repr(char)[1:-1] for char in value)
    mark = "'" if inner.count('"') > inner.count("'") else '"'
    return mark + inner.replace(mark, f"\\{mark}") + mark


def sentence(text: str) -> str:
    """A plan's words on one line, as a docstring can have them, with a stop at the end."""
    words = "".join(char if char.isprintable() else " " for char in text).split()
    said = " ".join(words).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return said if not said or said[-1] in ".!?" else f"{said}."


def wrapped(text: str, indent: str, more: str = "") -> list[str]:
    """A paragraph of a docstring; its other lines stand further in by `more`."""
    return textwrap.wrap(
        text,
        LINE,
        initial_indent=indent,
        subsequent_indent=indent + more,
        break_long_words=False,
        break_on_hyphens=False,
    )
