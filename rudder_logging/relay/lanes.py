"""A lane: a thread that takes batches of a source and has them delivered, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from .. import queues
from ..common.clock import monotonic
from ..delivery.retry import RetryPolicy
from ..delivery.sender import Sender
from ..queues import Depth
from ..sinks.base import Hold, Later, Outcome, Sink
from . import naming
from .accounts import NOT_OURS, Latencies, SharedLedger, SharedReports
from .keys import WriteKey
from .source import Batch, Forgetful, Source
from .turns import Turns

__all__ = ["Lane", "Shared"]

_TAKE_SECONDS = 1.0
_POLICY = RetryPolicy()
_AFTER_A_BUG = RetryPolicy(base=1.0)
_PAUSES_OF_ONE = 5  # until an event is given back, to be taken again with what came behind it


class Shared(Protocol):
    """The part of a feed that all of its lanes share."""

    name: str
    source: Source
    key: WriteKey
    ledger: SharedLedger
    reports: SharedReports
    turns: Turns
    latencies: Latencies
    timeout: float
    """Seconds that a gateway has for its answer."""

    @property
    def is_stopped(self) -> bool:
        """True once the relay stops."""
        ...

    def make_sink(self, key: str) -> Sink:
        """A sink of a lane's own, with that write key."""
        ...

    def taken(self, *, found: bool) -> None:
        """A lane has looked for messages, and found some or none."""
        ...

    def settled(self) -> None:
        """Events of a lane are settled."""
        ...

    def bug(self, error: Exception) -> None:
        """Something raised that must not."""
        ...


class _Queue:
    """The batch at hand as delivery's queue: nothing waits behind it."""

    def __init__(self, on_settled: Callable[[], object], source: Source) -> None:
        self._on_settled = on_settled
        self._forgetful = source if isinstance(source, Forgetful) else None
        self._batch = Batch()
        self._before = 0
        self.settled = 0

    def begin(self, batch: Batch) -> None:
        """Hand out another batch."""
        self._batch, self._before = batch, self.settled

    @property
    def through(self) -> int:
        """Number of messages of the batch that are settled, its first."""
        return self.settled - self._before

    @property
    def suppresses(self) -> Callable[[bytes], bool] | None:
        """See `Outgoing.suppresses`."""
        return None if self._forgetful is None else self._forgetful.suppresses(self._batch)

    def take(self, max_bytes: int, overhead: int = 0) -> queues.Batch | None:  # noqa: ARG002
        """See `Outgoing.take`. It is all handed out."""
        return None

    def settle(self, batch: queues.Batch, count: int) -> int:  # noqa: ARG002 - there is one
        """See `Outgoing.settle`."""
        count = min(count, len(self._batch) - self.through)
        self.settled += count
        self._on_settled()
        return count

    def depth(self) -> Depth:
        """See `Outgoing.depth`."""
        left = self._batch[self.through :]
        return Depth(len(left), sum(map(len, left)), 0)


class Lane:
    """Delivers batches of a source until the relay stops, in a thread of its own.

    A batch is given back, with what is through of it, once a lease of it is lost, and when the
    relay stops: then after the upload that runs.

    Args:
        shared: What the lanes of the source share.
        number: Of the lane, from 1.
    """

    def __init__(self, shared: Shared, number: int) -> None:
        self._shared = shared
        self._queue = _Queue(self._settled, shared.source)
        self._batch: Batch | None = None
        self._sink = _Sink(shared, self._goes_on)
        self._sender = Sender(
            self._queue,
            self._sink,
            ledger=shared.ledger,
            reports=shared.reports,
            policy=_POLICY,
            timeout=shared.timeout,
        )
        self._pauses = 0
        self._bugs = 0  # in a row
        self.busy_since: float | None = None
        """The time since which it has had a batch without settling any of it; None: it has none."""
        self.moved_at = monotonic()
        """The time at which it last did something."""
        # A daemon: an upload without an answer must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, name=f"rudder-relay-{shared.name}-{number}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for its end. False: it has not come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """False: its thread has ended."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with naming.about(self._shared.name):
            try:
                while not self._shared.is_stopped:
                    self._take_and_deliver()
            finally:
                self._sender.close()

    def _take_and_deliver(self) -> None:
        try:
            self._deliver_next()
            self._bugs = 0
        except Exception as error:  # noqa: BLE001 - a bug, ours or of the source's
            self._after_bug(error)

    def _deliver_next(self) -> None:
        shared = self._shared
        self.moved_at = monotonic()
        batch = shared.source.take(self._sender.max_bytes, _TAKE_SECONDS)
        self.moved_at = monotonic()
        shared.taken(found=batch is not None)
        if batch is None:
            return
        self._batch = batch
        self._queue.begin(batch)
        self._pauses = 0
        self.busy_since = self.moved_at
        try:
            self._sender.deliver(batch, self)
        finally:
            shared.turns.leave(self)
            self._batch = self.busy_since = None
            if self._queue.through == len(batch):
                shared.source.done(batch)
            else:
                shared.source.release(batch, self._queue.through)

    def _after_bug(self, error: Exception) -> None:
        self._shared.bug(error)
        self._bugs += 1
        seconds = _AFTER_A_BUG.delay(self._bugs, 1.0) or 0.0
        self._shared.turns.pause(self, seconds, lambda: not self._shared.is_stopped)
        self._shared.turns.leave(self)

    def _goes_on(self) -> bool:
        """Tell if the batch is to be delivered, still."""
        self.moved_at = monotonic()
        batch = self._batch
        return (
            batch is not None and not self._shared.is_stopped and self._shared.source.holds(batch)
        )

    def _settled(self) -> None:
        self.busy_since = monotonic()
        self._shared.settled()

    # What delivery asks: see the protocol `Patience`.

    def pause(self, seconds: float) -> bool:
        """Wait between attempts. False: the relay stops, or the batch is not this relay's."""
        if self._sink.may_blame_event and len(self._batch or ()) - self._queue.through == 1:
            # It may be to blame, and there is none to compare it with: nothing can be taken behind
            # it as long as its shard is handed out.
            self._pauses += 1
            if self._pauses > _PAUSES_OF_ONE:
                return False
        return self._shared.turns.pause(self, seconds, self._goes_on)

    def time_left(self) -> float | None:
        """As long as it takes: an attempt that is cut short may have arrived."""
        return None


class _Sink:
    """A lane's sink: it sends only what is this relay's to send, with the key as it is now."""

    def __init__(self, shared: Shared, goes_on: Callable[[], bool]) -> None:
        self._shared = shared
        self._goes_on = goes_on
        self._key = shared.key.text
        self._sink = shared.make_sink(self._key)
        self._was_held = False
        self.max_bytes = self._sink.max_bytes
        self.may_blame_event = False
        """True if one of the messages sent last may have provoked their failure."""

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        if not self._goes_on():
            return Later(str(NOT_OURS), cause=NOT_OURS)
        if self._was_held:
            self._shared.key.look_again()
        if self._key != self._shared.key.text:
            self._sink.close()
            self._key = self._shared.key.text
            self._sink = self._shared.make_sink(self._key)
        begun = monotonic()
        outcome = self._sink.send(messages, deadline)
        self._shared.latencies.add(monotonic() - begun)
        self._was_held = isinstance(outcome, Hold)
        self.may_blame_event = isinstance(outcome, (Hold, Later)) and outcome.may_blame_event
        return outcome

    def close(self) -> None:
        """See `Sink.close`."""
        self._sink.close()
