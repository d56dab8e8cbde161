"""The end of the process, and forks: what then happens to all listeners and handlers at once.

Nothing here keeps anything alive: a listener lives as long as its thread, or its handler, does.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from time import sleep
from types import FrameType, ModuleType
from typing import Any, Protocol, cast

from ..common.clock import monotonic
from ..common.stderr import tell_undelivered
from ..events.ids import MOMENTS
from .workers import deliver_before_rq_exits, keep_in_celery

__all__ = [
    "add_forkable",
    "add_listener",
    "drain_on_sigterm",
    "ending_since",
    "finish_with_worker",
    "forkables",
    "keeping_the_process",
    "listeners",
    "seconds_kept",
    "thread_delivers",
    "threads_run",
    "wind_up",
]


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
    def retired(self) -> bool:
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


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
ending_since: float | None = None
"""The monotonic time at which the process began to end: no thread can be relied on then."""
seconds_kept = 0.0
"""For how long the process has been kept from ending since then, for the sake of events."""
_finalized_in: int | None = None
_watches_uwsgi = _keeps_in_celery = False
_EXIT_PRIORITY = 100  # before multiprocessing's own finalizers, which have less
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2  # of Linux' <linux/prctl.h>
_SECONDS_UNTIL_AGAIN = 0.02
_ended_since: float | None = None
"""The monotonic time at which SIGTERM came, where it is taken over."""
_drains_for_sigterm = False


def add_listener(listener: Listener) -> None:
    """At the end of the process, wait for it."""
    _listeners.add(listener)


def add_forkable(forkable: Forkable) -> None:
    """In a forked child, have it begin anew."""
    global _watches_uwsgi, _keeps_in_celery
    _forkables.add(forkable)
    if not _keeps_in_celery and "celery.signals" in sys.modules:
        _keeps_in_celery = True
        keep_in_celery(_handlers)
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not _watches_uwsgi:
        _watches_uwsgi = True
        _watch_forks_of(uwsgi)


def _handlers() -> list[logging.Handler]:
    return [one for one in list(_forkables) if isinstance(one, logging.Handler)]


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


def listeners() -> list[Listener]:
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

        Finalize(None, _deliver_all, exitpriority=_EXIT_PRIORITY)
    with contextlib.suppress(Exception):  # not what we know as RQ
        deliver_before_rq_exits(_deliver_all)
    celery = sys.modules.get("celery.signals")
    if celery is not None:
        with contextlib.suppress(Exception):  # not what we know as celery
            celery.worker_process_shutdown.connect(
                _at_worker_exit, weak=False, dispatch_uid="rudder_logging"
            )


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


def wind_up(listener: Listener) -> None:
    """Its handler was forgotten without being closed: still deliver, then end."""
    if ending_since is not None:
        listener.finish(ending_since)  # no thread can be started, nor waited for
        return
    if listener.queue.depth().events:
        listener.ensure_running()
    if not listener.retired:
        listener.enqueue_sentinel()


def _gevent_has_patched(module: str) -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched(module)


def _resolve_without_threads() -> None:
    """Have gevent look up host names in this thread.

    It does so in a thread of its own, and from Python 3.12 none can be started any more.
    """
    if _gevent_has_patched("socket"):
        with contextlib.suppress(Exception):
            hub = importlib.import_module("gevent").get_hub()
            hub.resolver = importlib.import_module("gevent.resolver.blocking").Resolver(hub)


@contextlib.contextmanager
def keeping_the_process() -> Iterator[None]:
    """Count the seconds that the block takes, if it keeps the process from ending."""
    global seconds_kept
    begun = monotonic()
    try:
        yield
    finally:
        if ending_since is not None and threading.current_thread() is threading.main_thread():
            seconds_kept += monotonic() - begun


def _at_exit() -> None:
    """Runs before `logging.shutdown`, registered earlier: what is logged until that leaves then."""
    with contextlib.suppress(Exception):  # another logging than we know
        _have_ours_closed_last()
    _deliver_all()


def _have_ours_closed_last() -> None:
    """Have logging close our handlers after all others, which may hold records back for them."""
    ours = {id(one): one for one in _handlers()}
    references: list[Any] = logging._handlerList  # type: ignore[attr-defined]  # noqa: SLF001
    references.sort(key=lambda reference: id(reference()) not in ours)  # it begins with the last
    for reference in references:
        if (handler := ours.get(id(reference()))) is not None:
            cast("Closable", handler).await_close()


def _deliver_all() -> None:
    """Deliver what all handlers have queued, or count it, and tell of that in one line."""
    global ending_since
    ending_since = monotonic()
    _resolve_without_threads()
    listeners = list(_listeners)
    left: list[tuple[int, str | None]] = []
    for listener in listeners:  # all of them at once, then one after the other
        listener.outlive_threads()
        if not listener.retired:
            listener.enqueue_sentinel()
    with keeping_the_process():
        for listener in listeners:
            deadline = ending_since + listener.shutdown_timeout
            with listener.telling_of_bugs():  # which are no other listener's
                listener.finish(deadline, lambda *one: left.append(one))
    if left:
        reasons = dict.fromkeys(holding for _, holding in left if holding)
        tell_undelivered(sum(number for number, _ in left), "; ".join(reasons) or None)


def _at_worker_exit(**_details: object) -> None:
    with _killed_only_afterwards():
        _deliver_all()


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


def drain_on_sigterm() -> bool:
    """Have SIGTERM deliver what is queued, and then end the process as it would have at once.

    Only where its action is the default one, or where uvicorn has put that aside and will raise the
    signal again when its server has ended. Whoever else handles it ends the process in some way of
    his own, which runs exit hooks.

    Returns:
        True if it could be set up: only in the main thread of the main interpreter.
    """
    import signal  # noqa: PLC0415 - only for those who want it

    try:
        action = signal.getsignal(signal.SIGTERM)
        if action is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _deliver_then_end)
        elif (server := _uvicorn_server(action)) is not None:
            signal.signal(signal.SIGTERM, _through_uvicorn(action, server))
    except ValueError:
        return False
    return True


def _uvicorn_server(action: object) -> object | None:
    """The server that handles a signal by this, if it is uvicorn's."""
    server = getattr(action, "__self__", None)
    known = getattr(sys.modules.get("uvicorn.server"), "Server", None)
    return server if known is not None and isinstance(server, known) else None


