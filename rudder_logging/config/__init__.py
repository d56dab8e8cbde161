"""Every option, once: name, type, default, unit and meaning.

The handler's keywords, the package's settings, the `RUDDER_<NAME>` environment variables and
the guide's table all follow from the fields of `Config`.

- `parsers.py`: from text, numbers and objects to checked values
- `relay_urls.py`: where a relay's URL leads, and what of it may be shown
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from ..common.dictconfig import resolved
from ..common.hosts import hosts_of, is_within
from ..common.parsing import Parser, choice
from ..events.table import nearest
from ..exceptions import ConfigError, UnknownOptionError
from . import parsers
from .relay_urls import SMALLEST, RelayUrl, parse_relay_url

if TYPE_CHECKING:  # the queues, which importing the package need not
    from ..privacy.options import Privacy
    from ..queues import Buffer

__all__ = ["ALIASES", "OPTIONS", "Config", "Options", "canonical_name", "parse_option"]

ALIASES: Mapping[str, str] = {"dataPlaneUrl": "data_plane_url", "host": "data_plane_url"}
"""Names that the official SDK uses for the same options."""

_GATEWAY_BODY_LIMIT = 4_096_000  # bytes, decompressed (rudder-server: Gateway.maxReqSizeInKB)

_FRAME_OF_AN_EVENT = 100  # bytes at the most around one event in an upload, and its `sentAt`
_REQUIRED: Any = dataclasses.MISSING
_UNUSED: Mapping[str, Mapping[str, str]] = {
    "relay": {"write_key": "relay", "data_plane_url": "http://localhost"},
    "sink": {"write_key": "sink", "data_plane_url": "http://localhost"},
}
"""The stand-ins for options that are not needed with another one."""


Overflow = Literal["drop_new", "drop_old", "block"]


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

    write_key: str = _option(_REQUIRED, parsers.write_key, "The source's write key.", secret=True)
    data_plane_url: str = _option(_REQUIRED, parsers.data_plane_url, "The data plane's base URL.")
    upload_size: int = _option(
        100, parsers.integer(1), "Events waiting that start an upload at once.", unit="events"
    )
    upload_interval: float = _option(
        0.5, parsers.seconds, "How long an event may wait for others to join it.", unit="s"
    )
    max_batch_bytes: int = _option(
        4_000_000,
        parsers.integer(parsers.SMALLEST_BATCH, _GATEWAY_BODY_LIMIT),
        "An upload's size before compression; the gateway's limit is 4,096,000.",
        unit="bytes",
    )
    max_event_bytes: int = _option(
        4_000_000 - _FRAME_OF_AN_EVENT,
        parsers.integer(500),
        "An event's size as JSON; a larger one is refused at the call. Left out, it is what fits "
        "into `max_batch_bytes` and `max_queue_bytes`.",
        unit="bytes",
    )
    queue: str | Buffer = _option(
        "memory://",
        parsers.queue,
        "Where events wait: `memory://`, `file:///directory` (durable), or a `Buffer`.",
    )
    sink: Any = _option(
        None,
        parsers.sink,
        "An object that sends events, in place of `data_plane_url`; see `rudder_logging.sinks`. It "
        "says how large an upload may be.",
    )
    relay: str | None = _option(
        None,
        parsers.relay,
        "The engine in which events wait for a relay, in place of `data_plane_url`: `redis://`, "
        "`rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`, `kafka://`. The relay "
        "has the write key; one that is given here is not used.",
        secret=True,
    )
    source: str | None = _option(
        None, parsers.source, "The name by which a relay knows this app's source; with `relay`."
    )
    relay_max_bytes: int = _option(
        1024 * 1024 * 1024,
        parsers.integer(SMALLEST),
        "What the relay's engine may hold of the source; `?max_bytes=` in `relay` says the same.",
        unit="bytes",
    )
    max_queue_size: int = _option(
        10_000, parsers.integer(1), "Events in memory, those being sent included.", unit="events"
    )
    max_queue_bytes: int = _option(
        64 * 1024 * 1024,
        parsers.integer(1_000),
        "Their size in memory, those being sent included.",
        unit="bytes",
    )
    overflow: Overflow = _option(
        "drop_new",
        choice(*get_args(Overflow)),
        "What a full queue does: `drop_new`, `drop_old` (the oldest not being sent or retried), "
        "or `block` the caller.",
    )
    block_timeout: float = _option(
        1.0,
        parsers.seconds,
        "How long `block` waits for room before the event is dropped.",
        unit="s",
    )
    timeout: float = _option(
        15.0,
        parsers.positive_seconds,
        "Wait for a connection, and for an answer; under 10 s makes duplicates.",
        unit="s",
    )
    max_retries: int | None = _option(
        None,
        parsers.optional(parsers.integer(0)),
        "Further attempts before a batch is dropped; `none`: keep trying.",
    )
    shutdown_timeout: float = _option(
        10.0,
        parsers.seconds,
        "How long `close()` and the process's end wait for delivery.",
        unit="s",
    )
    drain_on_sigterm: bool = _option(
        False,
        parsers.flag,
        "Deliver before SIGTERM ends the process, where nothing else handles it.",
    )
    gzip: bool = _option(True, parsers.flag, "Compress uploads.")
    proxies: Mapping[str, str] | None = _option(
        None,
        parsers.proxies,
        "Proxy URL by scheme, as in requests; none: the environment's, but for loopback.",
        secret=True,
    )
    ca_bundle: str | None = _option(
        None, parsers.path, "File of the CA certificates to trust; none: the usual ones."
    )
    client_cert: str | tuple[str, str] | None = _option(
        None,
        parsers.client_cert,
        "Client certificate: a PEM file, or a pair of certificate and key (as text: a JSON array).",
    )
    on_error: Callable[[Exception, list[dict[str, Any]]], object] | None = _option(
        None,
        parsers.callback,
        "Called as `on_error(error, events)` when events are refused, held, or long in an outage.",
    )
    on_drop: Callable[[dict[str, Any], str], object] | None = _option(
        None,
        parsers.callback,
        "Called as `on_drop(event, reason)` for each event dropped or refused.",
    )
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None = _option(
        None,
        parsers.callback,
        "Called as `before_send(message)`; returns the message to send, or None to drop it.",
    )
    privacy: Privacy | None = _option(
        None,
        parsers.privacy,
        "What may leave, and whose: a `Privacy`, or a mapping of its options.",
    )
    allowed_hosts: tuple[str, ...] | None = _option(
        None,
        parsers.hosts,
        "Hosts that events may be sent to, like `*.eu.example.com`; a `data_plane_url` or "
        "`relay` elsewhere is an error.",
    )
    dead_letter: str | None = _option(
        None, parsers.path_from_here, "JSON Lines file for events that the server refuses for good."
    )
    context: Mapping[str, Any] = _option(
        MappingProxyType({}), parsers.mapping, "Merged under every event's `context`."
    )
    integrations: Mapping[str, Any] = _option(
        MappingProxyType({"All": True}),
        parsers.integrations,
        "Merged under every event's `integrations`.",
    )
    trace_context: bool = _option(
        False,
        parsers.flag,
        "Events have `context.traceId` and `context.spanId` of OpenTelemetry's current span, if "
        "the app has imported that.",
    )
    send: bool = _option(True, parsers.flag, "Off: events are checked and counted, and go nowhere.")
    sync_mode: bool = _option(
        False, parsers.flag, "Deliver in the calling thread, before the call ends."
    )
    debug: bool = _option(
        False, parsers.flag, "Show the package's own DEBUG lines: ids and sizes only."
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not field.metadata["default"]:
                object.__setattr__(self, field.name, _parse(field, value, field.name))
        self._check_relay()
        self._check_residency()
        bounds = {name: getattr(self, name) for name in ("max_batch_bytes", "max_queue_bytes")}
        if self.sink is not None:
            bounds["the sink's max_bytes"] = self.sink.max_bytes
        for larger, bound in bounds.items():
            room = bound - _FRAME_OF_AN_EVENT
            if self.max_event_bytes <= room:
                continue
            if self.max_event_bytes != OPTIONS["max_event_bytes"].metadata["default"]:
                raise ConfigError(
                    f"max_event_bytes ({self.max_event_bytes}) must be at least "
                    f"{_FRAME_OF_AN_EVENT} bytes below {larger} ({bound}); "
                    "lower the one or raise the other"
                )
            object.__setattr__(self, "max_event_bytes", room)

    def _check_relay(self) -> None:
        if self.relay is None:
            return
        if self.sink is not None:
            raise ConfigError("relay and sink both say where events go; give one of them")
        if self.source is None:
            raise ConfigError(
                "source is missing: relay needs the name by which the relay knows this app's "
                "source; give it as an option, or set the environment variable RUDDER_SOURCE"
            )
        in_url = parse_relay_url(self.relay).max_bytes
        if in_url is None or in_url == self.relay_max_bytes:
            return
        if self.relay_max_bytes != OPTIONS["relay_max_bytes"].metadata["default"]:
            raise ConfigError(
                f"relay_max_bytes ({self.relay_max_bytes}) and max_bytes in the URL of relay "
                f"({in_url}) differ; give one of them"
            )
        object.__setattr__(self, "relay_max_bytes", in_url)

    def _check_residency(self) -> None:
        for name, host in self._hosts() if self.allowed_hosts is not None else ():
            if any(is_within(host, allowed) for allowed in self.allowed_hosts or ()):
                continue
            where = f"is at {host}" if host else "names no host"
            raise ConfigError(
                f"{name} {where}, and allowed_hosts lets events be sent to "
                f"{', '.join(self.allowed_hosts or ())} alone; give one there"
            )

    def _hosts(self) -> Iterator[tuple[str, str]]:
        """Options that say where events go, and the hosts there; none is on this very machine."""
        if self.sink is not None:
            # Of one that does not say where it leads, nobody knows but the app.
            urls: Iterable[str] = getattr(self.sink, "urls", tuple)()
            yield from (("sink", host) for url in urls for host in hosts_of(url))
            return
        if self.relay is not None:
            if parse_relay_url(self.relay).scheme != "unix":
                yield from (("relay", host) for host in hosts_of(self.relay))
            return
        yield from (("data_plane_url", host) for host in hosts_of(self.data_plane_url))
        if self.data_plane_url.lower().startswith("http:"):  # else a proxy can't read it
            for scheme, url in (self.proxies or {}).items():
                if not scheme.startswith("https"):
                    yield from (("proxies", host) for host in hosts_of(url))

    def __hash__(self) -> int:
        """Hash key and URLs only: mappings among the options have no hash."""
        return hash((self.write_key, self.data_plane_url, self.relay, self.source))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by options, with plain dicts for read-only mappings."""
        values = {name: getattr(self, name) for name in OPTIONS}
        plain = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in values.items()
        }
        return _remade, (plain,)

    @property
    def upload_size_within_queue(self) -> int:
        """Events waiting that start an upload: a queue need not hold more than it can."""
        return min(self.upload_size, self.max_queue_size)

    @property
    def is_in_clear(self) -> bool:
        """True if events leave this machine without TLS."""
        from urllib.parse import urlsplit  # noqa: PLC0415 - costly

        if (relay := self.relay_url) is not None:
            from ..common.hosts import is_loopback  # noqa: PLC0415 - costly

            return not (relay.is_encrypted or all(map(is_loopback, relay.hosts)))
        parts = urlsplit(self.data_plane_url)
        host = parts.hostname or ""
        local = host in ("localhost", "::1") or host.startswith("127.")
        return parts.scheme == "http" and not local

    @property
    def relay_url(self) -> RelayUrl | None:
        """The URL `relay`, parsed, without its secrets."""
        return None if self.relay is None else parse_relay_url(self.relay)

    @property
    def destination(self) -> str:
        """The place to which events go, for people: without secrets."""
        if (relay := self.relay_url) is not None:
            return f"{relay.shown} (source {self.source})"
        return self.data_plane_url

    @property
    def identity(self) -> str:
        """Whose events these are in a durable queue: the write key, a blank and the URL.

        With a relay, its URL without secrets and the source stand for the key.
        """
        if (relay := self.relay_url) is not None:
            return f"{relay.shown}#{self.source} {relay.shown}"
        return f"{self.write_key} {self.data_plane_url}"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, /, **explicit: Any) -> Config:
        """Make a configuration from arguments, the environment and defaults.

        Arguments win over the environment (`RUDDER_<NAME>`), the environment over defaults.
        An argument that is None counts as not given. Of the options that say where events go, one
        among the arguments wins over another in the environment; `relay` and `sink` win over
        `data_plane_url`.

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
        overruled = {name for name, by in _OVERRULED_BY.items() if not by.isdisjoint(given)}
        for name, field in OPTIONS.items():
            variable = f"RUDDER_{name.upper()}"
            if name not in given and name not in overruled and environ.get(variable):
                given[name] = _parse(field, environ[variable], variable)
        if "relay" in given:  # only the relay is to have the key
            given |= _UNUSED["relay"]
        for name in ("write_key", "data_plane_url"):
            if name not in given and "sink" in given:
                given[name] = _UNUSED["sink"][name]
            elif name not in given:
                raise ConfigError(
                    f"{name} is missing; give it as an option, "
                    f"or set the environment variable RUDDER_{name.upper()}"
                )
        return cls(**given)


_OVERRULED_BY = {"relay": {"sink", "data_plane_url"}, "sink": {"relay"}}
"""Variables of the environment that count for nothing beside these arguments."""


def _remade(values: dict[str, Any]) -> Config:
    return Config(**values)


class Options(TypedDict, total=False):
    """The options besides `write_key` and `data_plane_url`, as keywords that editors know.

    A test holds it to the fields of `Config`. Text is taken for each of them, too.
    """

    upload_size: int
    upload_interval: float
    max_batch_bytes: int
    max_event_bytes: int
    queue: str | Buffer
    sink: Any
    relay: str | None
    source: str | None
    relay_max_bytes: int
    max_queue_size: int
    max_queue_bytes: int
    overflow: Overflow
    block_timeout: float
    timeout: float
    max_retries: int | None
    shutdown_timeout: float
    drain_on_sigterm: bool
    gzip: bool
    proxies: Mapping[str, str] | None
    ca_bundle: str | None
    client_cert: str | tuple[str, str] | None
    on_error: Callable[[Exception, list[dict[str, Any]]], object] | None
    on_drop: Callable[[dict[str, Any], str], object] | None
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    privacy: Privacy | Mapping[str, Any] | None
    allowed_hosts: Sequence[str] | None
    dead_letter: str | None
    context: Mapping[str, Any]
    integrations: Mapping[str, Any]
    trace_context: bool
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
        return field.metadata["parse"](resolved(value))
    except ValueError as error:
        raise ConfigError(f"{called} {error}") from None
    except Exception as error:  # noqa: BLE001
        # A value's own __str__ or __iter__. Not the exception's text: it may quote a secret.
        raise ConfigError(f"{called} can't be read: that raised {type(error).__name__}") from None
