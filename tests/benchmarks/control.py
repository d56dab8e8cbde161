"""How the sink is told what to do: a line of JSON each way, on a port of its own."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Control"]

_PATIENCE = 600.0


class Control:
    """A connection over which the sink is controlled.

    Args:
        port: The sink's second one.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._file.close()
        self._socket.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have the sink call its method of that name, and return what that returned."""
        self._file.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._file.flush()
        answer = json.loads(self._file.readline())
        if "error" in answer:
            raise RuntimeError(f"the sink can't {do}: {answer['error']}")
        return answer["result"]
