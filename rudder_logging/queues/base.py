"""The seam of the queues: what a buffer is, and who hears of what it does by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "METHODS",
    "SUPPRESSED",
    "Batch",
    "Buffer",
    "Depth",
    "Durable",
    "Evicting",
    "Forkable",
    "Observer",
    "Outgoing",
]


SUPPRESSED = "suppressed"
"""The reason of a drop: it is an event of somebody who is suppressed."""


class Batch(list[bytes]):
    """Messages that are handed out, the oldest first.

    A buffer may derive a class of its own, for what it needs to settle them.
    """


class _Depth(NamedTuple):
    events: int
    """Number of messages that are not settled."""
    bytes: int
    """Their size."""
    waiting: int
    """Number of those that are not handed out."""


class Depth(_Depth):
    """Fill of a buffer."""

    __slots__ = ()

    def __new__(cls, events: int, bytes: int, waiting: int) -> Self:  # noqa: A002 - the field
        """Make one in a frame with builtins, which a NamedTuple's own has not.

        What a garbage collection runs there can import nothing.
        """
        return tuple.__new__(cls, (events, bytes, waiting))


class Buffer(Protocol):
    """A first-in, first-out store of messages that keeps each until it is settled.

    A message is its JSON as bytes, short of the closing brace (delivery adds `sentAt` and the
    brace at each attempt). What is handed out stays first in line, and within the bounds, until it
    is settled: so nothing is lost with the thread that was delivering it.

    A buffer of the app's needs no lock: no two calls of its methods overlap, not even where a
    signal handler logs amid a `put`.
    """

    def put(self, message: bytes) -> int:
        """Append a message.

        Returns:
            Number of messages that wait now to be handed out, this one included.

        Raises:
            QueueFullError: A bound would be passed. Nothing was stored.

        If it raises anything else, the message counts as dropped, unless there is one more then.
        """
        ...

    def take(self, max_bytes: int) -> Batch | None:
        """Hand out the oldest messages, the same again until they are settled; None: no more.

        Args:
            max_bytes: Their sizes add up to this at the most; the first is handed out anyway.
        """
        ...

    def settle(self, batch: Batch, count: int) -> int:
        """Forget messages of the batch that was handed out last: the oldest that are left of it.

        Returns:
            Number of messages that were forgotten.
        """
        ...

    def depth(self) -> Depth:
        """Fill of the buffer. It is asked often, and has to be cheap."""
        ...

    def close(self) -> None:
        """Let go of files and the like, unless something is pending. The next `put` reopens it."""
        ...


class Outgoing(Protocol):
    """The side of a queue that delivery sees: batches are taken out, and settled."""

    settled: int
    """Number of messages that `settle` has forgotten. It is read without a call."""

    @property
    def suppresses(self) -> Callable[[bytes], bool] | None:
        """Tells if a message must not leave any more; None: all may. Asked before each attempt."""
        ...

    def take(self, max_bytes: int, overhead: int = 0) -> Batch | None:
        """See `Buffer.take`. So many bytes count for each message besides its own."""
        ...

    def settle(self, batch: Batch, count: int) -> int:
        """See `Buffer.settle`."""
        ...

    def depth(self) -> Depth:
        """See `Buffer.depth`."""
        ...


class Forkable(Protocol):
    """A buffer that lives on in a forked child.

    Without this, a child's events wait in memory.
    """

    def after_fork(self) -> None:
        """Begin empty, in a forked child: what waits is the parent's, and so are locks and files.

        The parent's other threads do not exist here, and may have held any lock.
        """
        ...


class Evicting(Protocol):
    """A buffer that can drop its oldest messages: `overflow="drop_old"` needs it."""

    def evict(self, size: int) -> list[bytes] | None:
        """Make room for a message of that many bytes: drop the oldest that are not handed out.

        Returns:
            Those that were dropped, perhaps none; None: there would be no room even without all of
            them, and none was dropped.
        """
        ...


class Durable(Protocol):
    """A buffer that keeps messages beyond the process.

    Without this, what can't be delivered before the process ends is dropped.
    """

    def recover(self) -> None:
        """Look for what processes that have ended left behind; `depth` then tells of it."""
        ...

    def abandon(self) -> list[bytes]:
        """Forget, and return, what can't outlive this process.

        Called when it ends, or when nothing will be delivered any more.
        """
        ...


METHODS = tuple(name for name in vars(Buffer) if not name.startswith("_"))
"""Methods that a buffer must have."""


class Observer(Protocol):
    """Who hears of what a queue does by itself. A queue in memory has nothing to say.

    The counts may be raised with any lock held. The others may call the app, so no lock is.
    """

    def count_adopted(self, number: int) -> None:
        """Messages of a process that has ended are handed out by this queue."""
        ...

    def count_dropped(self, number: int, reason: str) -> None:
        """Messages that were put, or adopted, won't be handed out."""
        ...

    def tell_dropped(self, messages: list[bytes], reason: str) -> None:
        """The messages that were dropped, as far as they are known."""
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
