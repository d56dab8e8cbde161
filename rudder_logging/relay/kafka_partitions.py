"""The partitions that are a relay's: what of them was read, is handed out, and is settled.

Pure: no client of Kafka's, no clock but for waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..common.clock import monotonic, wait_until
from ..sinks.base import MESSAGE_OVERHEAD
from .source import Batch

__all__ = ["KafkaBatch", "Partitions", "Record"]


class Record(NamedTuple):
    """One that was read."""

    offset: int
    message: bytes | None
    """None: it is no message, and only counts as an offset."""


class _Partition:
    """One partition for as long as it is this relay's. If it comes again, it is another one."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.records: deque[Record] = deque()
        self.size = 0
        self.position: int | None = None
        """The offset behind all that is settled."""
        self.committed: int | None = None
        """The position that Kafka was told last."""
        self.is_out = False
        self.is_leaving = False
        self.is_paused = False

    @property
    def is_ready(self) -> bool:
        return bool(self.records) and not (self.is_out or self.is_leaving)

    def take(self, room: int, *, is_first: bool) -> list[Record]:
        """Take the oldest that fit; a first one anyway."""
        taken: list[Record] = []
        while self.records:
            message = self.records[0].message
            size = 0 if message is None else len(message) + MESSAGE_OVERHEAD
            if size > room and not is_first:
                break
            is_first = is_first and message is None
            room -= size
            taken.append(self.records.popleft())
            self.size -= size
        return taken

    def put_back(self, records: Sequence[Record]) -> None:
        """Have records be the next again."""
        self.records.extendleft(reversed(records))
        self.size += sum(_size(record) for record in records)

    def skip(self) -> None:
        """Settle what is no message, at the front."""
        while self.records and self.records[0].message is None and not self.is_out:
            self.position = self.records.popleft().offset + 1


def _size(record: Record) -> int:
    return 0 if record.message is None else len(record.message) + MESSAGE_OVERHEAD


class _Part(NamedTuple):
    partition: _Partition
    records: list[Record]


class KafkaBatch(Batch):
    """Messages of some partitions."""

    def __init__(self, parts: list[_Part]) -> None:
        super().__init__(
            record.message
            for part in parts
            for record in part.records
            if record.message is not None
        )
        self.parts = parts


