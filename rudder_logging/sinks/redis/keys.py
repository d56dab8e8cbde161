"""The names of all keys. The braces keep those of a shard in one slot of a cluster."""

from __future__ import annotations

__all__ = ["VERSION", "Keys"]

VERSION = 1
"""Of the layout."""


class Keys:
    """The keys of one source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.meta = f"rudder:{{{source}}}:meta"
        """Hash: `shards`, `version`."""
        self.relays = f"rudder:{{{source}}}:relays"
        """Sorted set: relays, by the time until which they are members."""
        self.forgotten = f"rudder:{{{source}}}:forgotten"
        """Hash: persons whose messages are left out."""

    def queue(self, shard: int) -> str:
        """Stream of frames: `f` is the frame, `n` the number of its messages."""
        return f"{self._of(shard)}:q"

    def notes(self, shard: int) -> str:
        """Hash: what the stream holds, and how far its first entry has come."""
        return f"{self._of(shard)}:n"

    def lease(self, shard: int) -> str:
        """The token of the shard's owner; it expires."""
        return f"{self._of(shard)}:lease"

    def sequence(self, shard: int, producer: str) -> str:
        """The number of the producer's last frame; it expires."""
        return f"{self._of(shard)}:seq:{producer}"

    def dead(self, shard: int) -> str:
        """Stream of the entries that nobody could deliver."""
        return f"{self._of(shard)}:dead"

    def _of(self, shard: int) -> str:
        return f"rudder:{{{self._source}:{shard}}}"
