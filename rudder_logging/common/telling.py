"""Warnings that are said once a place, and places: of a call, of an error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["name_of", "place_of_caller", "place_of_error", "tell_once"]

_MOST_TOLD = 10_000  # kept, so that they are not said again

_log = logging.getLogger("rudder_logging")
_told: set[tuple[str, str]] = set()


def tell_once(place: str, words: str) -> None:
    """Warn, unless the same was said of that place before."""
    if (place, words) in _told:
        return
    if len(_told) >= _MOST_TOLD:
        _told.clear()
    _told.add((place, words))
    _log.warning("%s (said once)", words)


def place_of_caller(depth: int) -> str:
    """File and line of a caller, so many calls up from whoever asks."""
    try:
        frame = sys._getframe(depth + 1)  # noqa: SLF001 - as logging itself does
    except ValueError:  # it was called from C
        return "an unknown place"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def place_of_error(error: BaseException) -> str:
    """File and line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def name_of(function: Callable[..., Any]) -> str:
    """A function's name, with its module's."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{module}.{name}" if module else f"{name}"