class Partitions:
    """All partitions of a relay, for any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._all: dict[int, _Partition] = {}
        self._turns: deque[_Partition] = deque()
        self._is_stopped = False
        self._certain_until = 0.0

    def __len__(self) -> int:
        return len(self._all)

    # What the thread that reads says.

    @property
    def certain_until(self) -> float:
        """The moment until which they are this relay's for certain."""
        return self._certain_until

    @certain_until.setter
    def certain_until(self, moment: float) -> None:
        with self._changed:
            was_in_doubt = monotonic() >= self._certain_until
            self._certain_until = moment
            if was_in_doubt:
                self._changed.notify_all()

    def gain(self, numbers: Iterable[int]) -> None:
        """These are this relay's from now on."""
        with self._changed:
            for number in numbers:
                self._all[number] = partition = _Partition(number)
                self._turns.append(partition)

    def read(self, number: int, records: Sequence[Record]) -> None:
        """Records of a partition, in order."""
        with self._changed:
            partition = self._all.get(number)
            if partition is None:
                return
            if partition.position is None:
                partition.position = records[0].offset
            partition.records.extend(records)
            partition.size += sum(map(_size, records))
            partition.skip()
            self._changed.notify_all()

    def leave(self, numbers: Iterable[int], timeout: float) -> dict[int, int]:
        """Hand nothing more of these out, and wait for what is out.

        Returns:
            Their positions.
        """
        with self._changed:
            leaving = [self._all[number] for number in numbers if number in self._all]
            for partition in leaving:
                partition.is_leaving = True
            self._changed.notify_all()
            wait_until(lambda: not any(one.is_out for one in leaving), self._changed, timeout)
            return {one.number: one.position for one in leaving if one.position is not None}

    def lose(self, numbers: Iterable[int]) -> int:
        """These are not this relay's any more. Returns how many were."""
        with self._changed:
            lost = [one for number in numbers if (one := self._all.pop(number, None)) is not None]
            for partition in lost:
                partition.is_leaving = True
                partition.records.clear()
                partition.size = 0
                self._turns.remove(partition)
            self._changed.notify_all()
            return len(lost)

    def numbers(self) -> list[int]:
        """All."""
        with self._changed:
            return list(self._all)

    def positions(self, *, changed: bool = True) -> dict[int, int]:
        """Offsets to commit; they count as committed then."""
        with self._changed:
            found = {}
            for partition in self._all.values():
                position = partition.position
                if position is not None and not (changed and position == partition.committed):
                    found[partition.number] = partition.committed = position
            return found

    def not_committed(self, numbers: Iterable[int]) -> None:
        """A commit of these has failed."""
        with self._changed:
            for number in numbers:
                if number in self._all:
                    self._all[number].committed = None

    def to_pause(self, most_bytes: int) -> tuple[list[int], list[int]]:
        """Partitions to read nothing more of for now, and those to go on with.

        A pause throws away what the library has read ahead. So there is none as long as all
        together have room; then those pause that have more than their share.
        """
        pause, resume = [], []
        with self._changed:
            total = sum(partition.size for partition in self._all.values())
            share = most_bytes // (2 * max(1, len(self._all)))
            for partition in self._all.values():
                if not partition.is_paused and total > most_bytes and partition.size > share:
                    partition.is_paused = True
                    pause.append(partition.number)
                elif partition.is_paused and (
                    total < most_bytes // 2 or partition.size < share // 2
                ):
                    partition.is_paused = False
                    resume.append(partition.number)
        return pause, resume

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    @property
    def is_stopped(self) -> bool:
        """True if nothing more is handed out."""
        return self._is_stopped

    def is_anything_out(self) -> bool:
        """Tell if a batch is not settled."""
        with self._changed:
            return any(partition.is_out for partition in self._all.values())

    # What lanes say.

    def take(self, max_bytes: int, timeout: float) -> KafkaBatch | None:
        """See `Source.take`."""
        with self._changed:
            if not wait_until(lambda: self._is_stopped or self._is_ready(), self._changed, timeout):
                return None
            if self._is_stopped:
                return None
            parts: list[_Part] = []
            room = max_bytes
            for _ in range(len(self._turns)):
                partition = self._turns[0]
                self._turns.rotate(-1)
                if not partition.is_ready:
                    continue
                records = partition.take(room, is_first=not parts)
                if not records:
                    break
                partition.is_out = True
                room -= sum(map(_size, records))
                parts.append(_Part(partition, records))
            return KafkaBatch(parts) if parts else None

    def settle(self, batch: Batch, settled: int) -> None:
        """See `Source.release`."""
        assert isinstance(batch, KafkaBatch)  # noqa: S101 - nobody else's comes here
        with self._changed:
            for partition, records in batch.parts:
                if not partition.is_out:
                    continue
                partition.is_out = False
                at = 0
                while at < len(records) and (settled or records[at].message is None):
                    settled -= records[at].message is not None
                    partition.position = records[at].offset + 1
                    at += 1
                partition.put_back(records[at:])
                partition.skip()
            self._changed.notify_all()

    def holds(self, batch: Batch) -> bool:
        """See `Source.holds`."""
        assert isinstance(batch, KafkaBatch)  # noqa: S101
        return monotonic() < self.certain_until and not any(
            part.partition.is_leaving for part in batch.parts
        )

    def _is_ready(self) -> bool:
        # While it is in doubt whose they are, a batch would come back at once, again and again.
        return monotonic() < self.certain_until and any(
            partition.is_ready for partition in self._all.values()
        )
