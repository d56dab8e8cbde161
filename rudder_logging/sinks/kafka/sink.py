"""The sink of Kafka: one record a message, and the outcome of all."""

from __future__ import annotations

import os
from collections.abc import Sequence

from confluent_kafka import KafkaError

from ...common.clock import monotonic
from ...config import Config
from ..base import Outcome, Refused, Stored
from . import client
from .address import parse
from .outcomes import outcome_of
from .producing import Producing

__all__ = ["KafkaSink"]

_LARGEST = 1_000_000_000  # bytes, librdkafka's own bound: the broker says what is too large
_FOR_A_NEW_TOPIC = 5_000  # ms; librdkafka's 30 s are longer than a sending may take
_BETWEEN_CONNECTIONS = 1_000  # ms; librdkafka's 10 s are too long after an outage of a moment
_STUCK = 2


class KafkaSink:
    """Appends messages to a topic, each as a record whose key is its shard's.

    librdkafka keeps what is not acknowledged, and goes on with it, in order, between two sendings
    as well. So what is sent again is not produced again: its report is waited for.
    """

    def __init__(self, config: Config) -> None:
        self.max_bytes = config.max_batch_bytes
        self._address = parse(config.relay or "", config.source or "")
        client.check(self._address.settings)
        self._timeout = config.timeout
        self._producing: Producing | None = None
        self._stuck = 0  # sendings in a row without a report, though brokers answer
        self._known: set[bytes] = set()
        """Messages of sendings that failed, which are stored all the same, or on their way."""

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        until = monotonic() + self._timeout
        is_short = deadline is not None and deadline < until
        until = deadline if is_short and deadline is not None else until
        producing = self._opened()
        producing.refresh()
        known = self._known
        known.difference_update(producing.errors)
        producing.errors.clear()
        producing.alone.clear()
        fresh = messages
        if known and not known.isdisjoint(messages):  # with none, no message is hashed
            fresh = [one for one in messages if one not in known]
        producing.produce(fresh, until)
        before = len(producing)
        producing.wait(until)
        outcome = self._outcome(producing, messages)
        if isinstance(outcome, (Stored, Refused)):
            known.difference_update(messages)
        else:
            known.update(messages)
        if isinstance(outcome, Stored) and fresh is messages:
            known.clear()  # they would have come again by now: delivery gave them up
        stuck = not is_short and self._is_stuck(producing, before)
        if producing.is_broken or stuck:
            self.close()
        return outcome

    def _outcome(self, producing: Producing, messages: Sequence[bytes]) -> Outcome:
        errors, alone = producing.errors, producing.alone
        at_fault: dict[int, KafkaError] = {}
        if errors:
            at_fault = {at: errors[one] for at, one in enumerate(messages) if one in errors}
        return outcome_of(
            at_fault,
            [at for at in at_fault if messages[at] in alone],
            producing.trouble,
            self._address.topic,
            is_waiting=producing.is_waiting,
        )

    def close(self) -> None:
        """See `Sink.close`. What is on its way is sent again: whether it arrives is not known."""
        producing, self._producing = self._producing, None
        if producing is not None and producing.process == os.getpid():
            if producing.close():
                self._known.difference_update(producing.errors)
            else:
                self._known.clear()

    def urls(self) -> list[str]:
        """The URLs of the brokers that it is told of."""
        return self._address.urls

    def _opened(self) -> Producing:
        if self._producing is not None and self._producing.process != os.getpid():
            self._known, self._producing = set(), None
        if self._producing is None:
            self._stuck = 0
            self._producing = Producing(self._address.topic, self._options())
        return self._producing

    def _is_stuck(self, producing: Producing, before: int) -> bool:
        """Tell if another producer may get on, where brokers answer, but not to this one.

        Brokers that have lost what they knew of a producer may refuse it again and again, and
        librdkafka tries for ever.
        """
        if producing.trouble is not None or len(producing) < before:
            self._stuck = 0
        elif producing.is_answered():
            self._stuck += 1
        return self._stuck >= _STUCK

    def _options(self) -> dict[str, object]:
        settings = {
            "compression.type": "lz4",
            "message.max.bytes": str(_LARGEST),
            "reconnect.backoff.max.ms": str(_BETWEEN_CONNECTIONS),
            "topic.metadata.propagation.max.ms": str(_FOR_A_NEW_TOPIC),
            **self._address.settings,
        }
        # Messages have no time-out: one that is given up leaves a gap in its partition's sequence,
        # and nobody knows if it is stored.
        return client.options(
            self._address.servers,
            settings,
            enable_idempotence=True,
            acks="all",
            message_timeout_ms=0,
        )
