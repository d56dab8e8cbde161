"""The waits of a source's lanes between attempts."""

from __future__ import annotations

import threading
import time

import pytest

from rudder_logging.relay.turns import Turns

from .feeds import until


def waiting(turns: Turns, lane: object, seconds: float, ended: list[bool]) -> threading.Thread:
    """A thread that waits, and notes how that ended."""
    thread = threading.Thread(
        target=lambda: ended.append(turns.pause(lane, seconds, lambda: True)), daemon=True
    )
    thread.start()
    return thread


def test_lanes_wait_by_themselves_while_others_pass() -> None:
    """The wait of one is none of another's."""
    turns = Turns(lambda: False)
    assert turns.pause("a", 0, lambda: True)
    assert turns.pause("b", 0, lambda: True)  # though a's attempt is not over
    assert turns.pause("a", 0, lambda: True)


def test_a_lane_that_is_not_to_go_on_does_not_wait() -> None:
    """Neither at the beginning nor once it is told to look."""
    turns = Turns(lambda: False)
    assert not turns.pause("a", 3_600, lambda: False)
    goes_on = True
    ended: list[bool] = []
    thread = threading.Thread(
        target=lambda: ended.append(turns.pause("a", 3_600, lambda: goes_on)), daemon=True
    )
    thread.start()
    goes_on = False
    turns.look()
    thread.join(60)
    assert ended == [False]


def test_one_lane_at_a_time_tries_while_the_source_is_stuck() -> None:
    """The next one does when the first has failed, and after the wait that it has asked for."""
    turns = Turns(lambda: True)
    assert turns.pause("a", 0, lambda: True)  # a tries now
    ended: list[bool] = []
    thread = waiting(turns, "b", 0, ended)
    thread.join(1)
    assert thread.is_alive()
    turns.leave("a")
    thread.join(60)
    assert ended == [True]


@pytest.mark.parametrize("is_stuck", [False, True])
def test_all_go_on_when_something_passes(is_stuck: bool) -> None:
    """However long they would have waited."""
    turns = Turns(lambda: is_stuck)
    ended: list[bool] = []
    threads = [waiting(turns, n, 3_600, ended) for n in range(5)]

    def end() -> bool:
        turns.end_waits()  # one that has not begun to wait is not waiting yet
        time.sleep(0.05)
        return len(ended) == len(threads)

    until(end)
    assert ended == [True] * 5
