"""Real servers for tests, on ports of 127.0.0.1 that the system chooses; they end with their block.

- `redis.py`: one Redis, with files, users, TLS; killed, stopped, started again
- `group.py`: servers that are started and ended together
- `sentinel.py`: a master, replicas, and the sentinels that watch them
- `cluster.py`: a cluster of masters, between which slots move
- `kafka.py`: a broker of Kafka's protocol, and the library's mock of a cluster
- `objects.py`: the files in which such a broker keeps what is to outlive it
- `line.py`: a TCP connection's way, which can be cut, held up, or lose answers
"""

from __future__ import annotations

from .cluster import RedisCluster
from .kafka import NEEDS_KAFKA, KafkaBroker, MockCluster, kafka_program
from .line import Line
from .redis import (
    EACH_REDIS,
    NEEDS_REDIS,
    NEEDS_TLS,
    Certificates,
    RedisServer,
    redis_program,
    redis_programs,
)
from .sentinel import RedisSentinel

__all__ = [
    "EACH_REDIS",
    "NEEDS_KAFKA",
    "NEEDS_REDIS",
    "NEEDS_TLS",
    "Certificates",
    "KafkaBroker",
    "Line",
    "MockCluster",
    "RedisCluster",
    "RedisSentinel",
    "RedisServer",
    "kafka_program",
    "redis_program",
    "redis_programs",
]
