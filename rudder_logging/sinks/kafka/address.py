"""From a URL to brokers, a topic, and settings of librdkafka's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from ...exceptions import ConfigError

__all__ = ["Address", "parse"]

_PLACE_OF_SOURCE = "{source}"
_TOPIC = "rudder-" + _PLACE_OF_SOURCE
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_PORT = 9092

_OURS = {
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "transactional.id",
}
"""Settings on which it depends that no event is lost, and none overtakes another."""


@dataclass(frozen=True)
class Address:
    """Brokers, and a topic there."""

    servers: str
    """Hosts with ports, as librdkafka takes them."""
    topic: str
    names_source: bool
    """True if another source's topic has another name."""
    settings: dict[str, str] = field(repr=False)
    """By librdkafka's names. A password may be among them."""

    @property
    def urls(self) -> list[str]:
        """The URLs of all brokers that are known from the beginning."""
        return [f"kafka://{server}" for server in self.servers.split(",")]


def parse(url: str, source: str) -> Address:
    """Read a URL like `kafka://user:password@h1,h2:9093/topic?ssl.ca.location=/etc/ca.pem`.

    Args:
        url: The path is the topic; without one it is `rudder-SOURCE`. `{source}` in it becomes the
            source's name. Parameters are settings of librdkafka's. With a user, passwords go
            through TLS only, unless `security.protocol` says otherwise.
        source: The source's name.

    Raises:
        ConfigError: It can't be right. The text quotes no user and no password.
    """
    parts = urlsplit(url)
    userinfo, at, hosts = parts.netloc.rpartition("@")
    servers = ",".join(map(_with_port, hosts.split(",")))
    pattern = unquote(parts.path.strip("/")) or _TOPIC
    topic = pattern.replace(_PLACE_OF_SOURCE, source)
    if not _NAME.fullmatch(topic) or topic in {".", ".."}:
        raise ConfigError(
            "the topic in the relay's URL has to consist of letters, digits, . _ and -; "
            "{source} in it stands for the source's name"
        )
    settings = _settings(parts.query)
    if at:
        user, _, password = userinfo.partition(":")
        settings.setdefault("sasl.username", unquote(user))
        settings.setdefault("sasl.password", unquote(password))
        settings.setdefault("sasl.mechanism", settings.pop("sasl.mechanisms", "PLAIN"))
    if "sasl.username" in settings or "sasl.mechanism" in settings:
        settings.setdefault("security.protocol", "SASL_SSL")
    elif any(name.startswith("ssl.") for name in settings):
        settings.setdefault("security.protocol", "SSL")
    return Address(servers, topic, _PLACE_OF_SOURCE in pattern, settings)


def _settings(query: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "max_bytes":
            raise ConfigError(
                "max_bytes is nothing that Kafka can be asked for; a topic's own retention.bytes "
                "and retention.ms say what it holds"
            )
        if name in _OURS:
            raise ConfigError(f"{name} in the relay's URL is rudder_logging's own; leave it out")
        if name in settings:
            raise ConfigError(f"{name} stands twice in the relay's URL; give it once")
        settings[name] = value
    return settings


def _with_port(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port or _PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    name = parts.hostname
    if not name:
        raise ConfigError(
            "the relay's URL has to name brokers, like kafka://host1,host2:9093/topic"
        )
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
