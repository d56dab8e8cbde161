"""Messages that are stored, though the upload that they were part of failed as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Ahead"]


class Ahead:
    """They come again with those that are not stored, in uploads of any size, and are left out.

    Args:
        most_bytes: What it remembers. The oldest are forgotten first: perhaps nobody sends them
            again, since retries were given up.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._messages: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def stored(self, messages: Iterable[bytes]) -> None:
        """Remember messages; their upload failed, or is not at its end yet."""
        for message in messages:
            if message not in self._messages:
                self._messages[message] = None
                self._bytes += len(message)
        while self._bytes > self._most:
            self._forget(next(iter(self._messages)))

    def fresh(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Leave out what is stored."""
        if not self._messages:  # else each message would be hashed for nothing
            return messages
        return [message for message in messages if message not in self._messages]

    def settled(self, messages: Iterable[bytes]) -> None:
        """Forget messages: their upload is stored as a whole, so they won't come again."""
        if self._messages:
            for message in messages:
                self._forget(message)

    def _forget(self, message: bytes) -> None:
        if message in self._messages:
            del self._messages[message]
            self._bytes -= len(message)
