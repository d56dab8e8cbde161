"""uvicorn, bent where the gateway's behaviour needs it: cuts, refusals, readiness, silence."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .responses import refusal

__all__ = ["THREAD_NAME", "Server", "protocol", "quiet"]

THREAD_NAME = "LocalDataPlane"


def protocol(connections: dict[tuple[str, int], asyncio.Transport]) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, which also notes each connection, so that one can be cut."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Note the connection."""
            super().connection_made(transport)
            self.peer = transport.get_extra_info("peername")[:2]
            connections[self.peer] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            """Forget the connection."""
            connections.pop(self.peer, None)
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
            """Answer as Go's net/http does; called while the parser's error is handled."""
            status = getattr(sys.exc_info()[1], "error_status_hint", 400)
            self.transport.write(refusal(431 if status == 431 else 400))  # noqa: PLR2004
            self.transport.close()

    return Protocol


def quiet(record: logging.LogRecord) -> bool:
    """Keep our server's "Started", "Shutting down" out of the app's logs, and no one else's."""
    return record.levelno > logging.INFO or record.threadName != THREAD_NAME


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it is ready, and ends when asked from another thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.on_exit: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell."""
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of what hangs, then end."""
        if self.on_exit is not None:
            self.on_exit()
        await super().shutdown(sockets)

    def finish(self) -> None:
        """End soon; from any thread."""
        self.should_exit = True
