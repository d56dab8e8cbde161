"""The SDKs that code may come from, and what their names are called here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ...analytics.client import POSITIONAL
from ...config import ALIASES, OPTIONS
from ...events.table import EVENT_TYPES

__all__ = ["CALLS", "HERE", "SDKS", "Sdk", "counterpart", "cure", "importable", "sdk_of"]

HERE = "rudder_logging"

CALLS = frozenset(EVENT_TYPES)

_ORDER = ("write_key", "host", *POSITIONAL)
_ORDER_OF_RUDDER_1 = (
    "write_key",
    "host",
    "debug",
    "max_queue_size",
    "send",
    "on_error",
    "flush_at",
    "flush_interval",
    "max_retries",
    "sync_mode",
    "timeout",
    "thread",
)
_ORDER_OF_SEGMENT = (
    *_ORDER,
    "log_handler",
    "oauth_client_id",
    "oauth_client_key",
    "oauth_key_id",
    "oauth_auth_server",
    "oauth_scope",
    "max_total_backoff_duration",
    "max_rate_limit_duration",
)


@dataclass(frozen=True)
class Sdk:
    """A module of an SDK."""

    module: str
    package: str
    """The name under which it is installed."""
    client_order: tuple[str, ...]
    """The arguments of its `Client`, by position."""
    is_segments: bool = False
    is_ambiguous: bool = False
    """An app may have a module of that name."""

    @property
    def calls_return_pairs(self) -> bool:
        """True if also the module's calls return `(success, message)`, as a client's do."""
        return self.is_segments


SDKS = {
    sdk.module: sdk
    for sdk in (
        Sdk("rudderstack.analytics", "rudder-sdk-python", _ORDER),
        Sdk("rudder_analytics", "rudder-sdk-python", _ORDER_OF_RUDDER_1),
        Sdk("segment.analytics", "segment-analytics-python", _ORDER_OF_SEGMENT, is_segments=True),
        Sdk("analytics", "analytics-python", _ORDER, is_segments=True, is_ambiguous=True),
    )
}

_OTHER_NAMES = {
    **{name: name for name in (*CALLS, "flush", "shutdown", "Client", "__version__")},
    "join": "shutdown",
    "version.VERSION": "__version__",
}

_OAUTH = "RudderStack's gateway knows write keys alone: take it out"
_LOGS = 'give the handler to logging.getLogger("rudder_logging")'
_CLIENTS = "use the package's calls, or a rudder_logging.Client of your own"
_INTERNAL = "it is the SDK's own; in tests, the fixture rudder_events has the events"
_CURES: Mapping[str, str] = {
    "default_client": _CLIENTS,
    "log_handler": _LOGS,
    "thread": "one sender keeps events in order: take it out",
    "endpoint": "use data_plane_url, without a path",
    "flush_at": "use upload_size",
    "flush_interval": "use upload_interval",
    "max_total_backoff_duration": "an outage is waited out unless max_retries says otherwise",
    "max_rate_limit_duration": "an outage is waited out unless max_retries says otherwise",
    "oauth_client_id": _OAUTH,
    "oauth_client_key": _OAUTH,
    "oauth_key_id": _OAUTH,
    "oauth_auth_server": _OAUTH,
    "oauth_scope": _OAUTH,
    "APIError": "on_error gets a rudder_logging.DeliveryError",
    "DefaultConfig": "`rudder-logging guide options` has the defaults",
}
"""The cures for names that are not here."""


def sdk_of(qualified: str, known: Collection[str]) -> tuple[Sdk, str] | None:
    """The SDK that a dotted name belongs to, and the rest of the name; None: it is no SDK's.

    Args:
        qualified: As an import makes it.
        known: The modules of SDKs that count; an app may have a module `analytics` of its own.
    """
    for module in known:
        if qualified == module or qualified.startswith(f"{module}."):
            return SDKS[module], qualified[len(module) + 1 :]
    return None


def counterpart(rest: str) -> str | None:
    """The name in this package for one in an SDK's module, as `client.Client.track`."""
    if rest in _OTHER_NAMES:
        return _OTHER_NAMES[rest]
    if rest in OPTIONS or rest in ALIASES:
        return rest
    head, _, tail = rest.partition(".")
    if head == "client" and (tail == "Client" or tail.startswith("Client.")):
        return counterpart(tail)
    if head == "Client" and tail in {*CALLS, "flush", "join", "shutdown"}:
        return rest
    return None


def importable(rest: str) -> str | None:
    """Do so, for what `from ... import` names: of a setting, that would be a copy."""
    name = counterpart(rest)
    return None if name is None or name in OPTIONS or name in ALIASES or "." in name else name


def cure(name: str) -> str:
    """The cure for a name that has no counterpart."""
    return _CURES.get(name.rpartition(".")[2], _CURES.get(name.partition(".")[0], _INTERNAL))
