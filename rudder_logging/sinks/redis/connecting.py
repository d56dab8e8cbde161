"""From a URL to connections: one server, Sentinel's master, or a cluster's nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel

from ...config.relay_urls import parse_relay_url
from ...exceptions import ConfigError

__all__ = ["Address", "Place", "Route", "Shards", "open_route", "parse_address"]

Place = tuple[str, int]
"""Host and port."""

_MOST_SHARDS = 1_024
_OWN = {"max_bytes", "shards", "wait"}


@dataclass(frozen=True)
class Shards:
    """A wanted number of shards."""

    value: int = 16
    is_given: bool = False
    """The URL names it. Otherwise whatever the source has is right."""


@dataclass(frozen=True)
class Address:
    """A URL, taken apart."""

    kind: str
    """`server`, `sentinel` or `cluster`."""
    shown: str
    """Without secrets."""
    places: tuple[Place, ...]
    master: str
    """Its name among the sentinels."""
    options: dict[str, Any] = field(repr=False)
    """The library's, with user and password."""
    shards: Shards
    replicas: int
    """The number of them that have to confirm what is appended."""
    max_bytes: int | None


def parse_address(url: str) -> Address:
    """Take a URL apart.

    Raises:
        ConfigError: It can't be right. Nothing of it is quoted but names of parameters.
    """
    try:
        known = parse_relay_url(url)
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        base, _, kind = known.scheme.partition("+")
        login, _, hosts = parts.netloc.rpartition("@")
        places = [_place(one, kind) for one in hosts.split(",")] if hosts else []
        path, master = parts.path, ""
        if kind == "sentinel":
            master, slash, path = parts.path.lstrip("/").partition("/")
            path = slash + path
        first = hosts.partition(",")[0]
        login = f"{login}@" if login else ""
        rest = urlencode([(name, value) for name, value in query if name not in _OWN])
        options = parse_url(f"{base}://{login}{first}{path}?{rest}")
    except ValueError as error:
        raise ConfigError(f"relay: {_unquoted(error)}") from None
    if kind == "sentinel" and not master:
        raise ConfigError("relay must name the master, like redis+sentinel://host/master/0")
    numbers = dict(query)
    for name in ("decode_responses", "retry_on_timeout", "retry_on_error"):
        options.pop(name, None)
    return Address(
        kind or "server",
        known.shown,
        tuple(places),
        master,
        options,
        Shards(_number(numbers, "shards", 16, 1, _MOST_SHARDS), "shards" in numbers),
        _number(numbers, "wait", 0, 0, 9),
        known.max_bytes,
    )


def _place(text: str, kind: str) -> Place:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or (26379 if kind == "sentinel" else 6379)


