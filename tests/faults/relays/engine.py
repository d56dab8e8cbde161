"""A real Redis that is killed, loses data, fills up, gets another time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tests.engines import RedisServer

from ..stage import PATIENCE

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ALWAYS", "EVERY_SECOND", "Engine"]

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
EVERY_SECOND = ("--appendonly", "yes", "--appendfsync", "everysec")


class Engine(RedisServer):
    """See `RedisServer`."""

    environment: tuple[str, ...] = ()
    """What it gets besides, like `NAME=value`."""

    def _command(self) -> list[str]:
        return ["env", *self.environment, *super()._command()]

    @property
    def unwritten(self) -> int:
        """Bytes that are still to be written to its append-only file."""
        info: dict[str, Any] = self._client.info("persistence")
        return int(info["aof_buffer_length"])

    @property
    def log_size(self) -> int:
        """Bytes that its append-only file has."""
        return self._append_only.stat().st_size

    def shorten(self, size: int) -> None:
        """Take the end off its append-only file, as a crash of its machine does."""
        with self._append_only.open("r+b") as file:
            file.truncate(size)

    @property
    def _append_only(self) -> Path:
        # 7.0 has a folder of them, and writes to the one that is named so.
        (path,) = [*self.folder.glob("appendonly.aof"), *self.folder.glob("*/*.incr.aof")]
        return path

    def __enter__(self) -> Self:
        super().__enter__()
        self._client = self.client(protocol=2, socket_timeout=PATIENCE)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()
        super().__exit__(exc_type, exc, traceback)

    def owners(self, source: str) -> Counter[str]:
        """How many shards each relay owns, by its id."""
        do: Any = self._client.execute_command
        keys = do("KEYS", f"rudder:{{{source}:*}}:lease")
        tokens = do("MGET", *keys) if keys else []
        return Counter(token.decode().partition(":")[0] for token in tokens if token)

    def members(self, source: str) -> int:
        """How many relays are there."""
        return len(self.do("ZRANGE", f"rudder:{{{source}}}:relays", 0, -1))
