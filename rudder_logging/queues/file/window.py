"""Messages that the durable queue has read and not settled: some are handed out, some wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .segments import Claim, Position
from .store import Entry

__all__ = ["Window"]


class Window:
    """Entries in the order in which they were read. Nothing here is safe for threads.

    A message that is dropped behind one that is handed out leaves an entry without a message, so
    that it is settled in its turn. Those that are dropped one after the other share one.
    """

    def __init__(self) -> None:
        self.handed_out = 0
        """Number of messages that are handed out."""
        self._held: set[tuple[Claim | None, int]] = set()
        self._flying: deque[Entry] = deque()
        self._waiting: deque[Entry] = deque()

    def __iter__(self) -> Iterator[Entry]:
        yield from self._flying
        yield from self._waiting

    @property
    def held(self) -> set[tuple[Claim | None, int]]:
        """The segments of what is handed out, and perhaps some more of which something was."""
        if any(claim is None for claim, _ in self._held):  # by now it may have gone to the disk
            live = (entry for entry in self._flying if entry.message is not None)
            self._held = {(entry.claim, entry.end[0]) for entry in live}
        return self._held

    def append(self, entries: list[Entry]) -> None:
        """More was read."""
        self._waiting.extend(entries)

    def hand_back(self) -> int:
        """Have all wait. Returns how many entries did not."""
        number = len(self._flying)
        waiting, flying = deque((*self._flying, *self._waiting)), deque[Entry]()
        # In statements without a call, where CPython lets in no signal handler that raises.
        self._waiting, self._flying = waiting, flying
        self.handed_out = 0
        self._held.clear()
        return number

    def hand_out(
        self, batch: list[bytes], max_bytes: int, overhead: int, most: int | None
    ) -> int | None:
        """Add the oldest that wait to a batch.

        Args:
            batch: What is handed out so far.
            max_bytes: What it may weigh more. A first message may weigh more than that.
            overhead: Bytes that count for each message besides its own.
            most: So many entries; None: as many as fit.

        Returns:
            How many bytes are left of that; None: no more is to come.
        """
        waiting = self._waiting
        while waiting and most != 0:
            message = waiting[0].message
            if message is None:
                self.pass_by()
            else:
                max_bytes -= len(message) + overhead
                if max_bytes < 0 and batch:
                    return None
                batch.append(message)
                entry = waiting[0]
                self._held.add((entry.claim, entry.end[0]))
                self._flying.append(entry)
                # Statements without a call, where CPython lets in no signal handler that raises.
                del waiting[0]
                self.handed_out += 1
            most = None if most is None else most - 1
        return max_bytes if most is None else None

    def first(self) -> Entry | None:
        """The oldest that waits, if any was read."""
        while self._waiting and self._waiting[0].message is None:
            self.pass_by()
        return self._waiting[0] if self._waiting else None

    def pass_by(self) -> None:
        """The oldest that waits has no message any more: it is to be settled in its turn."""
        entry = self._waiting[0]
        last = self._flying[-1] if self._flying else None
        if last is not None and last.message is None and last.claim is entry.claim:
            last.end = entry.end
            last.lines += entry.lines
        else:
            self._flying.append(entry)
        del self._waiting[0]

    def settle(self, count: int) -> list[Entry]:
        """Take out the oldest messages, and what has none among and right behind them."""
        settled = []
        for entries in (self._flying, self._waiting):
            while entries and (entries[0].message is None or count):
                entry = entries.popleft()
                if entry.message is not None:
                    count -= 1
                    self.handed_out -= 1
                settled.append(entry)
            if entries:
                break
        if not self.handed_out:
            self._held.clear()
        return settled

    def take_out(self, claim: Claim, number: int) -> tuple[list[Entry], int]:
        """Take out what waits of a segment.

        Returns:
            It, and how many of our own lines are behind it.
        """
        taken: list[Entry] = []
        rest: deque[Entry] = deque()
        behind = 0
        for entry in self._waiting:
            if entry.claim is claim and entry.end[0] == number:
                taken.append(entry)
            else:
                rest.append(entry)
                behind += entry.lines if taken and entry.is_own else 0
        self._waiting = rest
        return taken, behind

    def erase(self, claim: Claim, ends: set[Position]) -> tuple[list[Entry], list[bytes]]:
        """Find messages of a claim by the ends of their lines.

        Returns:
            The entries of those that wait, and the messages that are handed out.
        """
        waiting, flying = (
            [e for e in some if e.claim is claim and e.message is not None and e.end in ends]
            for some in (self._waiting, self._flying)
        )
        return waiting, [entry.message or b"" for entry in flying]

    def in_memory_only(self) -> tuple[list[Entry], list[bytes]]:
        """Entries that wait, and are on no disk; and such messages that are handed out."""
        waiting, flying = (
            [entry for entry in some if entry.claim is None and entry.message]
            for some in (self._waiting, self._flying)
        )
        return waiting, [entry.message or b"" for entry in flying]

    def give_back_memory(self) -> int:
        """Forget those at the end that wait and are in memory only. Returns how many."""
        number = 0
        while self._waiting and self._waiting[-1].claim is None and self._waiting[-1].message:
            self._waiting.pop()
            number += 1
        return number

    def recount(self) -> None:
        """Count those that are handed out: an interruption, or a drop, may have changed that."""
        if self._flying and self._waiting and self._flying[-1] is self._waiting[0]:
            del self._waiting[0]  # it was on its way
        self.handed_out = sum(entry.message is not None for entry in self._flying)
