"""Checks of Kafka as a relay's engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

from ...common.clock import monotonic
from ...relay.engine import EngineError
from ...relay.kafka_look import KafkaLooker
from ...sinks.base import Hold
from ...sinks.kafka.address import Address, parse
from .findings import Finding
from .relay import of_failure, of_source, stop, warning, well

__all__ = ["examine"]

_SHORT = 86_400_000  # milliseconds


def examine(url: str, source: str | None, timeout: float, *, max_bytes: int) -> Iterator[Finding]:
    """See `relay.examine`.

    Raises:
        ConfigError: The URL can't be right.
    """
    looker = KafkaLooker(url, timeout)
    try:
        begun = monotonic()
        names = [source] if source is not None else looker.sources()
        brokers = looker.brokers(parse(url, source or "any"))
        milliseconds = 1_000 * (monotonic() - begun)
        text = f"Kafka answers ({milliseconds:.0f} ms); it has {brokers} brokers"
        yield well("relay-reached", text)
        for name in names:
            yield from _of_topic(looker, parse(url, name))
            yield from of_source(looker.look(name), max_bytes)
    except EngineError as error:
        failure = error.failure
        yield of_failure(failure.fault, failure.cure, lasts=isinstance(failure, Hold))
    finally:
        looker.close()


def _of_topic(looker: KafkaLooker, address: Address) -> Iterator[Finding]:
    topic = looker.topic(address)
    if topic is None:
        cure = "create it; its number of partitions is that of uploads at a time"
        yield stop("relay-topic", f"there is no topic {address.topic}", cure)
        return
    settings = _settings(looker, address)
    copies = [(len(one.replicas), len(one.isrs)) for one in topic.partitions.values()]
    fewest, in_sync = min(all_ for all_, _ in copies), min(well_ for _, well_ in copies)
    what = f"the topic {address.topic}"
    yield from _of_copies(what, fewest, in_sync, settings)
    if "compact" in settings.get("cleanup.policy", ""):
        text = f"{what} is compacted: of each user, older events are deleted undelivered"
        yield stop("relay-evicts", text, "set its cleanup.policy to delete")
    if 0 <= int(settings.get("retention.ms", -1)) < _SHORT:
        hours = int(settings["retention.ms"]) / 3_600_000
        text = f"{what} deletes events after {hours:.1f} h, be they delivered or not"
        yield warning("relay-retention", text, "raise its retention.ms over the longest outage")


def _of_copies(
    what: str, fewest: int, in_sync: int, settings: Mapping[str, str]
) -> Iterator[Finding]:
    needed = int(settings.get("min.insync.replicas", 1))
    if fewest == 1:
        text = f"{what} is on one broker alone: when its disk is lost, so are events"
        yield warning("relay-not-kept", text, "give it replicas, and min.insync.replicas=2")
        return
    if in_sync < needed:
        text = f"{what} has {in_sync} replicas in sync, and takes nothing below {needed}"
        yield stop("relay-replicas", text, "see to the brokers that are behind, or away")
    elif in_sync < fewest:
        text = f"{what} has {in_sync} of {fewest} replicas in sync"
        yield warning("relay-replicas", text, "see to the brokers that are behind, or away")
    if needed == 1:
        text = f"{what} acknowledges what a single broker has"
        yield warning("relay-not-kept", text, "set its min.insync.replicas to 2")
    else:
        text = f"{what} keeps what it acknowledges on {needed} brokers at least"
        yield well("relay-kept", text)
    if settings.get("unclean.leader.election.enable") == "true":
        text = f"{what} may get a leader that lacks what was acknowledged"
        yield warning("relay-unclean", text, "set its unclean.leader.election.enable to false")


def _settings(looker: KafkaLooker, address: Address) -> dict[str, str]:
    """A topic's settings, as far as the brokers tell them to this user."""
    resource = ConfigResource(ResourceType.TOPIC, address.topic)
    try:
        asked = looker.admin.describe_configs([resource], request_timeout=looker.timeout)
        found: dict[str, Any] = next(iter(asked.values())).result() if asked else {}
    except KafkaException:
        return {}
    return {name: entry.value for name, entry in found.items() if entry.value is not None}
