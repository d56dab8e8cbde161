"""When to try again."""

from __future__ import annotations

import math

import pytest

from rudder_logging.delivery.retry import RetryPolicy

from ..each import each

POLICY = RetryPolicy(base=1.0, cap=60.0, retry_after_cap=300.0, probe_base=5.0, probe_cap=60.0)


@each(
    ("attempt", "longest"),
    [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (100, 60), (5_000, 60), (10**9, 60)],
)
@each("fraction", [0.0, 0.25, 0.5, 0.999])
def test_the_wait_doubles_up_to_its_cap(attempt: int, longest: float, fraction: float) -> None:
    """Full jitter: any share of a longest wait that doubles, however long the outage."""
    assert POLICY.delay(attempt, fraction) == pytest.approx(fraction * longest)


@each(
    ("retry_after", "fraction", "waits"),
    [
        (None, 0.5, 4.0),
        (0.0, 0.5, 4.0),
        (3.0, 0.5, 4.0),
        (10.0, 0.5, 10.0),
        (10.0, 0.0, 10.0),
        (300.0, 0.0, 300.0),
        (301.0, 0.0, 300.0),
        (1e9, 0.5, 300.0),
        (math.inf, 0.0, 300.0),
        (-5.0, 0.0, 0.0),
    ],
)
def test_a_servers_wish_is_the_least_wait(
    retry_after: float | None, fraction: float, waits: float
) -> None:
    """Retry-After is honoured, up to a cap; the backoff may be longer."""
    assert POLICY.delay(4, fraction, retry_after) == pytest.approx(waits)


@pytest.mark.parametrize("attempt", [1, 10, 10**6])
@pytest.mark.parametrize("retry_after", [None, 5.0])
def test_without_a_limit_it_never_gives_up(attempt: int, retry_after: float | None) -> None:
    """The default is to keep trying."""
    assert RetryPolicy().max_retries is None
    assert RetryPolicy().delay(attempt, 0.5, retry_after) is not None


@pytest.mark.parametrize("max_retries", [0, 1, 3])
@pytest.mark.parametrize("retry_after", [None, 5.0])
def test_a_limit_counts_retries(max_retries: int, retry_after: float | None) -> None:
    """`max_retries` further attempts are made after the first, whatever the server asks for."""
    policy = RetryPolicy(max_retries=max_retries)
    waits = [policy.delay(attempt, 0.5, retry_after) for attempt in range(1, max_retries + 3)]
    assert None not in waits[:max_retries]
    assert waits[max_retries:] == [None, None]


@each(("attempt", "longest"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (10**6, 60)])
@each(("fraction", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_probes_wait_at_least_half(
    attempt: int, longest: float, fraction: float, share: float
) -> None:
    """A configuration fault takes a person to mend: probes double up to a minute, half jitter."""
    assert POLICY.probe_delay(attempt, fraction) == pytest.approx(share * longest)


def test_probes_ignore_the_limit() -> None:
    """Events held for a configuration fault are not given up."""
    assert RetryPolicy(max_retries=0).probe_delay(50, 0.0) > 0


def test_the_defaults() -> None:
    """Half a second at first, a minute at the most, five minutes if the server says so."""
    policy = RetryPolicy()
    assert (policy.base, policy.cap, policy.retry_after_cap) == (0.5, 60.0, 300.0)
    assert (policy.probe_base, policy.probe_cap) == (5.0, 60.0)
