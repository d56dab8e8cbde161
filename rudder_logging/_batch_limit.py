"""How large an upload may be, as far as the answers so far have shown: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["BatchLimit"]

_LEAST = 1_000  # bytes; room for some event
_UPLOADS_BEFORE_MORE = 100
"""So few are refused in vain, and the body sent for nothing, where the limit is there to stay."""


class BatchLimit:
    """Lowered when a 413 says so, and raised again, because what said so may be gone.

    Args:
        most: Bytes of a body before compression, as the option says.
    """

    def __init__(self, most: int) -> None:
        self.bytes = most
        """What a body may weigh."""
        self._most = self._before = most
        self._accepted = 0  # uploads since the limit was changed

    def begin(self) -> None:
        """A batch is taken, all of which was within the limit."""
        self._before = self.bytes

    def refused(self, sizes: Sequence[int]) -> int:
        """Messages of these sizes were too large together, and will be again: a proxy's limit.

        Returns:
            How many of them, of at least two, to send first: those of about half the weight.
        """
        half = sum(sizes) // 2
        self.bytes = min(self.bytes, max(half, _LEAST))
        self._accepted = 0
        weight = count = 0
        while count < len(sizes) - 1 and weight + sizes[count] <= half:
            weight += sizes[count]
            count += 1
        return max(count, 1)

    def refused_alone(self) -> None:
        """One event was too large by itself: that is why the batch with it was refused."""
        self.bytes = self._before

    def accepted(self) -> None:
        """An upload was accepted; after many, twice as much is tried."""
        if self.bytes < self._most:
            self._accepted += 1
            if self._accepted >= _UPLOADS_BEFORE_MORE:
                self.bytes = min(2 * self.bytes, self._most)
                self._accepted = 0
