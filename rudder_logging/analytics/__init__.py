"""The seven calls, on any logger, on a client and on the package itself.

A call writes to its logger at INFO, so that `caplog` and other handlers see it. Unlike an
ordinary log call it raises what is wrong with its arguments, and delivers whatever levels,
`logging.disable` or `disable_existing_loggers` say: analytics are no diagnostics.

- `calls.py`: the seven calls
- `event_logger.py`: `EventLogger`, with them and a logger's own methods
- `client.py`: `Client`, with them and a handler of its own
"""

from __future__ import annotations

import logging

from ..handler.handler import close_all, flush_all
from ..handler.stdlib import to_thread
from .event_logger import EventLogger

__all__ = [
    "EventLogger",
    "aflush",
    "alias",
    "flush",
    "group",
    "identify",
    "merge",
    "page",
    "screen",
    "shutdown",
    "track",
]


def flush(timeout: float | None = None) -> bool:
    """Have every event that any handler accepted so far settled: the calls', and all others.

    Args:
        timeout: Seconds to wait at the most, for all handlers together; by default each
            handler's `shutdown_timeout`.

    Returns:
        Whether all of them are settled. See `RudderHandler.flush`.

    .. versionadded:: 0.1.0
    """
    return not flush_all(timeout)


async def aflush(timeout: float | None = None) -> bool:
    """Do as `flush`, without blocking the event loop.

    .. versionadded:: 0.1.0
    """
    return await to_thread(flush, timeout)


def shutdown() -> None:
    """Deliver what waits in any handler, and stop; see `RudderHandler.close`.

    The next event starts its handler again. The end of the process does this by itself.

    .. versionadded:: 0.1.0
    """
    close_all()


_default = EventLogger(logging.getLogger("rudder"))
identify = _default.identify
track = _default.track
page = _default.page
screen = _default.screen
group = _default.group
alias = _default.alias
merge = _default.merge
