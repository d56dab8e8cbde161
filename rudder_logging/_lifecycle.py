"""The end of the process, and forks: what then happens to all listeners and handlers at once.

Nothing here keeps anything alive: a listener lives as long as its thread, or its handler, does.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from ._clock import monotonic
from ._ids import MOMENTS

if TYPE_CHECKING:  # it imports logging.handlers, which importing the package need not
    from ._listener import BatchListener

__all__ = [
    "add_forkable",
    "add_listener",
    "ending_since",
    "finish_with_worker",
    "forkables",
    "listeners",
    "thread_delivers",
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
ending_since: float | None = None
"""The monotonic time at which the process began to end: no thread can be relied on then."""
_finalized_in: int | None = None
_watches_uwsgi = False
_EXIT_PRIORITY = 100  # before multiprocessing's own finalizers, which have less
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2  # of Linux' <linux/prctl.h>


def add_listener(listener: BatchListener) -> None:
    """At the end of the process, wait for it."""
    _listeners.add(listener)


def add_forkable(forkable: Forkable) -> None:
    """In a forked child, have it begin anew."""
    global _watches_uwsgi
    _forkables.add(forkable)
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not _watches_uwsgi:
        _watches_uwsgi = True
        _watch_forks_of(uwsgi)


def _watch_forks_of(uwsgi: ModuleType) -> None:
    """Have uWSGI, which forks its workers without Python's hooks, call ours."""
    earlier, parent = getattr(uwsgi, "post_fork_hook", None), os.getpid()

    def hook() -> None:
        if os.getpid() != parent:  # it is called in a lone worker, too, which was not forked
            _after_fork_in_child()

    def chain() -> None:
        hook()
        if earlier is not None:
            earlier()

    try:
        # Its own module for that, which replaces what others have hooked.
        importlib.import_module("uwsgidecorators").postfork(hook)
    except Exception:  # noqa: BLE001 - not there, or it wants a master process
        uwsgi.post_fork_hook = chain  # type: ignore[attr-defined]  # made for that


def forkables() -> list[Forkable]:
    """All of them that are alive."""
    return list(_forkables)


def listeners() -> list[BatchListener]:
    """All of them that are alive."""
    return list(_listeners)


def finish_with_worker() -> None:
    """Called in a process's first event: workers of pools end without exit hooks.

    They run what their parent's library lets them run instead. Some forget that at their start,
    so it is too early in the hook of a fork.
    """
    global _finalized_in
    if _finalized_in == os.getpid():
        return
    _finalized_in = os.getpid()
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize  # noqa: PLC0415 - loaded in such a child anyway

        Finalize(None, _at_exit, exitpriority=_EXIT_PRIORITY)
    celery = sys.modules.get("celery.signals")
    if celery is not None:
        with contextlib.suppress(Exception):  # not what we know as celery
            celery.worker_process_shutdown.connect(
                _at_worker_exit, weak=False, dispatch_uid="rudder_logging"
            )


def threads_run() -> bool:
    """Whether a thread of ours would get to run: under uWSGI, only if it is told so."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if not options:
        return True
    # Names and values are bytes in some versions. The option `threads` implies the other.
    read = {_text(name): _text(value).lower() for name, value in options.items()}
    return "threads" in read or read.get("enable-threads") in ("true", "1")


def thread_delivers() -> bool:
    """Whether a thread of ours can be relied on here, the end of the process included.

    uWSGI's master runs no Python once it has forked its workers, and no exit hooks.
    """
    uwsgi = sys.modules.get("uwsgi")
    try:
        is_master = uwsgi is not None and uwsgi.masterpid() and not uwsgi.worker_id()
    except AttributeError:  # not what we know as uwsgi
        is_master = False
    return threads_run() and not is_master


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def wind_up(listener: BatchListener) -> None:
    """Its handler was forgotten without being closed: still deliver, then end."""
    if listener.queue.pending()[0]:
        listener.ensure_running()
    if not listener.retired:
        listener.enqueue_sentinel()


def _resolve_without_threads() -> None:
    """Have gevent look up host names in this thread.

    It does so in a thread of its own, and from Python 3.12 none can be started any more.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        with contextlib.suppress(Exception):
            hub = importlib.import_module("gevent").get_hub()
            hub.resolver = importlib.import_module("gevent.resolver.blocking").Resolver(hub)


def _at_exit() -> None:
    """Deliver what is queued. Runs before `logging.shutdown`, which was registered earlier."""
    global ending_since
    ending_since = monotonic()
    _resolve_without_threads()
    listeners = list(_listeners)
    for listener in listeners:  # all of them at once, then one after the other
        if not listener.retired:
            listener.enqueue_sentinel()
    for listener in listeners:
        with listener.telling_of_bugs():  # which are no other listener's
            listener.finish(ending_since + listener.shutdown_timeout)


def _at_worker_exit(**_details: object) -> None:
    with _killed_only_afterwards():
        _at_exit()


@contextlib.contextmanager
def _killed_only_afterwards() -> Iterator[None]:
    """Have Linux kill this process, when the thread that forked it ends, only after the block.

    Celery asks for that kill, so that no worker outlives its master. But with brokers that it waits
    for in threads, it is not the main one that forks the workers that replace others
    (`--max-tasks-per-child`): at a shutdown that thread ends within 0.8 s, while they deliver.
    """
    prctl, asked = _death_signal()
    if not asked or threading.current_thread() is not threading.main_thread():
        yield
        return
    import signal  # noqa: PLC0415 - only for this moment

    came: list[int] = []
    earlier = signal.signal(signal.SIGURG, lambda number, _frame: came.append(number))
    prctl(_PR_SET_PDEATHSIG, signal.SIGURG)
    try:
        yield
    finally:
        prctl(_PR_SET_PDEATHSIG, asked)
        signal.signal(signal.SIGURG, earlier)
        if came:
            os.kill(os.getpid(), asked)


def _death_signal() -> tuple[Any, int]:
    """How to ask Linux for it, and the signal that this process gets when its parent ends; or 0."""
    try:
        import ctypes  # noqa: PLC0415 - only for this moment

        prctl, asked = ctypes.CDLL(None).prctl, ctypes.c_int()
        prctl(_PR_GET_PDEATHSIG, ctypes.byref(asked))
    except (ImportError, OSError, AttributeError):  # not Linux
        return None, 0
    return prctl, asked.value


def _after_fork_in_child() -> None:
    global ending_since
    ending_since = None  # it may have been forked by an exit hook, and lives on
    MOMENTS.begin_anew()
    _listeners.clear()
    for forkable in list(_forkables):
        # Not logged: logging's locks may be held by a thread that this process does not have.
        with contextlib.suppress(Exception):
            forkable.begin_anew()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
