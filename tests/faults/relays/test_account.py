"""The accountant of the relay's rows finds what it is to find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .account import Account, Arrival, take_account
from .journal import Journal, Notes

IDS = ["a/u0/0", "a/u1/0", "a/u0/1", "a/u1/1"]
WELL = {"accepted": 4, "delivered": 4, "pending": 0, "adopted": 0, "callback_errors": 0}


def journal(
    path: Path,
    logged: list[str] = IDS,
    acknowledged: list[str] = IDS,
    stats: dict[str, Any] | None = WELL,
    *,
    killed: bool = False,
    durable: bool = False,
) -> Journal:
    """What a producer notes."""
    notes = Notes(str(path / "a.journal"))
    for one in logged:
        notes.logged(one)
    notes.acknowledged(acknowledged)
    if stats is not None:
        notes.stats(stats)
    notes.close()
    found = Journal(path / "a.journal", durable=durable)
    found.killed = killed
    return found


def arrived(*ids: str, answered: bool = True) -> list[Arrival]:
    """Events that came, each in a request of its own."""
    return [Arrival(one, number, answered) for number, one in enumerate(ids, 1)]


def test_what_fits_together(tmp_path: Path) -> None:
    """All came, in the order of each user."""
    account = take_account([journal(tmp_path)], arrived(IDS[1], IDS[0], *IDS[2:]))
    assert account == Account(accepted=4, acknowledged=4, delivered=4, lost=0, duplicates=0)


@pytest.mark.parametrize(
    ("arrivals", "words"),
    [
        (arrived(*IDS[:3]), "1 lost: a/u1/1"),
        (arrived(*IDS, "b/u0/0"), "1 never logged: b/u0/0"),
        (arrived(IDS[2], *IDS[:2], IDS[3]), "1 out of order: a/u0/0"),
        (arrived(*IDS, IDS[0]), "1 twice without need: a/u0/0"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, arrivals: list[Arrival], words: str) -> None:
    """By id."""
    assert take_account([journal(tmp_path)], arrivals).wrong == [words]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accepted": 5}, "a: accepted is 5, not 4"),
        ({"delivered": 3}, "a: delivered is 3, not 4"),
        ({"pending": 1, "delivered": 3}, "a: pending is 1, not 0"),
    ],
)
def test_ledger_is_compared(tmp_path: Path, changes: dict[str, int], words: str) -> None:
    """With what the process noted itself."""
    own = journal(tmp_path, stats={**WELL, **changes})
    assert words in take_account([own], arrived(*IDS)).wrong


def test_what_was_delivered_was_acknowledged(tmp_path: Path) -> None:
    """Or the ledger claims too much."""
    own = journal(tmp_path, acknowledged=IDS[:3])
    (wrong,) = take_account([own], arrived(*IDS)).wrong
    assert wrong == "a: not all that it delivered was acknowledged"


def test_process_that_hangs_is_found(tmp_path: Path) -> None:
    """It has no ledger, and nobody killed it."""
    own = journal(tmp_path, stats=None)
    assert take_account([own], arrived(*IDS)).wrong == ["a did not come to its end"]


@pytest.mark.parametrize(("durable", "lost"), [(False, 0), (True, 2)])
def test_killed_producer_owes_what_was_acknowledged(
    tmp_path: Path, *, durable: bool, lost: int
) -> None:
    """If its queue was in memory; otherwise all."""
    own = journal(tmp_path, acknowledged=IDS[:2], stats=None, killed=True, durable=durable)
    assert take_account([own], arrived(*IDS[:2])).lost == lost


def test_reasons_for_duplicates(tmp_path: Path) -> None:
    """A lost answer, a fault between, a request under way at a fault, a producer that died."""
    own = journal(tmp_path)
    twice = arrived(*IDS, IDS[0])

    def needless(arrivals: list[Arrival], **reasons: Any) -> bool:
        return bool(take_account([own], arrivals, **reasons).wrong)

    assert needless(twice)
    assert not needless([twice[0]._replace(answered=False), *twice[1:]])
    assert not needless(twice, faults=[(3, 4)])
    assert not needless(twice, faults=[(0, 0)], in_flight=1)
    assert not needless(twice, doubtful={IDS[0]})
    assert needless(twice, faults=[(0, 0), (6, 9)])
    assert needless(twice, doubtful={IDS[1]})


def test_what_the_engine_lost_is_counted(tmp_path: Path) -> None:
    """That is no fault of ours, but a number all the same."""
    own = journal(tmp_path)
    account = take_account([own], arrived(*IDS[:3]), engine_lost=IDS)
    assert (account.lost, account.wrong) == (1, [])
    assert replace(account, lost=0) == Account(4, 4, 3, 0, 0)
    late = arrived(IDS[2], *IDS[:2], IDS[3])
    assert not take_account([own], late, engine_lost={IDS[0]}).wrong


def test_half_a_note_is_not_read(tmp_path: Path) -> None:
    """A journal is read while it is written."""
    path = tmp_path / "a.journal"
    own = Journal(path)
    assert own.logged == []
    path.write_text("La/u0/0\nLa/u0")
    assert own.logged == ["a/u0/0"]
    path.write_text("La/u0/0\nLa/u0/1\n")
    assert own.logged == ["a/u0/0", "a/u0/1"]
