"""The lag of a topic: what its consumer group has not committed, whoever reads it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from ..common.clock import monotonic, wall_time
from ..sinks.kafka import client
from ..sinks.kafka.errors import failure_of
from .engine import EngineError
from .source import Lag

__all__ = ["LagProbe"]

_SECONDS = 10.0


class LagProbe:
    """Reads the first record behind what is committed, of each partition. It joins no group.

    Args:
        topic: The topic's name.
        options: A client's.
    """

    def __init__(self, topic: str, options: Mapping[str, Any]) -> None:
        self._topic = topic
        self._options = options
        self._alone = threading.Lock()
        self._consumer: Consumer | None = None
        self._is_closed = False

    def read(self) -> Lag:
        """See `Source.lag`. Bytes are an estimate, from the first records."""
        with self._alone:
            if self._is_closed:
                raise EngineError(failure_of(None, self._topic))
            try:
                return self._read(monotonic() + _SECONDS)
            except KafkaException as error:
                raise EngineError(failure_of(error.args[0], self._topic)) from None

    def close(self) -> None:
        """Let go of the client."""
        with self._alone:
            self._is_closed = True
            if self._consumer is not None:
                self._consumer.close()
                client.forget(self._consumer)
                self._consumer = None

    def _opened(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer({**self._options, **_SMALL})
            client.keep(self._consumer)
        return self._consumer

    def _read(self, deadline: float) -> Lag:
        consumer = self._opened()
        topic = consumer.list_topics(self._topic, _SECONDS).topics[self._topic]
        if topic.error is not None:
            raise EngineError(failure_of(topic.error, self._topic))
        begins = consumer.committed(
            [TopicPartition(self._topic, number) for number in topic.partitions], _SECONDS
        )
        for one in begins:
            if one.error is not None:
                raise EngineError(failure_of(one.error, self._topic))
            if one.offset < 0:  # nothing was committed, ever
                one.offset = OFFSET_BEGINNING
        consumer.assign(begins)
        try:
            return self._sum(consumer, {one.partition for one in begins}, deadline)
        finally:
            consumer.unassign()

    def _sum(self, consumer: Consumer, unknown: set[int], deadline: float) -> Lag:
        events = size = 0
        now = oldest = wall_time()
        while unknown:
            if monotonic() > deadline:
                raise EngineError(failure_of(None, self._topic))
            record = consumer.poll(0.1)
            if record is None or record.partition() not in unknown:
                continue
            unknown.discard(record.partition() or 0)
            error = record.error()
            if error is None:
                place = TopicPartition(self._topic, record.partition() or 0)
                _, end = consumer.get_watermark_offsets(place, cached=True)
                behind = end - (record.offset() or 0)
                events += behind
                size += behind * len(record.value() or b"")
                oldest = min(oldest, record.timestamp()[1] / 1000)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public name
                raise EngineError(failure_of(error, self._topic))
        return Lag(events, size, now - oldest if events else 0.0)


_SMALL = {
    # It has the relays' group: a commit of its own would be the loss of what it has only looked at.
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 20,
    "max.partition.fetch.bytes": 65_536,
    "queued.min.messages": 1,
}
