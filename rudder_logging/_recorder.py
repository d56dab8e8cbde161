"""Records events where a handler would queue them, whatever the app's logging is set up to.

While anything records, five methods do more than they did, and do it only for records that carry
an event; then they are what they were. No logger's or handler's own configuration is touched.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import orjson

from ._events import EVENT_TYPES
from ._handler import RudderHandler
from ._matching import describe
from ._settings import Settings, settings
from ._stdlib import complaint, filtered
from ._warehouse import EventNames, findings
from .analytics import rudder_handlers
from .exceptions import WarehouseWarning

__all__ = ["RecordedEvent", "Recorder", "Refusal"]


class RecordedEvent(dict[str, Any]):
    """A message as it would be in the upload's body, `sentAt` aside; and where it came from.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self, message: Mapping[str, Any], record: logging.LogRecord, stopped_by: str | None
    ) -> None:
        super().__init__(message)
        self.logger_name = record.name
        """The logger that it was logged to."""
        self.place = f"{_relative(record.pathname)}:{record.lineno}"
        """File and line of the call."""
        self.stopped_by = stopped_by
        """What would keep it from leaving, as logging is set up at present; None: nothing.

        Where logging has no RudderHandler at all there is nothing to judge by, and it is None.
        """

    @property
    def would_leave(self) -> bool:
        """Whether a handler would send it, as logging is set up at present."""
        return self.stopped_by is None

    def __str__(self) -> str:
        stopped = f" (would not leave: {self.stopped_by})" if self.stopped_by else ""
        return f"{describe(self)}, at {self.place}{stopped}"


def _relative(path: str) -> str:
    try:
        return os.path.relpath(path)
    except (ValueError, OSError):  # on another drive, or in a directory that is gone
        return path


@dataclass(frozen=True)
class Refusal:
    """An event that was not accepted at the call.

    .. versionadded:: 0.1.0
    """

    record: logging.LogRecord
    reason: str
    """Where it was logged, and why it was refused: not what it holds."""

    def __str__(self) -> str:
        return self.reason


class Recorder:
    """What was recorded, from `start` to `stop`."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.refusals: list[Refusal] = []
        self.handlers: set[RudderHandler] = set()
        """Those whose ledgers have the events."""
        self.changed = threading.Condition(threading.RLock())
        self._seen: dict[int, logging.LogRecord] = {}  # held, so that no id is used again
        self._provisional: list[tuple[logging.LogRecord, RecordedEvent]] = []
        self._names = EventNames()
        self._warned: set[tuple[str, object, str]] = set()

    def start(self) -> None:
        """Record from now on."""
        with _lock:
            _recorders.append(self)
            if len(_recorders) == 1:
                for cls, name, method in _METHODS:
                    _originals[name] = cls.__dict__[name]
                    setattr(cls, name, method)

    def stop(self) -> None:
        """Record no more; the last one to stop leaves everything as it was."""
        with _lock:
            _recorders.remove(self)
            if not _recorders:
                for cls, name, _method in _METHODS:
                    setattr(cls, name, _originals[name])
                _stand_in.close()

    def add(self, record: logging.LogRecord, event: RecordedEvent, *, exact: bool) -> None:
        """Keep an event, once, however many handlers get its record.

        Args:
            record: That carried it.
            event: What was made of it.
            exact: A handler on the record's way made it. That wins over what was guessed, if a
                copy of the record comes to a handler by way of a `QueueHandler`.
        """
        with self.changed:
            for number, (earlier, guessed) in enumerate(self._provisional if exact else ()):
                if _is_copy(record, earlier):
                    del self._provisional[number]
                    self._seen[id(record)] = record
                    guessed.clear()
                    guessed.update(event)
                    guessed.stopped_by = event.stopped_by
                    return
            if id(record) in self._seen:
                return
            self._seen[id(record)] = record
            if not exact:
                self._provisional.append((record, event))
            self.events.append(event)
            self.changed.notify_all()

    def refuse(self, record: logging.LogRecord, error: BaseException | None) -> None:
        """Keep why a record's event was not accepted, once."""
        with self.changed:
            if all(refusal.record is not record for refusal in self.refusals):
                text = complaint(record, error).removeprefix("rudder_logging: ").strip()
                self.refusals.append(Refusal(record, text))

    def clear(self) -> None:
        """Forget all events. What was refused is still to be told."""
        with self.changed:
            self.events.clear()
            self._provisional.clear()

    def lint(self, event: RecordedEvent) -> Iterator[str]:
        """What a warehouse would drop or rename of it, that was not said before."""
        with self.changed:
            found = findings(event)
            alike = self._names.finding(event)
            row = EVENT_TYPES[event["type"]]
            name = event.get(row.template_field.key) if row.template_field else None
            for finding in (*found, *([alike] if alike else [])):
                if (row.name, name, finding) not in self._warned:
                    self._warned.add((row.name, name, finding))
                    yield f"{row.name}{f' {name!r}' if name else ''}: {finding}"


