"""Any sequence of events, faults, waits and reconfigurations: what holds in all of them.

Hypothesis draws the sequences; a data plane on a real socket takes what comes of them.
`pytest --hypothesis-profile=long tests/test_state_machine.py` tries thousands more, and others each
time.
"""

from __future__ import annotations

import logging
import logging.config
import tempfile
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.retry import RetryPolicy

from .accounts import Account, Arrivals, check_nothing_new
from .conftest import WRITE_KEY, examples
from .driver import Driver

pytestmark = pytest.mark.slow

POLICY = RetryPolicy(base=0.002, cap=0.01, retry_after_cap=0.01, probe_base=0.01, probe_cap=0.02)
"""Waits that a test can bear."""

SECONDS_TO_HEAL = 20.0

ANSWERS: list[tuple[int, str | None]] = [
    (503, None),
    (502, ""),
    (429, None),
    (500, None),
    (400, "some proxy's words"),
    (400, None),
    (401, None),
    (404, None),
    (404, "404 page not found"),
]
DATABASE = (500, "pq: deadlock detected")
"""After some of it, batches are searched for the event that provokes it."""

COUNTS = st.sampled_from([0, 1, 3, 30])


class Faults(RuleBasedStateMachine):
    """What a server, or the way to it, does to its clients."""

    plane: LocalDataPlane

    def __init__(self) -> None:
        super().__init__()
        self.plane.clear()
        self.with_database = False

    @initialize(with_database=st.sampled_from([False, False, True]))
    def choose(self, *, with_database: bool) -> None:
        """Whether the server's database is to fail; then less can be said of order."""
        self.with_database = with_database

    @rule(answer=st.sampled_from(ANSWERS), times=st.integers(1, 6), count=COUNTS)
    def answer(self, answer: tuple[int, str | None], times: int, count: int) -> None:
        """The next requests are answered otherwise."""
        self.plane.fail(answer[0], times=times, text=answer[1])
        self.burst(count)

    @rule(times=st.integers(1, 3), accepted=st.booleans(), count=COUNTS)
    def cut(self, times: int, count: int, *, accepted: bool) -> None:
        """The next requests are cut, with the events stored or not."""
        self.plane.cut(accepted=accepted, times=times)
        self.burst(count)

    @precondition(lambda self: self.with_database)
    @rule(times=st.integers(1, 12), count=COUNTS)
    def database_fails(self, times: int, count: int) -> None:
        """The next requests provoke the database's own words."""
        self.plane.fail(DATABASE[0], times=times, text=DATABASE[1])
        self.burst(count)

    def burst(self, count: int) -> None:
        """Log so many events."""
        raise NotImplementedError

    @rule(seconds=st.sampled_from([0.0, 0.005, 0.02]))
    def latency(self, seconds: float) -> None:
        """Answers take longer."""
        self.plane.latency = seconds

    @rule(enabled=st.booleans())
    def source(self, *, enabled: bool) -> None:
        """The source is disabled, or enabled again."""
        self.plane.source_enabled = enabled

    @rule(size=st.sampled_from([200, 1_500, 4_096_000]))
    def limit(self, size: int) -> None:
        """The server takes only so much at once: not one event, a few, or all."""
        self.plane.max_request_bytes = size

    @rule()
    def heal(self) -> None:
        """Everything is well again."""
        self.plane.heal()


