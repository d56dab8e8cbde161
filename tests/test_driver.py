"""The driver process, which tests kill and start again, keeps its word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane

from .conftest import WRITE_KEY
from .driver import Driver

pytestmark = pytest.mark.slow

Drive = Callable[..., Driver]


@pytest.fixture
def drive(plane: LocalDataPlane) -> Iterator[Drive]:
    """Start driver processes that send to `plane`."""
    started: list[Driver] = []

    def start(**options: Any) -> Driver:
        driver = Driver(write_key=WRITE_KEY, data_plane_url=plane.url, **options)
        started.append(driver)
        driver.start()
        return driver

    yield start
    for driver in started:
        driver.kill()


def numbers(plane: LocalDataPlane) -> list[int]:
    """The numbers of the events that arrived."""
    return [event["properties"]["n"] for event in plane.events]


def test_it_logs_flushes_counts_and_ends(drive: Drive, plane: LocalDataPlane) -> None:
    """What it is told to log arrives, and what it says of it is so."""
    driver = drive(upload_interval=3_600)
    driver.log(0, 3)
    assert numbers(plane) == []
    assert driver.flush(10)
    driver.close()
    assert numbers(plane) == [0, 1, 2]
    driver.log(3)
    stats = driver.stats()
    assert (stats["accepted"], stats["delivered"], stats["pending"]) == (4, 3, 1)
    assert stats["balanced"]
    assert driver.exit() == 0
    assert numbers(plane) == [0, 1, 2, 3]


def test_it_says_that_a_flush_failed(drive: Drive, plane: LocalDataPlane) -> None:
    """A flush is answered with what it returned."""
    plane.fail(503, times=None)
    driver = drive()
    driver.log(0)
    assert driver.flush(0.05) is False
    plane.heal()
    assert driver.flush(10) is True


def test_it_tells_of_drops_at_once(drive: Drive, plane: LocalDataPlane) -> None:
    """Each is told with number and reason before the answer to the call that caused it."""
    plane.fail(503, times=None)
    driver = drive(max_queue_size=2)
    driver.log(0, 4)
    assert driver.drops == [(2, "queue_full"), (3, "queue_full")]


def test_it_can_be_killed_and_started_again(drive: Drive, plane: LocalDataPlane) -> None:
    """A killed process takes its memory with it, says nothing more, and another one can begin."""
    plane.fail(503, times=None)
    driver = drive()
    driver.log(0, 5)
    driver.kill()
    plane.heal()
    driver.start()
    driver.log(5)
    assert driver.flush(10)
    assert numbers(plane) == [5]


def test_a_killed_process_gives_no_answer(drive: Drive) -> None:
    """Whoever asks one that has died meanwhile is told so, instead of waiting."""
    driver = drive()
    driver.stats()
    assert driver._process is not None
    driver._process.kill()
    driver._process.wait()
    with pytest.raises(ConnectionError):
        driver.stats()
