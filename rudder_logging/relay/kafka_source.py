"""A source over a topic of Kafka's: its consumer group shares the partitions among relays."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ..common.clock import monotonic
from ..exceptions import ConfigError
from ..sinks.base import Failure, Later
from ..sinks.kafka import client
from ..sinks.kafka.address import Address, parse
from ..sinks.kafka.errors import ends_waiting, failure_of
from .kafka_lag import LagProbe
from .kafka_partitions import Partitions, Record
from .source import Batch, Lag, Observer

__all__ = ["KafkaSource", "open_source"]

_log = logging.getLogger("rudder_logging")

_GROUP = "rudder-relay"
_SETTINGS = {
    # A killed relay's partitions are another's after so long; with the brokers' usual settings it
    # may be 6 s at the least.
    "session.timeout.ms": "12000",
    # A relay that leaves is noticed by the others at their next heartbeat.
    "heartbeat.interval.ms": "500",
    # A topic that is made later, or gets more partitions, is seen after so long.
    "topic.metadata.refresh.interval.ms": "10000",
    "reconnect.backoff.max.ms": "1000",
    # Together with what is handed out, they bound the relay's memory.
    "fetch.max.bytes": "1000000",
    "max.partition.fetch.bytes": "250000",
    "queued.max.messages.kbytes": "3000",
    "queued.min.messages": "10000",
    # Once so much is read ahead, nothing is read for so long. With the default, a second, a relay
    # delivered 10,000 events/s at the most.
    "fetch.queue.backoff.ms": "10",
    "fetch.wait.max.ms": "100",
}
_MOST_BYTES = 4_000_000
"""Read, and not handed out."""
_SLICE = 0.1
_AT_ONCE = 1_000  # records
_UNTIL_HANDED_OVER = 25.0
"""Seconds. Longer than an upload waits for its answer: what it brings is not to come twice."""
_LONGEST_CLOSE = 30.0
"""Seconds that brokers have to note that a relay leaves."""
_BETWEEN_LOOKS = 1.0
_AFTER_A_BUG = 1.0
_OURS = b'{"messageId":"'


def group_of(address: Address, name: str) -> str:
    """The consumer group of a source's relays."""
    return address.settings.get("group.id", f"{_GROUP}.{name}")


