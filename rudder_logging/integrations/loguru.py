"""rudder_sink: loguru's events reach a RudderHandler, as `extra["rudder"]`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..common.wired import wired
from ..events.records import LoguruText
from ..handler.handler import RudderHandler

if TYPE_CHECKING:
    from loguru import Message

__all__ = ["rudder_sink"]


def rudder_sink(handler: RudderHandler) -> RudderSink:
    """Make a sink for `logger.add` that sends events: of lines that have `rudder` in `extra`.

    Unlike the handler itself, which loguru takes for a sink, too, it has the time of the call with
    `enqueue=True` as well, and does nothing for other lines.

    Args:
        handler: It sends them, if its level lets them. `logger.remove` closes it; the next event
            opens it again.

    .. versionadded:: 0.1.0
    """
    wired.add("loguru")
    return RudderSink(handler)


class RudderSink:
    """A sink, as `rudder_sink` makes it. Never raises: see `RudderHandler.handleError`."""

    def __init__(self, handler: RudderHandler) -> None:
        self._handler = handler

    def write(self, message: Message) -> None:
        """Have the handler take the event, if there is one. Called by loguru."""
        told = message.record
        extra = told["extra"]
        fields = extra.get("rudder")
        level = told["level"].no
        if fields is None or level < self._handler.level:
            return
        text = LoguruText(told["message"])
        place = (told["file"].path, told["line"])
        name = told["name"] or "loguru"
        record = logging.LogRecord(name, level, *place, text, None, None, told["function"])
        record.created = told["time"].timestamp()
        record.__dict__.update(rudder=fields, rudder_on_commit=extra.get("rudder_on_commit"))
        self._handler.handle(record)

    def stop(self) -> None:
        """Deliver what waits. Called by loguru, when the sink is removed and at exit."""
        self._handler.close()
