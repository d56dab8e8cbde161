"""Records events where a handler would queue them, whatever the app's logging is set up to.

While anything records, seven methods do more than they did, and do it only for records that carry
an event; then they are what they were. No logger's or handler's own configuration is touched.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

import orjson

from ..common.logging_tree import all_loggers, ancestry, chains, handlers_above
from ..exceptions import WarehouseWarning
from ..handler.admission import Admission
from ..handler.commits import Uncommitted, Wait, have_wait
from ..handler.dispatch import is_stand_in, rudder_handlers, want_records
from ..handler.handler import RudderHandler
from ..handler.settings import Settings, settings
from ..handler.stdlib import filtered
from ..queues.memory import MemoryQueue
from .layers import Layer, lay, lift
from .recorder import RecordedEvent, Recorder

if TYPE_CHECKING:
    from ..handler.pipeline import Pipeline

__all__ = ["start", "stop"]


_lock = threading.RLock()
_recorders: list[Recorder] = []
_originals: dict[str, Any] = {}  # by name: what lies below
_inside = threading.local()


def start(recorder: Recorder) -> None:
    """Tell a recorder of all events from now on."""
    with _lock:
        _recorders.append(recorder)
        if len(_recorders) == 1:
            want_records(1)
            for cls, name, layer in _LAYERS:
                lay(cls, name, layer)


def stop(recorder: Recorder) -> None:
    """Tell it no more; when the last one stops, everything is left as it was."""
    with _lock:
        _recorders.remove(recorder)
        if not _recorders:
            want_records(-1)
            for cls, name, layer in _LAYERS:
                lift(cls, name, layer)
            _stand_in.close()


class _StandIn:
    """The handler of events that find none: with the package's settings, as far as they matter."""

    _SHAPING = (
        "before_send",
        "context",
        "integrations",
        "max_event_bytes",
        "privacy",
        "send",
        "trace_context",
    )

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


class _Kept(MemoryQueue):
    """Holds nothing: what is put goes to whoever records."""

    def __init__(self, keep: Callable[[bytes], object]) -> None:
        super().__init__(max_events=1, max_bytes=1)
        self._keep = keep

    def put(self, message: bytes) -> int:
        self._keep(message)
        return 0  # too few to wake anybody


class _Diverted(Admission):
    """A handler, as far as it lets one event in, with another queue.

    So it is the handler's own code that makes, edits and checks the message.
    """

    def __init__(
        self, handler: RudderHandler, record: logging.LogRecord, stopped_by: str | None, exact: bool
    ) -> None:
        vars(self).update(vars(handler))  # and not logging's `__init__`, which would enlist it
        self._opened = None
        self._handler, self._record = handler, record
        self._stopped_by, self._exact = stopped_by, exact

    def _open(self) -> Pipeline:
        # Not kept: a value's conversion may fork.
        return replace(self._handler._pipeline, queue=_Kept(self._capture))  # noqa: SLF001

    def format(self, record: logging.LogRecord) -> str:
        return self._handler.format(record)

    def _capture(self, message: bytes) -> None:
        self._pipeline.ledger.count_dropped(1, "captured")
        self._keep(message)

    def _await_commit(self, pipeline: Pipeline, message: bytes, wait: Wait) -> None:
        pipeline.ledger.count_accepted()
        pipeline.ledger.count_dropped(1, "captured")
        have_wait(_Shown(self._keep(message, on_commit=True)), wait)

    def _after_failed_put(self, *_failed: object) -> None:
        """Nothing: it is counted, and what `put` raised goes on."""

    def _see_to_delivery(self, _pipeline: object) -> None:
        """Nothing: none is queued."""

    def _drop(self, pipeline: Pipeline, message: bytes, reason: str) -> None:
        super()._drop(pipeline, message, reason)
        if reason == "send_off":
            self._stopped_by = self._stopped_by or "the option send is off"
            self._keep(message)

    def _keep(self, message: bytes, *, on_commit: bool = False) -> RecordedEvent:
        event = RecordedEvent(
            orjson.loads(message + b"}"), self._record, self._stopped_by, on_commit=on_commit
        )
        for recorder in _recorders.copy():
            recorder.handlers.add(self._handler)
            recorder.add(self._record, event, exact=self._exact)
        for text in list(_recorders[-1].lint(event, self._record) if _recorders else ()):
            _inside.warnings.append((text, self._record))
        return event


