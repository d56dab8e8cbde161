"""Ships messages that are ready, in order and in the calling thread, by the package's own delivery.

There is no listener and no queue that outlives the call: whoever calls knows what is settled, and
reads on only then. Retries, splits and refusals are delivery's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..common.clock import monotonic
from ..config import Config
from ..delivery.ledger import Ledger
from ..delivery.reports import Reports
from ..delivery.retry import RetryPolicy
from ..delivery.sender import Sender
from ..exceptions import RefusedError
from ..queues import MemoryQueue
from ..sinks import open_sink
from ..sinks.base import MESSAGE_OVERHEAD, Dropped, Failure, Outcome, Sink, Unknown
from .common import BadInputError, quiet

__all__ = ["Shipper"]


class Shipper:
    """Takes messages to the data plane, and says what became of each.

    Args:
        config: Where to. Its queue, retries and callbacks are not used: what can't be delivered
            in time is the caller's again.
        patience: Seconds without a success after which it gives up.
        on_wait: Called with what is wrong when it has to wait for the data plane.

    Raises:
        BadInputError: The option `send` is off: nothing is to leave from here.
    """

    def __init__(
        self, config: Config, *, patience: float, on_wait: Callable[[str], object] | None = None
    ) -> None:
        if not config.send:
            raise BadInputError("the option send is off (RUDDER_SEND): nothing may leave from here")
        quiet()
        self._on_wait = on_wait
        self._config = replace(
            config, queue="memory://", max_retries=None, on_error=self._note_refusal, on_drop=None
        )
        self._patience = patience
        self._gives_up_at = 0.0
        self._stop = threading.Event()
        self._sink = _Noting(open_sink(self._config))
        self._queue = MemoryQueue(max_events=2**31, max_bytes=2**62)
        self._ledger = Ledger()
        reports = Reports(
            self._ledger,
            on_error=self._config.on_error,
            on_drop=None,
            dead_letter=self._config.dead_letter,
        )
        self._sender = Sender(
            self._queue,
            self._sink,
            ledger=self._ledger,
            reports=reports,
            policy=RetryPolicy(),
            timeout=config.timeout,
        )
        self.refused: dict[str, str] = {}
        """Why the data plane refused events of the last shipment, by message id."""

    def ship(self, messages: Sequence[bytes]) -> int:
        """Deliver messages that lack their closing brace.

        Returns:
            How many are settled, the oldest first: stored, or in `refused`. Fewer than were given,
            if it gave up or was stopped; `fault` then says why.
        """
        self.refused = {}
        self._gives_up_at = monotonic() + self._patience
        before = self._dropped()
        for message in messages:
            self._queue.put(message)
        while batch := self._queue.take(self._sender.max_bytes, MESSAGE_OVERHEAD):
            if not self._sender.deliver(batch, self):
                break
            self._gives_up_at = monotonic() + self._patience
        # Not what is gone from the queue: delivery drops events, too, where pytest keeps them.
        self._ledger.abandon(self._queue, "shutdown")
        return len(messages) - (self._dropped() - before)

    @property
    def fault(self) -> str:
        """The reason why events do not arrive, in words that quote nothing."""
        return self._ledger.holding or self._sink.fault or "there was no time"

    @property
    def may_have_arrived(self) -> bool:
        """True if the answer to the last attempt was lost."""
        return self._sink.is_unknown

    def stop(self) -> None:
        """End waits, and begin no further one: from a signal handler, say."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """True once `stop` was called."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds. False: `stop` was called."""
        return not self._stop.wait(seconds)

    def close(self) -> None:
        """Let go of connections."""
        self._sender.close()

    # What delivery asks: see the protocol `Patience`.

    def pause(self, seconds: float) -> bool:
        """Wait between attempts, unless that is of no use."""
        if self._ledger.holding is not None:
            return False  # a configuration fault: somebody has to mend it
        if monotonic() + seconds > self._gives_up_at:
            return False
        if self._on_wait is not None and seconds:
            self._on_wait(self.fault)
        return self.wait(seconds)

    def time_left(self) -> float | None:
        """As long as it takes: an attempt that is cut short may have arrived."""
        return None

    def _dropped(self) -> int:
        return sum(self._ledger.dropped().values())

    def _note_refusal(self, error: Exception, events: list[dict[str, Any]]) -> None:
        if isinstance(error, RefusedError):
            for event in events:
                self.refused[str(event.get("messageId"))] = str(error)


class _Noting:
    """A sink that remembers what was wrong last."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.max_bytes = sink.max_bytes
        self.fault: str | None = None
        self.is_unknown = False

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        outcome = self._sink.send(messages, deadline)
        self.fault = str(outcome.error) if isinstance(outcome, (Dropped, Failure)) else None
        self.is_unknown = isinstance(outcome, Unknown)
        return outcome

    def close(self) -> None:
        """See `Sink.close`."""
        self._sink.close()
