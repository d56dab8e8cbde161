"""The way of TCP connections to a server, which can be cut, held up, or lose answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from time import sleep
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Line"]


class Line:
    """Listens on a port of its own, and passes on what comes, both ways.

    Args:
        port: Of the server, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._loses = 0  # answers, after which the connection is cut
        self._sought = b""
        self._is_cut = False
        self._may_pass = threading.Event()
        self._may_pass.set()
        self.delay = 0.0
        """Seconds by which each piece is late, either way."""
        self.connections = 0
        """That were made so far."""

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()
        self._may_pass.set()
        # Closing alone does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def lose_answers(self, count: int = 1, to: bytes = b"") -> None:
        """Pass on what comes next, but cut the connection instead of its answer; so many times.

        Args:
            count: How many times.
            to: Only the answers to what has these bytes, like `b"EVALSHA"`.
        """
        with self._lock:
            self._loses, self._sought = count, to

    def cut(self) -> None:
        """Cut all connections, and refuse new ones, until it is mended."""
        self._is_cut = True
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def hold(self) -> None:
        """Let nothing through, without a word to either side, until it is mended."""
        self._may_pass.clear()

    def mend(self) -> None:
        """Let all through again."""
        self._is_cut = False
        self._loses = 0
        self._may_pass.set()

    def lead_to(self, port: int) -> None:
        """Have new connections lead to another server, as when a name gets another address."""
        self._server = port

    def _spawn(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                near.close()
                continue
            self.connections += 1
            self._spawn(self._join, near, far)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            with self._lock:
                self._open |= {near, far}
            doomed = threading.Event()
            thread = threading.Thread(target=self._ask, args=(near, far, doomed), daemon=True)
            thread.start()
            with contextlib.suppress(OSError):
                while data := self._receive(far):
                    if doomed.is_set():
                        break
                    near.sendall(data)
            with self._lock:
                self._open -= {near, far}
            for connection in (near, far):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def _ask(self, near: socket.socket, far: socket.socket, doomed: threading.Event) -> None:
        tail = b""
        with contextlib.suppress(OSError):
            while data := self._receive(near):
                with self._lock:
                    if self._loses and self._sought in tail + data:
                        self._loses -= 1
                        doomed.set()
                    tail = data[-len(self._sought) :]
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _receive(self, source: socket.socket) -> bytes:
        data = source.recv(65_536)
        if self.delay:
            sleep(self.delay)
        self._may_pass.wait()
        return data
