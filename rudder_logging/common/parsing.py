"""Parsers of what options are given, for rooms that have options.

A parser raises ValueError with the rest of a sentence that begins with the option's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Parser", "choice"]

Parser = Callable[[Any], Any]


def choice(*choices: str) -> Parser:
    """One of some words."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return parse
