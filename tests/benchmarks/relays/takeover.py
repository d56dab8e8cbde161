"""How long the shards of a relay that has ended wait for another."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import count
from time import monotonic

from rudder_logging.config import Config
from rudder_logging.relay.look import Looker, open_looker
from rudder_logging.sinks.base import Stored
from rudder_logging.sinks.frames import shard_key, shard_of
from rudder_logging.sinks.opening import open_sink

from ..measures import Values
from .stage import SOURCE, Stage, wait_until
from .traffic import message

__all__ = ["takeover"]

_SHARDS = 16


def _message(n: int, user: str) -> bytes:
    """It as a sink gets it."""
    return message(n, user_id=user)[:-1]


class _Drip:
    """One event of each shard at a time, again and again, put into the engine in a thread."""

    def __init__(self, stage: Stage, every: float) -> None:
        self._stage = stage
        self._every = every
        self._sink = open_sink(Config.load({}, **stage.options()))
        self._users = self._one_a_shard()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.stored: list[tuple[int, int, float]] = []
        """Number of the event, shard, and when it was about to be put there."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
        self._sink.close()

    @staticmethod
    def _one_a_shard() -> list[str]:
        found: dict[int, str] = {}
        for number in count():
            user = f"customer-{number}"
            found.setdefault(shard_of(shard_key(_message(0, user)), _SHARDS), user)
            if len(found) == _SHARDS:
                break
        return [*found.values()]

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            at, first = monotonic(), self._stage.events
            messages = [_message(first + i, user) for i, user in enumerate(self._users)]
            outcome = self._sink.send(messages, None)
            is_stored = isinstance(outcome, Stored)
            if not is_stored:
                raise RuntimeError(f"the engine has not stored it: {outcome}")
            self.stored += [(first + i, i, at) for i in range(len(messages))]
            self._stage.events += len(messages)


def takeover(stage: Stage, *, kill: bool) -> tuple[Values, Sequence[str]]:
    """Seconds after one of two relays has ended until all shards flow again.

    Args:
        stage: Where.
        kill: By SIGKILL instead of SIGTERM.
    """
    drip = _Drip(stage, every=0.05)
    looker = open_looker(stage.url, 5.0)
    with contextlib.closing(looker), stage.relay() as first, stage.relay():
        drip.start()
        try:
            wait_until(partial(_share, looker), "a fair share of each relay")
            ended_at = monotonic()
            first.send(signal.SIGKILL if kill else signal.SIGTERM)
            first.process.wait()
            flows = _Flows(stage, drip, ended_at)
            wait_until(flows.all_do, "the shards of the relay that has ended", every=0.5)
        finally:
            drip.end()
        stage.wait_until_empty()
    # An upload that was in flight when its relay was killed is rightly sent again.
    wrong = stage.receipt(doubles=not kill)
    return {"seconds": flows.since(), "events": stage.events}, wrong


def _share(looker: Looker) -> bool:
    """Each of two relays has half of the shards."""
    owned = Counter(looker.look(SOURCE).owners.values())
    return sorted(owned.values()) == [_SHARDS // 2] * 2


class _Flows:
    """Which shards flow again: an event of theirs has arrived that was stored since."""

    def __init__(self, stage: Stage, drip: _Drip, ended_at: float) -> None:
        self._stage = stage
        self._drip = drip
        self._ended_at = ended_at
        self._first: dict[int, float] = {}

    def all_do(self) -> bool:
        """All of them."""
        arrived = dict(map(tuple, self._stage.sink.control.ask("arrivals")))
        for n, shard, at in list(self._drip.stored):
            if at > self._ended_at and n in arrived:
                self._first.setdefault(shard, arrived[n])
        return len(self._first) == _SHARDS

    def since(self) -> float:
        """Seconds from the end of the relay to the last shard's first event."""
        return max(self._first.values()) - self._ended_at
