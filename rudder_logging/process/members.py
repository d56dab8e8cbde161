"""Members: handlers, queues and listeners that are to hear of a fork, or of the process's end.

Nothing here keeps anything alive: a listener lives as long as its thread, or its handler, does.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar

__all__ = [
    "Closable",
    "Forkable",
    "Listener",
    "add_listener",
    "forkables",
    "handlers",
    "known_forkables",
    "known_listeners",
    "listeners",
]


_Member = TypeVar("_Member")


class Forkable(Protocol):
    """Whatever can't be shared with a forked child."""

    def after_fork(self) -> None:
        """Called in the child."""
        ...


class _Depth(Protocol):
    @property
    def events(self) -> int:
        """Number of events that are not settled."""
        ...


class _Queue(Protocol):
    def depth(self) -> _Depth:
        """Fill of the queue."""
        ...


class Listener(Protocol):
    """Whoever delivers what a handler has queued."""

    @property
    def queue(self) -> _Queue:
        """The handler's queue."""
        ...

    @property
    def unattended(self) -> bool:
        """True if no thread looks after the queue."""
        ...

    @property
    def shutdown_timeout(self) -> float:
        """Seconds that it has at the end of the process."""
        ...

    def ensure_running(self) -> bool:
        """Start its thread, unless it runs."""
        ...

    def enqueue_sentinel(self) -> None:
        """Have it end when the queue is empty."""
        ...

    def outlive_threads(self) -> None:
        """Called at the end of the process, before its thread is waited for."""
        ...

    def telling_of_bugs(self) -> contextlib.AbstractContextManager[None]:
        """Tell what the block raises, and let it go no further."""
        ...

    def finish(self, deadline: float, tell: Callable[[int, str | None], object] = ...) -> object:
        """Deliver what is queued until that moment, or count it."""
        ...

    def disown(self) -> None:
        """Called in a forked child."""
        ...


class Closable(Protocol):
    """A handler of ours."""

    def await_close(self) -> None:
        """Called at the end of the process, when logging is going to close it."""
        ...

    def drop_all_uncommitted(self) -> None:
        """Called when the others have delivered: no transaction will be committed any more."""
        ...


known_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
known_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()


def add_listener(listener: Listener) -> None:
    """At the end of the process, wait for it."""
    known_listeners.add(listener)


def forkables() -> list[Forkable]:
    """All of them that are alive."""
    return _living(known_forkables)


def listeners() -> list[Listener]:
    """All of them that are alive."""
    return _living(known_listeners)


def _living(known: weakref.WeakSet[_Member]) -> list[_Member]:
    while True:
        with contextlib.suppress(RuntimeError):  # another thread has added one meanwhile
            return list(known)


def handlers() -> list[logging.Handler]:
    """All handlers of ours that are alive."""
    return [one for one in forkables() if isinstance(one, logging.Handler)]