class _Shown(Uncommitted):
    """An event that was recorded at its call. It is taken back if its transaction is."""

    def __init__(self, event: RecordedEvent) -> None:
        self._event: RecordedEvent | None = event

    def name_user(self, user_id: str) -> None:
        if self._event is not None:
            self._event.setdefault("userId", user_id)

    def commit(self) -> None:
        self._event = None

    def roll_back(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            for recorder in _recorders.copy():
                recorder.take_back(event)


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
        outer, _inside.refusing = getattr(_inside, "refusing", None), set()
        try:
            if enabled:
                self.callHandlers(record)
            if is_stand_in(self):  # of a direct call, which finds the handlers by itself
                return
            on_way = rudder_handlers(self)
            if not enabled or all(handler.level > record.levelno for handler in on_way):
                _take(self, record, on_way)
        finally:
            _inside.refusing = outer


def _handler_handle(self: logging.Handler, record: logging.LogRecord) -> Any:
    """Note which handlers refuse a record: their filters are not to be asked twice."""
    passed = _originals["Handler.handle"](self, record)
    refusing = getattr(_inside, "refusing", None)
    if refusing is not None and not passed:
        refusing.add(id(self))
    return passed


def _take(logger: logging.Logger, record: logging.LogRecord, on_way: list[RudderHandler]) -> None:
    """Record what no handler gets from here; with what would make its message, if it is known."""
    ways = list(_ways(handlers_above(logger)))
    everywhere = (handler for other in all_loggers() for handler in other.handlers)
    configured = on_way or [way[-1] for way in ways or _ways(everywhere)]
    stopped_by = _obstacle(logger, record, ways) if configured else None
    handler = configured[0] if configured else _stand_in.handler()
    try:
        passed = handler._filter(record)  # noqa: SLF001 - as `handle` does
        if passed:
            _divert(handler, filtered(record, passed), stopped_by, exact=False)
    except Exception:  # noqa: BLE001 - as `emit` does
        handler.handleError(record)


def _ways(handlers: Iterable[object]) -> Iterator[tuple[Any, ...]]:
    return chains(handlers, lambda handler: isinstance(handler, RudderHandler))


def _obstacle_on(way: tuple[Any, ...], record: logging.LogRecord) -> str | None:
    """Why a record that its logger lets through would not come to the end of a way."""
    level_counts = True
    for handler in way:
        kind = "RudderHandler" if handler is way[-1] else type(handler).__name__
        if level_counts and handler.level > record.levelno:
            return f"the level of its {kind} is {logging.getLevelName(handler.level)}"
        if id(handler) in _inside.refusing:
            return f"a filter of its {kind} stops it"
        listener = getattr(handler, "listener", None)
        if listener is not None and getattr(listener, "_thread", handler) is None:
            return f"the QueueListener of its {kind} was not started"
        # As logging itself has it: only loggers look at levels, and listeners that are told so.
        level_counts = getattr(listener, "respect_handler_level", False)
    return None


def _obstacle(
    logger: logging.Logger, record: logging.LogRecord, ways: list[tuple[Any, ...]]
) -> str | None:
    """Why a record would reach no handler; None: it would."""
    if logger.disabled:
        return f"the logger {logger.name!r} is disabled"
    if logger.manager.disable >= record.levelno:
        return f"logging.disable({logging.getLevelName(logger.manager.disable)}) is in force"
    source = next((one for one in ancestry(logger) if one.level), None)
    if source is not None and source.level > record.levelno:
        return f"the level of logger {source.name!r} is {logging.getLevelName(source.level)}"
    if not ways:
        return f"no RudderHandler is on the way from logger {logger.name!r} up"
    ways = sorted(ways, key=lambda way: way[-1].level)
    obstacles = [_obstacle_on(way, record) for way in ways]
    return None if None in obstacles else obstacles[0]


def _accept(self: Any, record: logging.LogRecord) -> None:
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


def _handle_or_raise(self: RudderHandler, record: logging.LogRecord) -> None:
    """Of direct calls: what they raise, whoever made them has seen."""
    __tracebackhide__ = True
    try:
        _originals["handle_or_raise"](self, record)
    except Exception:
        for recorder in _recorders.copy():
            recorder.mark_raised(record)
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
    (logging.Handler, "handle", _handler_handle),
    (Admission, "_accept", _accept),
    (RudderHandler, "handle_or_raise", _handle_or_raise),
    (RudderHandler, "handleError", _handle_error),
    (Settings, "make_handler", _make_handler),
)


def _over(name: str, method: Any) -> Layer:
    def layer(below: Any) -> Any:
        _originals[name] = below
        return method

    return layer


_LAYERS = tuple(
    (cls, name, _over("Handler.handle" if cls is logging.Handler else name, method))
    for cls, name, method in _METHODS
)
