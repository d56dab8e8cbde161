"""Under pytest, no event leaves for another host: what the plugin asks of the transport.

The plugin can't import this package, which would cost every run that does not use it. So it is
looked up here, by the names under which it may be loaded.
"""

from __future__ import annotations

import ipaddress
import sys
from typing import Protocol, cast
from urllib.parse import urlsplit

from .exceptions import KeptBackError

__all__ = ["check_url", "kept_back"]

_PLUGINS = ("_rudder_logging_pytest", "rudder_logging.pytest_plugin")


class _Network(Protocol):
    """What the plugin knows of the network."""

    keeps_events: bool
    """Whether it runs in pytest, and the test at hand is not marked."""

    def keep(self, host: str, events: int) -> None:
        """Told of each request that was not made, and how many events are dropped by that."""
        ...


def _network() -> _Network | None:
    for name in _PLUGINS:
        network = getattr(sys.modules.get(name), "network", None)
        if network is not None:
            return cast("_Network", network)
    return None


def check_url(url: str) -> None:
    """Raises: KeptBackError: Under pytest, which keeps requests from that URL's host."""
    network = _network()
    if network is not None and network.keeps_events:
        host = urlsplit(url).hostname or ""
        if not _is_loopback(host):
            raise KeptBackError(host or "a host without a name")


def kept_back(host: str, events: int) -> None:
    """Have the plugin tell of it."""
    network = _network()
    if network is not None:
        network.keep(host, events)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
