"""The process and its server: what neither the logging tree nor a configuration shows."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Iterable, Iterator

from ...config import Config
from ...process import forks
from .asgi import is_wired, why_no_lifespan
from .findings import Finding, Severity, a_warning
from .tree import named, reached, root

__all__ = ["OWN", "of_process"]

OWN = logging.getLogger("rudder_logging")
"""The package's own diagnostics."""

_DRAIN = "set drain_on_sigterm, or a durable queue (queue=file:///...)"
_OF_ASGI = ("uvicorn", "fastapi", "starlette", "litestar", "quart", "blacksheep")


def of_process(configs: Iterable[Config]) -> Iterator[Finding]:
    """Find what concerns all loggers and handlers.

    Args:
        configs: Of each RudderHandler.
    """
    if not forks.threads_run():
        text = "uWSGI runs without threads: events are sent by the calls that log them, which wait"
        cure = "give uWSGI the option enable-threads"
        yield a_warning("uwsgi-without-threads", "this process", text, cure)
    if not logging.raiseExceptions:
        text = "is off: nothing is said of an event that is not accepted"
        cure = "leave it on, at least where the app is developed"
        yield a_warning("raise-exceptions-off", "logging.raiseExceptions", text, cure)
    if OWN.disabled or not OWN.isEnabledFor(logging.WARNING):
        text = (
            f"{'is disabled' if OWN.disabled else 'shows no warnings'}: nothing is said of events "
            "that wait, or are dropped"
        )
        cure = 'configure with "disable_existing_loggers": False, and leave it at WARNING or below'
        yield a_warning("diagnostics-lost", named(OWN), text, cure)
    if any(map(_loses_at_end, configs)):
        if is_wired() and (reason := why_no_lifespan()):
            text = f"{reason}: our ASGI middleware delivers nothing when the server ends"
            yield a_warning("uvicorn-without-lifespan", "uvicorn", text, _DRAIN)
        elif signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            yield _of_sigterm()
    if root.level <= logging.INFO and any(reached(root)) and _celery_sets_up_logging():
        text = (
            "Celery workers give it the level of their option -l, WARNING by default; events that "
            "tasks log at INFO then don't leave by its handlers"
        )
        cure = "start workers with `-l INFO`, or give the app's own loggers a level"
        yield a_warning("celery-level", named(root), text, cure)


def _loses_at_end(config: Config) -> bool:
    in_memory = config.queue == "memory://"
    return config.send and in_memory and not (config.sync_mode or config.drain_on_sigterm)


def _of_sigterm() -> Finding:
    package = next((name for name in _OF_ASGI if name in sys.modules), None)
    if "rudder_logging.integrations.asgi" in sys.modules:
        return Finding(
            Severity.WELL,
            "logging",
            "sigterm",
            "our ASGI middleware delivers when the lifespan ends. uvicorn without one (--lifespan "
            "off) still lets the signal end the process with what waits in memory",
            f"there, {_DRAIN}",
            "SIGTERM",
        )
    if package is not None:
        text = (
            f"this is an ASGI app (it uses {package}). uvicorn, also as gunicorn's worker, lets "
            "the signal end the process without exit hooks, with what waits in memory"
        )
        cure = f"wrap the app in rudder_logging.integrations.asgi.RudderMiddleware, or {_DRAIN}"
        return a_warning("sigterm", "SIGTERM", text, cure)
    return Finding(
        Severity.WELL,
        "logging",
        "sigterm",
        "has its default action. Unless a server or the app handles it, as gunicorn, hypercorn, "
        "Celery and uWSGI do, it ends the process with what waits in memory",
        f"if nobody does, {_DRAIN}",
        "SIGTERM",
    )


def _celery_sets_up_logging() -> bool:
    # Celery itself is not imported for this: an app that has it has done so.
    state, signals = sys.modules.get("celery._state"), sys.modules.get("celery.signals")
    if state is None or signals is None:
        return False
    with contextlib.suppress(AttributeError):  # of another version
        # A receiver of it configures logging instead.
        return bool(state._get_active_apps()) and not signals.setup_logging.receivers  # noqa: SLF001
    return False
