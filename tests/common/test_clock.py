"""Frozen clocks: an app's tests may stop the time, and nothing of ours stops with it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from freezegun import freeze_time

import rudder_logging
from rudder_logging.common import clock
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from ..testing.test_pytest_plugin import OWN

pytestmark = pytest.mark.slow

PACKAGE = Path(rudder_logging.__file__).parent

pytest_plugins = ["pytester"]

FROZEN = """
import asyncio, logging, threading, time
import pytest
from freezegun import freeze_time
import rudder_logging
from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane

pytestmark = pytest.mark.rudder_unchecked

@pytest.fixture
def frozen():
    with freeze_time("2020-02-02 12:00:00"):
        assert time.monotonic() == time.monotonic()
        yield

def handler_to(plane, **options):
    return RudderHandler(plane.write_key, plane.url, **options)

def log(handler, name="Read"):
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        logger.info(name, extra={"rudder": {"user_id": "u"}})
    finally:
        logger.removeHandler(handler)

def test_flush(frozen, rudder_data_plane):
    handler = handler_to(rudder_data_plane, upload_interval=60)
    log(handler)
    assert handler.flush(20)
    (event,) = rudder_data_plane.wait_for(1)
    assert event["originalTimestamp"] == "2020-02-02T12:00:00.000Z"
    handler.close()

def test_uploads_by_interval(frozen, rudder_data_plane):
    handler = handler_to(rudder_data_plane)
    for number in (1, 2, 3):  # the first could leave with the listener's start
        log(handler)
        rudder_data_plane.wait_for(number)
    handler.close()

def test_what_can_t_be_delivered(frozen, rudder_data_plane):
    rudder_data_plane.hang(times=None)
    handler = handler_to(rudder_data_plane, timeout=0.3, shutdown_timeout=0.5)
    log(handler)
    assert not handler.flush(0.5)
    handler.close()
    rudder_data_plane.heal()
    assert handler.flush(20)

def test_a_full_queue(frozen, rudder_data_plane):
    rudder_data_plane.fail(503, times=None)
    handler = handler_to(rudder_data_plane, max_queue_size=1, overflow="block",
                         block_timeout=0.2, shutdown_timeout=0)
    log(handler)
    log(handler)
    assert handler.stats().dropped == {"queue_full": 1}
    rudder_data_plane.heal()
    assert handler.flush(20)

def test_the_durable_queue(frozen, tmp_path, rudder_data_plane):
    handler = handler_to(rudder_data_plane, queue=f"file://{tmp_path}/spool")
    for number in (1, 2, 3):
        log(handler)
        rudder_data_plane.wait_for(number)
    handler.close()

def test_waiting_for_what_does_not_come(frozen, rudder_events, rudder_data_plane):
    with pytest.raises(TimeoutError):
        rudder_events.wait_for(1, timeout=0.2)
    with pytest.raises(TimeoutError):
        rudder_data_plane.wait_for(1, timeout=0.2)
    with pytest.raises(TimeoutError):
        rudder_data_plane.wait_for_requests(1, timeout=0.2)

@freeze_time("2020-02-02", real_asyncio=False)
def test_a_data_planes_whole_life():
    with LocalDataPlane() as plane:
        plane.latency = 0.1
        handler = handler_to(plane)
        log(handler)
        plane.wait_for(1)
        handler.close()

@freeze_time("2020-02-02", tick=True)
def test_a_clock_set_back():
    with LocalDataPlane() as plane:
        handler = handler_to(plane)
        rudder_logging.flush(5)
        log(handler)
        with freeze_time("2010-01-01"):
            log(handler, "Earlier")
        assert handler.flush(20)
        assert [e["originalTimestamp"][:4] for e in plane.events] == ["2020", "2010"]
        handler.close()
"""


def test_nothing_waits_for_ever_while_the_clock_is_frozen(pytester: pytest.Pytester) -> None:
    """What waits comes back in its time, in a run of pytest as users have it."""
    pytester.makepyfile(FROZEN)
    run = pytester.runpytest_subprocess(*OWN, "-q", "-o", "timeout=25", timeout=55)
    run.assert_outcomes(passed=8)


@pytest.fixture
def plane_of_the_suite() -> Iterator[LocalDataPlane]:
    """One whose own process is not frozen."""
    with LocalDataPlane(WRITE_KEY) as plane:
        yield plane


def test_the_package_may_be_imported_while_the_clock_is_frozen(
    plane_of_the_suite: LocalDataPlane,
) -> None:
    """A test that imports it first has it work on, then and afterwards."""
    script = """
        from freezegun import freeze_time
        import logging
        with freeze_time("2020-02-02"):
            from rudder_logging import RudderHandler
            handler = RudderHandler()
            logging.getLogger("app").setLevel(logging.INFO)
            logging.getLogger("app").addHandler(handler)
            logging.getLogger("app").info("Frozen", extra={"rudder": {"user_id": "u"}})
            assert handler.flush(20)
            unreachable = RudderHandler(data_plane_url="http://127.0.0.1:9", shutdown_timeout=0)
            unreachable.accept({"user_id": "u"}, "Frozen", 0.0)
            assert not unreachable.flush(0.3)
        logging.getLogger("app").info("Later", extra={"rudder": {"user_id": "u"}})
    """
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane_of_the_suite.url,
    }
    command = [sys.executable, "-c", textwrap.dedent(script)]
    subprocess.run(command, env=environment, timeout=50, check=True)
    times = [event["originalTimestamp"] for event in plane_of_the_suite.events]
    assert times[0] == "2020-02-02T00:00:00.000Z"
    assert times[1] > "2026"


def test_a_date_to_retry_after_is_no_date_of_a_frozen_clock() -> None:
    """A server means its own time: else the next attempt would be years away."""
    from rudder_logging.sinks.gateway.transport import _retry_after

    with freeze_time("2020-02-02"):
        assert _retry_after("Wed, 01 Jan 2025 00:00:00 GMT") == 0


def test_a_condition_is_waited_for_until_it_is_so_or_the_time_is_over() -> None:
    """With the clock frozen by a real tool."""
    changed = threading.Condition()
    with freeze_time("2020-02-02"), changed:
        assert time.monotonic() == time.monotonic()
        assert clock.wait_until(lambda: True, changed, 0)
        assert not clock.wait_until(lambda: False, changed, 0.05)


def clocks_in(path: Path) -> list[str]:
    """Where a module takes a clock from elsewhere, or waits without an end."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"]
        found += [
            f"{path.name}: {name}"
            for name in names
            if name.removesuffix("_ns") in ("time.monotonic", "time.perf_counter")
        ]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_endless = node.func.attr in ("join", "wait_for") and not (node.args or node.keywords)
            if is_endless:
                found.append(f"{path.name}:{node.lineno}: {node.func.attr}()")
    return found


def test_all_waits_are_on_the_one_clock() -> None:
    """No module asks another for durations, and none joins a thread without a bound."""
    assert [found for path in PACKAGE.rglob("*.py") for found in clocks_in(path)] == []
    assert clocks_in(Path(__file__))
