"""The sink that appends to a source's streams, from where relays deliver."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...common.clock import monotonic
from ...config import Config
from ...exceptions import ConfigError
from ..ahead import Ahead
from ..base import Failure, Hold, Outcome, Stored, Trip, Unknown
from ..frames import shard_key, shard_of
from ..gateway.untraced import untraced
from .appending import Frame, Outbox
from .connecting import Shards, parse_address
from .errors import Fault
from .forgetting import forget
from .keys import Keys
from .link import Link
from .source import make_source

__all__ = ["RedisSink"]

_AGAIN = 2  # uploads that may be remembered


class RedisSink:
    """Appends messages to the streams of a source: an upload in one round trip.

    Args:
        config: Its options `relay` and `source` say where.

    Raises:
        ConfigError: The URL can't be right.
    """

    def __init__(self, config: Config) -> None:
        if config.relay is None or config.source is None:
            raise ConfigError("relay and source are missing; give both")
        address = parse_address(config.relay)
        self.max_bytes = config.max_batch_bytes
        self._config = config
        self._shards = address.shards
        self._replicas = address.replicas
        self._keys = Keys(config.source)
        self._link = Link(address, config.timeout)
        self._ahead = Ahead(_AGAIN * self.max_bytes)
        self._outbox = Outbox(self._link, self._keys, room=_AGAIN * self.max_bytes)
        self._known_by = -1  # connections that were made when the source was seen

    def __repr__(self) -> str:
        return f"<RedisSink to {self._link.engine}>"

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        with untraced():
            fault = self._find_source(deadline)
            if fault is not None:
                return fault
            outcome = self._send(messages, deadline)
            if isinstance(outcome, Stored):
                shards = self._shards.value
                fault = self._find_source(deadline)
                if self._shards.value != shards:
                    words = f"the engine {self._link.engine} has lost its data meanwhile"
                    return Unknown(words, "see to its persistence")
                if isinstance(fault, Hold):
                    return fault  # shards that nobody reads may have got it
            return outcome

    def forget(self, people: Collection[str], deadline: float | None) -> Failure | None:
        """See `Forgetting.forget`. What may be stored, and nobody knows, is stored before."""
        with untraced():
            fault = self._find_source(deadline)
            if fault is not None:
                return fault
            results = self._outbox.send([], deadline, self._replicas)
            self._remember(results)
            for _, failure in results:
                if failure is not None:
                    return failure
            return forget(self._link, self._keys, self._shards.value, people, deadline)

    def close(self) -> None:
        """See `Sink.close`."""
        self._link.close()

    def urls(self) -> Sequence[str]:
        """The URLs of all servers that it connects to."""
        relay = self._config.relay_url
        return relay.host_urls if relay else []

    def _find_source(self, deadline: float | None) -> Fault | None:
        """Make the source, unless it is there; nothing is asked while a connection lasts."""
        if self._link.connections == self._known_by:
            return None
        found = make_source(self._link, self._keys, self._shards, deadline)
        if not isinstance(found, int):
            self._known_by = -1
            return found
        if found != self._shards.value:
            # The engine has lost its data: what went by the old number may be where nobody reads.
            self._outbox.forget_lost()
            self._ahead = Ahead(_AGAIN * self.max_bytes)
        self._shards = Shards(found, is_given=self._shards.is_given)
        self._known_by = self._link.connections
        self._outbox.most = max(1, self._config.relay_max_bytes // found)
        return None

    def _send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        frames = self._outbox.pack(self._by_shard(messages))
        begun = monotonic()
        results = self._outbox.send(frames, deadline, self._replicas)
        seconds = monotonic() - begun
        failures = [failure for _, failure in results if failure is not None]
        if failures:
            return self._failed(messages, results, frames, seconds)
        if len(results) > len(frames):
            self._remember(results[: len(results) - len(frames)])
        self._ahead.settled(messages)
        return Stored(trip=_trip(messages, frames, seconds))

    def _by_shard(self, messages: Sequence[bytes]) -> dict[int, list[bytes]]:
        """Group messages that are neither stored nor on their way, by shard."""
        fresh = self._ahead.fresh(messages)
        lost = set(self._outbox.lost)
        groups: dict[int, list[bytes]] = {}
        shards = self._shards.value
        for message in fresh:
            if message in lost if lost else False:
                continue
            shard = shard_of(shard_key(message), shards)
            if shard in groups:
                groups[shard].append(message)
            else:
                groups[shard] = [message]
        return groups

    def _failed(
        self,
        messages: Sequence[bytes],
        results: Sequence[tuple[Frame, Fault | None]],
        frames: Sequence[Frame],
        seconds: float,
    ) -> Outcome:
        """The outcome for the upload as a whole. What is stored is not sent again."""
        self._remember(results)
        if not self._ahead.fresh(messages):  # what failed is of an earlier upload
            self._ahead.settled(messages)
            return Stored(trip=_trip(messages, frames, seconds))
        failures = [failure for _, failure in results if failure is not None]
        failure = min(failures, key=lambda one: (not isinstance(one, Hold), failures.index(one)))
        if isinstance(failure, Unknown):
            trip = _trip(messages, frames, seconds)
            return Unknown(failure.fault, failure.cure, trip=trip)
        return failure

    def _remember(self, results: Sequence[tuple[Frame, Fault | None]]) -> None:
        for frame, failure in results:
            if failure is None:
                self._ahead.stored(frame.messages)


def _trip(messages: Sequence[bytes], frames: Sequence[Frame], seconds: float) -> Trip | None:
    sent = sum(len(frame.packed) for frame in frames)
    if not sent:
        return None
    return Trip(len(messages), sum(map(len, messages)), sent, seconds)
