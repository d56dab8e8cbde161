"""From the option `queue` to a queue."""

from __future__ import annotations

from .base import EventQueue

__all__ = ["open_queue"]


def open_queue(
    option: str | EventQueue, *, source: str, max_events: int, max_bytes: int
) -> EventQueue:
    """Make the queue that the option `queue` names; a queue object is returned as it is.

    Args:
        option: A URL (see `urls`), or a queue.
        source: The write key, which tells this handler's events from those of others; behind a
            blank, the data plane's URL.
        max_events: How many events may be in memory.
        max_bytes: Their size.

    Raises:
        ConfigError: Events would not be safe where the URL says.
    """
    if not isinstance(option, str):
        return option
    from .urls import parse_queue_url  # noqa: PLC0415 - the protocol does not need it

    url = parse_queue_url(option)
    if url is None:
        from .memory import MemoryQueue  # noqa: PLC0415 - the protocol does not need its makers

        return MemoryQueue(max_events=max_events, max_bytes=max_bytes)
    from .file import FileQueue  # noqa: PLC0415 - only where there are POSIX locks

    return FileQueue(url, source, max_events=max_events, max_bytes=max_bytes)
