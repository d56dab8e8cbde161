"""Under pytest, no event leaves for another host: a sink before the sink keeps it.

The plugin can't import this package, which would cost every run that does not use it. So it is
looked up here, by the names under which it may be loaded. Processes that tests start do not load
it: they inherit a variable of the environment from the one that does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, cast, runtime_checkable
from urllib.parse import urlsplit

from ..common.hosts import is_loopback
from ..config import Config
from ..exceptions import KeptBackError
from ..queues.memory import MemoryQueue
from ..queues.urls import MEMORY
from .base import Dropped, Failure, Forgetting, Hold, Outcome, Sink

__all__ = ["KeepingSink", "guarded", "kept_back", "refusal"]

_log = logging.getLogger("rudder_logging")
_VARIABLE = "_RUDDER_LOGGING_KEEPS_EVENTS"
_UNTIL_ALLOWED = 86_400.0  # seconds; a flush tries at once, and so does the end
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


def refusal(urls: Iterable[str]) -> KeptBackError | None:
    """Why nothing may be sent to these URLs at present; None: it may."""
    for url in urls if _keeps_events() else ():
        host = urlsplit(url).hostname or ""
        if not is_loopback(host):
            return KeptBackError(host or "a host without a name")
    return None


def kept_back(host: str, events: int) -> None:
    """Have the plugin tell of it; in a process that a test started, there is but a line."""
    network = _network()
    if network is not None and network.keeps_events is not None:
        network.keep(host, events)
    elif events:
        _log.warning("%s", KeptBackError(host))


@runtime_checkable
class _Reaching(Protocol):
    def urls(self) -> Sequence[str]:
        """The URLs of all servers that a sink connects to."""
        ...


def guarded(sink: Sink, config: Config, *, keeps: bool = False) -> Sink:
    """The sink, or where pytest runs one before it.

    Args:
        sink: The sink.
        config: The options of who sends by it.
        keeps: Its messages are never dropped, whatever queue the options name.

    A sink of the app's that has no `urls` is left alone: nobody knows its way.
    """
    if isinstance(sink, KeepingSink) or (_network() is None and not os.environ.get(_VARIABLE)):
        return sink
    if isinstance(sink, _Reaching):
        kind = _ForgettingSink if isinstance(sink, Forgetting) else KeepingSink
        return kind(sink, sink.urls, config, keeps=keeps)
    if config.sink is not None:
        return sink
    relay = config.relay_url
    urls = [config.data_plane_url] if relay is None else relay.host_urls
    return KeepingSink(sink, lambda: urls, config, keeps=keeps)


class KeepingSink:
    """Sends by another sink, unless the test at hand may not reach its servers.

    What a queue in memory has is dropped at once: nobody is to wait for it. A durable queue keeps
    its events, and tries again when somebody flushes.
    """

    def __init__(
        self, sink: Sink, urls: Callable[[], Sequence[str]], config: Config, *, keeps: bool
    ) -> None:
        self.sink = sink
        self.max_bytes = sink.max_bytes
        self.holds = False
        """True if the last messages were kept, and wait."""
        self._urls = urls
        queue = config.queue
        self._drops = not keeps and (isinstance(queue, MemoryQueue) or queue == MEMORY)

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        error = self.refusal()
        self.holds = error is not None and not self._drops
        if error is None:
            return self.sink.send(messages, deadline)
        if self._drops:
            kept_back(error.host, len(messages))
            return Dropped("kept_back", error)
        kept_back(error.host, 0)
        return Hold(str(error), cause=error, after=_UNTIL_ALLOWED)

    def refusal(self) -> KeptBackError | None:
        """Why nothing may leave at present; None: it may."""
        return refusal(self._urls())

    def close(self) -> None:
        """See `Sink.close`."""
        self.sink.close()


class _ForgettingSink(KeepingSink):
    """The same before a sink where people can be forgotten."""

    def forget(self, people: Collection[str], deadline: float | None) -> Failure | None:
        """See `Forgetting.forget`."""
        error = self.refusal()
        if error is not None:
            return Hold(str(error), cause=error, after=_UNTIL_ALLOWED)
        sink = cast("Forgetting", self.sink)
        return sink.forget(people, deadline)