class HandlerMachine(Faults):
    """An app that logs, flushes, closes and reconfigures, in this process."""

    queue: ClassVar[str] = "memory://"
    """The option; `{folder}` becomes a directory of the example's own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.logger = logging.getLogger("state machine")
        self.made: list[tuple[RudderHandler, Account]] = []
        self.next_number = 0

    @property
    def handler(self) -> RudderHandler:
        """The one that is wired."""
        return self.made[-1][0]

    @property
    def account(self) -> Account:
        """What it was given."""
        return self.made[-1][1]

    @initialize(
        size=st.sampled_from([5, 10_000]),
        overflow=st.sampled_from(["drop_new", "drop_old", "block"]),
        upload_size=st.sampled_from([1, 5, 100]),
        interval=st.sampled_from([0, 0.01, 60]),
        retries=st.sampled_from([None, None, 2]),
    )
    def configure(self, **options: Any) -> None:
        """The app begins with some options."""
        self._wire(options, by_dict=False)

    @precondition(lambda self: self.account.logged)
    @rule(
        size=st.sampled_from([5, 10_000]),
        overflow=st.sampled_from(["drop_new", "drop_old", "block"]),
        upload_size=st.sampled_from([1, 5, 100]),
        interval=st.sampled_from([0, 0.01, 60]),
        retries=st.sampled_from([None, None, 2]),
        by_dict=st.booleans(),
    )
    def reconfigure(self, *, by_dict: bool, **options: Any) -> None:
        """A new handler takes the place of the old one, which is closed."""
        self._wire(options, by_dict=by_dict)

    def _wire(self, drawn: dict[str, Any], *, by_dict: bool) -> None:
        account = Account()
        options = {
            "write_key": WRITE_KEY,
            "data_plane_url": self.plane.url,
            "queue": self.queue.format(folder=f"{self.folder.name}/{len(self.made)}"),
            "max_queue_size": drawn["size"],
            "overflow": drawn["overflow"],
            "block_timeout": 0.01,
            "upload_size": drawn["upload_size"],
            "upload_interval": drawn["interval"],
            "max_retries": drawn["retries"],
            "shutdown_timeout": 0.05,
            "on_drop": account.on_drop,
        }
        if by_dict:
            entry = {"class": "rudder_logging.RudderHandler", **options}
            logging.config.dictConfig(
                {
                    "version": 1,
                    "disable_existing_loggers": False,
                    "handlers": {"rudder": entry},
                    "loggers": {self.logger.name: {"level": "INFO", "handlers": ["rudder"]}},
                }
            )
            (handler,) = self.logger.handlers
        else:
            handler = RudderHandler(**options)
            self.logger.setLevel(logging.INFO)
            for old in list(self.logger.handlers):
                self.logger.removeHandler(old)
                old.close()
            self.logger.addHandler(handler)
        self.logger.propagate = False
        assert isinstance(handler, RudderHandler)
        handler._listener._sender._policy = RetryPolicy(
            **{**vars(POLICY), "max_retries": drawn["retries"]}
        )
        self.made.append((handler, account))

    @rule()
    def log(self) -> None:
        """The app logs an event."""
        self.account.logged.append(self.next_number)
        event = {"user_id": "u", "properties": {"n": self.next_number}}
        self.logger.info("event", extra={"rudder": event})
        self.next_number += 1

    @rule(count=st.integers(2, 30))
    def burst(self, count: int) -> None:
        """The app logs many, perhaps more than the queue holds."""
        for _ in range(count):
            self.log()

    @rule(count=st.integers(1, 30))
    def burst_under_way(self, count: int) -> None:
        """It goes on while they are being sent."""
        self.burst(count)
        self.handler.flush(0)
        self.burst(count)

    @rule(event=st.sampled_from([{}, {"user_id": True}, {"user_id": "u", "typ": 1}, "text", 5]))
    def log_invalid(self, event: Any) -> None:
        """The app logs what can't be an event."""
        self.account.invalid += 1
        self.logger.info("event", extra={"rudder": event})

    @rule(timeout=st.sampled_from([0, 0.02, 0.2]))
    def flush(self, timeout: float) -> None:
        """If flush says so, all that was logged is settled."""
        if self.handler.flush(timeout):
            arrived = {event["properties"]["n"] for event in self.plane.events}
            assert set(self.account.logged) <= arrived | self.account.dropped

    @rule()
    def close(self) -> None:
        """The handler is closed; the next event opens it again."""
        self.handler.close()

    @precondition(lambda self: self.made)
    @invariant()
    def nothing_vanishes(self) -> None:
        """Each handler's ledger balances, and agrees with what was logged and what arrived."""
        for handler, account in self.made:
            account.check_underway(handler.stats(), self.plane)

    def teardown(self) -> None:
        """Once the server is well, everything arrives that was not dropped, in order."""
        try:
            self.plane.heal()
            for handler, account in self.made:
                assert handler.flush(SECONDS_TO_HEAL), handler.stats()
                arrivals = Arrivals(self.plane)
                account.check_settled(handler.stats(), arrivals)
                account.check_order(arrivals)
            check_nothing_new([account for _, account in self.made], Arrivals(self.plane))
        finally:
            for handler, _account in self.made:
                self.logger.removeHandler(handler)
                handler._listener.finish(0)
            self.folder.cleanup()


