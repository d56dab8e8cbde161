"""Lines on stderr, for moments in which logging may be gone, or is what is complained of."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from ..exceptions import ShutdownError

__all__ = ["tell_undelivered", "to_stderr", "undelivered"]


def to_stderr(text: str) -> None:
    """Write to stderr, if there is one: logging may be gone, or be what is complained of.

    A process may have closed it, and have opened a file that was given its number. Python's files
    are not inherited by other programs; a stderr always is.
    """
    stream = sys.stderr
    with contextlib.suppress(Exception):
        if stream is None or (_is_stderr_by_number(stream) and not os.get_inheritable(_STDERR)):
            return
        stream.write(text)
        stream.flush()


_STDERR = 2


def _is_stderr_by_number(stream: Any) -> bool:
    try:
        return os.name == "posix" and stream.fileno() == _STDERR
    except (AttributeError, OSError, ValueError):  # no file
        return False


def tell_undelivered(number: int, holding: str | None) -> None:
    """Say in one line that the process ends with so many events undelivered, and why."""
    to_stderr(f"rudder_logging: {undelivered(number, holding)}\n")


def undelivered(number: int, holding: str | None) -> ShutdownError:
    """The error that says so."""
    return ShutdownError(
        f"{number} events were not delivered before the process ended"
        + (f"; they were held: {holding}" if holding else "")
    )