def _is_copy(record: logging.LogRecord, earlier: logging.LogRecord) -> bool:
    given, before = record.__dict__["rudder"], earlier.__dict__["rudder"]
    return given is before and record.created == earlier.created


_lock = threading.RLock()
_recorders: list[Recorder] = []
_originals: dict[str, Any] = {}
_inside = threading.local()


class _StandIn:
    """The handler of events that find none: with the package's settings, as far as they matter."""

    _SHAPING = ("context", "integrations", "before_send", "max_event_bytes", "send")

    def __init__(self) -> None:
        self._handler: RudderHandler | None = None
        self._options: dict[str, Any] = {}

    def handler(self) -> RudderHandler:
        options = {name: settings[name] for name in self._SHAPING}
        with _lock:
            if self._handler is None or options != self._options:
                self.close()
                self._options = options
                self._handler = RudderHandler(
                    "captured", "http://127.0.0.1:9", queue="memory://", debug=False, **options
                )
            return self._handler

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()
            self._handler = None


_stand_in = _StandIn()


class _Diverted:
    """A handler to `RudderHandler._accept`, and its queue and its listener: what is put is kept.

    So it is the handler's own code that makes, edits and checks the message.
    """

    _is_synchronous = False
    retired = False

    def __init__(
        self, handler: RudderHandler, record: logging.LogRecord, stopped_by: str | None, exact: bool
    ) -> None:
        self._handler, self._record = handler, record
        self._stopped_by, self._exact = stopped_by, exact
        self._queue = self._listener = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def is_deliverer(self) -> bool:
        return self._handler._listener.is_deliverer()  # noqa: SLF001 - it stands for it

    def put(self, message: bytes) -> int:
        self._handler._ledger.drop(1, "captured")  # noqa: SLF001
        self._keep(message)
        return 0  # neither the first nor enough of them: nobody is woken

    def _drop(self, message: bytes, reason: str) -> None:
        self._handler._drop(message, reason)  # noqa: SLF001
        if reason == "send_off":
            self._stopped_by = self._stopped_by or "the option send is off"
            self._keep(message)

    def _keep(self, message: bytes) -> None:
        event = RecordedEvent(orjson.loads(message + b"}"), self._record, self._stopped_by)
        for recorder in _recorders.copy():
            recorder.handlers.add(self._handler)
            recorder.add(self._record, event, exact=self._exact)
        for text in list(_recorders[-1].lint(event) if _recorders else ()):
            _inside.warnings.append((text, self._record))


class _Warning:
    """Gives warnings at the end: inside the handler they would be errors of the event.

    An error that a filter makes of a warning so reaches the app's call.
    """

    def __enter__(self) -> None:
        _inside.depth = getattr(_inside, "depth", 0) + 1
        if _inside.depth == 1:
            _inside.warnings = []

    def __exit__(self, *exc_info: object) -> None:
        __tracebackhide__ = True
        _inside.depth -= 1
        if _inside.depth == 0 and exc_info[0] is None:
            for text, record in _inside.warnings:
                at: dict[str, Any] = {"filename": record.pathname, "lineno": record.lineno}
                warnings.warn_explicit(text, WarehouseWarning, **at)


# What is replaced meanwhile.


def _is_enabled_for(self: logging.Logger, level: int) -> bool:
    """Let a log call that carries an event go on to `Logger.handle`, which knows what to do."""
    enabled: bool = _originals["isEnabledFor"](self, level)
    return enabled or _asked_for_an_event()


