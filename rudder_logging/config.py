"""Every option, once: name, type, default, unit and meaning.

The handler's keywords, the package's settings, the `RUDDER_<NAME>` environment variables and the
README's table all follow from the fields of `Config`.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

from ._events import INTEGRATIONS, nearest
from .exceptions import ConfigError, InvalidEventError, UnknownOptionError
from .queues.base import VERBS, EventQueue

__all__ = ["ALIASES", "OPTIONS", "Config", "Options", "canonical_name", "parse_option"]

ALIASES: Mapping[str, str] = {"dataPlaneUrl": "data_plane_url", "host": "data_plane_url"}
"""Names that the official SDK uses for the same options."""

_GATEWAY_BODY_LIMIT = 4_096_000  # bytes, decompressed (rudder-server: Gateway.maxReqSizeInKB)
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

Parser = Callable[[Any], Any]


def _integer(minimum: int, maximum: int | None = None) -> Parser:
    def parse(value: Any) -> int:
        try:
            number = int(value, 10) if isinstance(value, str) else value
        except ValueError:
            number = None
        bounds = f"at least {minimum}" + (f" and at most {maximum}" if maximum else "")
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"must be a whole number, {bounds}")  # noqa: TRY004 - load() words it
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError(f"must be {bounds}, not {number}")
        return number

    return parse


def _seconds(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("must be a number of seconds")  # noqa: TRY004 - load() words the error
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise ValueError("must be a number of seconds") from None
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise ValueError("must be a finite number of seconds, at least 0")
    return seconds


def _positive_seconds(value: Any) -> float:
    seconds = _seconds(value)
    if not seconds:
        raise ValueError("must be over 0 seconds; 0 would give no answer the time to arrive")
    return seconds


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("must be true or false")


def _choice(*choices: str) -> Parser:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return parse


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a mapping, or a JSON object as text") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping, not {type(value).__name__}")  # noqa: TRY004
    return MappingProxyType(dict(value))


def _integrations(value: Any) -> Mapping[str, Any]:
    mapping = _mapping(value)
    try:
        INTEGRATIONS.normalise("it", mapping)
    except InvalidEventError as error:
        raise ValueError(str(error)) from None
    return mapping


def _callback(value: Any) -> Callable[..., Any]:
    """A callable, or where to import one from: `package.module.name` or `package.module:name`."""
    if isinstance(value, str):
        module, _, name = value.replace(":", ".").rpartition(".")
        try:
            value = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError):
            raise ValueError("names a callable that can't be imported; give module:name") from None
    if not callable(value):
        raise ValueError(f"must be callable, not {type(value).__name__}")  # noqa: TRY004
    return value  # type: ignore[no-any-return]


def _path(value: Any) -> str:
    try:
        path = os.fspath(value)
    except TypeError:
        raise ValueError("must be a path") from None
    if not path or isinstance(path, bytes):
        raise ValueError("must be a path, as text")
    return str(path)


def _client_cert(value: Any) -> str | tuple[str, str]:
    if isinstance(value, (list, tuple)):
        if len(value) != 2:  # noqa: PLR2004
            raise ValueError("must be one file, or a pair: certificate, key")
        return (_path(value[0]), _path(value[1]))
    return _path(value)


def _write_key(value: Any) -> str:
    key = value.strip() if isinstance(value, str) else ""
    # It travels as the user name of HTTP Basic authentication, where a colon ends it.
    if not key or ":" in key or not key.isascii() or not key.isprintable():
        raise ValueError("must be the source's write key: printable ASCII, without a colon")
    return key


def _data_plane_url(value: Any) -> str:
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    cure = "must look like https://example.dataplane.rudderstack.com"
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(cure) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(cure)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; the write key is an option")
    if parts.query or parts.fragment:
        raise ValueError("must have neither a query nor a fragment")
    if "/v1/" in parts.path + "/":
        raise ValueError("must end before /v1: the client adds the path")
    return text


def _queue(value: Any) -> str | EventQueue:
    if isinstance(value, str):
        if value != "memory://":
            raise ValueError("must be memory://, or an object of the EventQueue protocol")
        return value
    missing = [verb for verb in VERBS if not callable(getattr(value, verb, None))]
    if missing:
        raise ValueError(f"must have the methods of EventQueue; lacking: {', '.join(missing)}")
    return value  # type: ignore[no-any-return]


_REQUIRED: Any = dataclasses.MISSING


def _option(default: Any, parse: Parser, doc: str, *, unit: str = "", secret: bool = False) -> Any:
    metadata = {"parse": parse, "doc": doc, "unit": unit, "default": default}
    if isinstance(default, Mapping):  # dataclasses take it for mutable, which a proxy is not
        return dataclasses.field(
            default_factory=lambda: default, metadata=metadata, repr=not secret
        )
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All options, checked. Durations are seconds, sizes bytes.

    Make one with `Config.load`, which also reads the environment. Its repr hides secrets.

    Raises:
        ConfigError: An option is malformed or out of range; the message names it and the cure.

    .. versionadded:: 0.1.0
    """

    write_key: str = _option(
        _REQUIRED, _write_key, "The source's write key. Required.", secret=True
    )
    data_plane_url: str = _option(
        _REQUIRED, _data_plane_url, "The data plane's base URL. Required."
    )
    upload_size: int = _option(
        100, _integer(1), "Events waiting that start an upload at once.", unit="events"
    )
    upload_interval: float = _option(
        0.5, _seconds, "How long an event may wait for others to join it.", unit="s"
    )
    max_batch_bytes: int = _option(
        4_000_000,
        _integer(1_000, _GATEWAY_BODY_LIMIT),
        "An upload's size before compression; the gateway's limit is 4,096,000.",
        unit="bytes",
    )
    max_event_bytes: int = _option(
        32 * 1024,
        _integer(500),
        "An event's size as JSON; a larger one is refused at the call.",
        unit="bytes",
    )
    queue: str | EventQueue = _option(
        "memory://", _queue, "Where events wait: `memory://`, or an object of the queue protocol."
    )
    max_queue_size: int = _option(
        10_000, _integer(1), "Events in memory, those being sent included.", unit="events"
    )
    max_queue_bytes: int = _option(
        64 * 1024 * 1024,
        _integer(1_000),
        "Their size in memory, those being sent included.",
        unit="bytes",
    )
    overflow: Literal["drop_new", "drop_old", "block"] = _option(
        "drop_new",
        _choice("drop_new", "drop_old", "block"),
        "What a full queue does: `drop_new`, `drop_old`, or `block` the caller.",
    )
    block_timeout: float = _option(
        1.0, _seconds, "How long `block` waits for room before the event is dropped.", unit="s"
    )
    timeout: float = _option(
        15.0,
        _positive_seconds,
        "Wait for a connection, and for an answer; under 10 s makes duplicates.",
        unit="s",
    )
    max_retries: int | None = _option(
        None, _integer(0), "Further attempts before a batch is dropped; none: keep trying."
    )
    shutdown_timeout: float = _option(
        10.0, _seconds, "How long `close()` and the process's end wait for delivery.", unit="s"
    )
    gzip: bool = _option(True, _flag, "Compress uploads.")
    proxies: Mapping[str, str] | None = _option(
        None,
        _mapping,
        "Proxy URL by scheme, as in requests; none: the environment's.",
        secret=True,
    )
    ca_bundle: str | None = _option(
        None, _path, "File of the CA certificates to trust; none: the usual ones."
    )
    client_cert: str | tuple[str, str] | None = _option(
        None, _client_cert, "Client certificate: a PEM file, or a pair of certificate and key."
    )
    on_error: Callable[[Exception, list[dict[str, Any]]], object] | None = _option(
        None, _callback, "Called as `on_error(error, events)` when events are refused or held."
    )
    on_drop: Callable[[dict[str, Any], str], object] | None = _option(
        None, _callback, "Called as `on_drop(event, reason)` for each event dropped or refused."
    )
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None = _option(
        None,
        _callback,
        "Called as `before_send(message)`; returns the message to send, or None to drop it.",
    )
    dead_letter: str | None = _option(
        None, _path, "JSON Lines file for events that the server refuses for good."
    )
    context: Mapping[str, Any] = _option(
        MappingProxyType({}), _mapping, "Merged under every event's `context`."
    )
    integrations: Mapping[str, Any] = _option(
        MappingProxyType({"All": True}), _integrations, "Merged under every event's `integrations`."
    )
    send: bool = _option(True, _flag, "Off: events are checked and counted, and go nowhere.")
    sync_mode: bool = _option(False, _flag, "Deliver in the calling thread, before the call ends.")
    debug: bool = _option(False, _flag, "Show the package's own DEBUG lines: ids and sizes only.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not field.metadata["default"]:
                object.__setattr__(self, field.name, _parse(field, value, field.name))
        for smaller, larger in (
            ("max_event_bytes", "max_batch_bytes"),
            ("max_event_bytes", "max_queue_bytes"),
        ):
            # 100 bytes leave room for what frames one event in a batch.
            if getattr(self, smaller) > getattr(self, larger) - 100:
                raise ConfigError(
                    f"{smaller} ({getattr(self, smaller)}) must be at least 100 bytes below "
                    f"{larger} ({getattr(self, larger)}); lower the one or raise the other"
                )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, /, **explicit: Any) -> Config:
        """Put a configuration together.

        Arguments win over the environment (`RUDDER_<NAME>`), the environment over defaults.
        An argument that is None counts as not given.

        Args:
            environ: Instead of `os.environ`.
            **explicit: Options by name; the official SDK's other names work, too.

        Raises:
            UnknownOptionError: No option has that name; the message names the nearest.
            ConfigError: An option is missing, malformed or out of range.
        """
        environ = os.environ if environ is None else environ
        given: dict[str, Any] = {}
        for name, value in explicit.items():
            canonical = canonical_name(name)
            if value is None:
                continue
            if canonical in given:
                raise ConfigError(f"{canonical} was given twice, also as {name}; give one")
            given[canonical] = value
        for name, field in OPTIONS.items():
            variable = f"RUDDER_{name.upper()}"
            if name not in given and environ.get(variable):
                given[name] = _parse(field, environ[variable], variable)
        for name in ("write_key", "data_plane_url"):
            if name not in given:
                raise ConfigError(
                    f"{name} is missing; give it as an option, "
                    f"or set the environment variable RUDDER_{name.upper()}"
                )
        return cls(**given)


