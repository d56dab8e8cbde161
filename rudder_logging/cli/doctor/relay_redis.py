"""Checks of Redis, or Valkey, as a relay's engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ...common.clock import monotonic, wall_time
from ...relay.engine import EngineError
from ...relay.redis_commands import APPENDING, LOOKING, RELAYING, attempt
from ...relay.redis_look import RedisLooker, answer, links_to_nodes
from ...sinks.base import Failure, Hold
from ...sinks.redis.connecting import Address, parse_address
from ...sinks.redis.keys import Keys
from ...sinks.redis.link import Command, Link
from .findings import Finding
from .relay import of_failure, of_source, stop, warning, well

__all__ = ["examine"]

_OLDEST = (6, 2)
_SKEW = 5.0  # seconds
_ALMOST_FULL = 0.8
_NO_SOURCE = "rudder-doctor"


def examine(url: str, source: str | None, timeout: float, *, max_bytes: int) -> Iterator[Finding]:
    """See `relay.examine`.

    Raises:
        ConfigError: The URL can't be right.
    """
    address = parse_address(url)
    looker = RedisLooker(address, timeout)
    try:
        yield from _of_servers(looker.link, address, timeout)
        yield from _of_permissions(looker.link, address, source or _NO_SOURCE)
        yield from _of_sources(looker, address, source, max_bytes)
    except EngineError as error:
        failure = error.failure
        yield of_failure(failure.fault, failure.cure, lasts=isinstance(failure, Hold))
    finally:
        looker.close()


def _of_sources(
    looker: RedisLooker, address: Address, source: str | None, max_bytes: int
) -> Iterator[Finding]:
    try:
        for name in [source] if source is not None else looker.sources():
            yield from _of_shards(looker.link, address, name)
            yield from of_source(looker.look(name), max_bytes)
    except EngineError as error:
        if not _is_forbidden(error.failure):
            raise
        text = "the user may not look at what waits, and who delivers it"
        cure = f"to see it, use one with {' '.join(f'+{name.lower()}' for name in LOOKING)}"
        yield well("relay-look", text, cure)


def _is_forbidden(failure: Failure) -> bool:
    """True if the engine is there, and just this command is not allowed."""
    return "(NOPERM)" in failure.fault


def _of_servers(link: Link, address: Address, timeout: float) -> Iterator[Finding]:
    begun = monotonic()
    (pong,) = link.run([Command("", ("PING",))])
    if isinstance(pong, Failure) and not _is_forbidden(pong):
        raise EngineError(pong)
    milliseconds = 1_000 * (monotonic() - begun)
    yield well("relay-reached", f"the engine {link.engine} answers ({milliseconds:.0f} ms)")
    with links_to_nodes(link, address, timeout) as nodes:
        for node in nodes:
            where = "the engine" if node is link else f"its node {node.engine}"
            yield from _of_server(node, address, where)


def _of_server(node: Link, address: Address, where: str) -> Iterator[Finding]:
    (found,) = node.run([Command("", ("INFO",))])
    if isinstance(found, Hold):
        text = f"the user may not ask {where} for INFO: version, memory and persistence are unknown"
        yield warning("relay-info", text, "give the doctor's user +info")
        return
    if not isinstance(found, bytes):
        raise EngineError(found)
    info = _read(found)
    yield _of_version(info, where)
    if info.get("role") == "slave":
        text = f"{where} is a replica, which takes nothing"
        yield stop("relay-replica", text, "name the master in the URL, or the sentinels")
    yield from _of_persistence(info, where)
    yield from _of_memory(info, where)
    replicas = int(info.get("connected_slaves", 0))
    if replicas < address.replicas:
        text = f"{where} has {replicas} replicas, and wait={address.replicas} asks that many"
        yield stop("relay-replicas", text, "see to its replicas, or lower wait= in the URL")
    yield _of_clock(node, where)


def _read(text: bytes) -> dict[str, str]:
    lines = text.decode(errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


def _of_version(info: Mapping[str, str], where: str) -> Finding:
    text = info.get("redis_version", "")
    parts = tuple(map(int, re.findall(r"\d+", text)[:2]))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {text}"
    if parts < _OLDEST:
        cure = "use Redis from 6.2, or Valkey"
        return stop("relay-version", f"{where} is {name}, which is too old", cure)
    return well("relay-version", f"{where} is {name}")


def _of_persistence(info: Mapping[str, str], where: str) -> Iterator[Finding]:
    if info.get("aof_last_write_status", "ok") != "ok":
        text = f"{where} can't write its append-only file, and so takes nothing"
        yield stop("relay-disk", text, "make room on its disk")
    elif info.get("rdb_last_bgsave_status", "ok") != "ok":
        text = f"{where} could not save its last snapshot; it may take nothing for that"
        yield warning("relay-disk", text, "see to its disk and memory")
    has_file, replicas = info.get("aof_enabled") == "1", int(info.get("connected_slaves", 0))
    if has_file or replicas:
        by = [
            *(["an append-only file"] if has_file else []),
            *([f"{replicas} replicas"] if replicas else []),
        ]
        yield well("relay-kept", f"{where} keeps what it acknowledges, by {' and '.join(by)}")
        return
    text = (
        f"{where} has neither an append-only file nor a replica: when it ends, events are lost "
        "that it has acknowledged since its last snapshot"
    )
    yield warning("relay-not-kept", text, "set appendonly yes, or add a replica")


def _of_memory(info: Mapping[str, str], where: str) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy", "noeviction")
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    cure = "set maxmemory-policy noeviction"
    if policy == "noeviction":
        yield well("relay-evicts-nothing", f"{where} evicts nothing (noeviction)")
    elif most and policy.startswith("allkeys"):
        text = f"{where} deletes undelivered events when its memory is full ({policy})"
        yield stop("relay-evicts", text, cure)
    else:
        later = "" if most else ", once it has a maxmemory"
        text = f"{where} may delete what relays and apps keep there{later} ({policy})"
        yield warning("relay-evicts", text, cure)
    if most and used >= _ALMOST_FULL * most:
        text = f"{where} uses {used:,} bytes of the {most:,} that it may (maxmemory)"
        yield warning("relay-memory", text, "raise maxmemory, or have relays empty it")


def _of_clock(node: Link, where: str) -> Finding:
    begun = wall_time()
    seconds, microseconds = answer(node, Command("", ("TIME",)))
    ahead = (begun + wall_time()) / 2 - (int(seconds) + int(microseconds) / 1e6)
    if abs(ahead) < _SKEW:
        return well("relay-clock", f"this machine's clock agrees with that of {where}")
    side = "ahead of" if ahead > 0 else "behind"
    text = f"this machine's clock is {abs(ahead):.0f} s {side} that of {where}"
    return warning(
        "relay-clock-skew", text, "set both right (NTP); leases go by the engine's alone"
    )


def _of_permissions(link: Link, address: Address, source: str) -> Iterator[Finding]:
    """Use each command in a way that does nothing: one that is forbidden is refused before."""
    appending = (*APPENDING, *(["WAIT"] if address.replicas else []))
    lacking = _lacking(link, source, [*appending, *RELAYING])
    unable = [name for name in appending if name in lacking]
    if unable:
        text = f"the user may not append to {source}: {', '.join(unable)}"
        cure = f"give it {' '.join(f'+{name.lower()}' for name in unable)} ~rudder:*"
        yield stop("relay-permissions", text, cure)
    elif lacking:
        text = (
            f"the user may append, but not relay, as it should be for an app's: it lacks "
            f"{', '.join(lacking)}"
        )
        yield well("relay-permissions", text)
    else:
        yield well("relay-permissions", "the user may append and relay")


def _lacking(link: Link, source: str, names: Sequence[str]) -> list[str]:
    key = f"{Keys(source).queue(0)}:doctor"
    names = list(dict.fromkeys(names))
    answers = link.run([Command(key, tuple(attempt(name, key))) for name in names])
    return [name for name, one in zip(names, answers, strict=True) if isinstance(one, Hold)]


def _of_shards(link: Link, address: Address, source: str) -> Iterator[Finding]:
    keys = Keys(source)
    found = answer(link, Command(keys.meta, ("HGET", keys.meta, "shards")))
    wanted = address.shards
    if found is not None and wanted.is_given and int(found) != wanted.value:
        text = (
            f"the source {source} has {int(found)} shards, and the URL says {wanted.value}: "
            "neither apps nor relays with that URL work on it"
        )
        cure = f"give shards={int(found)} in the URL; it can't be changed once the source is there"
        yield stop("relay-shards", text, cure)
