"""A producer, and what it reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Producer

from ...common.clock import monotonic
from ..frames import shard_key
from . import client
from .errors import ends_waiting

if TYPE_CHECKING:
    from confluent_kafka import Message

__all__ = ["Producing"]

_SLICE = 0.1
"""Seconds for which reports are waited for before it is seen if that is of any use."""
_FOR_AN_ANSWER = 2.0  # seconds


class _Reports:
    """The library's news. Apart, so that no producer holds itself alive."""

    def __init__(self) -> None:
        self.errors: dict[bytes, KafkaError] = {}
        self.alone: set[bytes] = set()
        self.trouble: KafkaError | None = None
        self.is_fatal = False

    def message(self, error: KafkaError | None, record: Message) -> None:
        """One is not stored, or nobody knows. What is stored is not reported."""
        value = record.value()
        if error is not None and isinstance(value, bytes):
            self.errors[value[:-1]] = error

    def connection(self, error: KafkaError) -> None:
        """No broker answers, or not as it should."""
        self.is_fatal |= error.fatal()
        if self.trouble is None or ends_waiting(error):
            self.trouble = error


class Producing:
    """A producer of librdkafka's, made in this process.

    Args:
        topic: The topic's name.
        options: The producer's.
    """

    def __init__(self, topic: str, options: dict[str, Any]) -> None:
        self.process = os.getpid()
        self.is_waiting = False
        """True if messages are on their way."""
        self._topic = topic
        self._reports = reports = _Reports()
        self._producer = Producer(
            {
                **options,
                "error_cb": reports.connection,
                # Of the 9.5 us that a sending took for each message, reports of success took 4.
                "delivery.report.only.error": True,
            }
        )
        client.keep(self._producer)

    def __len__(self) -> int:
        return len(self._producer)

    @property
    def trouble(self) -> KafkaError | None:
        """Why there are no answers, as far as that is known."""
        return self._reports.trouble

    @property
    def errors(self) -> dict[bytes, KafkaError]:
        """Why messages are not stored.

        What was produced, is not on its way any more, and has no error is stored.
        """
        return self._reports.errors

    @property
    def alone(self) -> set[bytes]:
        """Messages among those with errors that are too large alone."""
        return self._reports.alone

    @property
    def is_broken(self) -> bool:
        """True if it sends nothing any more, and another has to be made."""
        return self._reports.is_fatal

    def refresh(self) -> None:
        """Learn what has happened meanwhile, for instance to an idle connection."""
        self._producer.poll(0)
        self._reports.trouble = None

    def produce(self, messages: Sequence[bytes], until: float) -> None:
        """Have messages sent, which are JSON short of the closing brace.

        Args:
            messages: In order. `errors` has those that are not taken.
            until: When to give up if there is no room for them.
        """
        produce, topic, report = self._producer.produce, self._topic, self._reports.message
        self.is_waiting = True
        for at, message in enumerate(messages):
            try:
                produce(topic, message + b"}", shard_key(message), on_delivery=report)
            except (BufferError, KafkaException) as error:  # noqa: PERF203 - costs nothing measurable
                failure = self._again(message, error, until)
                if failure is None:
                    continue
                if failure.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    self._reports.errors[message] = failure
                    self._reports.alone.add(message)
                    continue
                # What is behind it must not overtake it.
                self._reports.errors.update(dict.fromkeys(messages[at:], failure))
                self._reports.is_fatal |= failure.fatal()
                return

    def _again(self, message: bytes, error: Exception, until: float) -> KafkaError | None:
        """Try again while there is no room. Returns why it is not taken; None: it is."""
        while isinstance(error, BufferError):
            if monotonic() >= until:
                return KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - a public name
            self._producer.poll(_SLICE)
            try:
                self._producer.produce(
                    self._topic,
                    message + b"}",
                    shard_key(message),
                    on_delivery=self._reports.message,
                )
            except (BufferError, KafkaException) as again:
                error = again
            else:
                return None
        failure: KafkaError = error.args[0]
        return failure

    def wait(self, until: float) -> None:
        """Wait for reports, as long as that is of any use."""
        while self.is_waiting and not self._reports.is_fatal:
            left = until - monotonic()
            self.is_waiting = self._producer.flush(max(0.0, min(_SLICE, left))) > 0
            trouble = self._reports.trouble
            if left <= 0 or (trouble is not None and ends_waiting(trouble)):
                return

    def is_answered(self) -> bool:
        """Tell if brokers answer to something else."""
        try:
            return bool(self._producer.list_topics(self._topic, _FOR_AN_ANSWER).brokers)
        except KafkaException:
            return False

    def close(self) -> bool:
        """End it. Messages that are on their way become errors.

        Returns:
            False: of some, nothing is known.
        """
        producer = self._producer
        producer.purge()
        is_known = not producer.flush(_SLICE)
        client.forget(producer)
        if hasattr(producer, "close"):  # older ones end when nothing refers to them
            producer.close()
        return is_known
