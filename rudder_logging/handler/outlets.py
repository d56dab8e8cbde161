"""Outlets: they open the queue and the sink of each handler. For a while, others can take over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..config import Config
from ..queues import EventQueue, open_queue
from ..sinks import open_sink
from ..sinks.base import Sink

__all__ = ["Outlets", "in_force", "replaced_by"]


class Outlets:
    """Open what the options name. A handler keeps to those that were in force when it was made."""

    def queue(self, config: Config) -> EventQueue:
        """Open a handler's queue, once.

        Raises:
            ConfigError: The option `queue` names a place where events would not be safe.
        """
        return open_queue(
            config.queue,
            source=config.identity,
            max_events=config.max_queue_size,
            max_bytes=config.max_queue_bytes,
        )

    def sink(self, config: Config) -> Sink:
        """Open a handler's sink; in a forked child, open it again."""
        return open_sink(config)


_in_force = Outlets()


def in_force() -> Outlets:
    """The outlets of handlers that are made now."""
    return _in_force


@contextlib.contextmanager
def replaced_by(outlets: Outlets) -> Iterator[None]:
    """Have all handlers that are made meanwhile, in any thread, use other outlets for good."""
    global _in_force
    earlier, _in_force = _in_force, outlets
    try:
        yield
    finally:
        _in_force = earlier
