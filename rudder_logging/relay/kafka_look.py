"""A look at Kafka from outside: topics, and what their consumer groups have not committed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from ..sinks.kafka import client
from ..sinks.kafka.address import Address, parse
from ..sinks.kafka.errors import failure_of
from .engine import EngineError
from .kafka_lag import LagProbe
from .kafka_source import group_of
from .look import SourceLook
from .source import Lag

__all__ = ["KafkaLooker", "open_looker"]

_ANY = "any-source"
_UNNAMED = "unnamed"
"""A relay of a group that has members which its broker does not name."""
_WITHOUT_MEMBERS = {ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD, ConsumerGroupState.UNKNOWN}


class KafkaLooker:
    """See `Looker`. One thread at a time uses it."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self.timeout = url, timeout
        address = parse(url, _ANY)
        client.check(address.settings)
        settings = {name: v for name, v in address.settings.items() if name not in _NOT_FOR_ADMINS}
        self.admin = AdminClient(client.options(address.servers, settings))
        """The library's client."""

    def sources(self) -> Sequence[str]:
        """See `Looker`. They are known by their topics; if all have one, by their groups."""
        address = parse(self._url, _ANY)
        with _told(address.topic):
            if address.names_source:
                names = set(self.admin.list_topics(timeout=self.timeout).topics)
                pattern = re.escape(address.topic).replace(re.escape(_ANY), "(.+)")
            elif "group.id" in address.settings:
                return []  # it says nothing of sources
            else:
                listed = self.admin.list_consumer_groups(request_timeout=self.timeout)
                names = {group.group_id for group in listed.result().valid}
                pattern = re.escape(group_of(address, _ANY)).replace(re.escape(_ANY), "(.+)")
        found = (re.fullmatch(pattern, name) for name in names)
        return sorted(match[1] for match in found if match)

    def look(self, name: str) -> SourceLook:
        """See `Looker`."""
        address = parse(self._url, name)
        topic = self.topic(address)
        if topic is None:
            return SourceLook(name, 0, {}, [], Lag(0, 0, 0.0), 0, 0)
        group = group_of(address, name)
        options = client.options(address.servers, {**address.settings, "group.id": group})
        probe = LagProbe(address.topic, options)
        try:
            lag = probe.read()
        finally:
            probe.close()
        owners = dict(self._owners(address, group))
        return SourceLook(
            name,
            len(topic.partitions),
            {shard: owner for shard, owner in sorted(owners.items()) if shard >= 0},
            sorted(set(owners.values())),
            lag,
            0,
            0,
        )

    def brokers(self, address: Address) -> int:
        """Number of brokers."""
        with _told(address.topic):
            return len(self.admin.list_topics(timeout=self.timeout).brokers)

    def topic(self, address: Address) -> Any:
        """The topic as the brokers describe it; None: it is not there."""
        with _told(address.topic):
            # All are asked for: to ask for one by its name may make it.
            topic = self.admin.list_topics(timeout=self.timeout).topics.get(address.topic)
        if topic is not None and topic.error is not None:
            raise EngineError(failure_of(topic.error, address.topic))
        return topic

    def _owners(self, address: Address, group: str) -> Iterator[tuple[int, str]]:
        """Partitions with the relays that have them; below 0: a relay's, which may have none."""
        with _told(address.topic):
            asked = self.admin.describe_consumer_groups([group], request_timeout=self.timeout)
            found = asked[group].result()
        if not found.members and found.state not in _WITHOUT_MEMBERS:
            yield -1, _UNNAMED
        for at, member in enumerate(found.members):
            yield -1 - at, member.member_id
            for place in member.assignment.topic_partitions if member.assignment else ():
                if place.topic == address.topic:
                    yield place.partition, member.member_id

    def close(self) -> None:
        """See `Looker`."""


_NOT_FOR_ADMINS = {"compression.type", "partitioner", "session.timeout.ms"}


def open_looker(url: str, timeout: float) -> KafkaLooker:
    """See `relay.look.open_looker`."""
    return KafkaLooker(url, timeout)


class _told:  # noqa: N801 - it is used as a function
    """Have what the library raises be an error of an engine."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def __enter__(self) -> None:
        """See the class."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KafkaException):
            raise EngineError(failure_of(error.args[0], self._topic)) from None
