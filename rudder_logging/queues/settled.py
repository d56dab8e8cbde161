"""How far a queue has settled what was put, and what an interrupted `put` has kept."""

from __future__ import annotations

__all__ = ["Kept", "Settled"]


class Settled:
    """Counts messages in the order of their puts. Nothing here is safe for threads.

    Those that are dropped while older ones are not settled yet count only once these are: whoever
    waits for a mark waits for all before it.
    """

    def __init__(self) -> None:
        self.in_turn = 0
        """How many of the oldest were settled. A plain number: whoever raises it does so in a
        statement without a call, where CPython lets in no signal handler."""
        self._ahead: dict[int, int] = {}  # how many are dropped; by `in_turn` when they count

    @property
    def count(self) -> int:
        """So many that were put first are settled."""
        in_turn = self.in_turn
        return in_turn + sum(number for at, number in self._ahead.items() if at <= in_turn)

    @property
    def total(self) -> int:
        """So many are settled or dropped, wherever they stood."""
        return self.in_turn + sum(self._ahead.values())

    def drop(self, number: int, before: int) -> None:
        """So many are dropped, before which so many are neither settled nor dropped."""
        if not number:
            return
        at = self.in_turn + before
        ahead = {at: number}
        for other, count in self._ahead.items():
            if other <= self.in_turn:  # these count already
                others_turn = 0
            elif other > at:  # they need not wait for these any more, but perhaps are behind them
                others_turn = max(at, other - number)
            else:
                others_turn = other
            ahead[others_turn] = ahead.get(others_turn, 0) + count
        self._ahead = ahead


class Kept:
    """Messages whose `put` was interrupted after it had kept them.

    The caller has to learn that from here: until it asks, the message may have been delivered and
    have left the queue.
    """

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    def add(self, message: bytes) -> None:
        """Its `put` kept it, and is about to raise."""
        self._messages.append(message)

    def take(self, message: bytes) -> bool:
        """Whether this very message was kept. Once: it is forgotten."""
        for position, kept in enumerate(self._messages):
            if kept is message:
                del self._messages[position]
                return True
        return False
