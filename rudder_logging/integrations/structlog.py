"""RudderProcessor: events by structlog, whichever renderer and logger come after it."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from structlog.processors import CallsiteParameter, CallsiteParameterAdder

from ..common.stderr import to_stderr
from ..common.wired import wired
from ..events.records import StructlogText
from ..exceptions import ConfigError
from ..handler.dispatch import hand_over
from ..handler.stdlib import complaint

__all__ = ["RudderProcessor"]

_log = logging.getLogger("rudder_logging")

_LEVELS = {
    "debug": logging.DEBUG,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
"""By structlog's names of methods; INFO, for any other."""

_place = CallsiteParameterAdder(
    {CallsiteParameter.PATHNAME, CallsiteParameter.LINENO, CallsiteParameter.FUNC_NAME},
    additional_ignores=["rudder_logging"],
)


class RudderProcessor:
    """Takes `rudder` out of event dicts, and has the RudderHandlers send it as an event.

    It stands in the chain of `structlog.configure`, before the renderer, which so does not show
    it (nor `rudder_on_commit`). The structlog event names the event, as it is at that place.

    The handlers are those on the way of the standard library's logger that structlog wraps, as its
    level and its filters say. Of any other logger (`PrintLogger` and its like), they are those on
    the way of the logger `rudder`, whatever that one's level is. Where none is, the package's
    settings make one. Never raises: what is wrong with an event goes to `handleError`.

    .. versionadded:: 0.1.0
    """

    def __init__(self) -> None:
        wired.add("structlog")
        self._told: set[str] = set()

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Take the event out, if there is one; see `structlog.typing.Processor`."""
        fields, on_commit = event_dict.pop("rudder", None), event_dict.pop("rudder_on_commit", None)
        if fields is None:
            return event_dict
        if "_record" in event_dict:  # in a ProcessorFormatter, once for each handler that has it
            if event_dict.get("_from_structlog"):
                self._tell(
                    "RudderProcessor stands in a ProcessorFormatter, where an event may come "
                    "often or never: it is not sent; put it in structlog.configure(processors=...)"
                )
            return event_dict
        stdlib = logger if isinstance(logger, logging.Logger) else None
        level = _LEVELS.get(method_name, logging.INFO)
        if stdlib is not None and not stdlib.isEnabledFor(level):
            return event_dict
        at = _place(logger, method_name, {})
        place = (at["pathname"], at["lineno"])
        text, arguments = event_dict.get("event"), event_dict.get("positional_args")
        if isinstance(text, str) and not arguments:
            text = StructlogText(text)
        target = stdlib or logging.getLogger("rudder")
        given = (target.name, level, *place, text, arguments, None, at["func_name"])
        record = logging.LogRecord(*given)
        try:
            record = logging.getLogRecordFactory()(*given)
            record.__dict__.update(rudder=fields, rudder_on_commit=on_commit)
            hand_over(target, record)
        except ConfigError as error:
            self._tell(f"no RudderHandler gets what structlog logs: {error}")
        except Exception as error:  # noqa: BLE001 - a filter of the app's may raise anything
            to_stderr(complaint(record, error))
        return event_dict

    def _tell(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            _log.warning("%s (said once)", words)
