"""From a direct call to the handlers on its logger's path, with a log record only if one matters.

To make a record costs as much as all that becomes of its event in the call. So there is none where
nobody else would see it, and nothing could change it.
"""

from __future__ import annotations

import copy
import logging
import sys
import types
from collections.abc import Callable, Iterable
from time import time
from typing import Any

from ..common.logging_tree import handlers_above
from .handler import RudderHandler, errors_of_a_call
from .settings import settings
from .stdlib import OWN_LOGGERS, filtered

__all__ = ["dispatch", "hand_over", "is_stand_in", "rudder_handlers", "want_records"]

_wanted = 0  # number of those who look at records in tests
TYPED_EVENTS = "__typed_events__"
"""A global of modules that `codegen` writes: whoever calls their functions is the caller."""
_FRAMES_TO_THE_CALLER = 5  # from `_caller`: by `_log_record`, `dispatch`, `_log_event` and the call


def _if_of_logging(function: object) -> object:
    is_own = type(function) is types.FunctionType and function.__globals__ is vars(logging)
    return function if is_own else None


_Logger = logging.Logger
_call_handlers = _if_of_logging(_Logger.callHandlers)
_handle = _if_of_logging(_Logger.handle)
_filter = _if_of_logging(_Logger.filter)
_make_record = _if_of_logging(_Logger.makeRecord)
"""None, if somebody had replaced it by one that sees all records, as the agents of Sentry and New
Relic do. Others do that later."""

_HOOKS = frozenset({"handle", "callHandlers", "filter", "makeRecord"})
"""Methods of a logger that a subclass or an instance may replace."""


def dispatch(
    logger: logging.Logger,
    template: str,
    fields: dict[str, Any],
    on_commit: object = None,
    own: RudderHandler | None = None,
) -> None:
    """Have RudderHandlers take an event whatever the levels, and others its record as levels say.

    Args:
        logger: Where it is logged.
        template: The log line.
        fields: The event.
        on_commit: See `Admission.accept`.
        own: The one handler that may have the event. Others see a record without it: behind
            another handler there might be another RudderHandler, which leads elsewhere.

    Raises:
        InvalidEventError: It can't be sent as it is.
        ConfigError: No handler is configured, and neither are the settings for one.
    """
    path = handlers_above(logger)
    if own is not None:
        path = [own, *(one for one in path if not isinstance(one, RudderHandler))]
    if _needs_a_record(logger, path):
        extra: dict[str, Any] = {"rudder": fields}
        if on_commit is not None:
            extra["rudder_on_commit"] = on_commit
        _log_record(logger, template, extra, path, is_private=own is not None)
        return
    now = time()
    for handler in _rudder_among(path) or [settings.make_handler()]:
        handler.accept(fields, template, now, on_commit)


