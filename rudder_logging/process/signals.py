"""SIGTERM: it delivers what is queued, and then ends the process, where an app asks for that."""

from __future__ import annotations

import os
import sys
from time import sleep
from types import FrameType
from typing import Any

from ..common.clock import monotonic
from . import members
from .exits import deliver_all, gevent_has_patched

__all__ = ["after_fork", "drain_on_sigterm"]

_SECONDS_UNTIL_AGAIN = 0.02
_sigterm_since: float | None = None
"""The monotonic time at which SIGTERM came, where it is taken over."""
_drains_for_sigterm = False


def after_fork() -> None:
    """In a forked child: no signal came to it yet."""
    global _sigterm_since, _drains_for_sigterm
    _sigterm_since, _drains_for_sigterm = None, False


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
    global _sigterm_since
    if _sigterm_since is None:
        _sigterm_since = monotonic()
    if _drains_for_sigterm:
        return
    if gevent_has_patched("threading"):  # this may be its hub, in which nothing can wait
        sys.modules["gevent"].spawn(_drain_then_end, number)
        return
    longest = max((listener.shutdown_timeout for listener in members.listeners()), default=0.0)
    is_early = monotonic() < _sigterm_since + longest
    if not (is_early and _interrupts_us(frame) and _send_soon(number)):
        _drain_then_end(number)


_WITH_LOCKS = ("rudder_logging.handler.handler", "rudder_logging.handler.admission", "logging")


def _interrupts_us(frame: FrameType | None) -> bool:
    """Tell if the thread is inside a call of ours or of logging's, with locks delivery needs.

    Logging holds its own while it makes a logger, and a handler's while that writes a line.
    """
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name in _WITH_LOCKS or name.startswith(("logging.", "rudder_logging.process.")):
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
        deliver_all()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
