"""How far a queue has settled what was put, counted from the first message."""

from __future__ import annotations

__all__ = ["Settled"]


class Settled:
    """Counts messages in the order of their puts. Nothing here is safe for threads.

    Those that are dropped while older ones are not settled yet count only once these are: whoever
    waits for a mark waits for all before it.
    """

    def __init__(self) -> None:
        self._in_turn = 0
        self._ahead: dict[int, int] = {}  # how many are dropped; by `_in_turn` when they count
        self._dropped = 0  # of those, what counts

    @property
    def count(self) -> int:
        """So many that were put first are settled."""
        return self._in_turn + self._dropped

    @property
    def total(self) -> int:
        """So many are settled or dropped, wherever they stood."""
        return self.count + sum(self._ahead.values())

    def settle(self, number: int) -> None:
        """So many of the oldest are settled."""
        self._in_turn += number
        if self._ahead:
            self._catch_up()

    def drop(self, number: int, before: int) -> None:
        """So many are dropped, before which so many are neither settled nor dropped."""
        if not number:
            return
        at = self._in_turn + before
        ahead = {at: number}
        for other, count in self._ahead.items():
            # They need not wait for these any more. Some of these may be behind them.
            others_turn = max(at, other - number) if other > at else other
            ahead[others_turn] = ahead.get(others_turn, 0) + count
        self._ahead = ahead
        self._catch_up()

    def _catch_up(self) -> None:
        for at in [at for at in self._ahead if at <= self._in_turn]:
            self._dropped += self._ahead.pop(at)
