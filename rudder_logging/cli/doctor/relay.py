"""Checks of the way to a relay: the engine in which events wait, and who takes them out of it."""

from __future__ import annotations

import importlib
import ipaddress
import os
import socket
from collections.abc import Iterator
from functools import partial

from ...common.schemes import SINKS
from ...config import Config
from ...config.relay_urls import KAFKA, REDIS, RelayUrl, parse_relay_url
from ...exceptions import ConfigError
from ...relay.look import SourceLook
from ...relay.source import needing_its_library
from .findings import Finding, Severity

__all__ = ["examine", "of_config", "of_failure", "of_source", "stop", "warning", "well"]

well = partial(Finding, Severity.WELL, "relay")
warning = partial(Finding, Severity.WARNING, "relay")
stop = partial(Finding, Severity.STOPS, "relay")

_MODULES = {REDIS: "relay_redis", KAFKA: "relay_kafka"}
"""By schemes: the module here that has `examine`, and imports a library."""
_LATE = 60.0  # seconds
_CURE = "correct it, as the guide `relay` shows"


def of_config(config: Config, timeout: float) -> Iterator[Finding]:
    """Check the way of a handler's events to its relay. Nothing is stored.

    Args:
        config: A handler's, with the option `relay`.
        timeout: Seconds for each step.
    """
    assert config.relay is not None  # noqa: S101 - whoever calls has looked
    if os.environ.get("RUDDER_WRITE_KEY"):
        yield well(
            "write-key-unused", "RUDDER_WRITE_KEY is set, and not used: the relay has the key"
        )
    yield from examine(config.relay, config.source, timeout, max_bytes=config.relay_max_bytes)


def examine(
    url: str, source: str | None, timeout: float, *, max_bytes: int = 0
) -> Iterator[Finding]:
    """Check an engine, and what it has of one source, or of all.

    Args:
        url: See the option `relay`.
        source: Its name; None: all that are there.
        timeout: Seconds for each step.
        max_bytes: What the engine may hold of the source; 0: that is not known.
    """
    if SINKS.maker(url) is not None:
        yield well("own-sink", "a sink of the app's sends to its relay; the engine is not checked")
        return
    try:
        parsed = parse_relay_url(url)
        rows = (module for schemes, module in _MODULES.items() if parsed.scheme in schemes)
        yield from _of_encryption(parsed)
        with needing_its_library(parsed.scheme):
            module = importlib.import_module(f".{next(rows)}", __package__)
        yield from module.examine(url, source, timeout, max_bytes=max_bytes)
    except ConfigError as error:  # what the engine's own part says of it
        text, _, cure = str(error).partition("; ")
        yield stop("relay-url", text, cure or _CURE)
    except ValueError as error:
        yield stop("relay-url", f"the relay's URL {error}", _CURE)


def _of_encryption(url: RelayUrl) -> Iterator[Finding]:
    if url.is_encrypted:
        return
    public = [host for host in url.hosts if _is_public(host)]
    if public:
        text = f"events go unencrypted to a public address: {', '.join(public)}"
        yield warning("relay-unencrypted", text, "use TLS, or a private network")


def _is_public(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return any(ipaddress.ip_address(str(one[4][0])).is_global for one in found)
    except (OSError, UnicodeError, ValueError):
        return False  # the attempt to connect will tell


def of_failure(fault: str, cure: str, *, lasts: bool) -> Finding:
    """The finding about an engine that does not do what it is asked."""
    return stop("relay-refused" if lasts else "relay-not-reached", fault, cure)


def of_source(look: SourceLook, max_bytes: int) -> Iterator[Finding]:
    """Findings about what waits of a source, and who delivers it.

    Args:
        look: The source.
        max_bytes: What the engine may hold of it; 0: that is not known.
    """
    name, lag = look.name, look.lag
    if not look.shards:
        text = f"the engine has nothing of the source {name} yet: its first event makes it"
        yield well("relay-source-new", text)
        return
    state = (
        f"{lag.events:,} events of the source {name} wait, {lag.bytes:,} bytes, the oldest for "
        f"{lag.seconds:.0f} s"
    )
    owned = f"{len(look.relays)} relays own {len(look.owners)} of its {look.shards} shards"
    if max_bytes and lag.bytes >= 0.8 * max_bytes:
        text = f"the engine is almost full: {state}, and {max_bytes:,} bytes are the most"
        cure = "see why relays don't deliver, start more of them, or raise relay_max_bytes"
        yield warning("relay-almost-full", text, cure)
    if look.is_left_alone:
        cure = "start one: rudder-logging relay URL --source NAME=KEYFILE"
        yield warning("relay-alone", f"no relay is alive: {state}", cure)
    elif look.relays and len(look.owners) < look.shards:
        cure = "look again in 20 s: a relay may have just ended, or begun"
        yield warning("relay-unowned", f"not each shard has an owner: {owned}", cure)
    elif lag.events and lag.seconds > _LATE:
        cure = (
            "see the relays' log and /healthz: the data plane may be away, or too few of them run"
        )
        yield warning("relay-lag", f"events are late: {state}; {owned}", cure)
    else:
        yield well(
            "relay-source", f"{state if lag.events else f'nothing of {name} waits'}; {owned}"
        )
    if look.idle and look.owners:
        text = f"{len(look.idle)} relays of {name} own no shard: there are more relays than shards"
        yield well("relay-idle", text)
    if look.buried:
        text = f"{look.buried:,} frames of {name} could not be delivered, and are kept apart"
        cure = "see the guide `relay` for how to look into them"
        yield warning("relay-buried", text, cure)
