"""From a handler's options to a sink."""

from __future__ import annotations

from collections.abc import Callable

from ..common.schemes import SINKS
from ..config import Config
from ..config.parsers import lacking_in_sink
from ..exceptions import ConfigError
from .base import Sink
from .guard import guarded

__all__ = ["open_sink", "register"]


def register(scheme: str, make: Callable[[Config], Sink]) -> None:
    """Have handlers whose `data_plane_url` has this scheme send to a sink of yours.

    Args:
        scheme: In lower case, like `kafka`.
        make: Called with the options of a handler when that is made, and again in a forked child.

    Raises:
        ValueError: It is no scheme, or one of this package.

    .. versionadded:: 0.1.0
    """
    SINKS.register(scheme, make)


def open_sink(config: Config) -> Sink:
    """Make the sink that the options name; under pytest it is guarded.

    Raises:
        ConfigError: A maker that was registered makes no sink.
    """
    return guarded(_made(config), config)


def _made(config: Config) -> Sink:
    if config.sink is not None:
        own: Sink = config.sink
        return own
    make = SINKS.maker(config.data_plane_url)
    if make is None:
        from .gateway.sink import GatewaySink  # noqa: PLC0415 - it imports requests

        return GatewaySink(config)
    sink: Sink = make(config)
    if missing := lacking_in_sink(sink):
        raise ConfigError(
            f"data_plane_url has a scheme whose maker gave {type(sink).__name__}, which lacks "
            f"{missing}; rudder_logging.sinks.Sink says what a sink has to have"
        )
    return sink