def _number(texts: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = texts.get(name)
    if text is None:
        return default
    if not (re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most):
        raise ConfigError(f"relay must have {name} as a whole number from {least} to {most}")
    return int(text)


def _unquoted(error: ValueError) -> str:
    """The library quotes values in few of its texts: none of those is shown."""
    found = re.search(r"Invalid value for '(\w+)'", str(error))
    return f"the parameter {found[1]} in the URL has a wrong value" if found else str(error)


class Route(Protocol):
    """The ways to keys, and the connections."""

    def place(self, key: str) -> Place:
        """The place of a key, as far as is known."""
        ...

    def pool(self, place: Place) -> redis.ConnectionPool:
        """The connections to a place."""
        ...

    def moved(self, key: str, place: Place) -> None:
        """Told by a cluster: the key is at another place."""
        ...

    def failed(self, place: Place) -> None:
        """A place can't be reached."""
        ...

    def close(self) -> None:
        """Let go of all connections."""
        ...


def open_route(address: Address, timeout: float, connected: Callable[[], None]) -> Route:
    """Make what finds connections; nothing is connected yet.

    Args:
        address: Of the engine.
        timeout: Seconds for each step.
        connected: Called after each connection that is made.

    Raises:
        ConfigError: The URL has a parameter that the library does not know.
    """

    def greet(connection: redis.Connection) -> None:
        connection.on_connect()
        connected()

    options = {
        **address.options,
        "protocol": 2,
        "redis_connect_func": greet,
        "retry": Retry(NoBackoff(), 0),
        **{
            name: min(timeout, address.options.get(name) or timeout)
            for name in ("socket_timeout", "socket_connect_timeout")
        },
    }
    if address.places:  # a socket of this machine needs it not, and does not know it
        options["socket_keepalive"] = True
    else:
        del options["socket_connect_timeout"]
    try:
        if address.kind == "cluster":
            return _Cluster(address, options)
        return _Sentinel(address, options) if address.kind == "sentinel" else _Server(options)
    except TypeError as error:
        found = re.search(r"argument '(\w+)'", str(error))
        name = found[1] if found else "one"
        raise ConfigError(f"relay has a parameter that redis-py does not know: {name}") from None


_ANYWHERE: Place = ("", 0)


def _pool(options: dict[str, Any]) -> redis.ConnectionPool:
    pool = redis.ConnectionPool(**options)
    pool.connection_class(**pool.connection_kwargs)  # a wrong parameter raises
    return pool


class _Server:
    def __init__(self, options: dict[str, Any]) -> None:
        self._pool = _pool(options)

    def place(self, key: str) -> Place:  # noqa: ARG002 - all are at one place
        return _ANYWHERE

    def pool(self, place: Place) -> redis.ConnectionPool:  # noqa: ARG002
        return self._pool

    def moved(self, key: str, place: Place) -> None:
        """It is a server of a cluster; the failure says so."""

    def failed(self, place: Place) -> None:
        """There is no other."""

    def close(self) -> None:
        self._pool.disconnect()


class _Sentinel(_Server):
    """Each new connection asks a sentinel for the master."""

    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        _pool(options)
        kind = options.pop("connection_class", None)
        is_encrypted = kind is not None and issubclass(kind, redis.SSLConnection)
        # The sentinels have users and passwords of their own, if any: as parameters of the URL.
        own = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
        for_sentinels = {
            name: value
            for name, value in options.items()
            if name.startswith(("socket_", "ssl_")) or name in ("retry", "protocol")
        }
        options = {name: options[name] for name in options if name not in ("host", "port")}
        self._sentinel = Sentinel(
            list(address.places),
            sentinel_kwargs={**for_sentinels, **own, "ssl": is_encrypted},
        )
        master = self._sentinel.master_for(address.master, ssl=is_encrypted, **options)
        self._pool = cast("redis.ConnectionPool", master.connection_pool)

    def close(self) -> None:
        super().close()
        for sentinel in self._sentinel.sentinels:
            sentinel.close()


class _Cluster:
    """Learns from the nodes where keys are: who is asked for one it does not have names another."""

    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        _pool(options)
        self._options = {name: options[name] for name in options if name not in ("host", "port")}
        self._options.pop("db", None)
        self._seeds = list(address.places)
        self._slots: dict[int, Place] = {}
        self._pools: dict[Place, redis.ConnectionPool] = {}

    def place(self, key: str) -> Place:
        return self._slots.get(key_slot(key.encode()), self._seeds[0])

    def pool(self, place: Place) -> redis.ConnectionPool:
        pool = self._pools.get(place)
        if pool is None:
            host, port = place
            made = redis.ConnectionPool(**self._options, host=host, port=port)
            pool = self._pools.setdefault(place, made)
        return pool

    def moved(self, key: str, place: Place) -> None:
        self._slots[key_slot(key.encode())] = place
        if place not in self._seeds:
            self._seeds.append(place)

    def failed(self, place: Place) -> None:
        # Another node knows who has taken its slots over.
        for slot in [slot for slot, its in list(self._slots.items()) if its == place]:
            self._slots.pop(slot, None)
        if self._seeds[0] == place:
            self._seeds = [*self._seeds[1:], place]

    def close(self) -> None:
        for pool in list(self._pools.values()):
            pool.disconnect()
