"""A source in memory whose shards and leases a test moves as it likes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from rudder_logging.relay.source import Batch, Lag, Observer
from rudder_logging.sinks.base import MESSAGE_OVERHEAD


class Taken(Batch):
    """Messages of one shard."""

    shard: int


class Shelf:
    """Keeps messages by shard; a lane gets those of one shard at a time."""

    def __init__(self, observer: Observer, shards: int = 16) -> None:
        self.observer = observer
        self.shards: list[deque[bytes]] = [deque() for _ in range(shards)]
        self.lost: set[int] = set()
        """Shards whose lease is lost."""
        self.released: list[tuple[int, int]] = []
        """Shards that were released, and how many of their messages were through."""
        self.is_closed = False
        self._out: set[int] = set()
        self._at = 0
        self._stopped = False
        self._changed = threading.Condition()

    def put(self, messages: Iterable[bytes], shard: int | None = None) -> None:
        """Append, to all shards in turn unless one is named."""
        with self._changed:
            for at, message in enumerate(messages):
                self.shards[at % len(self.shards) if shard is None else shard].append(message)
            self._changed.notify_all()

    def take(self, max_bytes: int, timeout: float) -> Batch | None:
        """See `Source.take`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._free(), timeout)
            free = [] if self._stopped else self._free()
            if not free:
                return None
            shard = next((one for one in free if one > self._at), free[0])
            self._at = shard
            self._out.add(shard)
            messages = self.shards[shard]
            batch = Taken()
            batch.shard = shard
            for message in messages:
                max_bytes -= len(message) + MESSAGE_OVERHEAD
                if batch and max_bytes < 0:
                    break
                batch.append(message)
            return batch

    def _free(self) -> Sequence[int]:
        taken = self._out | self.lost
        return [n for n, messages in enumerate(self.shards) if messages and n not in taken]

    def done(self, batch: Batch) -> None:
        """See `Source.done`."""
        self._settle(batch, len(batch))

    def release(self, batch: Batch, settled: int = 0) -> None:
        """See `Source.release`."""
        assert isinstance(batch, Taken)
        self.released.append((batch.shard, settled))
        self._settle(batch, settled)

    def _settle(self, batch: Batch, settled: int) -> None:
        assert isinstance(batch, Taken)
        with self._changed:
            self._out.discard(batch.shard)
            if batch.shard not in self.lost:
                for message in batch[:settled]:
                    assert self.shards[batch.shard].popleft() == message
            self._changed.notify_all()

    def holds(self, batch: Batch) -> bool:
        """See `Source.holds`."""
        assert isinstance(batch, Taken)
        return batch.shard not in self.lost

    def lag(self) -> Lag:
        """See `Source.lag`."""
        with self._changed:
            events = sum(map(len, self.shards))
            return Lag(events, sum(len(one) for shard in self.shards for one in shard), 0.0)

    def stop(self) -> None:
        """See `Source.stop`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """See `Source.close`."""
        self.is_closed = True
