"""RudderStack events through ordinary stdlib logging.

    logger.info("Article Read", extra={"rudder": {"user_id": "123456"}})

The rooms, in the order in which one event passes through them:

- `analytics/`: the seven calls, `EventLogger`, `Client`, `flush`, `shutdown`; direct calls only
- `handler/`: `RudderHandler`, from a record to the queue
- `events/`: from a call's fields to one message in JSON: types, fields, values, ids
- `queues/`: where messages wait: in memory, or in files
- `delivery/`: from the queue to batches, attempts, retries and the ledger
- `sinks/`: one upload to the gateway over HTTP, and the meaning of its answer
- `relay/`: a process of its own that sends what many apps have appended to an engine

Beside its way:

- `web/`: what a request knows, for integrations with frameworks
- `privacy/`: what may leave, whose, and what becomes of the rest
- `process/`: forks, exits and signals, and the workers of Celery and RQ
- `config/`: every option, and how it is read; `exceptions.py`: every error
- `common/`: small helpers for all rooms; `_version.py`: the version
- `checks/`: what a warehouse would drop or rename, and tracking plans
- `metrics.py`: the ledgers for Prometheus
- `integrations/`: one file for each framework, which its users alone import
- `testing/`: captured events for an app's tests; `pytest_plugin.py`: the same as fixtures
- `dataplane/`: a data plane for tests and local work, also with a live page
- `guides/`: pages in Markdown, a topic each
- `__main__.py`, `cli/`: the command `rudder-logging`
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .analytics import (
    EventLogger,
    aflush,
    alias,
    flush,
    group,
    identify,
    merge,
    page,
    screen,
    shutdown,
    track,
)
from .common.gil import warn_without_gil
from .config import ALIASES, OPTIONS, Config
from .delivery.ledger import Stats
from .events.carried import carry, dump_bound, load_bound
from .events.context import bind, bind_lazily, current
from .events.filters import EventsOnly, NoEvents
from .events.formatter import RudderFormatter
from .events.table import EVENT_TYPES
from .events.types import BoundFields, CallFields, Event
from .exceptions import (
    CertificateError,
    ConfigError,
    ConnectionFailedError,
    DeliveryError,
    HeldError,
    InvalidEventError,
    InvalidTypeError,
    InvalidValueError,
    KeptBackError,
    KeptBackWarning,
    OutcomeUnknownError,
    QueueFullError,
    RefusedError,
    RetriesExhaustedError,
    RudderError,
    ShutdownError,
    StaleConnectionError,
    TransportError,
    UnknownOptionError,
    WarehouseWarning,
)
from .handler.commits import on_commit
from .handler.flushing import flushing
from .handler.handler import RudderHandler
from .handler.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .analytics.client import Client  # noqa: TC004 - see `_Package`
    from .config import Overflow
    from .handler.suppressing import suppress  # noqa: TC004 - see `_Package`
    from .privacy.formatter import PrivateFormatter  # noqa: TC004 - as above
    from .privacy.keys import DEFAULT_KEYS  # noqa: TC004 - see `_Package`
    from .privacy.options import ConsentPolicy, Privacy, Suppression  # noqa: TC004 - as above
    from .queues import Buffer
    from .web.context import RequestContext  # noqa: TC004 - see `_Package`

    # The settings, for editors and type checkers; a test holds them to the option table.
    write_key: str | None
    data_plane_url: str | None
    dataPlaneUrl: str | None  # noqa: N816 - the official SDK's name
    host: str | None
    upload_size: int | None
    upload_interval: float | None
    max_batch_bytes: int | None
    max_event_bytes: int | None
    queue: str | Buffer | None
    sink: Any
    relay: str | None
    source: str | None
    relay_max_bytes: int | None
    max_queue_size: int | None
    max_queue_bytes: int | None
    overflow: Overflow | None
    block_timeout: float | None
    timeout: float | None
    max_retries: int | None
    shutdown_timeout: float | None
    drain_on_sigterm: bool | None
    gzip: bool | None
    proxies: Mapping[str, str] | None
    ca_bundle: str | None
    client_cert: str | tuple[str, str] | None
    on_error: Callable[[Exception, list[dict[str, Any]]], object] | None
    on_drop: Callable[[dict[str, Any], str], object] | None
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    privacy: Privacy | None
    allowed_hosts: tuple[str, ...] | None
    dead_letter: str | None
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    trace_context: bool | None
    send: bool | None
    sync_mode: bool | None
    debug: bool | None

__all__ = [
    "DEFAULT_KEYS",
    "EVENT_TYPES",
    "BoundFields",
    "CallFields",
    "CertificateError",
    "Client",
    "Config",
    "ConfigError",
    "ConnectionFailedError",
    "ConsentPolicy",
    "DeliveryError",
    "Event",
    "EventLogger",
    "EventsOnly",
    "HeldError",
    "InvalidEventError",
    "InvalidTypeError",
    "InvalidValueError",
    "KeptBackError",
    "KeptBackWarning",
    "NoEvents",
    "OutcomeUnknownError",
    "Privacy",
    "PrivateFormatter",
    "QueueFullError",
    "RefusedError",
    "RequestContext",
    "RetriesExhaustedError",
    "RudderError",
    "RudderFormatter",
    "RudderHandler",
    "ShutdownError",
    "StaleConnectionError",
    "Stats",
    "Suppression",
    "TransportError",
    "UnknownOptionError",
    "WarehouseWarning",
    "__version__",
    "aflush",
    "alias",
    "bind",
    "bind_lazily",
    "carry",
    "current",
    "dump_bound",
    "flush",
    "flushing",
    "group",
    "identify",
    "load_bound",
    "merge",
    "on_commit",
    "page",
    "screen",
    "shutdown",
    "suppress",
    "track",
]


def __dir__() -> list[str]:
    own = (name for name in globals() if name.startswith("__") and name.endswith("__"))
    return sorted({*__all__, *OPTIONS, *ALIASES, *own})


_LAZY = {
    "Client": ".analytics.client",
    "ConsentPolicy": ".privacy.options",
    "DEFAULT_KEYS": ".privacy.keys",
    "Privacy": ".privacy.options",
    "PrivateFormatter": ".privacy.formatter",
    "RequestContext": ".web.context",
    "Suppression": ".privacy.options",
    "suppress": ".handler.suppressing",
}
"""Public names by the module that has them."""


class _Package(ModuleType):
    """The package as a module whose settings are checked when they are assigned."""

    def __getattr__(self, name: str) -> Any:
        """Import what few apps need, when it is first asked for; others need not wait for it."""
        if name not in _LAZY:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_LAZY[name], self.__name__), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # What is not a setting may be replaced (by a test's monkeypatch, say) if it exists, and
        # the import system sets submodules. Any other name is a typing error.
        is_setting = name in OPTIONS or name in ALIASES
        is_known = name in self.__dict__ or name in __all__ or name.startswith("_")
        if is_setting or is_known or isinstance(value, ModuleType):
            super().__setattr__(name, value)
        else:
            settings[name] = value


class _Setting:
    """An attribute of the package. As a descriptor, it is put back by whoever patches it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, package: ModuleType | None, owner: type) -> Any:
        """The setting's value; None if it was not set."""
        if package is None:
            return self
        if self._name not in settings:
            raise AttributeError(f"the setting {self._name!r} was deleted")
        return settings[self._name]

    def __set__(self, package: ModuleType, value: Any) -> None:
        room = f"{package.__name__}.{self._name}"
        if isinstance(value, ModuleType) and value.__name__ == room:
            return  # the import system's, of a room that has the setting's name
        settings[self._name] = value

    def __delete__(self, package: ModuleType) -> None:
        del settings[self._name]


for _name in (*OPTIONS, *ALIASES):
    setattr(_Package, _name, _Setting(_name))
sys.modules[__name__].__class__ = _Package
warn_without_gil()
