"""A topic of Kafka's between apps and relays, each a process of its own, some of them killed."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
import requests

from rudder_logging import RudderHandler
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane

from ..cli.command import environment
from ..conftest import WRITE_KEY
from ..engines.kafka import NEEDS_KAFKA, KafkaBroker
from ..engines.redis import PATIENCE, free_port, wait_until

pytestmark = [NEEDS_KAFKA, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
USERS = 10
QUICK = "session.timeout.ms=6000"  # a broker's usual minimum

APP = """
import logging, sys
from rudder_logging import RudderHandler

handler = RudderHandler(relay=sys.argv[1], source="shop", upload_interval=0)
shop = logging.getLogger("shop")
shop.addHandler(handler)
shop.setLevel("INFO")
for number in range(100_000):
    fields = {"user_id": f"u{number % 10}", "properties": {"n": number}}
    shop.info("Bought", extra={"rudder": fields})
    if number % 50 == 49:
        handler.flush(60)
        print(handler.stats().delivered, flush=True)
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """One with a topic of eight partitions."""
    with KafkaBroker(tmp_path / "kafka") as broker:
        broker.create("rudder-shop", 8)
        yield broker


@pytest.fixture
def shop(broker: KafkaBroker) -> Iterator[logging.Logger]:
    """A logger whose events go to the broker."""
    handler = RudderHandler(relay=broker.url(), source="shop", upload_interval=0)
    logger = logging.getLogger("tests.kafka.shop")
    logger.setLevel("INFO")
    logger.addHandler(handler)
    try:
        yield logger
        assert handler.flush(PATIENCE)
    finally:
        logger.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def relaying(
    broker: KafkaBroker, plane: LocalDataPlane, *flags: str, query: str = QUICK
) -> Iterator[subprocess.Popen[str]]:
    """The relay of one source, in a process of its own."""
    command = [sys.executable, "-m", "rudder_logging", "relay", broker.url(query=query)]
    with subprocess.Popen(
        [*command, "--source", "shop", "--data-plane-url", plane.url, *flags],
        cwd=ROOT,
        env=environment(None, RUDDER_WRITE_KEY=WRITE_KEY),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_from_a_log_call_to_the_gateway(
    broker: KafkaBroker, plane: LocalDataPlane, shop: logging.Logger
) -> None:
    """Two options in the app and one command: each event arrives once, each user's in order.

    A relay that is stopped, or has drained the topic, leaves nothing to come twice.
    """
    with relaying(broker, plane) as relay:
        _log(shop, range(300))
        plane.wait_for(300, PATIENCE)
        relay.send_signal(signal.SIGTERM)
        said, _ = relay.communicate(timeout=PATIENCE)
    assert relay.returncode == ExitCode.OK
    assert said.startswith("shop: 300 delivered")
    _log(shop, range(300, 350))
    with relaying(broker, plane, "--drain") as relay:
        said, _ = relay.communicate(timeout=PATIENCE)
    assert relay.returncode == ExitCode.OK
    assert said.startswith("shop: 50 delivered")
    _expect(plane, 350)
    assert len(plane.events) == 350


def test_a_killed_relay_has_an_heir(
    broker: KafkaBroker, plane: LocalDataPlane, shop: logging.Logger
) -> None:
    """Of what was on its way with it some comes twice; nothing is lost, or out of order."""
    with relaying(broker, plane) as first, relaying(broker, plane):
        _log(shop, range(200))
        plane.wait_for(100, PATIENCE)
        first.kill()
        _log(shop, range(200, 400))
        _wait_for(plane, 400)
    _expect(plane, 400)


def test_a_relay_that_stood_still_settles_nothing_of_its_heirs(
    broker: KafkaBroker, plane: LocalDataPlane, shop: logging.Logger
) -> None:
    """Longer than a session: others have its partitions by then, and it joins anew."""
    with relaying(broker, plane) as first:
        _log(shop, range(100))
        plane.wait_for(100, PATIENCE)
        first.send_signal(signal.SIGSTOP)
        with relaying(broker, plane) as second:
            _log(shop, range(100, 200))
            _wait_for(plane, 200)
            first.send_signal(signal.SIGCONT)
            _log(shop, range(200, 300))
            _wait_for(plane, 300)
            for relay in (second, first):
                relay.send_signal(signal.SIGTERM)
                relay.communicate(timeout=PATIENCE)
                assert relay.returncode == ExitCode.OK
    _expect(plane, 300)


def test_relays_that_come_and_go_double_nothing(
    broker: KafkaBroker, plane: LocalDataPlane, shop: logging.Logger
) -> None:
    """Under load, with a slow gateway: what is in flight is finished before it is handed over."""
    plane.latency = 0.1
    with relaying(broker, plane) as first:
        _log(shop, range(200))
        plane.wait_for(50, PATIENCE)
        port = free_port()
        with relaying(broker, plane, "--metrics", f"127.0.0.1:{port}"):
            logged = 200
            # This broker forgets who is still joining when another leaves.
            while not _leases(port):
                _log(shop, range(logged, logged + 20))
                logged += 20
                sleep(0.1)
            first.send_signal(signal.SIGTERM)
            first.communicate(timeout=PATIENCE)
            _log(shop, range(logged, logged + 100))
            _wait_for(plane, logged + 100)
    _expect(plane, logged + 100)
    assert len(plane.events) == logged + 100


def test_a_broker_that_stands_still_holds_up_both_sides(
    broker: KafkaBroker, plane: LocalDataPlane, shop: logging.Logger
) -> None:
    """Apps keep what they can't send, and the relay what it can't commit."""
    with relaying(broker, plane, query=f"{QUICK}&socket.timeout.ms=2000"):
        _log(shop, range(100))
        plane.wait_for(100, PATIENCE)
        broker.pause()
        _log(shop, range(100, 200))
        sleep(8)  # longer than the session
        broker.resume()
        _wait_for(plane, 200)
    _expect(plane, 200)


def test_what_a_killed_app_had_acknowledged_arrives(
    broker: KafkaBroker, plane: LocalDataPlane
) -> None:
    """Killed at any moment: what its ledger calls delivered is in the topic."""
    with subprocess.Popen(
        [sys.executable, "-c", APP, broker.url()],
        cwd=ROOT,
        env=environment(None),
        stdout=subprocess.PIPE,
        text=True,
    ) as app:
        assert app.stdout is not None
        try:
            lines = [app.stdout.readline() for _ in range(6)]
        finally:
            app.kill()
        acknowledged = int([*lines, *app.stdout.read().splitlines()][-1])
    with relaying(broker, plane, "--drain") as relay:
        relay.communicate(timeout=PATIENCE)
    arrived = _expect(plane)
    assert set(range(acknowledged)) <= arrived
    assert len(plane.events) == len(arrived)


def _log(shop: logging.Logger, numbers: range) -> None:
    for number in numbers:
        fields = {"user_id": f"u{number % USERS}", "properties": {"n": number}}
        shop.info("Bought", extra={"rudder": fields})


def _leases(port: int) -> float:
    """Partitions that a relay has got or given so far."""
    with contextlib.suppress(requests.ConnectionError):
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE).text
        found = re.search(r"^rudder_relay_lease_changes_total\{.*\} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0
    return 0.0


def _wait_for(plane: LocalDataPlane, count: int) -> None:
    wait_until(
        lambda: len({event["messageId"] for event in plane.events}) >= count,
        f"{count} events to arrive",
    )


def _expect(plane: LocalDataPlane, count: int | None = None) -> set[int]:
    """See that all have arrived, by id, and each user's first arrivals in order."""
    orders: dict[str, list[int]] = defaultdict(list)
    seen = set()
    for event in plane.events:
        if event["messageId"] not in seen:
            seen.add(event["messageId"])
            orders[event["userId"]].append(event["properties"]["n"])
    arrived = {event["properties"]["n"] for event in plane.events}
    if count is not None:
        assert arrived == set(range(count))
    assert {user: order for user, order in orders.items() if order != sorted(order)} == {}
    return arrived
