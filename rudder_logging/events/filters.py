"""EventsOnly and NoEvents: logging filters for handlers that are not ours.

An event may hold what is personal: it need not stand in a log file, too.
"""

from __future__ import annotations

import logging

__all__ = ["EventsOnly", "NoEvents"]


class EventsOnly(logging.Filter):
    """Lets only records pass that carry an event: for a file of events, say.

    As `dictConfig` has it: `{"()": "rudder_logging.EventsOnly"}`.

    .. versionadded:: 0.1.0
    """

    def __init__(self) -> None:
        super().__init__()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let it pass if it carries one."""
        return record.__dict__.get("rudder") is not None


class NoEvents(EventsOnly):
    """Lets only records pass that carry no event: it keeps people's data out of ordinary logs.

    As `dictConfig` has it: `{"()": "rudder_logging.NoEvents"}`.

    .. versionadded:: 0.1.0
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let it pass if it carries none."""
        return not super().filter(record)