def _asked_for_an_event() -> bool:
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - who asks is what matters
    while frame is not None and frame.f_globals is logging.__dict__:
        given = frame.f_locals
        kwargs = given.get("kwargs")
        extras = [kwargs.get("extra") if isinstance(kwargs, dict) else None]
        if isinstance(given.get("self"), logging.LoggerAdapter):
            extras.append(given["self"].extra)
        for extra in extras:
            if isinstance(extra, Mapping) and extra.get("rudder") is not None:
                return True
        frame = frame.f_back
    return False


def _handle(self: logging.Logger, record: logging.LogRecord) -> None:
    __tracebackhide__ = True
    if record.__dict__.get("rudder") is None:
        # A plain LoggerAdapter may have thrown away the event that the call was let in for.
        called_by_logging = sys._getframe(1).f_globals is logging.__dict__  # noqa: SLF001
        if not called_by_logging or _originals["isEnabledFor"](self, record.levelno):
            _originals["handle"](self, record)
        return
    with _Warning():
        passed = self.filter(record)
        if not passed:
            return
        record = filtered(record, passed)
        enabled = not self.disabled and _originals["isEnabledFor"](self, record.levelno)
        if enabled:
            self.callHandlers(record)
        on_way = rudder_handlers(self)
        if not enabled or all(handler.level > record.levelno for handler in on_way):
            _take(self, record, on_way)


def _take(logger: logging.Logger, record: logging.LogRecord, on_way: list[RudderHandler]) -> None:
    """Record what no handler gets; with what would have made its message, if it is known."""
    configured = on_way or _configured()
    stopped_by = _obstacle(logger, record, on_way) if configured else None
    handler = configured[0] if configured else _stand_in.handler()
    try:
        passed = handler._filter(record)  # noqa: SLF001 - as `handle` does
        if passed:
            _divert(handler, filtered(record, passed), stopped_by, exact=False)
    except Exception:  # noqa: BLE001 - as `emit` does
        handler.handleError(record)


def _configured() -> list[RudderHandler]:
    """The handlers of all loggers."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return [
        handler
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, RudderHandler)
    ]


def _obstacle(
    logger: logging.Logger, record: logging.LogRecord, on_way: list[RudderHandler]
) -> str:
    """Why a record would reach no handler."""
    if logger.disabled:
        return f"the logger {logger.name!r} is disabled"
    if logger.manager.disable >= record.levelno:
        return f"logging.disable({logging.getLevelName(logger.manager.disable)}) is in force"
    source: logging.Logger | None = logger
    while source is not None and not source.level:
        source = source.parent
    if source is not None and source.level > record.levelno:
        return f"the level of logger {source.name!r} is {logging.getLevelName(source.level)}"
    if not on_way:
        return f"no RudderHandler is on the way from logger {logger.name!r} up"
    return f"the level of its RudderHandler is {logging.getLevelName(on_way[0].level)}"


def _accept(self: RudderHandler, record: logging.LogRecord) -> None:
    with _Warning():
        _divert(self, record, None, exact=self is not _stand_in._handler)  # noqa: SLF001


def _divert(
    handler: RudderHandler, record: logging.LogRecord, stopped_by: str | None, *, exact: bool
) -> None:
    try:
        _originals["_accept"](_Diverted(handler, record, stopped_by, exact), record)
    except Exception as error:
        for recorder in _recorders.copy():
            recorder.refuse(record, error)
        raise


def _handle_error(self: RudderHandler, record: logging.LogRecord) -> None:
    for recorder in _recorders.copy():
        recorder.refuse(record, sys.exc_info()[1])
    _originals["handleError"](self, record)


def _make_handler(self: Settings) -> RudderHandler:  # noqa: ARG001 - there is but one
    """None is made of the settings: they need not be complete in tests."""
    return _stand_in.handler()


_METHODS: tuple[tuple[type, str, Any], ...] = (
    (logging.Logger, "isEnabledFor", _is_enabled_for),
    (logging.Logger, "handle", _handle),
    (RudderHandler, "_accept", _accept),
    (RudderHandler, "handleError", _handle_error),
    (Settings, "make_handler", _make_handler),
)
