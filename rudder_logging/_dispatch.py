"""From a direct call to the handlers on its logger's path, with a log record only if one matters.

To make a record costs as much as all that becomes of its event in the call. So there is none where
nobody else would see it, and nothing could change it.
"""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Iterable
from time import time
from typing import Any

from ._handler import RudderHandler
from ._settings import settings
from ._stdlib import OWN_LOGGERS, filtered

__all__ = ["dispatch", "rudder_handlers", "want_records"]

_wanted = 0  # by how many
_FRAMES_TO_THE_CALLER = 5  # from `_caller`: by `_log_record`, `dispatch`, `_log_event` and the call


def _if_of_logging(function: object) -> object:
    is_own = type(function) is types.FunctionType and function.__globals__ is vars(logging)
    return function if is_own else None


_Logger = logging.Logger
_call_handlers = _if_of_logging(_Logger.callHandlers)
_handle = _if_of_logging(_Logger.handle)
"""None, if somebody had replaced it by one that sees all records, as the agents of Sentry and New
Relic do. Others do that later."""


def dispatch(logger: logging.Logger, template: str, fields: dict[str, Any]) -> None:
    """Have RudderHandlers take an event whatever the levels, and others its record as levels say.

    Raises:
        InvalidEventError: It can't be sent as it is.
        ConfigError: No handler is configured, and neither are the settings for one.
    """
    path = _handlers_on_the_path(logger)
    if _needs_a_record(logger, path):
        _log_record(logger, template, fields, path)
        return
    now = time()
    for handler in _rudder_among(path) or [settings.make_handler()]:
        handler.accept(fields, template, now)


def rudder_handlers(logger: logging.Logger) -> list[RudderHandler]:
    """The RudderHandlers that a record of this logger reaches, levels aside."""
    return _rudder_among(_handlers_on_the_path(logger))


def want_records(by: int) -> None:
    """Have every call make a record, because one more (-1: one less) looks at them in tests."""
    global _wanted
    _wanted += by


def _handlers_on_the_path(logger: logging.Logger) -> list[logging.Handler]:
    found: list[logging.Handler] = []
    current: logging.Logger | None = logger
    while current is not None:
        found += current.handlers
        current = current.parent if current.propagate else None
    return found


def _rudder_among(handlers: Iterable[logging.Handler]) -> list[RudderHandler]:
    return [handler for handler in handlers if isinstance(handler, RudderHandler)]


def _needs_a_record(logger: logging.Logger, path: list[logging.Handler]) -> bool:
    """Whether anybody looks at the record before the event is queued, or besides."""
    if _wanted:
        return True
    is_seen = _Logger.callHandlers is not _call_handlers or _Logger.handle is not _handle
    for handler in path:
        if isinstance(handler, RudderHandler):
            if handler.looks_at_records or path.count(handler) > 1:
                return True
        elif handler.level <= logging.INFO and type(handler) is not logging.NullHandler:
            is_seen = True
    return (
        (is_seen and logger.isEnabledFor(logging.INFO))
        or bool(logger.filters)
        or type(logger) is not logging.Logger
        or logging.getLogRecordFactory() is not logging.LogRecord
        or logger.name.startswith(OWN_LOGGERS)
    )


def _log_record(
    logger: logging.Logger, template: str, fields: dict[str, Any], path: list[logging.Handler]
) -> None:
    file, line, function = _caller()
    extra = {"rudder": fields}
    record = logger.makeRecord(
        logger.name, logging.INFO, file, line, template, (), None, function, extra
    )
    passed = logger.filter(record)
    if passed:
        record = filtered(record, passed)
        for handler in _rudder_among(path) or [settings.make_handler()]:
            handler.deliver(record)
        if logger.isEnabledFor(logging.INFO):
            # RudderHandlers know the record by now, and filters are not to see it twice.
            is_plain = type(logger) is logging.Logger and not logger.filters
            (logger.handle if is_plain else logger.callHandlers)(record)


def _caller() -> tuple[str, int, str]:
    """File, line and function that the call came from, or logging's own words for none."""
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 - as logging itself does
    for _ in range(_FRAMES_TO_THE_CALLER):
        if frame is not None:
            frame = frame.f_back
    if frame is None:  # it came from C: from atexit, or as a thread's or greenlet's function
        return "(unknown file)", 0, "(unknown function)"
    return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
