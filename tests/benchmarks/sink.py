"""The server's side: takes uploads as cheaply as Python can, and counts them afterwards.

The machine has few cores, and what the server uses the clients lack. So it reads a body, keeps it
as it came, and answers; nothing is decompressed or parsed until somebody asks for the receipt.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Body", "Receipt", "Sink", "count"]

# What the gateway says: ours takes no other 200 for its.
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_COMMANDS = {
    "set_latency",
    "hold",
    "await_held",
    "release",
    "clear",
    "receipt",
    "uploads",
    "pace",
    "arrivals",
}


@dataclass(frozen=True)
class Body:
    """An upload as it came."""

    content: bytes
    compressed: bool
    at: float = 0.0
    """Seconds, by the clock that all processes of the machine share."""

    def numbers(self) -> list[int]:
        """Of its events. Instead of `properties`, an event may have `traits`."""
        text = gzip.decompress(self.content) if self.compressed else self.content
        events = orjson.loads(text)["batch"]
        return [(event.get("properties") or event["traits"])["n"] for event in events]


@dataclass(frozen=True)
class Receipt:
    """What arrived, held against the events 0 to `expected` - 1."""

    expected: int
    requests: int
    wire_bytes: int
    """Of the bodies."""
    missing: int
    doubled: int
    """Arrivals beyond the first of each event."""
    strangers: int
    """Arrivals of events that nobody has sent."""


def count(bodies: Iterable[Body], expected: int) -> Receipt:
    """Look into the uploads. All clients' are `{"batch": [{"properties": {"n": ...}}]}`."""
    arrived: Counter[int] = Counter()
    requests = wire_bytes = 0
    for body in bodies:
        requests += 1
        wire_bytes += len(body.content)
        arrived.update(body.numbers())
    known = sum(n in arrived for n in range(expected))
    return Receipt(
        expected=expected,
        requests=requests,
        wire_bytes=wire_bytes,
        missing=expected - known,
        doubled=arrived.total() - len(arrived),
        strangers=len(arrived) - known,
    )


class Sink:
    """An HTTP/1.1 server with kept-alive connections, and its control."""

    def __init__(self) -> None:
        self._latency = 0.0
        self._bodies: list[Body] = []
        self._released = threading.Event()
        self._released.set()
        self._held = 0
        self._holding = threading.Condition()
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.control_port = (one.getsockname()[1] for one in self._listeners)

    def __enter__(self) -> Self:
        for listener, serve in zip(
            self._listeners, (self._take_uploads, self._take_commands), strict=True
        ):
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._released.set()
        for listener in self._listeners:
            # Closing alone does not wake the thread that waits in accept().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    # What it can be told.

    def set_latency(self, seconds: float) -> None:
        """Wait so long before each answer."""
        self._latency = seconds

    def hold(self) -> None:
        """Answer no upload until `release`."""
        self._released.clear()

    def await_held(self, timeout: float, uploads: int = 1) -> bool:
        """Wait until so many uploads are being held; whether they are."""
        with self._holding:
            return self._holding.wait_for(lambda: self._held >= uploads, timeout)

    def release(self) -> None:
        """Answer what is held, and what comes."""
        self._released.set()

    def clear(self) -> None:
        """Begin anew."""
        self._latency = 0.0
        self._bodies.clear()
        self._released.set()

    def receipt(self, expected: int) -> dict[str, int]:
        """What arrived since `clear`, if the events 0 to `expected` - 1 were to."""
        return asdict(count(self._bodies, expected))

    def uploads(self) -> int:
        """Uploads since `clear`."""
        return len(self._bodies)

    def pace(self, behind: int) -> dict[str, float]:
        """The events that came behind the first of some uploads, and the seconds they took.

        Args:
            behind: Uploads that came before those.
        """
        first, *others = self._bodies[behind:]
        return {
            "uploads": len(others),
            "events": sum(len(body.numbers()) for body in others),
            "bytes": sum(len(body.content) for body in others),
            "seconds": others[-1].at - first.at if others else 0.0,
        }

    def arrivals(self) -> list[tuple[int, float]]:
        """The number of each event, and when it came."""
        return [(n, body.at) for body in self._bodies for n in body.numbers()]

    # What its threads do.

    def _accept(
        self, listener: socket.socket, serve: Callable[[socket.socket, BinaryIO], None]
    ) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _address = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection, serve), daemon=True).start()

    @staticmethod
    def _serve(connection: socket.socket, serve: Callable[[socket.socket, BinaryIO], None]) -> None:
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as file:
            serve(connection, file)

    def _take_uploads(self, connection: socket.socket, file: BinaryIO) -> None:
        while file.readline():
            length, compressed = 0, False
            while (line := file.readline().lower()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name == b"content-length":
                    length = int(value)
                elif name == b"content-encoding":
                    compressed = b"gzip" in value
            content = file.read(length)
            if len(content) < length:
                return
            self._bodies.append(Body(content, compressed, monotonic()))
            if not self._released.is_set():
                self._wait_for_release()
            if self._latency:
                sleep(self._latency)
            connection.sendall(_ANSWER)

    def _wait_for_release(self) -> None:
        with self._holding:
            self._held += 1
            self._holding.notify_all()
        self._released.wait()
        with self._holding:
            self._held -= 1

    def _take_commands(self, connection: socket.socket, file: BinaryIO) -> None:
        for line in file:
            connection.sendall(json.dumps(self._obey(json.loads(line))).encode() + b"\n")

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        do = command.pop("do")
        if do not in _COMMANDS:
            return {"error": "there is no such command"}
        try:
            return {"result": getattr(self, do)(**command)}
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            return {"error": repr(error)}


def main() -> None:
    """Say the ports, and serve until standard input ends."""
    with Sink() as sink:
        print(json.dumps([sink.port, sink.control_port]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
