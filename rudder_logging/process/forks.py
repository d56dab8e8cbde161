"""Forks: what was the parent's is let go in the child, also under uWSGI, which forks by itself."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from types import ModuleType

from ..events import scopes
from ..events.ids import MOMENTS
from . import ending, members, signals
from .members import Forkable
from .workers import keep_in_celery

__all__ = ["add_forkable", "thread_delivers", "threads_run"]

_watches_uwsgi = _keeps_in_celery = False


def add_forkable(forkable: Forkable) -> None:
    """In a forked child, have it begin anew.

    The first one also hooks uWSGI's forks, and Celery's changes to logging, where these run.
    """
    global _watches_uwsgi, _keeps_in_celery
    members.known_forkables.add(forkable)
    if not _keeps_in_celery and "celery.signals" in sys.modules:
        _keeps_in_celery = True
        keep_in_celery(members.handlers)
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


def threads_run() -> bool:
    """Tell if a thread of ours would get to run: under uWSGI, only with its option for threads."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if not options:
        return True
    # Names and values are bytes in some versions. The option `threads` implies the other.
    read = {_text(name): _text(value).lower() for name, value in options.items()}
    return "threads" in read or read.get("enable-threads") in ("true", "1")


def thread_delivers() -> bool:
    """Tell if a thread of ours can be relied on here, the end of the process included.

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


def _after_fork_in_child() -> None:
    ending.after_fork()
    signals.after_fork()
    MOMENTS.after_fork()
    scopes.after_fork()
    for listener in members.listeners():
        with contextlib.suppress(Exception):  # as below
            listener.disown()
    members.known_listeners.clear()
    for forkable in members.forkables():
        # Not logged: logging's locks may be held by a thread that this process does not have.
        with contextlib.suppress(Exception):
            forkable.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
