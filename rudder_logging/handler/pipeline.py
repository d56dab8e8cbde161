"""The pipeline behind a handler: queue, ledger, reports, delivery and listener, put together."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

from ..common.locks import EndingLock
from ..config import Config
from ..delivery.ledger import Ledger
from ..delivery.listener import BatchListener
from ..delivery.reports import Reports
from ..delivery.retry import RetryPolicy
from ..delivery.sender import Sender
from ..exceptions import ConfigError
from ..process import ending, forks, members, signals
from ..queues import EventQueue
from ..queues.shared import SharedQueue
from ..sinks.base import Forkable
from .outlets import Outlets

__all__ = ["Pipeline", "Renewal"]


@dataclass(frozen=True)
class Pipeline:
    """Delivers a handler's events."""

    config: Config
    outlets: Outlets
    queue: EventQueue
    ledger: Ledger
    reports: Reports
    listener: BatchListener
    is_synchronous: bool
    """Events leave in the calls that log them, because nothing else can be relied on, or by
    `sync_mode`."""

    @classmethod
    def open(cls, config: Config, outlets: Outlets, queue: EventQueue | None = None) -> Pipeline:
        """Put one together. Nothing runs yet.

        Args:
            config: The handler's options.
            outlets: Open the sink, and the queue.
            queue: One that is there already.

        Raises:
            ConfigError: The option `queue` names a place where events would not be safe.
        """
        if queue is None:
            queue = outlets.queue(config)
        if config.overflow == "drop_old" and not queue.evicts:
            raise ConfigError("overflow can't be drop_old: the queue's buffer has no evict()")
        if isinstance(config.queue, str):
            forks.add_forkable(queue)  # it may outlive the handler, and hold locks of files
        ledger = Ledger()
        reports = Reports(
            ledger,
            on_error=config.on_error,
            on_drop=config.on_drop,
            dead_letter=config.dead_letter,
        )
        queue.attach(reports)
        sender = Sender(
            queue,
            outlets.sink(config),
            ledger=ledger,
            reports=reports,
            policy=RetryPolicy(max_retries=config.max_retries),
            timeout=config.timeout,
        )
        listener = BatchListener(
            queue,
            sender,
            ledger,
            reports,
            upload_size=config.upload_size_within_queue,
            upload_interval=config.upload_interval,
            max_queue_size=config.max_queue_size,
            shutdown_timeout=config.shutdown_timeout,
        )
        members.add_listener(listener)
        if config.drain_on_sigterm:
            signals.drain_on_sigterm()  # again in a forked child: its server has handlers anew
        is_synchronous = config.sync_mode or not forks.thread_delivers()
        return cls(config, outlets, queue, ledger, reports, listener, is_synchronous)

    @property
    def delivers_itself(self) -> bool:
        """True if events leave from the thread that logs them."""
        return self.is_synchronous or ending.since is not None

    @property
    def has_queue_of_the_app(self) -> bool:
        """True if the queue is code of the app's, which may raise anything."""
        return isinstance(self.queue, SharedQueue) or not isinstance(self.config.queue, str)

    def after_fork(self) -> Renewal:
        """Let go, in a forked child, of the parent's."""
        return Renewal(self.config, self.outlets, self.queue)


class Renewal:
    """Makes a forked child's pipeline when that is first used, with the same queue, emptied.

    Not in the fork: a gevent worker of gunicorn patches after that, and a lock from before would
    stop all its greenlets.
    """

    def __init__(self, config: Config, outlets: Outlets, queue: EventQueue) -> None:
        self._config, self._outlets, self._queue = config, outlets, queue
        self._let_go()
        self._lock_type = type(threading.RLock())
        self.lock = EndingLock(threading.RLock())
        """Whoever calls `open` holds it."""

    def after_fork(self) -> Renewal:
        """The child has forked, and nothing was used."""
        return Renewal(self._config, self._outlets, self._queue)

    def open(self) -> Pipeline:
        """Make one."""
        if type(threading.RLock()) is not self._lock_type:
            self._let_go()  # gevent has patched what locks are made of
        return Pipeline.open(self._config, self._outlets, self._queue)

    def _let_go(self) -> None:
        """Leave to the parent what is the parent's."""
        with contextlib.suppress(Exception):  # a queue object of the app's may raise anything
            # The second time, if a URL named it: it is a forkable, too. Twice is harmless.
            self._queue.after_fork()
        with contextlib.suppress(Exception):
            if isinstance(self._config.sink, Forkable):
                self._config.sink.after_fork()
