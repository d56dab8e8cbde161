"""The end of the process, and forks: what then happens to all listeners and handlers at once.

Nothing here keeps anything alive: a listener lives as long as its thread, or its handler, does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from time import monotonic
from typing import Protocol

from ._listener import BatchListener

__all__ = [
    "add_forkable",
    "add_listener",
    "ending_since",
    "finish_with_worker",
    "forkables",
    "threads_run",
    "wind_up",
]


class Forkable(Protocol):
    """Whatever can't be shared with a forked child."""

    def begin_anew(self) -> None:
        """Called in the child."""
        ...


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
_listeners: weakref.WeakSet[BatchListener] = weakref.WeakSet()
_ending_since: float | None = None
_finalized_in: int | None = None
_EXIT_PRIORITY = 100  # before multiprocessing's own finalizers, which have less


def add_listener(listener: BatchListener) -> None:
    """At the end of the process, wait for it."""
    _listeners.add(listener)


def add_forkable(forkable: Forkable) -> None:
    """In a forked child, have it begin anew."""
    _forkables.add(forkable)


def forkables() -> list[Forkable]:
    """All of them that are alive."""
    return list(_forkables)


def ending_since() -> float | None:
    """The monotonic time at which the process began to end: no thread can be relied on then."""
    return _ending_since


def finish_with_worker() -> None:
    """Called in a process's first event: a multiprocessing child ends without exit hooks.

    It runs its own finalizers instead, which it forgets at its start; so this is too early in
    the hook of a fork.
    """
    global _finalized_in
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or _finalized_in == os.getpid():
        return
    from multiprocessing.util import Finalize  # noqa: PLC0415 - loaded in such a child anyway

    _finalized_in = os.getpid()
    Finalize(None, _at_exit, exitpriority=_EXIT_PRIORITY)


def threads_run() -> bool:
    """Whether a thread of ours would get to run: under uWSGI, only if it is told so."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if not options:
        return True
    # Names and values are bytes in some versions. The option `threads` implies the other.
    read = {_text(name): _text(value).lower() for name, value in options.items()}
    return "threads" in read or read.get("enable-threads") in ("true", "1")


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def wind_up(listener: BatchListener) -> None:
    """Its handler was forgotten without being closed: still deliver, then end."""
    if listener.queue.pending()[0]:
        listener.ensure_running()
    if not listener.retired:
        listener.enqueue_sentinel()


def _at_exit() -> None:
    """Deliver what is queued. Runs before `logging.shutdown`, which was registered earlier."""
    global _ending_since
    _ending_since = monotonic()
    listeners = list(_listeners)
    for listener in listeners:  # all of them at once, then one after the other
        if not listener.retired:
            listener.enqueue_sentinel()
    for listener in listeners:
        listener.finish(_ending_since + listener.shutdown_timeout)


def _after_fork_in_child() -> None:
    _listeners.clear()
    for forkable in list(_forkables):
        # Not logged: logging's locks may be held by a thread that this process does not have.
        with contextlib.suppress(Exception):
            forkable.begin_anew()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
