"""A buffer as a third party may write one, in a single file. It imports nothing private."""

from __future__ import annotations

from pathlib import Path

from rudder_logging.exceptions import QueueFullError
from rudder_logging.queues import Batch, Depth

__all__ = ["EvictingFile", "OneFile"]


class OneFile:
    """A buffer that writes its file anew at each settlement. It knows nothing of threads.

    Args:
        path: Where.
        max_bytes: What its messages may weigh.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.handed_out = 0

    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines() if self.path.exists() else []

    def put(self, message: bytes) -> int:
        """Append a line."""
        depth = self.depth()
        if depth.bytes + len(message) > self.max_bytes:
            raise QueueFullError("the file is full")
        with self.path.open("ab") as file:
            file.write(message + b"\n")
        return depth.waiting + 1

    def take(self, max_bytes: int) -> Batch | None:
        """The first lines."""
        batch = Batch()
        for line in self._lines():
            max_bytes -= len(line)
            if batch and max_bytes < 0:
                break
            batch.append(line)
        self.handed_out = len(batch)
        return batch or None

    def settle(self, batch: Batch, count: int) -> int:
        """Remove them."""
        lines = self._lines()[count:]
        self.path.write_bytes(b"".join(line + b"\n" for line in lines))
        self.handed_out -= count
        return count

    def depth(self) -> Depth:
        """Count lines."""
        lines = self._lines()
        return Depth(len(lines), sum(map(len, lines)), len(lines) - self.handed_out)

    def close(self) -> None:
        """Remove the file, if nothing is in it."""
        if not self._lines():
            self.path.unlink(missing_ok=True)


class EvictingFile(OneFile):
    """One that can do more: drop its oldest messages, and live on in a forked child."""

    def evict(self, size: int) -> list[bytes] | None:
        """Remove the first lines behind those that are handed out."""
        lines, evicted = self._lines(), list[bytes]()
        excess = sum(map(len, lines)) + size - self.max_bytes
        while excess > 0:
            if self.handed_out == len(lines):
                return None
            evicted.append(lines.pop(self.handed_out))
            excess -= len(evicted[-1])
        self.path.write_bytes(b"".join(line + b"\n" for line in lines))
        return evicted

    def after_fork(self) -> None:
        """Go on in a file of another name."""
        self.path = self.path.with_suffix(".child")
        self.handed_out = 0
