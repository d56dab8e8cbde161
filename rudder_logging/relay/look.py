"""A look at an engine from outside: what waits there of each source, and who delivers it.

Whoever looks is no relay, takes nothing, and changes nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ..config.relay_urls import KAFKA, REDIS, parse_relay_url
from ..exceptions import ConfigError
from .source import Lag, needing_its_library

__all__ = ["Looker", "SourceLook", "open_looker"]


class SourceLook(NamedTuple):
    """One source, as it was at a moment."""

    name: str
    shards: int
    """0: no app has appended to it yet."""
    owners: Mapping[int, str]
    """Ids of relays by the shards that they own."""
    relays: Sequence[str]
    """Ids of all that are alive."""
    lag: Lag
    buried: int
    """Frames that nobody could deliver, and that are kept apart."""
    forgotten: int
    """Persons whose waiting messages are left out."""

    @property
    def idle(self) -> list[str]:
        """Relays that own no shard."""
        busy = set(self.owners.values())
        return [relay for relay in self.relays if relay not in busy]

    @property
    def is_left_alone(self) -> bool:
        """True if events wait, and no relay is alive."""
        return bool(self.lag.events) and not self.relays


class Looker(Protocol):
    """Looks at one engine.

    Raises:
        EngineError: Any method may.
    """

    def sources(self) -> Sequence[str]:
        """Names of all sources that are there, sorted."""
        ...

    def look(self, name: str) -> SourceLook:
        """Look at one source, be it there or not."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


_MODULES = {REDIS: "redis_look", KAFKA: "kafka_look"}
"""By schemes: the module here that has `open_looker`, and imports a library."""


def open_looker(url: str, timeout: float) -> Looker:
    """Make what looks at the engine of a URL. It connects later on.

    Args:
        url: See the option `relay`.
        timeout: Seconds for each step.

    Raises:
        ConfigError: The URL can't be right, its scheme is a third party's, or the library for it is
            missing.
    """
    try:
        scheme = parse_relay_url(url).scheme
    except ValueError as error:
        raise ConfigError(f"the relay's URL {error}") from None
    for schemes, module in _MODULES.items():
        if scheme in schemes:
            with needing_its_library(scheme):
                maker = importlib.import_module(f".{module}", __package__).open_looker
            looker: Looker = maker(url, timeout)
            return looker
    raise ConfigError(f"an engine of the scheme {scheme} can't be looked at from here")
