"""The engine over Redis keeps the contracts, over either version, Sentinel, and a cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from rudder_logging.relay.engine import Appender, Engine
from rudder_logging.relay.redis_engine import RedisEngine
from rudder_logging.relay.source import Observer, Source, open_source
from rudder_logging.sinks import Stored
from rudder_logging.testing.engine_contract import EngineContract
from rudder_logging.testing.source_contract import SourceContract
from tests.each import each
from tests.engines import EACH_REDIS, NEEDS_REDIS, RedisCluster, RedisSentinel, RedisServer
from tests.sinks.redis.streams import make_sink

_numbers = count()

_EACH = [
    *EACH_REDIS,
    *(
        pytest.param(kind, marks=[NEEDS_REDIS, pytest.mark.slow])
        for kind in ("sentinel", "cluster")
    ),
]


@pytest.fixture(scope="module", params=_EACH)
def url(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of servers that a module's tests share: each test has a source of its own."""
    kind, folder = request.param, tmp_path_factory.mktemp("engine")
    with ExitStack() as stack:
        if kind == "sentinel":
            yield stack.enter_context(RedisSentinel(folder, replicas=0, patience=600)).url
        elif kind == "cluster":
            yield stack.enter_context(RedisCluster(folder)).url
        else:
            yield stack.enter_context(RedisServer(folder, version=kind)).url


class TestRedisEngine(EngineContract):
    """Engines of one test have a source of their own."""

    @pytest.fixture(autouse=True)
    def _source(self, url: str) -> None:
        self.url, self.source = f"{url}?shards={self.SHARDS}", f"contract-{next(_numbers)}"

    def make_engine(self, max_bytes: int = 0) -> Engine:
        """See `EngineContract`."""
        more = f"&max_bytes={max_bytes}" if max_bytes else ""
        return RedisEngine(self.url + more, self.source)

    def make_appender(self, engine: Engine) -> Appender:
        """It is one itself."""
        assert isinstance(engine, RedisEngine)
        return engine


class TestRedisSource(SourceContract):
    """Relays over engines of their own; a sink appends, as in an app."""

    @pytest.fixture(autouse=True)
    def _source(self, url: str) -> Iterator[None]:
        self.url, self.source = f"{url}?shards=4", f"contract-{next(_numbers)}"
        self.sink = make_sink(self.url, source=self.source)
        yield
        self.sink.close()

    def make_source(self, observer: Observer) -> Source:
        """See `SourceContract`."""
        return open_source(self.url, self.source, observer)

    def append(self, *messages: bytes) -> None:
        """See `SourceContract`."""
        assert isinstance(self.sink.send(messages, None), Stored)


@each("opens", ["source.open_source(url, 'shop', None)", "look.open_looker(url, 1.0)"])
def test_a_missing_library_is_told(opens: str) -> None:
    """With what installs it, for a relay as for who looks at one."""
    script = f"""
import sys
sys.modules["redis"] = None
from rudder_logging.exceptions import ConfigError
from rudder_logging.relay import look, source
url = "redis://127.0.0.1/0"
try:
    {opens}
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.endswith("pip install 'rudder-logging[cli,redis]'\n")