class KafkaSource:
    """Messages of a topic, as one relay of its consumer group gets them.

    Args:
        address: Brokers and topic.
        name: The source's.
        observer: Who hears of what happens here.
    """

    def __init__(self, address: Address, name: str, observer: Observer) -> None:
        self._address = address
        self._topic = address.topic
        self._name = name
        self._observer = observer
        settings = {**_SETTINGS, **address.settings, "group.id": group_of(address, name)}
        self._session = int(settings["session.timeout.ms"]) / 1000
        common = client.options(
            address.servers, settings, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._options: dict[str, Any] = {
            **common,
            "allow.auto.create.topics": False,
            "enable.auto.offset.store": False,
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
            "partition.assignment.strategy": "cooperative-sticky",
        }
        self._partitions = Partitions()
        self._probe = LagProbe(self._topic, common)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._trouble: KafkaError | None = None
        self._is_well: bool | None = None
        self._looked_at = 0.0
        self._polled_at = 0.0

    # See the protocol `Source`.

    def take(self, max_bytes: int, timeout: float) -> Batch | None:
        """See `Source.take`."""
        with self._starting:
            if self._thread is None and not self._partitions.is_stopped:
                self._thread = threading.Thread(
                    target=self._run, name=f"rudder-kafka-{self._name}", daemon=True
                )
                self._thread.start()
        return self._partitions.take(max_bytes, timeout)

    def done(self, batch: Batch) -> None:
        """See `Source.done`."""
        self._partitions.settle(batch, len(batch))

    def release(self, batch: Batch, settled: int = 0) -> None:
        """See `Source.release`."""
        self._partitions.settle(batch, settled)

    def holds(self, batch: Batch) -> bool:
        """See `Source.holds`."""
        return self._partitions.holds(batch)

    def lag(self) -> Lag:
        """See `Source.lag`."""
        return self._probe.read()

    def stop(self) -> None:
        """See `Source.stop`."""
        self._partitions.stop()

    def close(self) -> None:
        """See `Source.close`."""
        self._partitions.stop()
        self._is_closed = True
        if self._thread is not None:
            self._thread.join(_UNTIL_HANDED_OVER + _LONGEST_CLOSE)
        self._probe.close()
        _close(self._address, self._name)

    # The thread that reads.

    def _run(self) -> None:
        while True:
            try:
                if self._read_until_lost():
                    return
            except Exception as error:  # noqa: BLE001 - without this thread, nothing would be read
                if self._is_closed or self._is_finished():
                    return
                self._is_well = False
                self._observer.failing(_failure_of(error, self._topic))
                time.sleep(_AFTER_A_BUG)
                continue
            _log.warning(
                "source %s: this relay did not run for so long that others may have its "
                "partitions; it joins them anew",
                self._name,
            )

    def _read_until_lost(self) -> bool:
        """Read until the source is stopped. False: it has to join anew."""
        consumer = Consumer(self._options)
        client.keep(consumer)
        self._polled_at = monotonic()
        try:
            consumer.subscribe(
                [self._topic],
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            while not (self._is_closed or self._is_finished()):
                begun = monotonic()
                if begun - self._polled_at > self._margin and not self._is_member(consumer):
                    return False
                self._polled_at = begun
                self._partitions.certain_until = begun + self._margin
                self._read(consumer)
                self._commit(consumer)
                self._pause(consumer)
                self._look(consumer)
            return True
        finally:
            if not self._is_well:  # no broker would answer to what `_on_revoke` commits
                self._lose(self._partitions.numbers())
            consumer.close()  # it calls `_on_revoke`
            self._lose(self._partitions.numbers())
            client.forget(consumer)

    @property
    def _margin(self) -> float:
        """Seconds after a poll for which the group can't have given away what is this relay's."""
        return self._session * 2 / 3

    def _is_finished(self) -> bool:
        return self._partitions.is_stopped and not self._partitions.is_anything_out()

    def _read(self, consumer: Consumer) -> None:
        first = consumer.poll(_SLICE)
        if first is None:
            return
        found: dict[int, list[Record]] = {}
        unreadable = 0
        for record in (first, *consumer.consume(_AT_ONCE, 0)):
            error = record.error()
            if error is not None:
                self._on_error(error)
                continue
            message = _message(record)
            unreadable += message is None
            found.setdefault(record.partition() or 0, []).append(
                Record(record.offset() or 0, message)
            )
        for number, records in found.items():
            self._partitions.read(number, records)
        if found:
            self._well()
        if unreadable:
            _log.warning(
                "source %s: %d records of the topic %s are no messages; they stay there as long "
                "as its retention has it (one is at offset %d of partition %d)",
                self._name,
                unreadable,
                self._topic,
                *next(
                    (record.offset, number)
                    for number, records in found.items()
                    for record in records
                    if record.message is None
                ),
            )
            self._observer.dropped(unreadable, "unreadable")

    def _commit(self, consumer: Consumer) -> None:
        if positions := self._partitions.positions():
            try:
                consumer.commit(offsets=self._places(positions), asynchronous=True)
            except KafkaException:
                self._partitions.not_committed(positions)

    def _pause(self, consumer: Consumer) -> None:
        pause, resume = self._partitions.to_pause(_MOST_BYTES)
        if pause:
            consumer.pause([TopicPartition(self._topic, number) for number in pause])
        if resume:
            consumer.resume([TopicPartition(self._topic, number) for number in resume])

    def _look(self, consumer: Consumer) -> None:
        """While brokers fail, see if they answer again."""
        trouble = self._trouble
        if trouble is None or monotonic() - self._looked_at < _BETWEEN_LOOKS:
            return
        try:
            if consumer.list_topics(self._topic, _BETWEEN_LOOKS).topics[self._topic].error is None:
                self._well()
        except KafkaException:
            self._tell(trouble)
        self._looked_at = monotonic()

    def _is_member(self, consumer: Consumer) -> bool:
        """Tell if the group has not given this relay's partitions away: brokers check a commit."""
        positions = self._partitions.positions(changed=False)
        if not positions:
            return True
        try:
            consumer.commit(offsets=self._places(positions), asynchronous=False)
        except KafkaException:
            return False
        return True

    def _places(self, positions: dict[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number, at) for number, at in positions.items()]

    # What the library says, in the thread that reads.

    def _on_assign(self, _consumer: Consumer, gained: list[TopicPartition]) -> None:
        self._partitions.gain(place.partition for place in gained)
        self._well()
        if gained:
            self._observer.leases_changed(len(gained), 0)
        self._observer.idles(not len(self._partitions))

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        numbers = [place.partition for place in revoked]
        positions = self._partitions.leave(numbers, 0 if self._is_closed else _UNTIL_HANDED_OVER)
        if positions:
            try:
                consumer.commit(offsets=self._places(positions), asynchronous=False)
                self._polled_at = monotonic()  # it is a member, still
            except KafkaException as error:
                _log.debug("what was settled is not committed: %s", error)
        self._lose(numbers)

    def _on_lost(self, _consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._lose([place.partition for place in lost])

    def _lose(self, numbers: list[int]) -> None:
        if count := self._partitions.lose(numbers):
            self._observer.leases_changed(0, count)

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        failed = [place.partition for place in places if error or place.error]
        if failed:
            self._partitions.not_committed(failed)

    def _on_error(self, error: KafkaError) -> None:
        if ends_waiting(error):
            self._trouble = error
            self._tell(error)
        else:
            _log.debug("source %s: %s", self._name, error)

    def _tell(self, error: KafkaError) -> None:
        self._is_well = False
        self._observer.failing(failure_of(error, self._topic))

    def _well(self) -> None:
        self._trouble = None
        if not self._is_well:
            self._is_well = True
            self._observer.well()


def _failure_of(error: Exception, topic: str) -> Failure:
    """The failure by an error that ended the reading. Only the library's is shown."""
    if isinstance(error, KafkaException) and isinstance(error.args[0], KafkaError):
        return failure_of(error.args[0], topic)
    words = f"reading the topic {topic} raised {type(error).__name__}"
    return Later(words, "report it: that is a bug")


def _message(record: Message) -> bytes | None:
    """A record as a message, short of its closing brace; None: it is none."""
    value = record.value()
    if not isinstance(value, bytes):
        return None
    if not (value.startswith(_OURS) and value.endswith(b"}")):  # else it is as our sink wrote it
        value = value.strip()
        try:
            if not (isinstance(fields := orjson.loads(value), dict) and fields):
                return None
        except orjson.JSONDecodeError:
            return None
    return value[:-1]


_open: dict[tuple[str, str], list[str]] = {}
"""Names of the sources that are open, by brokers and topic."""


def open_source(url: str, name: str, observer: Observer) -> KafkaSource:
    """Make the source of a topic.

    Raises:
        ConfigError: The URL can't be right, or another source has the same topic.
    """
    address = parse(url, name)
    client.check(address.settings)
    names = _open.setdefault((address.servers, address.topic), [])
    if any(other != name for other in names):
        raise ConfigError(
            f"the sources {names[0]} and {name} would both read the topic {address.topic}; leave "
            "the topic out of the relay's URL, or write {source} in it"
        )
    names.append(name)
    return KafkaSource(address, name, observer)


def _close(address: Address, name: str) -> None:
    names = _open.get((address.servers, address.topic), [])
    if name in names:
        names.remove(name)