def hand_over(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Have RudderHandlers, and nobody else, take a record, as filters and their levels say.

    Raises:
        ConfigError: As of `dispatch`.
        Exception: Whatever a filter of the logger's raises.
    """
    passed = logger.filter(record)
    if passed:
        record = filtered(record, passed)
        for handler in rudder_handlers(logger) or [settings.make_handler()]:
            if handler.level <= record.levelno:
                handler.handle(record)


def rudder_handlers(logger: logging.Logger) -> list[RudderHandler]:
    """The RudderHandlers that a record of this logger reaches, levels aside."""
    return _rudder_among(handlers_above(logger))


def want_records(by: int) -> None:
    """Have every call make a record, because one more (-1: one less) looks at them in tests."""
    global _wanted
    _wanted += by


def _rudder_among(handlers: Iterable[logging.Handler]) -> list[RudderHandler]:
    return [handler for handler in handlers if isinstance(handler, RudderHandler)]


def _needs_a_record(logger: logging.Logger, path: list[logging.Handler]) -> bool:
    """Tell if anybody looks at the record before the event is queued, or besides."""
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
        or not _HOOKS.isdisjoint(logger.__dict__)
        or _Logger.makeRecord is not _make_record
        or _Logger.filter is not _filter
        or logging.getLogRecordFactory() is not logging.LogRecord
        or logger.name.startswith(OWN_LOGGERS)
    )


def _log_record(
    logger: logging.Logger,
    template: str,
    extra: dict[str, Any],
    path: list[logging.Handler],
    *,
    is_private: bool,
) -> None:
    record = _made(logger, template, extra, *_caller())
    last = _LastHandler(logger, path, is_private=is_private)
    if _has_hooks(logger, besides_agents=not logger.isEnabledFor(logging.INFO)):
        with errors_of_a_call() as errors:
            _stand_in(logger, last).handle(record)
        if last.error is None and errors:
            last.error = errors.pop()
    else:
        passed = logger.filter(record)
        if passed:
            last.handle(filtered(record, passed))
    if last.error is not None:
        try:
            raise last.error
        finally:
            last.error = None  # it refers to this frame


def _made(
    logger: logging.Logger, template: str, extra: dict[str, Any], file: str, line: int, name: str
) -> logging.LogRecord:
    """The call's record, whatever the app's Logger or record factory makes of `extra`."""
    given = (logger.name, logging.INFO, file, line, template, (), None, name)
    try:
        record = logger.makeRecord(*given, extra)
    except KeyError:  # the factory sets `rudder` on each record, and logging overwrites none
        record = logger.makeRecord(*given)
        record.__dict__.update(extra)
    if record.__dict__.get("rudder") is None:  # it is kept elsewhere
        record.__dict__.update(extra)
    return record


def _has_hooks(logger: logging.Logger, *, besides_agents: bool) -> bool:
    """Say if the way from a logger to its handlers is not logging's own.

    Args:
        logger: Where an event is logged.
        besides_agents: What was replaced in all loggers does not count: it is there to see
            what is logged, and the levels say that this is not.
    """
    if not _HOOKS.isdisjoint(logger.__dict__):
        return True
    own = type(logger)
    if besides_agents:
        return own.handle is not _Logger.handle or own.callHandlers is not _Logger.callHandlers
    return not (_is_usual(own.handle, _handle) and _is_usual(own.callHandlers, _call_handlers))


def _is_usual(function: Any, of_logging: object) -> bool:
    """Say if it is logging's own, or this package's for tests."""
    return function is of_logging or function.__module__.startswith("rudder_logging")


class _LastHandler:
    """The one handler of a logger's stand-in: it passes a record to all on the logger's path.

    To RudderHandlers whatever the levels are, to others as they say; without its event, if that is
    private.
    """

    level = logging.NOTSET

    def __init__(
        self, logger: logging.Logger, path: list[logging.Handler], *, is_private: bool
    ) -> None:
        self._logger, self._path, self._is_private = logger, path, is_private
        self.error: Exception | None = None
        """Kept until the hooks of the app's are through, which might swallow it."""

    def handle(self, record: logging.LogRecord) -> None:
        try:
            for handler in dict.fromkeys(_rudder_among(self._path)) or [settings.make_handler()]:
                handler.handle_or_raise(record)
        except Exception as error:  # noqa: BLE001 - raised later
            self.error = error
            return
        if self._logger.isEnabledFor(logging.INFO):
            if self._is_private:
                record = _without_event(record)
            for other in self._path:
                if other.level <= record.levelno and not isinstance(other, RudderHandler):
                    other.handle(record)


def _without_event(record: logging.LogRecord) -> logging.LogRecord:
    without = copy.copy(record)
    for name in ("rudder", "rudder_on_commit"):
        without.__dict__.pop(name, None)
    return without


_stand_ins: dict[type[logging.Logger], Any] = {}


def _stand_in(logger: logging.Logger, last: _LastHandler) -> logging.Logger:
    """The logger once more, with its class, its methods and its state, but one handler.

    So `handle` and `callHandlers` of the app's are asked, and then the event leaves though the
    logger may be disabled.
    """
    kind = type(logger)
    if kind not in _stand_ins:
        _stand_ins[kind] = type(
            kind.__name__,
            (kind,),
            {
                "__slots__": ("_last",),
                "__module__": kind.__module__,
                "handlers": _fixed("handlers", lambda one: [one._last]),  # noqa: SLF001
                "disabled": _fixed("disabled", lambda _: False),
                "propagate": _fixed("propagate", lambda _: False),
            },
        )
    stand_in: Any = object.__new__(_stand_ins[kind])
    stand_in.__dict__ = logger.__dict__
    stand_in._last = last  # noqa: SLF001 - a slot, which is not in that dict
    return stand_in  # type: ignore[no-any-return]


def _fixed(name: str, value: Callable[[Any], object]) -> property:
    """An attribute that looks set, while what is set is the logger's."""
    return property(value, lambda one, given: one.__dict__.__setitem__(name, given))


def is_stand_in(logger: logging.Logger) -> bool:
    """Say if it stands for another while that one takes a direct call."""
    return type(logger) in _stand_ins.values()


def _caller() -> tuple[str, int, str]:
    """File, line and function that the call came from, or logging's own words for none."""
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 - as logging itself does
    for _ in range(_FRAMES_TO_THE_CALLER):
        if frame is not None:
            frame = frame.f_back
    while frame is not None and TYPED_EVENTS in frame.f_globals:
        frame = frame.f_back
    if frame is None:  # it came from C: from atexit, or as a thread's or greenlet's function
        return "(unknown file)", 0, "(unknown function)"
    return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
