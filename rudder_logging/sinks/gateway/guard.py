"""Under pytest, no event leaves for another host: what the plugin asks of the transport.

The plugin can't import this package, which would cost every run that does not use it. So it is
looked up here, by the names under which it may be loaded. Processes that tests start do not load
it: they inherit a variable of the environment from the one that does.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import sys
from typing import Protocol, cast
from urllib.parse import urlsplit

from ...exceptions import KeptBackError

__all__ = ["check_url", "is_loopback", "kept_back"]

_log = logging.getLogger("rudder_logging")
_VARIABLE = "_RUDDER_LOGGING_KEEPS_EVENTS"
_PLUGINS = ("_rudder_logging_pytest", "rudder_logging.pytest_plugin")


class _Network(Protocol):
    """The plugin's knowledge of the network."""

    keeps_events: bool | None
    """True if the test at hand is not marked; None: pytest does not run in this process."""

    def keep(self, host: str, events: int) -> None:
        """Told of each request that was not made, and how many events are dropped by that."""
        ...


def _network() -> _Network | None:
    for name in _PLUGINS:
        network = getattr(sys.modules.get(name), "network", None)
        if network is not None:
            return cast("_Network", network)
    return None


def _keeps_events() -> bool:
    network = _network()
    if network is not None and network.keeps_events is not None:
        return network.keeps_events
    return bool(os.environ.get(_VARIABLE))


def check_url(url: str) -> None:
    """Raises: KeptBackError: Under pytest, which keeps requests from that URL's host."""
    if _keeps_events():
        host = urlsplit(url).hostname or ""
        if not is_loopback(host):
            raise KeptBackError(host or "a host without a name")


def kept_back(host: str, events: int) -> None:
    """Have the plugin tell of it; in a process that a test started, there is but a line."""
    network = _network()
    if network is not None and network.keeps_events is not None:
        network.keep(host, events)
    elif events:
        _log.warning("%s", KeptBackError(host))


def is_loopback(host: str) -> bool:
    """Tell if a host is this machine, as far as its name says."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
