"""The queue protocol, and what a queue tells."""

from __future__ import annotations

from typing import Protocol

__all__ = ["VERBS", "EventQueue", "Observer"]


class Observer(Protocol):
    """Who hears of what a queue does by itself. A queue in memory has nothing to say.

    The counts may be raised with any lock held. The others may call the app, so no lock is.
    """

    def count_adopted(self, number: int) -> None:
        """So many messages of a process that has ended are handed out by this queue."""
        ...

    def count_dropped(self, number: int, reason: str) -> None:
        """So many of the messages that were put, or adopted, won't be handed out."""
        ...

    def tell_dropped(self, messages: list[bytes], reason: str) -> None:
        """Which ones they were, as far as that is known."""
        ...

    def unreadable(self, line: bytes, reason: str) -> None:
        """Something was stored that is no message (any more)."""
        ...

    def storage_fault(self, fault: str | None, *, is_new: bool) -> None:
        """Messages can't be stored where they should, and why; None: it is well again."""
        ...

    def remark(self, text: str) -> None:
        """Something that an operator should know, and that stops nothing."""
        ...


class EventQueue(Protocol):
    """A first-in, first-out store of messages that keeps each until it is acknowledged.

    A message is its JSON as bytes, short of the closing brace (delivery adds `sentAt` and the
    brace at each attempt). Any thread may call `put`, even a signal handler that interrupts
    another `put`; one thread at a time calls `get` and `ack`.

    Events that `get` handed out stay first in line, and within the bounds, until `ack`:
    so nothing is lost with the thread that was delivering them.
    """

    def attach(self, observer: Observer) -> None:
        """Called before use, and again after `begin_anew`."""
        ...

    def begin_anew(self) -> None:
        """Called in a forked child: what waits is the parent's, and so are locks and files.

        The parent's other threads do not exist here, and may have held any lock.
        """
        ...

    def recover(self) -> None:
        """Look for what processes that have ended left behind; `pending` then is not 0."""
        ...

    def put(self, message: bytes) -> int:
        """Append a message.

        Returns:
            How many wait now to be handed out, this one included.

        Raises:
            QueueFullError: A bound would be passed. Nothing was stored.

        Where anything else comes out of it, the message counts as dropped, unless the queue has
        `__contains__`, and says that it is there.
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

    def evict(self, size: int) -> list[bytes] | None:
        """Make room for a message of that many bytes: drop the oldest that are not handed out.

        Returns:
            Those that were dropped, perhaps none; None: there would be no room even without all of
            them, and none was dropped.
        """
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

    def close(self) -> None:
        """Let go of files and the like, unless something is pending. The next `put` reopens it."""
        ...

    def abandon(self) -> list[bytes]:
        """Forget, and return, what can't outlive this process: called when it ends."""
        ...


VERBS = tuple(name for name in vars(EventQueue) if not name.startswith("_"))
"""What a queue object must have."""
