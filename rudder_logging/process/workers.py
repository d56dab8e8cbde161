"""Workers of task queues: Celery's changes to logging, and RQ's end of a process.

Neither is imported here: a worker has done so before it loads the app.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import NoReturn

from ..common.logging_tree import chains, handlers_above, way_by_name

__all__ = ["deliver_before_rq_exits", "keep_in_celery"]

_log = logging.getLogger("rudder_logging")
_UID = "rudder_logging"


def keep_in_celery(ours: Callable[[], Iterable[logging.Handler]]) -> None:
    """Keep events on their way in a Celery worker, which sets up logging after the app has.

    Celery takes the handlers off root and off its own loggers. Loggers of `get_task_logger` then
    propagate to one of Celery's own, instead of those that their names say.

    Args:
        ours: All RudderHandlers.
    """
    signals = sys.modules.get("celery.signals")
    if signals is None:
        return
    keeper = _Keeper(ours)
    with contextlib.suppress(Exception):  # not what we know as celery
        for signal, receiver in (
            (signals.celeryd_init, keeper.remember),
            (signals.after_setup_logger, keeper.put_back),
            (signals.after_setup_task_logger, keeper.lead_on),
        ):
            signal.connect(receiver, weak=False, dispatch_uid=_UID)


class _Keeper:
    def __init__(self, ours: Callable[[], Iterable[logging.Handler]]) -> None:
        self._ours = ours
        self._on_root: list[logging.Handler] = []
        self._level = logging.NOTSET

    def remember(self, **_details: object) -> None:
        """Remember what root has, before Celery sets up logging."""
        root = logging.getLogger()
        self._on_root = [handler for handler in root.handlers if self.leads_to_ours(handler)]
        self._level = root.level
        self.lead_on()

    def put_back(self, **_details: object) -> None:
        """Give root back what Celery has taken off. Its level is the operator's."""
        root = logging.getLogger()
        for handler in self._on_root:
            root.addHandler(handler)  # once, if it is there
        if self._on_root and self._level <= logging.INFO < root.level:
            _log.warning(
                "Celery has set the root logger's level to %s: events that tasks log at INFO, by "
                "loggers without a level of their own, don't leave; start workers with -l INFO",
                logging.getLevelName(root.level),
            )

    def lead_on(self, **_details: object) -> None:
        """Have what task loggers log reach the handlers above them by name."""
        logger = logging.getLogger("celery.task")
        if not any(isinstance(handler, _ByName) for handler in logger.handlers):
            logger.addHandler(_ByName(self))

    def leads_to_ours(self, handler: logging.Handler) -> bool:
        """Tell if it is a RudderHandler, or hands records on to one."""
        ours = list(self._ours())
        return any(chains([handler], lambda one: any(one is other for other in ours)))


class _ByName(logging.Handler):
    """Hands an event on to RudderHandlers of loggers above its own by name, but not by parent."""

    def __init__(self, keeper: _Keeper) -> None:
        super().__init__()
        self._keeper = keeper

    def handle(self, record: logging.LogRecord) -> bool:
        if record.__dict__.get("rudder") is not None:
            reached = handlers_above(logging.getLogger(record.name))
            for logger in way_by_name(record.name):
                for handler in logger.handlers:
                    passes = record.levelno >= handler.level and handler not in reached
                    if passes and self._keeper.leads_to_ours(handler):
                        handler.handle(record)
        return True


def deliver_before_rq_exits(deliver: Callable[[], None]) -> None:
    """In a process that RQ has for one job, and ends by `os._exit`: deliver before that.

    RQ offers no hook there, neither for the fork nor for the end. So that function is another in
    this one process, which calls it as its last.
    """
    rq = sys.modules.get("rq.worker")
    known = getattr(rq, "BaseWorker", getattr(rq, "Worker", None))
    if known is None or not _is_work_horse(known):
        return
    leave, process = os._exit, os.getpid()

    def deliver_and_leave(status: int) -> NoReturn:
        if os.getpid() == process:
            with contextlib.suppress(Exception):
                deliver()
        leave(status)

    os._exit = deliver_and_leave


def _is_work_horse(kind: type) -> bool:
    """Tell if the main thread performs a job; another one may have logged the first event."""
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main or 0)  # noqa: SLF001 - it has no other name
    while frame is not None:
        is_it = frame.f_code.co_name == "main_work_horse"
        if is_it and isinstance(frame.f_locals.get("self"), kind):
            return True
        frame = frame.f_back
    return False
