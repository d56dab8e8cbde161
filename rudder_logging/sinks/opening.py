"""From a handler's options to a sink."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ..common.schemes import SINKS
from ..config import Config
from ..config.parsers import lacking_in_sink
from ..config.relay_urls import KAFKA, REDIS
from ..exceptions import ConfigError
from .base import Sink
from .guard import guarded

__all__ = ["open_sink", "register"]


def register(scheme: str, make: Callable[[Config], Sink]) -> None:
    """Have handlers whose `data_plane_url` or `relay` has this scheme send to a sink of yours.

    Args:
        scheme: In lower case, like `pulsar`. Yours comes before this package's own of that name.
        make: Called with the options of a handler when that is made, and again in a forked child.

    Raises:
        ValueError: It is no scheme, or one of this package.

    .. versionadded:: 0.1.0
    """
    SINKS.register(scheme, make)


def open_sink(config: Config, *, keeps: bool = False) -> Sink:
    """Make the sink that the options name; under pytest it is guarded.

    Args:
        config: The options.
        keeps: What may not leave under pytest waits, as it is kept by whoever sends it.

    Raises:
        ConfigError: A maker that was registered makes no sink, or the library that the option
            `relay` needs is missing.
    """
    return guarded(_made(config), config, keeps=keeps)


def _made(config: Config) -> Sink:
    if config.sink is not None:
        own: Sink = config.sink
        return own
    named = "data_plane_url" if config.relay is None else "relay"
    make = SINKS.maker(config.relay or config.data_plane_url)
    if make is None and config.relay is not None:
        make = _maker_to_relay(config)
    if make is None:
        from .gateway.sink import GatewaySink  # noqa: PLC0415 - it imports requests

        return GatewaySink(config)
    sink: Sink = make(config)
    if missing := lacking_in_sink(sink):
        raise ConfigError(
            f"{named} has a scheme whose maker gave {type(sink).__name__}, which lacks "
            f"{missing}; rudder_logging.sinks.Sink says what a sink has to have"
        )
    return sink


_TO_RELAYS = {
    REDIS: ("redis", "RedisSink", "redis", "redis"),
    KAFKA: ("kafka", "KafkaSink", "confluent_kafka", "kafka"),
}
"""By schemes: the room here and its sink; the library, and the extra that installs it."""


def _maker_to_relay(config: Config) -> Callable[[Config], Sink]:
    url = config.relay_url
    scheme = url.scheme if url is not None else ""
    room, name, library, extra = next(row for them, row in _TO_RELAYS.items() if scheme in them)
    try:
        # Now, in the app's thread: see `RudderHandler.__init__`.
        importlib.import_module(library)
    except ImportError:
        raise ConfigError(
            f"relay has the scheme {scheme}, which needs the package {library}; "
            f"pip install 'rudder-logging[{extra}]'"
        ) from None
    make: Callable[[Config], Sink] = getattr(importlib.import_module(f".{room}", __package__), name)
    return make
