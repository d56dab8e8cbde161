"""Apps, relays and Redis are killed, stopped and cut off at random."""

from __future__ import annotations

import random
import sys
from time import monotonic, sleep

from .engine import ALWAYS
from .stage import Producer, Relay, RelayStage

__all__ = ["Mix", "mix"]

_RELAYS = 2
_DURABLE, _IN_MEMORY = ("d0", "d1"), ("m0", "m1")
_LONGEST_SILENCE = 4.0
"""Seconds; the gateway's answers may be lost by longer ones, and a lease by three of these."""


class Mix:
    """Does one bad thing after another, and keeps up the number of apps and relays.

    Args:
        stage: Where.
        seed: What happens follows from it, but for the moments.
        seconds_between: Of each app, between two events.
        calm: Seconds between two of these things, at the most.
        spared: Relays besides, to which nothing is done.
    """

    def __init__(
        self,
        stage: RelayStage,
        seed: int,
        *,
        seconds_between: float = 0.005,
        calm: float = 2.0,
        spared: int = 0,
    ) -> None:
        self._stage = stage
        self._chance = random.Random(seed)
        self._seconds_between, self._calm = seconds_between, calm
        self._apps: dict[str, Producer] = {}
        self._spared = spared
        self.doing = "nothing"

    def begin(self) -> None:
        """Start everything, and see events arrive."""
        stage = self._stage
        stage.start_engine(*ALWAYS)
        self._gateway, self._way = stage.way(stage.plane.port), stage.way()
        for _ in range(self._spared + _RELAYS):
            self._start_relay()
        for name in (*_DURABLE, *_IN_MEMORY):
            self._start_app(name, name)
        stage.wait_for(100)

    def go_on(self, seconds: float) -> None:
        """Do bad things for so long."""
        doings = (
            self._replace_app,
            self._replace_relay,
            self._freeze_relay,
            self._restart_engine,
            self._part,
            self._cut,
        )
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            doing = self._chance.choice(doings)
            self.doing = doing.__name__.strip("_")
            doing()
            self.doing = "nothing"
            sleep(self._chance.uniform(0, self._calm))

    def end(self) -> None:
        """Have all go on, and all that is owed arrive."""
        for relay in self._stage.relays:
            if relay.is_stopped:
                relay.thaw()
        for name in _DURABLE:
            self._apps[name].end()
            self._start_app(name, f"{name}.last", count=1)
        self._stage.settle()

    @property
    def spared(self) -> list[Relay]:
        """Relays to which nothing is done."""
        return self._stage.relays[: self._spared]

    @property
    def _relays(self) -> list[Relay]:
        """The others that run."""
        return [relay for relay in self._stage.relays[self._spared :] if relay.runs]

    def _start_relay(self) -> None:
        self._stage.relay("--timeout", "3", way=self._way, gateway=self._gateway)

    def _start_app(self, line: str, name: str, count: int = 0) -> None:
        """Start an app; those of a line share a spool, one after the other."""
        spool = f"file://{self._stage.directory / line}"
        self._apps[line] = self._stage.produce(
            name,
            way=self._way,
            queue=spool if line in _DURABLE else "memory://",
            count=count,
            users=20,
            seconds_between=self._seconds_between,
        )

    def _replace_app(self) -> None:
        line = self._chance.choice([*self._apps])
        self._stage.kill_producer(self._apps[line])
        self._start_app(line, f"{line}.{len(self._stage.producers)}")

    def _replace_relay(self) -> None:
        relay = self._chance.choice(self._relays)
        self._chance.choice((relay.kill, relay.kill, relay.end))()
        self._start_relay()

    def _freeze_relay(self) -> None:
        """And the next time, have it go on."""
        frozen = [relay for relay in self._relays if relay.is_stopped]
        if frozen:
            frozen[0].thaw()
        else:
            self._chance.choice(self._relays).freeze()

    def _restart_engine(self) -> None:
        self._stage.kill_engine()
        sleep(self._chance.uniform(0, 1))
        self._stage.engine.start()

    def _part(self) -> None:
        way = self._chance.choice((self._way, self._gateway))
        self._stage.part(way, seconds=self._chance.uniform(0, _LONGEST_SILENCE), late=True)

    def _cut(self) -> None:
        self._stage.part(self._chance.choice((self._way, self._gateway)), seconds=0, late=False)


def mix(stage: RelayStage, *, seconds: float = 30.0, seed: int | None = None) -> None:
    """See above."""
    seed = random.randrange(10**6) if seed is None else seed
    stage.tell(f"seed {seed}")
    sys.stderr.write(f"seed {seed}\n")
    chaos = Mix(stage, seed)
    chaos.begin()
    chaos.go_on(seconds)
    chaos.end()
