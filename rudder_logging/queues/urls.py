"""The URLs that the option `queue` takes: `memory://` and `file:///directory?...`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..events.table import nearest

__all__ = ["MEMORY", "SpoolUrl", "is_spool_url", "parse_spool_url", "without_secrets"]

MEMORY = "memory://"

_EXAMPLE = "file:///var/spool/app"


@dataclass(frozen=True, kw_only=True)
class SpoolUrl:
    """A `file:` URL, parsed. Its query holds what stands below `path`."""

    path: str
    """The spool's directory, which all handlers of a host may share."""
    fsync: str = "never"
    """When the disk is told to keep what was written: `always` (before the call ends), `interval`
    (once a second) or `never`. The process may be killed in any case; this is for power loss."""
    max_bytes: int = 1024 * 1024 * 1024
    """Bytes that all processes' segments of one source may take on the disk."""
    max_age: float | None = None
    """Seconds after which an event that could not be delivered is dropped; None: never."""


def is_spool_url(option: object) -> bool:
    """Tell if the option `queue` names a spool."""
    return isinstance(option, str) and option.startswith("file:")


def parse_spool_url(url: str) -> SpoolUrl:
    """Read a `file:` URL.

    Raises:
        ValueError: It is malformed. The text continues a sentence that begins with its name.
    """
    from urllib.parse import parse_qsl, unquote, urlsplit  # noqa: PLC0415 - costly

    parts = urlsplit(url)
    path = unquote(parts.path)
    is_absolute = parts.netloc in ("", "localhost") and path.startswith("/") and path != "/"
    if not is_absolute or "\0" in path:
        raise ValueError(f"must name an absolute directory after three slashes, like {_EXAMPLE}")
    if parts.fragment:
        raise ValueError("must not have a #fragment; write a # of the path as %23")
    try:
        import fcntl  # noqa: F401, PLC0415 - looked for, not used
    except ImportError:
        raise ValueError(
            f"can't be file: on this system, which has no POSIX file locks; use {MEMORY}"
        ) from None
    given: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _PARAMETERS:
            known = ", ".join(_PARAMETERS)
            raise ValueError(
                f"has no parameter {name!r}{nearest(name, _PARAMETERS)}; there are {known}"
            )
        if name in given:
            raise ValueError(f"has the parameter {name} twice; give it once")
        given[name] = _PARAMETERS[name](text)
    return SpoolUrl(path=path, **given)


def without_secrets(url: str) -> str:
    """Scheme and host of a data plane's URL, and its port; or of an engine's, or its socket."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - costly

    parts = urlsplit(url)
    if parts.scheme == "unix" and not parts.netloc:
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


def _fsync(text: str) -> str:
    if text not in ("always", "interval", "never"):
        raise ValueError("must have fsync=always, fsync=interval or fsync=never")
    return text


def _max_bytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= _SMALLEST):
        raise ValueError(f"must have max_bytes as a whole number of bytes, at least {_SMALLEST}")
    return int(text)


def _max_age(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("must have max_age as a number of seconds over 0")
    return seconds


_SMALLEST = 1_000
_PARAMETERS: dict[str, Callable[[str], Any]] = {
    "fsync": _fsync,
    "max_bytes": _max_bytes,
    "max_age": _max_age,
}
