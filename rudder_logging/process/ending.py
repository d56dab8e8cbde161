"""The end of the process: has it begun, and how long does it wait for events.

Whoever asks if the process is ending asks here.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from ..common.clock import monotonic

__all__ = [
    "after_fork",
    "begin",
    "can_import",
    "deadline",
    "keeping_the_process",
    "since",
    "threads_are_ended",
]

since: float | None = None
"""The monotonic time at which the process began to end: no thread can be relied on then."""
_seconds_kept = 0.0
"""For how long the process has been kept from ending since then, for the sake of events."""

threads_are_ended = sys.is_finalizing
"""True once the interpreter has ended all other threads, with whatever locks they held."""


def begin() -> float:
    """Note that the process begins to end. Returns the time."""
    global since
    since = monotonic()
    return since


def after_fork() -> None:
    """In a forked child: an exit hook may have forked it, and it lives on."""
    global since, _seconds_kept
    since, _seconds_kept = None, 0.0


def can_import() -> bool:
    """Tell if modules can still be imported, until the interpreter takes them apart."""
    return sys.meta_path is not None


def deadline(timeout: float, shutdown_timeout: float) -> float:
    """When so many seconds from now will have passed.

    At the end of the process, all that is waited for shares `shutdown_timeout`. What the app does
    meanwhile takes none of it.
    """
    if since is not None:
        timeout = min(timeout, max(0.0, shutdown_timeout - _seconds_kept))
    return monotonic() + timeout


@contextlib.contextmanager
def keeping_the_process() -> Iterator[None]:
    """Count the seconds that the block takes, if it keeps the process from ending."""
    global _seconds_kept
    begun = monotonic()
    try:
        yield
    finally:
        if since is not None and threading.current_thread() is threading.main_thread():
            _seconds_kept += monotonic() - begun
