"""How far a queue is settled, whatever is dropped out of turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.queues.waiting import Settled

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 10)), max_size=30)


@given(STEPS)
def test_what_is_dropped_counts_once_all_before_it_is_settled(
    steps: list[tuple[bool, int, int]],
) -> None:
    """As in a list of all messages, of which those at its beginning count that are gone."""
    settled = Settled()
    left = list(range(100))
    for is_dropped, place, number in steps:
        if is_dropped:
            before = min(place, len(left))
            settled.drop(len(left[before : before + number]), before)
            del left[before : before + number]
        else:
            settled.in_turn += len(left[:number])
            del left[:number]
        assert settled.count == (left[0] if left else 100)
        assert settled.total == 100 - len(left)
