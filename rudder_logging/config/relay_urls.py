"""The URLs that the option `relay` takes: where they lead, and what of them may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..common.schemes import SINKS

__all__ = ["KAFKA", "REDIS", "RelayUrl", "parse_relay_url"]

REDIS = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
KAFKA = ("kafka",)

SMALLEST = 1_000
"""Bytes that a relay's engine may hold of one source, at the least."""

_SAYS_SECURE = re.compile(r"^(ssl|sasl_ssl)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class RelayUrl:
    """A relay's URL, parsed. User, password and most parameters are left out: they are secrets."""

    scheme: str
    hosts: tuple[str, ...]
    """Names without ports; none, if it is a socket of this machine."""
    shown: str
    """Scheme, hosts, path and number of the database."""
    max_bytes: int | None
    """See the option `relay_max_bytes`."""
    is_encrypted: bool
    """True if nobody on the way can read along, or there is no way."""

    @property
    def host_urls(self) -> list[str]:
        """One for each host."""
        return [f"//[{host}]" if ":" in host else f"//{host}" for host in self.hosts]


def parse_relay_url(url: str) -> RelayUrl:
    """Read a URL. What only its engine's library knows is left to that.

    Raises:
        ValueError: It is malformed. The text continues a sentence that begins with its name, and
            quotes nothing of the URL but its scheme.
    """
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415 - costly

    scheme = url.partition(":")[0].lower() if ":" in url else ""
    is_anothers = SINKS.maker(url) is not None
    if not is_anothers and scheme not in (*REDIS, *KAFKA):
        known = ", ".join(f"{one}://" for one in (*REDIS, *KAFKA, *SINKS.names))
        raise ValueError(f"must be the URL of an engine, like {_EXAMPLE}; the schemes are {known}")
    if not url.isprintable() or " " in url:
        raise ValueError(f"must have no blanks and control characters; write them as {_PERCENT}")
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        each = [urlsplit(f"//{one}") for one in place.split(",")] if place else []
        hosts = tuple(one.hostname or "" for one in each)
        _ports = [one.port for one in each]
    except ValueError:
        raise ValueError(f"must look like {_EXAMPLE}; {_RESERVED}") from None
    if parts.fragment:
        raise ValueError(f"must not have a #fragment; {_RESERVED}")
    if scheme == "unix" and not is_anothers:
        if hosts or not parts.path.strip("/"):
            raise ValueError("must name a socket after three slashes, like unix:///run/redis.sock")
    elif not is_anothers and not (hosts and all(hosts)):
        raise ValueError(f"must name a host, like {_EXAMPLE}")
    elif not is_anothers and "@" in parts.path:  # redis://user:6379/secret@host, read as a host
        raise ValueError(f"must look like {_EXAMPLE}; {_RESERVED}")
    given = parse_qs(parts.query, keep_blank_values=True)
    database = f"?db={given['db'][0]}" if "db" in given else ""
    return RelayUrl(
        scheme=scheme,
        hosts=hosts,
        shown=f"{scheme}://{place}{parts.path}{database}",
        max_bytes=_max_bytes(given["max_bytes"]) if "max_bytes" in given else None,
        is_encrypted=scheme == "unix"
        or scheme.startswith("rediss")
        or any(_SAYS_SECURE.match(text) for text in given.get("security.protocol", ())),
    )


_EXAMPLE = "redis://host:6379/0"
_PERCENT = "%20 and the like"
_RESERVED = "of a password, write / as %2F, # as %23, ? as %3F, @ as %40"


def _max_bytes(texts: list[str]) -> int:
    text = texts[0]
    if len(texts) > 1:
        raise ValueError("has the parameter max_bytes twice; give it once")
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS and int(text) >= SMALLEST):
        raise ValueError(f"must have max_bytes as a whole number of bytes, at least {SMALLEST}")
    return int(text)


_DIGITS = 19  # below 2**63