def _through_uvicorn(action: Any, server: object) -> Any:
    def handle(_number: int, frame: FrameType | None) -> None:
        action(_Again(), frame)

    # Some libraries look for the server there, to learn from it that it ends.
    handle.__self__ = server  # type: ignore[attr-defined]
    return handle


class _Again:
    """SIGTERM's number to whoever compares it; raised, it first has us take over the signal.

    uvicorn keeps what a signal handler is called with, restores the action from before, which ends
    a process at once, and raises what it kept. In between there is no other moment for us.
    """

    def __index__(self) -> int:
        import signal  # noqa: PLC0415 - loaded

        drain_on_sigterm()
        return int(signal.SIGTERM)

    def __eq__(self, other: object) -> bool:
        return other == self._number()

    def __hash__(self) -> int:
        return hash(self._number())

    def __repr__(self) -> str:
        return repr(self._number())

    def _number(self) -> object:
        import signal  # noqa: PLC0415 - loaded

        return signal.SIGTERM


def _deliver_then_end(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM, in the main thread, wherever that is.

    A second one changes nothing: service managers send one to a worker beside its master's.
    """
    global _ended_since
    if _ended_since is None:
        _ended_since = monotonic()
    if _drains_for_sigterm:
        return
    if _gevent_has_patched("threading"):  # this may be its hub, in which nothing can wait
        sys.modules["gevent"].spawn(_drain_then_end, number)
        return
    longest = max((listener.shutdown_timeout for listener in _listeners), default=0.0)
    is_early = monotonic() < _ended_since + longest
    if not (is_early and _interrupts_us(frame) and _send_soon(number)):
        _drain_then_end(number)


_WITH_LOCKS = (
    "rudder_logging.handler.handler",
    "rudder_logging.handler.admission",
    "rudder_logging.process.lifecycle",
    "logging",
)


def _interrupts_us(frame: FrameType | None) -> bool:
    """Tell if the thread is inside a call of ours or of logging's, with locks delivery needs.

    Logging holds its own while it makes a logger, and a handler's while that writes a line.
    """
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name in _WITH_LOCKS or name.startswith("logging."):
            return True
        frame = frame.f_back
    return False


def _send_soon(number: int) -> bool:
    """Have the signal come again, when what it has interrupted may be over."""
    import _thread  # noqa: PLC0415 - a Thread takes locks to start, which may be held here

    def send() -> None:
        sleep(_SECONDS_UNTIL_AGAIN)
        os.kill(os.getpid(), number)

    try:
        _thread.start_new_thread(send, ())
    except RuntimeError:  # there can't be one
        return False
    return True


def _drain_then_end(number: int) -> None:
    global _drains_for_sigterm
    import signal  # noqa: PLC0415 - loaded

    if _drains_for_sigterm:
        return
    _drains_for_sigterm = True
    try:
        _deliver_all()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _after_fork_in_child() -> None:
    global ending_since, seconds_kept, _ended_since, _drains_for_sigterm
    ending_since, seconds_kept = None, 0.0  # an exit hook may have forked it, and it lives on
    _ended_since, _drains_for_sigterm = None, False
    MOMENTS.after_fork()
    for listener in list(_listeners):
        with contextlib.suppress(Exception):  # as below
            listener.disown()
    _listeners.clear()
    for forkable in list(_forkables):
        # Not logged: logging's locks may be held by a thread that this process does not have.
        with contextlib.suppress(Exception):
            forkable.after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
