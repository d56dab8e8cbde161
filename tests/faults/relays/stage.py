"""Where a row takes place: an engine, a data plane, ways to them; processes that end with it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any

from tests.engines import KafkaBroker, Line

from ..stage import Process, Stage, wait_until
from .account import Account, Arrivals, take_account
from .engine import Engine
from .journal import Journal

__all__ = ["SHARDS", "SOURCE", "Producer", "Relay", "RelayStage"]

SOURCE = "shop"
SHARDS = 16
_LANES = 8
_RELAYED = ("write_key", "data_plane_url")


class Producer:
    """An app, as a process."""

    def wait_for(self, count: int) -> None:
        """Wait until the engine has taken so many of its events."""
        wait_until(lambda: len(self.journal.acknowledged) >= count, f"{count} events of an app")

    def __init__(self, process: Process, journal: Journal, stop: Path | None) -> None:
        self.process, self.journal = process, journal
        self._stop = stop

    def stop(self) -> None:
        """Tell it to log no more, unless its number is given; and to end when all is delivered."""
        if self._stop is not None:
            self._stop.touch()

    def end(self) -> None:
        """Have it end, and wait for that."""
        self.stop()
        self.process.wait()


class Relay:
    """A relay, as a process."""

    def __init__(self, process: Process, stage: RelayStage) -> None:
        self.process = process
        self._stage = stage
        self.runs = True
        self.is_stopped = False
        """By SIGSTOP."""
        self._has_begun = False
        """Whether it had when it was told to end; one that has not may end by the signal."""

    def is_named(self, name: str) -> bool:
        """Whether that is the id of this one."""
        return str(self.process.id) in name.split("-")

    def kill(self) -> None:
        """SIGKILL."""
        self.runs = self.is_stopped = False
        with self._stage.fault():
            self.process.signal(signal.SIGKILL)
            self.process.wait(-signal.SIGKILL)

    def end(self) -> None:
        """SIGTERM, and wait for its end."""
        self.stop()
        self.wait()

    def wait(self) -> None:
        """Wait for its end, which is well: nothing is taken before it handles signals."""
        self.process.wait(*(0,) if self._has_begun else (0, -signal.SIGTERM))

    def stop(self) -> None:
        """SIGTERM."""
        if self.is_stopped:
            self.thaw()
        self.runs = False
        self._has_begun = "Relaying" in self.process.stderr
        self.process.signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP."""
        with self._stage.fault():
            self.process.signal(signal.SIGSTOP)
        self.is_stopped = True

    def thaw(self) -> None:
        """SIGCONT."""
        with self._stage.fault():
            self.process.signal(signal.SIGCONT)
        self.is_stopped = False


