"""The schemes of the URLs that the option `queue` takes, and `open_queue`, which makes a queue."""

from __future__ import annotations

from typing import Protocol

from ..common.schemes import Schemes
from ..exceptions import ConfigError
from .base import METHODS, Buffer
from .memory import MemoryQueue
from .shared import SharedQueue
from .urls import MEMORY, is_spool_url, parse_spool_url
from .waiting import EventQueue

__all__ = ["Maker", "check_buffer", "check_queue_url", "open_queue", "register"]


class Maker(Protocol):
    """Makes the buffer that a URL names: a function, or a class."""

    def __call__(self, url: str, /, *, source: str, max_events: int, max_bytes: int) -> Buffer:
        """Make it.

        Args:
            url: What the option `queue` says.
            source: The write key, which tells this handler's events from those of others; behind
                a blank, the data plane's URL.
            max_events: Number of events that may be in memory.
            max_bytes: Their size.

        Raises:
            ConfigError: Events would not be safe where the URL says.
        """
        ...


QUEUES = Schemes("memory", "file")


def register(scheme: str, maker: Maker) -> None:
    """Have the option `queue` take URLs of a scheme, from now on.

    Args:
        scheme: In lower case, that before the colon. Of two makers for one, the last counts.
        maker: Makes the buffer.

    Raises:
        ValueError: It is no scheme, or one of this package.

    .. versionadded:: 0.1.0
    """
    QUEUES.register(scheme, maker)


def check_queue_url(url: str) -> None:
    """See whether the option `queue` may be that URL.

    Raises:
        ValueError: It may not. The text continues a sentence that begins with its name.
    """
    if not (url == MEMORY or is_spool_url(url) or QUEUES.maker(url)):
        others = "".join(f"{scheme}:..., " for scheme in QUEUES.names)
        raise ValueError(
            f"must be {MEMORY}, file:///var/spool/app, {others}"
            "or an object with the methods of Buffer"
        )
    if is_spool_url(url):
        parse_spool_url(url)


def check_buffer(value: object) -> None:
    """See whether the option `queue` may be that object.

    Raises:
        ValueError: It lacks methods. The text is as that of `check_queue_url`.
    """
    missing = [name for name in METHODS if not callable(getattr(value, name, None))]
    if missing:
        raise ValueError(f"must have the methods of Buffer; lacking: {', '.join(missing)}")


def open_queue(option: str | Buffer, *, source: str, max_events: int, max_bytes: int) -> EventQueue:
    """Make the queue that the option `queue` names, or one over its buffer.

    Args:
        option: A URL, or a buffer. A queue is returned as it is.
        source: See `Maker`, as the rest.
        max_events: Number of events that may be in memory.
        max_bytes: Their size.

    Raises:
        ConfigError: Events would not be safe where the URL says.
    """
    buffer = option
    if isinstance(buffer, str):
        make = QUEUES.maker(buffer) or (_in_files if is_spool_url(buffer) else _in_memory)
        buffer = make(buffer, source=source, max_events=max_events, max_bytes=max_bytes)
        try:
            check_buffer(buffer)
        except ValueError as error:
            raise ConfigError(f"queue {error}") from None
    if isinstance(buffer, EventQueue):
        return buffer
    return SharedQueue(buffer, max_events=max_events, max_bytes=max_bytes)


def _in_memory(_url: str, *, source: str, max_events: int, max_bytes: int) -> MemoryQueue:  # noqa: ARG001
    return MemoryQueue(max_events=max_events, max_bytes=max_bytes)


def _in_files(url: str, *, source: str, max_events: int, max_bytes: int) -> EventQueue:
    from .file import FileQueue  # noqa: PLC0415 - only where there are POSIX locks

    return FileQueue(parse_spool_url(url), source, max_events=max_events, max_bytes=max_bytes)
