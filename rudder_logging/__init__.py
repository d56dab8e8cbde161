"""RudderStack events through ordinary stdlib logging.

    logger.info("Article Read", extra={"rudder": {"user_id": "123456"}})

The files, in the order in which an event meets them:

- `analytics.py`: the seven calls, `EventLogger`; `_dispatch.py`: from them to the handlers;
  `_settings.py`: the default handler's settings
- `_serverless.py`: `flushing`, for functions whose process is frozen when they return
- `_handler.py`: `RudderHandler`, from record to queue; `_pipeline.py`: what stands behind it;
  `_lifecycle.py`: exits and forks; `_workers.py`: what Celery and RQ do; `_stdlib.py`: what
  logging itself asks of it
- `_context.py`: what `bind()` has bound
- `_filters.py`: `EventsOnly` and `NoEvents`, for the app's other handlers
- `_formatter.py`: `RudderFormatter`, from record to message; `_before_send.py`: the app's hook
- `_records.py`: what belongs to a record, whoever makes its message
- `_events.py`: the seven event types in one table; `build` and `validate`
- `_types.py`: the same table for type checkers
- `_compiled.py`: the same, faster, for events as most calls log them
- `_fields.py`: the rules of their fields; `_ids.py`: message ids
- `_encoding.py`: values of every type a Python app has, as JSON; `_lines.py`: other log lines
- `queues/`: where messages wait: `base.py` is the protocol, `memory.py` and `file.py` keep it
- `_listener.py`: `BatchListener`, from queue to batches
- `_delivery.py`: from a batch to its outcome; `_outcomes.py`: the table; `_retry.py`: when again;
  `_batch_limit.py`: how much at once; `_body.py`: as what
- `_transport.py`: one upload over HTTP; `_gzip.py`: compressed; `_guard.py`: not from tests
- `_network_errors.py`: what it means that one failed
- `_clock.py`: clocks that an app's tests can't freeze; `_locks.py`: locks for the end
- `_private_files.py`: files that are ours alone; `_printable.py`: text that steers no terminal
- `_ledger.py`: what became of each event; `_reports.py`: who is told
- `config.py`: every option; `_parsers.py`: how they are read; `exceptions.py`: every error
- `_warehouse.py`: what a warehouse would drop or rename, for the tools below; `_keywords.py`: words
  of its SQL
- `_plan.py`: a tracking plan, which says what events have to look like; `_schemas.py`: and how
- `testing.py`: what an app's tests see; `_diversion.py`, `_layers.py`: how; `_recorder.py`: of
  what; `_matching.py`: what differs; `pytest_plugin.py`: as fixtures; `_watch.py`: their checks
- `__main__.py`, `cli/`: the command `rudder-logging`
- `dataplane/`: a data plane for tests and local work, also with a live page
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._context import bind
from ._events import EVENT_TYPES
from ._filters import EventsOnly, NoEvents
from ._formatter import RudderFormatter
from ._handler import RudderHandler
from ._ledger import Stats
from ._serverless import flushing
from ._settings import settings
from ._types import BoundFields, Event
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
from .config import ALIASES, OPTIONS, Config
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .config import Overflow
    from .queues import EventQueue

    # The settings, for editors and type checkers; a test holds them to the option table.
    write_key: str | None
    data_plane_url: str | None
    dataPlaneUrl: str | None  # noqa: N816 - the official SDK's name
    host: str | None
    upload_size: int | None
    upload_interval: float | None
    max_batch_bytes: int | None
    max_event_bytes: int | None
    queue: str | EventQueue | None
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
    dead_letter: str | None
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    send: bool | None
    sync_mode: bool | None
    debug: bool | None

__all__ = [
    "EVENT_TYPES",
    "BoundFields",
    "CertificateError",
    "Config",
    "ConfigError",
    "ConnectionFailedError",
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
    "QueueFullError",
    "RefusedError",
    "RetriesExhaustedError",
    "RudderError",
    "RudderFormatter",
    "RudderHandler",
    "ShutdownError",
    "StaleConnectionError",
    "Stats",
    "TransportError",
    "UnknownOptionError",
    "WarehouseWarning",
    "__version__",
    "aflush",
    "alias",
    "bind",
    "flush",
    "flushing",
    "group",
    "identify",
    "merge",
    "page",
    "screen",
    "shutdown",
    "track",
]


def __dir__() -> list[str]:
    own = (name for name in globals() if name.startswith("__") and name.endswith("__"))
    return sorted({*__all__, *OPTIONS, *ALIASES, *own})


class _Package(ModuleType):
    """The package as a module whose settings are checked when they are assigned."""

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
        settings[self._name] = value

    def __delete__(self, package: ModuleType) -> None:
        del settings[self._name]


for _name in (*OPTIONS, *ALIASES):
    setattr(_Package, _name, _Setting(_name))
sys.modules[__name__].__class__ = _Package
