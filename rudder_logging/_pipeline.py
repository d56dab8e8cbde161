"""What stands behind a handler: queue, ledger, reports, delivery and listener, put together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _lifecycle
from ._delivery import Delivery
from ._ledger import Ledger
from ._listener import BatchListener
from ._reports import Reports
from ._retry import RetryPolicy
from .config import Config
from .queues import EventQueue, open_queue

if TYPE_CHECKING:  # it imports requests, which importing the package must not
    from ._transport import Transport

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """Everything of a handler that can't be shared with a forked child."""

    config: Config
    make_transport: Callable[[Config], Transport]
    queue: EventQueue
    ledger: Ledger
    reports: Reports
    listener: BatchListener

    @classmethod
    def open(
        cls,
        config: Config,
        make_transport: Callable[[Config], Transport],
        queue: EventQueue | None = None,
    ) -> Pipeline:
        """Put one together. Nothing runs yet.

        Args:
            config: The handler's options.
            make_transport: Makes what takes the uploads.
            queue: One that is there already.

        Raises:
            ConfigError: The option `queue` names a place where events would not be safe.
        """
        if queue is None:
            queue = open_queue(
                config.queue,
                source=f"{config.write_key} {config.data_plane_url}",
                max_events=config.max_queue_size,
                max_bytes=config.max_queue_bytes,
            )
        ledger = Ledger()
        reports = Reports(
            ledger,
            on_error=config.on_error,
            on_drop=config.on_drop,
            dead_letter=config.dead_letter,
        )
        queue.attach(reports)
        delivery = Delivery(
            queue,
            make_transport(config),
            ledger=ledger,
            reports=reports,
            policy=RetryPolicy(max_retries=config.max_retries),
            max_batch_bytes=config.max_batch_bytes,
        )
        listener = BatchListener(
            queue,
            delivery,
            ledger,
            reports,
            upload_size=config.upload_size_within_queue,
            upload_interval=config.upload_interval,
            shutdown_timeout=config.shutdown_timeout,
        )
        _lifecycle.add_listener(listener)
        return cls(config, make_transport, queue, ledger, reports, listener)

    def let_go(self) -> None:
        """In a forked child: the parent's events, locks and files are the parent's."""
        with contextlib.suppress(Exception):  # a queue object of the app's may raise anything
            self.queue.begin_anew()

    def renewed(self, lock_type: type) -> Pipeline:
        """One for a forked child, with the queue that was let go.

        Args:
            lock_type: Of an RLock made when it was. If another is made by now, gevent has patched
                what locks are made of meanwhile.
        """
        if type(threading.RLock()) is not lock_type:
            self.let_go()
        return Pipeline.open(self.config, self.make_transport, self.queue)
