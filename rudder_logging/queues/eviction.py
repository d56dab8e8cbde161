"""Which messages have to go for another one to have room in memory."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["oldest_to_go"]


def oldest_to_go(waiting: Iterable[bytes], events: int, excess: int) -> list[bytes] | None:
    """The oldest of what waits, as many as have to go; None: not even all of them would do.

    Args:
        waiting: What may go, the oldest first.
        events: How many there are of all, over the bound; another one fits if it is below 0.
        excess: Bytes over the bound, those of the other one included; it fits if there are none.
    """
    found: list[bytes] = []
    for message in waiting:
        if events < 0 and excess <= 0:
            break
        found.append(message)
        events -= 1
        excess -= len(message)
    return found if events < 0 and excess <= 0 else None
