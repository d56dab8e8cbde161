"""The handler's dealings with the standard library: its logging, and its event loops."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from ..exceptions import InvalidEventError

__all__ = [
    "OTHER_LOGGERS",
    "OWN_LOGGERS",
    "NoLock",
    "complaint",
    "filtered",
    "holds_logging_lock",
    "is_feedback",
    "to_thread",
]

_T = TypeVar("_T")

OWN_LOGGERS = ("rudder_logging", "urllib3", "requests", "charset_normalizer")
"""Loggers that delivery itself may use. From its own thread, none of their events is shipped."""
_MOST_NAMES = 1_000
OTHER_LOGGERS: set[str] = set()
"""Names of loggers that are known not to be among those, or below: most are asked often."""


class NoLock:
    """A handler's `lock` for those who take it, as `with handler.lock:`: it is always free.

    A real one that is held while a process forks, or ends, would have to be waited for.
    """

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: ARG002
        """Return at once."""
        return True

    def release(self) -> None:
        """Do nothing."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *exc_info: object) -> None:
        pass

    def _at_fork_reinit(self) -> None:
        """Called by `Handler._at_fork_reinit`."""


def complaint(record: logging.LogRecord, error: BaseException | None) -> str:
    """The line about a record that was not accepted: without its message and arguments."""
    where = f"{record.pathname}:{record.lineno}"
    if isinstance(error, InvalidEventError):
        return f"rudder_logging: event refused at {where}: {error}\n"
    frames = "".join(traceback.format_tb(error.__traceback__ if error else None))
    return f"rudder_logging: {type(error).__name__} for the event at {where}\n{frames}"


def filtered(record: logging.LogRecord, passed: object) -> logging.LogRecord:
    """The record to go on with: from Python 3.12, filters may replace it."""
    return passed if isinstance(passed, logging.LogRecord) else record


def is_feedback(record: logging.LogRecord, is_deliverer: Callable[[], bool]) -> bool:
    """Tell if a filter of the app's has made an event of what delivery itself logs."""
    package = str(record.name).partition(".")[0]
    if package not in OWN_LOGGERS:
        if type(record.name) is str and len(OTHER_LOGGERS) < _MOST_NAMES:
            OTHER_LOGGERS.add(record.name)
        return False
    return package == "rudder_logging" or is_deliverer()


def holds_logging_lock() -> bool:
    """Tell if this thread holds the logging module's lock, as it does inside `dictConfig`."""
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return bool(is_owned and is_owned())


async def to_thread(call: Callable[..., _T], *args: Any) -> _T:
    """Make a call that may block, without blocking the event loop."""
    import asyncio  # noqa: PLC0415 - costly, and loaded in such an app anyway

    return await asyncio.to_thread(call, *args)