class DriverMachine(Faults):
    """An app in a process of its own, which ends now and then: by itself, or killed."""

    queue: ClassVar[str] = "memory://"
    """The option; `{folder}` becomes a directory of the example's own."""
    durable: ClassVar[bool] = False
    """Whether the queue outlives the process. If not, it is only ended when it holds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.driver = Driver(
            write_key=WRITE_KEY,
            data_plane_url=self.plane.url,
            queue=self.queue.format(folder=self.folder.name),
            upload_interval=0.01,
            shutdown_timeout=0.2,
        )
        self.driver.start()
        self.account = Account()
        self.ends: list[int] = []

    @rule(count=st.integers(1, 100))
    def burst(self, count: int) -> None:
        """The app logs events."""
        first = len(self.account.logged)
        self.driver.log(first, count)
        self.account.logged += range(first, first + count)

    @rule(timeout=st.sampled_from([0, 0.02, 0.2]))
    def flush(self, timeout: float) -> None:
        """If flush says so, all that was logged is settled."""
        if self.driver.flush(timeout):
            self._check_arrived()

    def _check_arrived(self) -> None:
        self.account.drops = list(self.driver.drops)
        arrived = {event["properties"]["n"] for event in self.plane.events}
        assert set(self.account.logged) <= arrived | self.account.dropped

    @rule()
    def close(self) -> None:
        """The handler is closed; the next event opens it again."""
        self._let_go()
        self.driver.close()

    @rule()
    def end(self) -> None:
        """The process ends, and another takes its place."""
        self._let_go()
        assert self.driver.exit() == 0
        self._start_another()

    @rule()
    def kill(self) -> None:
        """The process is killed, and another takes its place."""
        self._let_go()
        self.driver.kill()
        self._start_another()

    def _start_another(self) -> None:
        self.ends.append(len(self.plane.requests))
        self.driver.start()

    def _let_go(self) -> None:
        if not self.durable:
            self.plane.heal()
            assert self.driver.flush(SECONDS_TO_HEAL)

    @invariant()
    def ledger_balances(self) -> None:
        """The process's own ledger balances."""
        assert self.driver.stats()["balanced"]

    def teardown(self) -> None:
        """Once the server is well, all that was ever logged has arrived or was told."""
        try:
            self.plane.heal()
            assert self.driver.flush(SECONDS_TO_HEAL), self.driver.stats()
            self._check_arrived()
            arrivals = Arrivals(self.plane)
            self.account.check_order(arrivals)
            check_nothing_new([self.account], arrivals, self.ends)
        finally:
            self.driver.kill()
            self.folder.cleanup()


class DurableHandlerMachine(HandlerMachine):
    """The same with events on the disk."""

    queue = "file://{folder}"


class CrampedHandlerMachine(HandlerMachine):
    """The same on a disk that has room for a few events only."""

    queue = "file://{folder}?max_bytes=4000"


class DurableDriverMachine(DriverMachine):
    """What one process leaves on the disk when it ends or is killed, the next one delivers."""

    queue = "file://{folder}/spool"
    durable = True


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is wrong is told by the thousand here; the checks do not read it."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger = logging.getLogger("rudder_logging")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


def run(machine: type[Faults], plane: LocalDataPlane, share: float, steps: int) -> None:
    """Try a machine on sequences of so many steps."""
    bound = type(machine.__name__, (machine,), {"plane": plane})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=examples(share),
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(5 * examples(1.0))
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("machine", [HandlerMachine, DurableHandlerMachine, CrampedHandlerMachine])
def test_whatever_happens_every_event_is_accounted_for(
    plane: LocalDataPlane, machine: type[HandlerMachine]
) -> None:
    """Events are delivered or told as dropped, by id, in order, and twice only if an answer was
    lost, whatever the server, the network and the app's configuration do meanwhile.
    """
    run(machine, plane, 1.0 if machine is HandlerMachine else 0.5, 40)


@pytest.mark.timeout(5 * examples(1.0))
@pytest.mark.parametrize("machine", [DriverMachine, DurableDriverMachine])
def test_whatever_happens_to_the_process_every_event_is_accounted_for(
    plane: LocalDataPlane, machine: type[DriverMachine]
) -> None:
    """The same across the ends of processes, as far as the queue outlives them."""
    run(machine, plane, 0.2 if machine.durable else 0.05, 20)
