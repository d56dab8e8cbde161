"""The accountant of the fault matrix finds what it is to find."""

from __future__ import annotations

from typing import Any

import pytest

from .account import Account, Line, take_account


def logged(*numbers: int) -> list[Line]:
    """What a process notes that logs these."""
    return [Line(1, "logged", (number,)) for number in numbers]


def event(number: int, message_id: str | None = None) -> dict[str, Any]:
    """One that arrived."""
    return {"messageId": message_id or f"id-{number}", "properties": {"n": number}}


def stats(**counts: Any) -> Line:
    """The ledger of a handler at the end of its process."""
    zeros = {"accepted": 0, "adopted": 0, "delivered": 0, "refused": 0, "pending": 0, "dropped": {}}
    return Line(1, "stats", (0, {**zeros, **counts}))


def test_what_fits_together_is_no_difference() -> None:
    """Accepted is delivered or dropped, and the ledger says the same."""
    dropped = Line(1, "dropped", (2, "id-2", "refused: 400 words"))
    account = take_account(
        [*logged(0, 1, 2), dropped, stats(accepted=3, delivered=2, refused=1)], [event(0), event(1)]
    )
    expected = Account(frozenset({0, 1, 2}), frozenset({0, 1}), dropped={"refused": frozenset({2})})
    assert account == expected
    assert account.differences(expected) == []


def test_duplicates_are_counted() -> None:
    """Deliveries beyond the first, of any event."""
    assert take_account(logged(0, 1), [event(0), event(0), event(0), event(1)]).duplicates == 2


def test_missing_and_unexpected_events_are_named() -> None:
    """By number, however equal the counts are."""
    expected = Account(frozenset({0, 1}), frozenset({0, 1}))
    (difference,) = take_account(logged(0, 1), [event(0), event(7)]).differences(expected)
    assert difference == "delivered: 2 instead of 2; lacking 1; not expected 7"


@pytest.mark.parametrize(
    ("lines", "events", "words"),
    [
        (logged(0, 0), [event(0)], "logged 2 times"),
        (logged(0), [event(0), event(0, "other")], "several ids"),
        (logged(0, 1), [event(0, "same"), event(1, "same")], "share an id"),
        ([*logged(0), stats(accepted=2, delivered=2)], [event(0)], "its ledger has 2"),
        ([*logged(0), stats(accepted=1)], [event(0)], "does not balance"),
        ([*logged(0), stats(accepted=1, pending=1)], [event(0)], "does not balance"),
        ([*logged(0), stats(accepted=1, dropped={"x": 1})], [event(0)], "was told of"),
    ],
)
def test_contradictions_are_found(
    lines: list[Line], events: list[dict[str, Any]], words: str
) -> None:
    """What can't be, whatever was expected."""
    (contradiction,) = take_account(lines, events).contradictions
    assert words in contradiction


def test_what_the_gateway_would_lose_is_a_contradiction() -> None:
    """An event that arrived and goes no further is not delivered."""
    account = take_account(logged(0), [event(0)], [(event(0), "no type")])
    assert account.contradictions == ("event id-0 would be lost: no type",)


def test_what_a_durable_queue_keeps_is_not_lost() -> None:
    """Pending at a process's end, adopted by the next one."""
    lines = [
        *logged(0),
        stats(accepted=1, pending=1),
        Line(2, "stats", (0, {**stats(accepted=1, adopted=1, delivered=1).details[1]})),
    ]
    assert take_account(lines, [event(0)], durable=True).contradictions == ()
