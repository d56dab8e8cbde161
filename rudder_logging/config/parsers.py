"""Parsers of options: from text, numbers and objects to checked values.

A parser raises ValueError with the rest of a sentence that begins with the option's name.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import threading
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..common.importing import imported
from ..common.parsing import Parser
from ..common.schemes import SINKS
from ..events.table import INTEGRATIONS
from ..exceptions import InvalidEventError
from .relay_urls import KAFKA, REDIS, parse_relay_url

if TYPE_CHECKING:  # the queues, which importing the package need not
    from ..privacy.options import Privacy
    from ..queues import Buffer

__all__ = [
    "LONGEST_WAIT",
    "SMALLEST_BATCH",
    "Parser",
    "callback",
    "client_cert",
    "data_plane_url",
    "flag",
    "hosts",
    "integer",
    "integrations",
    "lacking_in_sink",
    "mapping",
    "optional",
    "path",
    "path_from_here",
    "positive_seconds",
    "privacy",
    "proxies",
    "queue",
    "relay",
    "seconds",
    "sink",
    "source",
    "write_key",
]

LONGEST_WAIT = min(1e9, threading.TIMEOUT_MAX / 2)
"""Seconds. Beyond some more than that, waiting for a lock or a socket raises OverflowError."""

SMALLEST_BATCH = 1_000
"""Bytes of an upload before compression: room for some event."""

_LARGEST_INTEGER = 2**63 - 1  # of more, Python may refuse to print the digits
_HOST = re.compile(r"(?:\*\.)?[^\s*/:@,]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def optional(parse: Parser) -> Parser:
    """Let a parser take the word `none`, too: text can then say that there is no limit."""

    def parse_unless_none(value: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() == "none":
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValueError(f"{error}; or none") from None

    return parse_unless_none


def integer(minimum: int, maximum: int | None = None) -> Parser:
    """A whole number within bounds."""

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
        if abs(number) > _LARGEST_INTEGER:
            raise ValueError(f"must be {bounds}, and below 2**63")
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError(f"must be {bounds}, not {number}")
        return number

    return parse


def seconds(value: Any) -> float:
    """A duration."""
    try:
        number = float("not a duration" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a number of seconds") from None
    if not (number >= 0 and math.isfinite(number)):
        raise ValueError("must be a finite number of seconds, at least 0")
    if number > LONGEST_WAIT:
        raise ValueError(f"must be at most {LONGEST_WAIT:.0f} seconds")
    return number


def positive_seconds(value: Any) -> float:
    """A duration over 0 s."""
    number = seconds(value)
    if not number:
        raise ValueError("must be over 0 seconds; 0 would give no answer the time to arrive")
    return number


def flag(value: Any) -> bool:
    """On or off."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("must be true or false")


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, or a JSON object as text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a mapping, or a JSON object as text") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping, not {type(value).__name__}")  # noqa: TRY004
    return MappingProxyType(dict(value))


def integrations(value: Any) -> Mapping[str, Any]:
    """A mapping whose `All` the server understands."""
    given = mapping(value)
    try:
        INTEGRATIONS.normalise("it", given)
    except InvalidEventError as error:
        raise ValueError(str(error)) from None
    return given


def proxies(value: Any) -> Mapping[str, str]:
    """A mapping of URLs by scheme, as requests takes it."""
    given = mapping(value)
    if not all(isinstance(url, str) and isinstance(name, str) for name, url in given.items()):
        raise ValueError("must be a mapping of proxy URLs by scheme")
    return given


def callback(value: Any) -> Callable[..., Any]:
    """A callable, or where to import one from: `package.module.name` or `package.module:name`."""
    value = imported(value, "a callable")
    if not callable(value):
        raise ValueError(f"must be callable, not {type(value).__name__}")  # noqa: TRY004
    return value  # type: ignore[no-any-return]


def path(value: Any) -> str:
    """A file's path."""
    try:
        text = os.fspath(value)
    except TypeError:
        raise ValueError("must be a path") from None
    if not text or isinstance(text, bytes):
        raise ValueError("must be a path, as text")
    return str(text)


