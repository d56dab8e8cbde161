"""Persons who are to be forgotten: what waits of them is left out, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from rudder_logging.relay.batches import Forgetting
from rudder_logging.relay.engine import Tombstone, order
from rudder_logging.relay.leased import LeasedSource
from rudder_logging.relay.memory import MemoryEngine
from rudder_logging.relay.source import Source

from .test_leased import SHARDS, append


class Ears:
    """An observer that notes what is dropped."""

    def __init__(self) -> None:
        self.drops: list[tuple[int, str]] = []

    def dropped(self, number: int, reason: str) -> None:
        """See `Observer`."""
        self.drops.append((number, reason))

    def leases_changed(self, gained: int, lost: int) -> None:
        """See `Observer`."""

    def idles(self, is_idle: bool) -> None:
        """See `Observer`."""

    def failing(self, failure: object) -> None:
        """See `Observer`."""

    def well(self) -> None:
        """See `Observer`."""


def message(number: int, **fields: object) -> bytes:
    """A message as a frame has it."""
    return json.dumps({"n": number, **fields}).encode()[:-1]


def numbers_in(batch: list[bytes]) -> list[int]:
    """The numbers of messages."""
    return [json.loads(one + b"}")["n"] for one in batch]


def drained(source: Source, engine: MemoryEngine) -> list[int]:
    """Take and settle all that there is."""
    found: list[int] = []
    while engine.lag().events:
        batch = source.take(3_000, 0.5)
        if batch is not None:
            found += numbers_in(batch)
            source.done(batch)
    return found


OF_U: list[dict[str, object]] = [
    {"userId": "u"},
    {"anonymousId": "u"},
    {"userId": "x", "anonymousId": "u"},
    {"userId": "x", "previousId": "u"},
    {
        "userId": "x",
        "mergeProperties": [{"type": "id", "value": "u"}, {"type": "id", "value": "y"}],
    },
    {"userId": "x", "properties": {"userId": "u"}},
    {"userId": "x", "context": {"traits": {"anonymousId": "u"}}},
]
OF_OTHERS: list[dict[str, object]] = [
    {"userId": "uu"},
    {"userId": "x", "properties": {"text": "u", "id": "u"}},
    {"userId": "\\u"},
]


def test_what_waits_of_a_person_never_arrives() -> None:
    """By each of the fields that name a person. Later ones do, and so does all of others."""
    engine, ears = MemoryEngine(SHARDS), Ears()
    early = [message(n, **fields) for n, fields in enumerate([*OF_U, *OF_OTHERS] * 3)]
    append(engine, "early", *early)
    engine.forget(["u"])
    late = [message(100 + n, **fields) for n, fields in enumerate([*OF_U, *OF_OTHERS])]
    append(engine, "late", *late)
    source = LeasedSource(engine, ears)
    try:
        found = drained(source, engine)
    finally:
        source.close()
    row = len(OF_U) + len(OF_OTHERS)
    others = [n for n in range(3 * row) if n % row >= len(OF_U)]
    assert sorted(found) == others + [100 + n for n in range(row)]
    assert {reason for _, reason in ears.drops} == {"suppressed"}
    assert sum(number for number, _ in ears.drops) == 3 * len(OF_U)
    assert list(engine.forgotten()) == []


def test_a_relay_that_runs_learns_of_it() -> None:
    """What it has handed out goes its way; what it takes then lacks the person."""
    engine, ears = MemoryEngine(SHARDS), Ears()
    source = LeasedSource(engine, ears)
    try:
        append(engine, "first", message(0, userId="v"))
        assert drained(source, engine) == [0]
        append(engine, "kept", message(1, userId="u"))
        batch = source.take(3_000, 60.0)
        assert batch is not None
        source.release(batch, 0)
        engine.forget(["u"])
        handout = source._handout
        while handout._forgetting is None:  # it looks every few seconds
            while (again := source.take(3_000, 0.1)) is not None:
                source.release(again, 0)
        append(engine, "late", message(2, userId="u"), message(3, userId="v"))
        assert sorted(drained(source, engine)) == [2, 3]
        assert ears.drops == [(1, "suppressed")]
    finally:
        source.close()


@pytest.mark.parametrize("count", [1, 200])
def test_many_persons(count: int) -> None:
    """They are found in any number, whatever their ids are made of."""
    people = [f'p\u00e9 "{number}"\\+' for number in range(count)]
    forgetting = Forgetting([Tombstone(person, [b"5"]) for person in people])
    keeps = forgetting.of(0, b"5")
    assert keeps is not None
    for dump in (json.dumps, lambda fields: json.dumps(fields, ensure_ascii=False)):
        written: Callable[[object], str] = dump
        for person in people[:5]:
            assert not keeps(written({"userId": person}).encode()[:-1])
            assert keeps(written({"userId": person + "x"}).encode()[:-1])
    assert not Forgetting([Tombstone("42", [b"5"])]).of(0, b"5")(b'{"userId":42')  # type: ignore[misc]


def test_ids_of_entries_are_numbers() -> None:
    """They are compared as such, and not as texts."""
    assert order(b"9-2") < order(b"10-1") < order(b"10-11")
    tombstone = Tombstone("u", [b"10-2", None])
    assert [tombstone.covers(0, entry) for entry in (b"9-9", b"10-2", b"10-10")] == [1, 1, 0]
    assert not tombstone.covers(1, b"1-1")
    assert not tombstone.covers(2, b"1-1")