class RelayStage(Stage):
    """See above.

    Args:
        directory: An empty one.
        version: The engine's.
    """

    def __init__(self, directory: Path, version: str) -> None:
        super().__init__(directory)
        self.arrivals = Arrivals()
        self.plane._inbox = self.arrivals
        self._version = version
        self._ends = contextlib.ExitStack()
        self._engine: Engine | None = None
        self._broker: KafkaBroker | None = None
        self._faults: list[tuple[int, int]] = []
        self._doubtful: set[str] = set()
        self.engine_lost: set[str] = set()
        """What the engine may have lost, by what was done to it."""
        self.told: list[str] = []
        """What is to be shown of it."""
        self.producers: dict[str, Producer] = {}
        self.relays: list[Relay] = []
        self.key_file = self.write("key", str(self.plane.write_key))
        self.key_file.chmod(0o600)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.plane.heal()
        super().__exit__(exc_type, exc, traceback)
        self._ends.close()

    # What is there.

    @property
    def engine(self) -> Engine:
        """The one that `start_engine` has started."""
        assert self._engine is not None
        return self._engine

    def start_engine(self, *options: str, environment: tuple[str, ...] = ()) -> Engine:
        """Start an engine."""
        engine = Engine(self.directory / "engine", *options, version=self._version)
        engine.environment = environment
        self._engine = self._ends.enter_context(engine)
        return engine

    def start_broker(self, partitions: int) -> None:
        """Start a broker of Kafka's protocol in place of Redis, with the source's topic."""
        self._broker = self._ends.enter_context(KafkaBroker(self.directory / "broker"))
        self._broker.create(SOURCE, partitions)

    def way(self, port: int = 0) -> Line:
        """A way to a port; by default, to the engine's."""
        return self._ends.enter_context(Line(port or self.engine.port))

    def environment(self, **options: Any) -> dict[str, str]:
        """See `Stage.environment`; with a relay, apps have neither a key nor the gateway's URL."""
        environment = super().environment(**options)
        if "relay" in options:
            for name in _RELAYED:
                environment.pop(f"RUDDER_{name.upper()}")
        return environment

    def start_plain(self, *command: str, **environment: str) -> Process:
        """Start a program that is no app."""
        process = Process([*command], {**self.environment(), **environment}, self.directory)
        self._processes.append(process)
        return process

    def produce(
        self,
        name: str,
        *,
        count: int = 0,
        users: int = 10,
        seconds_between: float = 0.0,
        size: int = 100,
        way: Line | None = None,
        query: str = "",
        **options: Any,
    ) -> Producer:
        """Start an app.

        Args:
            name: Its events begin with it.
            count: How many events it logs; 0: until it is told to stop.
            users: Whose they are, by turns.
            seconds_between: Its pauses.
            size: Bytes that each event has more than it needs.
            way: To the engine; by default one of its own.
            query: Of the URL.
            **options: The handler's.
        """
        process = self.start(
            *("-m", "tests.faults.relays.producer"),
            *map(str, (name, count, users, seconds_between, size)),
            **{"relay": self._url(way) + query, "source": SOURCE, **options},
        )
        durable = str(options.get("queue", "")).startswith("file:")
        journal = Journal(self.directory / f"{name}.journal", durable=durable)
        stop = None if count else self.directory / f"{name}.stop"
        producer = Producer(process, journal, stop)
        self.producers[name] = producer
        return producer

    def kill_producer(self, producer: Producer) -> None:
        """SIGKILL."""
        producer.process.signal(signal.SIGKILL)
        producer.process.wait(-signal.SIGKILL)
        producer.journal.killed = True
        self._doubtful |= producer.journal.in_doubt

    def kill_engine(self) -> None:
        """SIGKILL."""
        with self.fault():
            self.engine.kill()

    def relay(
        self, *words: str, way: Line | None = None, gateway: Line | None = None, **variables: str
    ) -> Relay:
        """Start a relay.

        Args:
            *words: More for its command line.
            way: To the engine; by default one of its own.
            gateway: The way to the data plane; by default there is none between.
            **variables: Of the environment.
        """
        port = gateway.port if gateway else self.plane.port
        process = self.start_plain(
            *(sys.executable, "-m", "rudder_logging", "relay", self._url(way)),
            *("--source", f"{SOURCE}={self.key_file}"),
            *("--data-plane-url", f"http://127.0.0.1:{port}"),
            *words,
            **variables,
        )
        relay = Relay(process, self)
        self.relays.append(relay)
        return relay

    def _url(self, way: Line | None) -> str:
        """The engine's, at the begin of a way. Kafka's has none: it names its own port."""
        if self._broker is not None:
            return self._broker.url(SOURCE)
        return f"redis://127.0.0.1:{(way or self.way()).port}/0"

    # What happens to it.

    @contextlib.contextmanager
    def fault(self) -> Iterator[None]:
        """Note that something is done by which an answer, a lease or an acknowledgement is lost."""
        begin = self.arrivals.seen
        try:
            yield
        finally:
            self._faults.append((begin, self.arrivals.seen))

    def owners(self) -> Counter[str]:
        """How many shards each relay owns, by its id."""
        return self.engine.owners(SOURCE)

    def await_takeover(self, relay: Relay) -> None:
        """Wait until others own all shards, and tell how long that took."""
        began = monotonic()

        def is_done() -> bool:
            owners = self.owners()
            return sum(owners.values()) == SHARDS and not any(map(relay.is_named, owners))

        wait_until(is_done, "others to own all shards")
        self.tell(f"taken over after {monotonic() - began:.1f} s")

    def part(self, way: Line, *, seconds: float, late: bool) -> None:
        """Let nothing through a way for a while.

        Args:
            way: Which.
            seconds: For how long.
            late: Deliver what was sent meanwhile, as networks do; else it is lost with the
                connections.
        """
        begin, before = self.arrivals.seen, way.connections
        way.hold()
        sleep(seconds)
        if not late:
            way.cut()
        way.mend()
        # What was sent by connections that timed out meanwhile may be stored from now on.
        self._faults.append((begin, self.arrivals.seen + way.connections - before))

    def lose_answer(self, way: Line) -> None:
        """Cut a connection in place of an answer to an append, and wait for that."""
        before = way.connections
        way.lose_answers(to=b"EVAL")
        wait_until(lambda: way.connections > before, "another connection")

    def wait_for_words(self, words: str) -> None:
        """Wait until an app has said them."""
        processes = [producer.process for producer in self.producers.values()]
        wait_until(lambda: any(words in process.stderr for process in processes), repr(words))

    def tell(self, words: str) -> None:
        """Have something shown that is not judged."""
        self.told.append(words)

    def doubt(self) -> None:
        """What no producer knows to be stored may be so, and come twice: the engine has lost what
        it knew of that.
        """
        for producer in self.producers.values():
            self._doubtful |= producer.journal.in_doubt

    # What becomes of it.

    def owed(self) -> set[str]:
        """All that has to arrive, of what there is by now."""
        return {one for own in self.producers.values() for one in own.journal.owed}

    def acknowledged(self) -> set[str]:
        """All that the engine has taken so far."""
        return {one for own in self.producers.values() for one in own.journal.acknowledged}

    def waiting(self) -> set[str]:
        """What the engine has taken, and has not arrived."""
        return self.acknowledged() - {arrival.id for arrival in self.arrivals.all}

    def settle(self) -> None:
        """Have all producers end, and all arrive that has to."""
        for producer in self.producers.values():
            producer.stop()
        for producer in self.producers.values():
            if not producer.journal.killed:
                producer.process.wait()
        self.wait_for_all()

    def wait_for_all(self) -> None:
        """Wait until all that is owed by now has arrived."""
        owed = self.owed() - self.engine_lost
        wait_until(lambda: not self.arrivals.lack(owed), "all that is owed")

    def wait_for(self, count: int) -> None:
        """Wait until so many different events have arrived."""
        wait_until(lambda: self.arrivals.count() >= count, f"{count} events")

    def end_relays(self) -> None:
        """Have those that run end, as service managers do."""
        running = [relay for relay in self.relays if relay.runs]
        for relay in running:
            relay.stop()
        for relay in running:
            relay.wait()

    def complaints(self) -> list[str]:
        """What processes have written that none may write."""
        return [
            f"process {process.id} has written a traceback"
            for process in self._processes
            if "Traceback" in process.output
        ]

    def take(self) -> Account:
        """What became of everything."""
        return take_account(
            [producer.journal for producer in self.producers.values()],
            self.arrivals.all,
            faults=self._faults,
            in_flight=_LANES * len(self.relays),
            doubtful=self._doubtful,
            engine_lost=self.engine_lost,
        )
