"""Real servers of apps, as processes that a test drives over HTTP and ends."""

from __future__ import annotations

import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import connect

from rudder_logging.dataplane import LocalDataPlane
from tests.faults.stage import PATIENCE, Process, Stage, wait_until

__all__ = [
    "ANONYMOUS",
    "GUNICORN",
    "UVICORN",
    "Server",
    "check_mix",
    "check_web_socket",
    "places",
    "serving",
]

UVICORN = ("-m", "uvicorn", "--port", "0")
GUNICORN = (
    *("-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket"),
    *("--workers", "2", "--threads", "4"),
)

ANONYMOUS = "5f3c1e9a-7d42-4b8e-9a51-2c6b7f0d8e13"
"""An anonymous id, as a browser's cookie has it."""

_LISTENS = re.compile(
    r"(?:[Ll]istening at:|[Rr]unning on|Listening on TCP address) (?:http://)?[\w.]+:(\d+)"
)


class Server:
    """A server in a process, with the data plane that its app's events go to."""

    def __init__(self, stage: Stage, process: Process) -> None:
        self._process = process
        self.plane: LocalDataPlane = stage.plane
        wait_until(self._port_told, "the server to listen")
        port = self._port_told()
        assert port is not None
        self.port = port
        wait_until(self._listens, "a worker to listen")

    def _port_told(self) -> int | None:
        match = _LISTENS.search(self._process.output)
        return int(match[1]) if match else None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def output(self) -> str:
        """All that it has written."""
        return self._process.output

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path: str, method: str = "GET", **arguments: Any) -> requests.Response:
        """Make a request, whose answer has to be a good one."""
        answer = requests.request(method, self.url(path), timeout=PATIENCE, **arguments)
        assert answer.ok, answer.text
        return answer

    def events(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many events since the last time that the data plane was cleared."""
        return self.plane.wait_for(count, PATIENCE)

    def end(self) -> None:
        """Have it end as service managers do, and wait for that."""
        self._process.signal(signal.SIGTERM)
        self._process.wait(None)


def places(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Where events were logged, and whose they are, by their order."""
    return [(event["properties"]["place"], event.get("userId")) for event in events]


def check_mix(server: Server, kinds: Sequence[str], requests: int = 200) -> None:
    """Make many requests at once, which log three events each, and hold them against these."""

    def ask(n: int) -> None:
        server.ask(
            f"/{kinds[n % len(kinds)]}/{n}",
            headers={"X-User": f"user {n}"},
            cookies={"rl_anonymous_id": f"visitor-{n}"},
        )

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(ask, range(requests)))
    events = server.events(3 * requests)
    found = sorted((event["properties"]["n"], event["properties"]["place"]) for event in events)
    expected = [(str(n), place) for n in range(requests) for place in ("first", "last", "task")]
    assert found == sorted(expected)
    for event in events:
        n = event["properties"]["n"]
        assert event["userId"] == f"user {n}"
        assert event["anonymousId"] == f"visitor-{n}"
        assert event["context"]["page"]["path"] == f"/{kinds[int(n) % len(kinds)]}/{n}"


@contextmanager
def serving(directory: Path, command: Sequence[str], **options: Any) -> Iterator[Server]:
    """Have a server as long as the block lasts.

    Args:
        directory: An empty one, in which it runs.
        command: Python's arguments.
        **options: Its handlers'.
    """
    with Stage(directory) as stage:
        try:
            yield Server(stage, stage.start(*command, **options))
        except Exception:
            sys.stderr.write(stage.output())
            raise


def check_web_socket(server: Server) -> None:
    """Talk with a server, and end the connection: all its events are one visitor's."""
    headers = {"Cookie": "rl_anonymous_id=visitor", "X-User": "42"}
    url = server.url("/talk/1").replace("http", "ws", 1)
    with connect(url, additional_headers=headers) as socket:
        for word in ("one", "two"):
            socket.send(word)
            assert socket.recv(timeout=120) == word
    events = server.events(4)
    assert places(events) == [(place, "42") for place in ("opened", "heard", "heard", "closed")]
    assert {event["anonymousId"] for event in events} == {"visitor"}