def path_from_here(value: Any) -> str:
    """A file's path, which stays that file's if the process goes to another directory."""
    return os.path.abspath(path(value))  # noqa: PTH100 - links stay


def client_cert(value: Any) -> str | tuple[str, str]:
    """One file, or a pair of them; as text, a pair is a JSON array."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError):  # else it is a path that begins so
            value = json.loads(value)
    if isinstance(value, (list, tuple)):
        if len(value) != 2:  # noqa: PLR2004
            raise ValueError("must be one file, or a pair: certificate, key")
        return (path(value[0]), path(value[1]))
    return path(value)


def write_key(value: Any) -> str:
    """A write key that HTTP Basic authentication can carry."""
    key = value.strip() if isinstance(value, str) else ""
    # It travels as the user name of HTTP Basic authentication, where a colon ends it.
    if not key or ":" in key or not key.isascii() or not key.isprintable():
        raise ValueError("must be the source's write key: printable ASCII, without a colon")
    return key


def data_plane_url(value: Any) -> str:
    """A base URL."""
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    cure = "must look like https://example.dataplane.rudderstack.com"
    try:
        from urllib.parse import urlsplit  # noqa: PLC0415 - costly

        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(cure) from None
    odd = not text.isprintable() or " " in text
    if SINKS.maker(text) is not None and not odd:
        return text
    if parts.scheme in (*REDIS, *KAFKA):
        raise ValueError(f"{cure}; {parts.scheme}:// is for the option relay")
    if parts.scheme not in ("http", "https") or not host or odd:
        raise ValueError(cure)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; the write key is an option")
    if "?" in text or "#" in text:
        raise ValueError("must have neither a query nor a fragment")
    if "/v1/" in parts.path + "/":
        raise ValueError("must end before /v1: the client adds the path")
    return text


def relay(value: Any) -> str:
    """The URL of an engine that is known, or for which somebody has registered a sink."""
    text = value.strip() if isinstance(value, str) else ""
    parse_relay_url(text)
    return text


def source(value: Any) -> str:
    """A name that stands in keys and topics of an engine."""
    if not isinstance(value, str) or not _SOURCE.fullmatch(name := value.strip()):
        raise ValueError("must be a name of at most 100 letters, digits, dots, _ and -, like shop")
    return name


_SOURCE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def sink(value: Any) -> Any:
    """A sink, or where to import one from: `package.module.name` or `package.module:name`."""
    value = imported(value, "a sink")
    if isinstance(value, type):
        raise ValueError(f"must be a sink, not its class; give {value.__name__}(...)")  # noqa: TRY004
    if missing := lacking_in_sink(value):
        raise ValueError(
            f"must be a sink, and {type(value).__name__} lacks {missing}; "
            "rudder_logging.sinks.Sink says what it has to have"
        )
    return value


def lacking_in_sink(value: object) -> str:
    """Name what an object needs to be a sink; empty: it has all."""
    methods = [name for name in ("send", "close") if not callable(getattr(value, name, None))]
    size = getattr(value, "max_bytes", None)
    if not isinstance(size, int) or size < SMALLEST_BATCH:
        methods.append(f"max_bytes (a whole number, at least {SMALLEST_BATCH})")
    return ", ".join(methods)


def privacy(value: Any) -> Privacy:
    """A `Privacy`, or what a mapping says of one."""
    from ..privacy.options import privacy_of  # noqa: PLC0415 - only where one is given

    return privacy_of(value)


def hosts(value: Any) -> tuple[str, ...]:
    """Names of hosts; as text, separated by commas."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, Collection) or isinstance(given, (bytes, Mapping)):
        raise ValueError("must be a list of hosts, like *.eu.example.com")  # noqa: TRY004
    names = [name.strip() if isinstance(name, str) else "" for name in given]
    if not names or not all(map(_HOST.fullmatch, names)):
        raise ValueError("must be a list of hosts, like *.eu.example.com, without scheme and port")
    return tuple(names)


def queue(value: Any) -> str | Buffer:
    """A queue's URL, or a buffer."""
    from ..queues.opening import check_buffer, check_queue_url  # noqa: PLC0415 - only where one is given

    (check_queue_url if isinstance(value, str) else check_buffer)(value)
    return value  # type: ignore[no-any-return]
