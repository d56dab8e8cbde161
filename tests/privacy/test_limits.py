"""Samples of people, and rates."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from rudder_logging.privacy import limits
from rudder_logging.privacy.limits import EXEMPT, Rate, Rates, Samples

from ..each import each


def event(user: int, name: str = "Page Viewed", **more: Any) -> dict[str, Any]:
    """An event of a user."""
    return {"type": "track", "event": name, "userId": f"user-{user}", **more}


def test_a_person_is_in_or_out_always() -> None:
    """By a hash of salt, id and event: other instances agree, another salt does not."""
    one, same, other = Samples({"*": 0.3}, "a"), Samples({"*": 0.3}, "a"), Samples({"*": 0.3}, "b")
    chosen = [one.admits(event(user), "Page Viewed") for user in range(4_000)]
    assert chosen == [same.admits(event(user), "Page Viewed") for user in range(4_000)]
    assert chosen != [other.admits(event(user), "Page Viewed") for user in range(4_000)]
    assert chosen != [one.admits(event(user), "Other") for user in range(4_000)]
    assert 1_000 < sum(chosen) < 1_400


@each("share", [0.01, 0.1, 0.5, 0.9])
def test_of_ten_thousand_people_a_share_is_in(share: float) -> None:
    """As near to it as chance lets it: within four standard deviations."""
    samples = Samples({"*": share}, "salt")
    admitted = sum(samples.admits(event(user), "Page Viewed") for user in range(10_000))
    assert abs(admitted - 10_000 * share) <= 4 * (10_000 * share * (1 - share)) ** 0.5


PROGRAM = """
from rudder_logging.privacy.limits import Samples
samples = Samples({"*": 0.3}, "salt")
events = [{"type": "track", "event": "e", "userId": f"user-{n}"} for n in range(500)]
print("".join("01"[samples.admits(event, "e")] for event in events))
"""


def test_other_processes_choose_the_same() -> None:
    """Whatever seed Python's own hashes have there."""
    chosen = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (bits,) = chosen
    assert 100 < bits.count("1") < 200


def test_a_larger_share_has_all_of_a_smaller_one() -> None:
    """So a share can be raised without losing anybody."""
    few, more = Samples({"*": 0.1}, ""), Samples({"*": 0.2}, "")
    assert all(
        more.admits(event(user), "e") for user in range(1_000) if few.admits(event(user), "e")
    )


def test_the_anonymous_are_sampled_by_their_id() -> None:
    """One who has no user id yet."""
    samples = Samples({"*": 0.5}, "")
    visitors = [{"type": "track", "anonymousId": f"a{number}"} for number in range(100)]
    chosen = [samples.admits(visitor, "e") for visitor in visitors]
    assert len(set(chosen)) == 2
    assert chosen == [samples.admits(visitor, "e") for visitor in visitors]


@each("kind", sorted(EXEMPT))
def test_what_says_who_somebody_is_leaves_always(kind: str) -> None:
    """Others' events build on it."""
    made = {"type": kind, "userId": "u"}
    assert Samples({"*": 0.0, kind: 0.0}, "").admits(made, kind)
    assert made == {"type": kind, "userId": "u"}


def test_bounds_and_the_rate_in_the_context() -> None:
    """0.0 is nobody, 1.0 everybody; what is not sampled does not say so."""
    samples = Samples({"none": 0.0, "all": 1.0}, "")
    assert not any(samples.admits(event(user), "none") for user in range(100))
    made = event(1, context={"ip": "1.2.3.4"})
    assert samples.admits(made, "all")
    assert made["context"] == {"ip": "1.2.3.4", "sampling": 1.0}
    assert samples.admits(made := event(1), "other")
    assert "context" not in made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still, in a list."""
    now = [1_000.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    return now


def test_rates(clock: list[float]) -> None:
    """So many in each stretch of time; `*` bounds all together, besides."""
    rates = Rates({"a": Rate(2, 1.0), "*": Rate(5, 60.0)})
    assert [rates.admit("a") for _ in range(4)] == [True, True, False, False]
    clock[0] += 1.0
    assert [rates.admit("a") for _ in range(3)] == [True, True, False]
    assert [rates.admit("b") for _ in range(2)] == [True, False]
    for _ in range(5):
        clock[0] += 60.0
        assert [rates.admit("b") for _ in range(6)] == [True] * 5 + [False]


def test_a_rate_is_of_an_event_or_of_all_that_fit(clock: list[float]) -> None:
    """Its own entry comes before one with a star, and each has a count of its own."""
    rates = Rates({"Order Paid": Rate(1, 1.0), "Order *": Rate(2, 1.0)})
    assert [rates.admit("Order Paid") for _ in range(2)] == [True, False]
    assert [rates.admit(name) for name in ("Order A", "Order B", "Order A")] == [True, True, False]
    assert all(rates.admit("Page") for _ in range(5))


def test_threads_share_a_rate(clock: list[float]) -> None:
    """None of them gets more."""
    rates = Rates({"*": Rate(1_000, 3_600.0)})
    admitted: list[bool] = []

    def ask() -> None:
        admitted.extend([rates.admit("e") for _ in range(500)])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(admitted), sum(admitted)) == (4_000, 1_000)