class Options(TypedDict, total=False):
    """The options besides `write_key` and `data_plane_url`, as keywords that editors know.

    A test holds it to the fields of `Config`. Text is taken for each of them, too.
    """

    upload_size: int
    upload_interval: float
    max_batch_bytes: int
    max_event_bytes: int
    queue: str | EventQueue
    max_queue_size: int
    max_queue_bytes: int
    overflow: str
    block_timeout: float
    timeout: float
    max_retries: int | None
    shutdown_timeout: float
    gzip: bool
    proxies: Mapping[str, str] | None
    ca_bundle: str | None
    client_cert: str | tuple[str, str] | None
    on_error: Callable[[Exception, list[dict[str, Any]]], object] | None
    on_drop: Callable[[dict[str, Any], str], object] | None
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    dead_letter: str | None
    context: Mapping[str, Any]
    integrations: Mapping[str, Any]
    send: bool
    sync_mode: bool
    debug: bool
    dataPlaneUrl: str
    host: str


OPTIONS: Mapping[str, dataclasses.Field[Any]] = {
    field.name: field for field in dataclasses.fields(Config)
}
"""Each option's field by name. `metadata` has `doc`, `unit` and `parse`."""


def canonical_name(name: str) -> str:
    """The option's own name.

    Raises:
        UnknownOptionError: No option has that name.
    """
    if name in OPTIONS:
        return name
    if name in ALIASES:
        return ALIASES[name]
    raise UnknownOptionError(f"no option is named {name!r}{nearest(name, {**OPTIONS, **ALIASES})}")


def parse_option(name: str, value: Any) -> Any:
    """The checked value of one option, by its own name.

    Raises:
        ConfigError: It is malformed or out of range.
    """
    return _parse(OPTIONS[name], value, name)


def _parse(field: dataclasses.Field[Any], value: Any, called: str) -> Any:
    try:
        return field.metadata["parse"](value)
    except ValueError as error:
        raise ConfigError(f"{called} {error}") from None
