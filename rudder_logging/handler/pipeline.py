"""The pipeline behind a handler: queue, ledger, reports, delivery and listener, put together."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

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

__all__ = ["Pipeline"]


class Owner(Protocol):
    """A handler, as far as its pipeline knows it."""

    _pipeline: Pipeline

    def _wind_up_when_forgotten(self) -> None:
        """Called when a pipeline of its own has taken the place of the parent's."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """Delivers a handler's events. A forked child gets another, with the same queue, emptied."""

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

    def deadline(self, timeout: float) -> float:
        """When so many seconds from now will have passed; sooner at the end of the process."""
        return ending.deadline(timeout, self.config.shutdown_timeout)

    def finish(self) -> None:
        """At the end of the process: deliver what waits, or count it."""
        with ending.keeping_the_process():
            self.listener.finish(self.deadline(self.config.shutdown_timeout))

    is_renewal: ClassVar[bool] = False
    """True of a renewal, which makes the real one at its first use."""

    def after_fork(self, handler: Owner) -> Pipeline:
        """Let go, in a forked child, of the parent's. Returns a renewal, which makes the child's.

        Args:
            handler: The one whose pipeline this is.
        """
        self._let_go()
        return cast("Pipeline", _Renewal(handler, self))

    def _let_go(self) -> None:
        with contextlib.suppress(Exception):  # a queue object of the app's may raise anything
            # The second time, if a URL named it: it is a forkable, too. Twice is harmless.
            self.queue.after_fork()
        with contextlib.suppress(Exception):
            if isinstance(self.config.sink, Forkable):
                self.config.sink.after_fork()

    def renewed(self, lock_type: type) -> Pipeline:
        """One for a forked child, with the queue that was let go.

        Args:
            lock_type: Of an RLock made when it was. If another is made by now, gevent has patched
                what locks are made of meanwhile.
        """
        if type(threading.RLock()) is not lock_type:
            self._let_go()
        return Pipeline.open(self.config, self.outlets, self.queue)


class _Renewal:
    """A handler's pipeline in a forked child: makes the child's own when it is first used.

    Not in the fork: a gevent worker of gunicorn patches after that, and a lock from before would
    stop all its greenlets. It is the pipeline that is exchanged, because a `__getattr__` of the
    handler's own makes each of its attributes slower: a log call took 4 % longer.
    """

    is_renewal = True

    def __init__(self, handler: Owner, earlier: Pipeline) -> None:
        self._handler = handler
        self._earlier = earlier
        self._lock_type = type(threading.RLock())
        self._opening = EndingLock(threading.RLock())

    def after_fork(self, handler: Owner) -> Pipeline:
        """See `Pipeline.after_fork`: nothing was used, and the child has forked."""
        return self._earlier.after_fork(handler)

    def __getattr__(self, name: str) -> Any:
        handler = self._handler
        this = cast("Pipeline", self)
        with self._opening:
            if handler._pipeline is this:  # noqa: SLF001
                pipeline = self._earlier.renewed(self._lock_type)
                # In statements without a call, where CPython lets in no signal handler that logs:
                # it would have been here itself.
                if handler._pipeline is this:  # noqa: SLF001
                    handler._pipeline = pipeline  # noqa: SLF001
                    handler._wind_up_when_forgotten()  # noqa: SLF001
                else:  # the queue is to tell the one that is used
                    handler._pipeline.queue.attach(handler._pipeline.reports)  # noqa: SLF001
        return getattr(handler._pipeline, name)  # noqa: SLF001
