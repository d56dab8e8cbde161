"""Exits: at the end of a process, or of a pool's worker, all listeners deliver or count events."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, cast

from ..common.stderr import tell_undelivered
from . import ending, members
from .members import Closable, Listener
from .workers import deliver_before_rq_exits

__all__ = ["deliver_all", "finish", "finish_with_worker", "gevent_has_patched", "wind_up"]

_finalized_in: int | None = None
_EXIT_PRIORITY = 100  # before multiprocessing's own finalizers, which have less
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2  # of Linux' <linux/prctl.h>


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

        Finalize(None, deliver_all, exitpriority=_EXIT_PRIORITY)
    with contextlib.suppress(Exception):  # not what we know as RQ
        deliver_before_rq_exits(deliver_all)
    celery = sys.modules.get("celery.signals")
    if celery is not None:
        with contextlib.suppress(Exception):  # not what we know as celery
            celery.worker_process_shutdown.connect(
                _at_worker_exit, weak=False, dispatch_uid="rudder_logging"
            )


def finish(listener: Listener) -> None:
    """As the process ends: deliver what waits in the time that is left, or count it."""
    timeout = listener.shutdown_timeout
    with ending.keeping_the_process():
        listener.finish(ending.deadline(timeout, timeout))


def wind_up(listener: Listener) -> None:
    """Its handler was forgotten without being closed: still deliver, then end."""
    if ending.since is not None:
        listener.finish(ending.since)  # no thread can be started, nor waited for
        return
    if listener.queue.depth().events:
        listener.ensure_running()
    if not listener.unattended:
        listener.enqueue_sentinel()


def gevent_has_patched(module: str) -> bool:
    """Tell if gevent has replaced what is in a module of the standard library."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched(module)


def _resolve_without_threads() -> None:
    """Have gevent look up host names in this thread.

    It does so in a thread of its own, and from Python 3.12 none can be started any more.
    """
    if gevent_has_patched("socket"):
        with contextlib.suppress(Exception):
            hub = importlib.import_module("gevent").get_hub()
            hub.resolver = importlib.import_module("gevent.resolver.blocking").Resolver(hub)


def _at_exit() -> None:
    """Runs before `logging.shutdown`, in which what is logged until then leaves.

    `atexit` runs first what was registered last, and logging registered before us.
    """
    with contextlib.suppress(Exception):  # another logging than we know
        _have_ours_closed_last()
    deliver_all()


def _have_ours_closed_last() -> None:
    """Have logging close our handlers after all others, which may hold records back for them."""
    ours = {id(one): one for one in members.handlers()}
    references: list[Any] = logging._handlerList  # type: ignore[attr-defined]  # noqa: SLF001
    references.sort(key=lambda reference: id(reference()) not in ours)  # it begins with the last
    for reference in references:
        if (handler := ours.get(id(reference()))) is not None:
            cast("Closable", handler).await_close()


def deliver_all() -> None:
    """Deliver what all handlers have queued, or count it, and tell of that in one line."""
    since = ending.begin()
    _resolve_without_threads()
    listeners = members.listeners()
    left: list[tuple[int, str | None]] = []
    for listener in listeners:  # all of them at once, then one after the other
        listener.outlive_threads()
        if not listener.unattended:
            listener.enqueue_sentinel()
    with ending.keeping_the_process():
        for listener in listeners:
            deadline = since + listener.shutdown_timeout
            with listener.telling_of_bugs():  # which are no other listener's
                listener.finish(deadline, lambda *one: left.append(one))
    for handler in members.handlers():
        with contextlib.suppress(Exception):  # a callback of the app's may raise anything
            cast("Closable", handler).drop_all_uncommitted()
    if left:
        reasons = dict.fromkeys(holding for _, holding in left if holding)
        tell_undelivered(sum(number for number, _ in left), "; ".join(reasons) or None)


def _at_worker_exit(**_details: object) -> None:
    with _killed_only_afterwards():
        deliver_all()


@contextlib.contextmanager
def _killed_only_afterwards() -> Iterator[None]:
    """Have Linux kill this process, when the thread that forked it ends, only after the block.

    Celery asks for that kill, so that no worker outlives its master. But with brokers that it waits
    for in threads, another thread than the main one forks the workers that replace others
    (`--max-tasks-per-child`). At a shutdown that thread ends within 0.8 s, while they deliver.
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
    """Linux's `prctl`, and the signal that this process gets when its parent ends; 0: none."""
    try:
        import ctypes  # noqa: PLC0415 - only for this moment

        prctl, asked = ctypes.CDLL(None).prctl, ctypes.c_int()
        prctl(_PR_GET_PDEATHSIG, ctypes.byref(asked))
    except (ImportError, OSError, AttributeError):  # not Linux
        return None, 0
    return prctl, asked.value


atexit.register(_at_exit)
