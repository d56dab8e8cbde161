"""From a shard's entries to messages, and from settled messages back to entries. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..events.persons import concerns_unclosed
from ..queues.waiting import fitting
from ..sinks.base import MESSAGE_OVERHEAD
from ..sinks.frames import FrameError, unpack
from .engine import Entry, Settlement, Tombstone
from .source import Batch

__all__ = ["Forgetting", "LeasedBatch", "Load", "Part", "assemble", "doomed_in"]


@dataclass
class Part:
    """A shard's part of a batch."""

    shard: int
    token: str
    """Of the lease by which it was read."""
    skip: int
    """Messages of the first entry that were settled before."""
    entries: list[Entry] = field(default_factory=list)
    kept: list[Sequence[int]] = field(default_factory=list)
    """Positions of the messages that are handed out, by entry."""
    ends: list[int] = field(default_factory=list)
    """Positions behind the last messages that were looked at, by entry."""
    size: int = 0
    """Bytes of the messages that are handed out, with `MESSAGE_OVERHEAD` for each."""
    is_cut: bool = False
    """The last entry has more messages."""

    @property
    def count(self) -> int:
        """Number of its messages in the batch."""
        return sum(map(len, self.kept))

    def settlement(self, count: int) -> tuple[Settlement, int]:
        """Say what to acknowledge when its first `count` messages are settled.

        Returns:
            With it the number of messages that were passed over, because of their persons.
        """
        passed = 0
        begin = self.skip
        last = len(self.entries) - 1
        for at, (entry, kept, end) in enumerate(
            zip(self.entries, self.kept, self.ends, strict=True)
        ):
            is_through = count >= len(kept)
            if is_through and not (self.is_cut and at == last):
                passed += end - begin - len(kept)
                count -= len(kept)
                begin = 0
                continue
            skip = begin
            if is_through:
                skip = end
            elif count:
                skip = kept[count - 1] + 1
            passed += skip - begin - min(count, len(kept))
            head = entry.id if skip > begin else None
            return Settlement(self.shard, self.token, self.entries[:at], head, skip), passed
        return Settlement(self.shard, self.token, self.entries, None, 0), passed


class LeasedBatch(Batch):
    """Messages of shards that are this relay's, and of which no other batch is out."""

    parts: list[Part]
    forgetting: Forgetting | None = None
    """The persons who were left out of it."""
    doomed: frozenset[bytes] = frozenset()
    """Messages of persons who are to be left out since."""


class Load(NamedTuple):
    """Entries of a shard, as they were read."""

    part: Part
    entries: Sequence[Entry]


Keeps = Callable[[bytes], bool]


class Forgetting:
    """Says which messages are left out.

    Args:
        tombstones: Of those whose they are; at least one.
    """

    def __init__(self, tombstones: Sequence[Tombstone]) -> None:
        self._tombstones = tombstones
        self._tests: dict[frozenset[str], Keeps] = {}

    def of(self, shard: int, entry: bytes) -> Keeps | None:
        """The test of an entry's messages: True if one is to be sent; None: all of them are."""
        people = frozenset(one.person for one in self._tombstones if one.covers(shard, entry))
        if not people:
            return None
        if people not in self._tests:
            matches = concerns_unclosed(people)
            self._tests[people] = lambda message: not matches(message)
        return self._tests[people]


def doomed_in(batch: LeasedBatch, forgetting: Forgetting) -> set[bytes]:
    """The messages of a batch that are to be left out, though they were handed out."""
    found: set[bytes] = set()
    at = 0
    for part in batch.parts:
        for entry, kept in zip(part.entries, part.kept, strict=True):
            messages = batch[at : at + len(kept)]
            at += len(kept)
            keeps = forgetting.of(part.shard, entry.id)
            if keeps is not None:
                found.update(message for message in messages if not keeps(message))
    return found


def assemble(
    loads: Sequence[Load], forgetting: Forgetting | None, max_bytes: int
) -> tuple[LeasedBatch, list[tuple[Load, FrameError]]]:
    """Join the entries of some shards into one batch, whole entries if they fit.

    The first message is in it anyway. Of the first entry there may be a part.

    Returns:
        The batch, and the shards whose first entry can't be decoded, with the reason. One further
        behind waits until it is the first.
    """
    batch, unreadable = LeasedBatch(), list[tuple[Load, FrameError]]()
    batch.parts, batch.forgetting = [], forgetting
    room = max_bytes
    for load in loads:
        try:
            room = _add(batch, load, forgetting, room)
        except FrameError as error:
            if not load.part.entries:
                unreadable.append((load, error))
        if load.part.entries:
            batch.parts.append(load.part)
        if room <= 0:
            break
    return batch, unreadable


def _add(batch: LeasedBatch, load: Load, forgetting: Forgetting | None, room: int) -> int:
    """Add a shard's entries to a batch, as many as there is room for; return the room left."""
    part = load.part
    for entry in load.entries:
        begin = 0 if part.entries else part.skip
        messages = unpack(entry.frame)
        end = len(messages)
        kept: Sequence[int] = range(begin, end)
        keeps = forgetting.of(part.shard, entry.id) if forgetting else None
        if keeps is not None:
            kept = [at for at in kept if keeps(messages[at])]
            messages = [messages[at] for at in kept]
        elif begin:
            messages = messages[begin:]
        size = sum(map(len, messages)) + MESSAGE_OVERHEAD * len(messages)
        if size > room:
            if batch:
                return 0
            fit = max(1, fitting(messages, room, MESSAGE_OVERHEAD))
            if fit < len(messages):
                end = kept[fit]
                kept, messages, part.is_cut = kept[:fit], messages[:fit], True
                size = sum(map(len, messages)) + MESSAGE_OVERHEAD * fit
        room -= size
        part.size += size
        part.entries.append(entry)
        part.kept.append(kept)
        part.ends.append(end)
        batch += messages
        if part.is_cut:
            return 0
    return room
