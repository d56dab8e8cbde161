"""Hosts, by their names."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["hosts_of", "is_loopback", "is_within"]

_AUTHORITY = re.compile(r"[^:/]*://([^/?#]*)")
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")


def is_loopback(host: str) -> bool:
    """Tell if a host is this machine, as far as its name says."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hosts_of(url: str) -> list[str]:
    """The hosts in a URL, of which an engine's may have several, separated by commas."""
    authority = _AUTHORITY.match(url)
    names = authority[1].rpartition("@")[2].split(",") if authority else [""]
    found = [_HOST.match(name.strip()) for name in names]
    return [match[1].strip("[]").lower().rstrip(".") if match else "" for match in found]


def is_within(host: str, pattern: str) -> bool:
    """Tell if a host is the one of a pattern; `*.` before it stands for any names before it."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern
