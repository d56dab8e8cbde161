"""A feed: a source, the lanes that empty it, and what is known of how that goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from ..common.clock import monotonic
from ..common.telling import place_of_error
from ..config import Config
from ..sinks import Sink, open_sink
from ..sinks.base import Failure
from . import naming
from .accounts import Latencies, SharedLedger, SharedReports
from .engine_trouble import EngineTrouble
from .keys import WriteKey
from .lag_reader import LagReader
from .lanes import Lane
from .source import Source
from .turns import Turns

__all__ = ["Feed"]

_log = logging.getLogger("rudder_logging")
_SECONDS_BETWEEN_BUGS = 10.0
_IDLES = "there are more relays than shards, so this one is idle; it goes on when another one stops"
_IDLES_NO_MORE = "this relay is idle no more"


class Feed:
    """One source's way through the relay, in several lanes.

    Args:
        name: The source's.
        config: The gateway, and how it is reached.
        key: The source's write key.
        open_source: Makes the source, with this as its observer.
        lanes: Uploads at the same time, at the most.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        key: WriteKey,
        open_source: Callable[[Feed], Source],
        *,
        lanes: int,
    ) -> None:
        self.name = name
        self.key = key
        self.timeout = config.timeout
        self._config = config
        self.ledger = SharedLedger()
        self.latencies = Latencies()
        self.turns = Turns(lambda: self.reports.is_stuck)
        self.reports = SharedReports(
            self.ledger,
            dead_letter=config.dead_letter,
            waiting=lambda: self.lag_reader.known.events,
            resumed=self.turns.end_waits,
        )
        self.engine = EngineTrouble()
        self.is_stopped = False
        self.is_idle = False
        """True if there are more relays than shards, and this one has none."""
        self.shards = 0
        """Shards that are this relay's."""
        self.has_looked = False
        """True once it is known which shards are this relay's."""
        self.lease_changes = 0
        """Shards that it has got or given so far."""
        self.lanes_replaced = 0
        self.settled_at = monotonic()
        """The time at which an event was settled last."""
        self.waiting_since: float | None = None
        """The time since which there are events to be delivered; None: there are none. Lanes may
        give them back unsettled, and take them again."""
        self._counting = threading.Lock()
        self._told_of_bug_at = float("-inf")
        self.source = open_source(self)  # it may tell something at once
        self.lag_reader = LagReader(self.source, name)
        self.lanes = [Lane(self, number) for number in range(1, lanes + 1)]

    # What the process says.

    def start(self) -> None:
        """Begin to deliver."""
        for lane in self.lanes:
            lane.start()

    def tend(self) -> None:
        """Replace lanes whose thread has died."""
        for at, lane in enumerate(self.lanes):
            if not lane.is_alive and not self.is_stopped:
                self.ledger.count_restart()
                self.lanes_replaced += 1
                with naming.about(self.name):
                    _log.error("a lane's thread has died; another takes its place")
                self.lanes[at] = Lane(self, at + 1)
                self.lanes[at].start()

    def renew_key(self) -> None:
        """Read the key again, and try at once whatever waits."""
        with naming.about(self.name):
            self.key.look_again()
        self.turns.end_waits()

    def stop(self) -> None:
        """Take nothing more; uploads that run come to their end."""
        self.is_stopped = True
        self.turns.look()
        self.source.stop()

    def finish(self, deadline: float) -> int:
        """Wait for the lanes, then let go of the source. Returns how many have not ended."""
        running = 0
        for lane in self.lanes:
            running += not lane.join(max(0.0, deadline - monotonic()))
        self.source.close()
        with naming.about(self.name):
            self.reports.final_lines()
        return running

    # What is asked.

    @property
    def is_busy(self) -> bool:
        """True if a lane has events that are not settled."""
        return any(lane.busy_since is not None for lane in self.lanes)

    @property
    def is_held(self) -> bool:
        """True if events wait for somebody to mend a configuration fault."""
        return self.ledger.holding is not None or self.engine.is_held

    # What lanes say: see the protocol `Shared`.

    def make_sink(self, key: str) -> Sink:
        """See `Shared.make_sink`."""
        return open_sink(replace(self._config, write_key=key), keeps=True)

    def taken(self, *, found: bool) -> None:
        """See `Shared.taken`."""
        self.has_looked = self.has_looked or self.engine.was_well
        if not found:
            if not self.is_busy:
                self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = monotonic()

    def settled(self) -> None:
        """See `Shared.settled`."""
        self.settled_at = monotonic()

    def bug(self, error: Exception) -> None:
        """See `Shared.bug`. Not with each event."""
        now = monotonic()  # and not the error's text, which might quote one
        if now - self._told_of_bug_at >= _SECONDS_BETWEEN_BUGS:
            self._told_of_bug_at = now
            _log.error("delivery failed with %s at %s", type(error).__name__, place_of_error(error))

    # What the source says: see the protocol `Observer`.

    def leases_changed(self, gained: int, lost: int) -> None:
        """See `Observer.leases_changed`."""
        with self._counting:
            self.lease_changes += gained + lost
            self.shards += gained - lost
        self.has_looked = True
        if lost:
            self.turns.look()

    def idles(self, is_idle: bool) -> None:
        """See `Observer.idles`."""
        self.has_looked = True
        if is_idle == self.is_idle:
            return
        self.is_idle = is_idle
        with naming.about(self.name):
            _log.warning("%s", _IDLES if is_idle else _IDLES_NO_MORE)

    def dropped(self, number: int, reason: str) -> None:
        """See `Observer.dropped`."""
        self.ledger.count_dropped(number, reason)
        with naming.about(self.name):
            self.reports.drop_line()

    def failing(self, failure: Failure) -> None:
        """See `Observer.failing`."""
        with naming.about(self.name):
            self.engine.failing(failure)

    def well(self) -> None:
        """See `Observer.well`."""
        with naming.about(self.name):
            self.engine.well()
