"""The queue protocol, and `open_queue`, which turns the option into a queue."""

from __future__ import annotations

from typing import Protocol

__all__ = ["VERBS", "EventQueue", "open_queue"]


class EventQueue(Protocol):
    """A first-in, first-out store of messages that keeps each until it is acknowledged.

    A message is its JSON as bytes, short of the closing brace (delivery adds `sentAt` and the
    brace at each attempt). Any thread may call `put`, even a signal handler that interrupts
    another `put`; one thread at a time calls `get` and `ack`.

    Events that `get` handed out stay first in line, and within the bounds, until `ack`:
    so nothing is lost with the thread that was delivering them.
    """

    def put(self, message: bytes) -> int:
        """Append a message.

        Returns:
            How many wait now to be handed out, this one included.

        Raises:
            QueueFullError: A bound would be passed. Nothing was stored.
        """
        ...

    def get(self, max_bytes: int, overhead: int = 0) -> list[bytes]:
        """Hand out the oldest unacknowledged messages, the same again until they are.

        Args:
            max_bytes: Their sizes add up to this at the most; the first is handed out anyway.
            overhead: Bytes that count for each message besides its own.
        """
        ...

    def ack(self, count: int) -> int:
        """Forget the oldest messages handed out.

        Returns:
            How many were forgotten; fewer than asked for only after `abandon`.
        """
        ...

    def evict(self) -> bytes | None:
        """Remove and return the oldest message that is not handed out, if there is one."""
        ...

    def wait_for_room(self, size: int, timeout: float) -> bool:
        """Wait until a message of that many bytes fits. False: it doesn't after `timeout` s."""
        ...

    def mark(self) -> int:
        """The position behind the newest message."""
        ...

    def wait_until_settled(self, mark: int, timeout: float) -> bool:
        """Wait until all before the mark are acknowledged or evicted. False: not in `timeout` s."""
        ...

    def waiting(self) -> int:
        """How many messages are not handed out."""
        ...

    def pending(self) -> tuple[int, int]:
        """How many messages are not acknowledged, and their bytes."""
        ...

    def abandon(self) -> list[bytes]:
        """Forget, and return, what can't outlive this process: called when it ends."""
        ...


VERBS = tuple(name for name in vars(EventQueue) if not name.startswith("_"))
"""What a queue object must have."""


def open_queue(option: str | EventQueue, *, max_events: int, max_bytes: int) -> EventQueue:
    """Make the queue that the option `queue` names; a queue object is returned as it is."""
    from .memory import MemoryQueue  # noqa: PLC0415 - the protocol does not need its makers

    if isinstance(option, str):
        return MemoryQueue(max_events=max_events, max_bytes=max_bytes)
    return option
