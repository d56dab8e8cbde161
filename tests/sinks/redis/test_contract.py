"""The sink of Redis keeps the contract, over either version, Sentinel, and a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.sinks import Sink
from rudder_logging.testing import SinkContract
from tests.engines import EACH_REDIS, NEEDS_REDIS, RedisCluster, RedisSentinel, RedisServer

from .streams import events, make_sink

_KEEPS = ("--appendonly", "yes", "--appendfsync", "always")


class _Contract(SinkContract):
    """The contract wants messages of several users in order: that takes a single shard."""

    url = ""
    servers: Sequence[RedisServer] = ()

    def make_sink(self) -> Sink:
        """See `SinkContract`."""
        return make_sink(f"{self.url}?shards=1", timeout=10)

    def arrived(self) -> list[dict[str, Any]]:
        """See `SinkContract`."""
        return events(self.servers, 1)

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `SinkContract`."""
        for server in self.servers:
            server.kill()
        yield
        for server in self.servers:
            server.start()


class TestRedisSink(_Contract):
    """One server, which is killed, and has its data when it is back."""

    @pytest.fixture(autouse=True, params=EACH_REDIS)
    def _server(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
        with RedisServer(tmp_path / "redis", *_KEEPS, version=request.param) as server:
            self.url, self.servers = server.url, [server]
            yield


@NEEDS_REDIS
class TestPausedRedisSink(_Contract):
    """One server, which stops to answer for a while, and then does all that it was sent."""

    @pytest.fixture(autouse=True)
    def _server(self, tmp_path: Path) -> Iterator[None]:
        with RedisServer(tmp_path / "redis") as server:
            self.url, self.servers = server.url, [server]
            yield

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `SinkContract`."""
        self.servers[0].pause()
        yield
        self.servers[0].resume()


@NEEDS_REDIS
@pytest.mark.slow
class TestSentinelSink(_Contract):
    """A master that sentinels watch, so patiently that it stays the master."""

    @pytest.fixture(autouse=True)
    def _group(self, tmp_path: Path) -> Iterator[None]:
        with RedisSentinel(tmp_path, *_KEEPS, replicas=0, patience=600) as group:
            self.url, self.servers = group.url, group.servers
            yield


@NEEDS_REDIS
@pytest.mark.slow
class TestClusterSink(_Contract):
    """A cluster, all of whose nodes are away at once."""

    @pytest.fixture(autouse=True)
    def _cluster(self, tmp_path: Path) -> Iterator[None]:
        with RedisCluster(tmp_path, *_KEEPS) as cluster:
            self.url, self.servers = cluster.url, cluster.nodes
            self.cluster = cluster
            yield

    @contextmanager
    def away(self) -> Iterator[None]:
        """See `SinkContract`."""
        with super().away():
            yield
        self.cluster.wait_until_well()
