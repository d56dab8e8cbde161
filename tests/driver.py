"""A process that logs events on command, so that a test can kill it and start it again.

    python -m tests.driver '{"data_plane_url": "http://...", "queue": "memory://"}'

It reads one JSON object a line: `{"do": "log", "first": 0, "count": 3}`, `{"do": "flush",
"timeout": 1}`, `close`, `stats`, `exit`. It answers each with one line, and tells of each event
that the handler drops with a line of its own, at once: what is told is told, whenever it is killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from rudder_logging import RudderHandler

__all__ = ["Driver"]

_SECONDS_TO_ANSWER = 30.0


class Driver:
    """A driver process, as seen by the test that drives it.

    Args:
        options: The handler's options, as JSON can hold them.
    """

    def __init__(self, **options: Any) -> None:
        self._options = json.dumps(options)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.drops: list[tuple[int, str]] = []
        """Number and reason of each event that any process so far has dropped."""

    def start(self) -> None:
        """Start a process, which is not ready before it has answered a first command."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.driver", self._options],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "drop" in told:
                self.drops.append(tuple(told["drop"]))
            else:
                self._answers.put(told)
        self._answers.put(None)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give a command, and return its answer.

        Raises:
            ConnectionError: The process has ended.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=_SECONDS_TO_ANSWER)
        if answer is None:
            raise ConnectionError("the driver has ended")
        return answer

    def log(self, first: int, count: int = 1) -> None:
        """Log events with these numbers; when this returns, the handler has them."""
        self.ask("log", first=first, count=count)

    def flush(self, timeout: float | None = None) -> bool:
        """Whether all that was logged so far is settled."""
        return bool(self.ask("flush", timeout=timeout)["settled"])

    def close(self) -> None:
        """Close the handler; the next event opens it again."""
        self.ask("close")

    def stats(self) -> dict[str, Any]:
        """The handler's counts."""
        return self.ask("stats")

    def exit(self) -> int:
        """Have the process end by itself, and return its exit code."""
        self.ask("exit")
        return self._wait()

    def kill(self) -> None:
        """End it at once, in the midst of whatever it is doing (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._wait()

    def _wait(self) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._reader is not None
        code = self._process.wait(_SECONDS_TO_ANSWER)
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):  # it died before it had read all
            self._process.stdin.close()
        self._process.stdout.close()
        self._answers = queue.SimpleQueue()
        self._process = None
        return code


def _tell(what: dict[str, Any]) -> None:
    """One write, so that threads do not mix their lines."""
    os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


def _answer(handler: RudderHandler, logger: logging.Logger, command: dict[str, Any]) -> Any:
    match command["do"]:
        case "log":
            for number in range(command["first"], command["first"] + command["count"]):
                event = {"user_id": "u", "properties": {"n": number}}
                logger.info("event", extra={"rudder": event})
            return {}
        case "flush":
            return {"settled": handler.flush(command.get("timeout"))}
        case "close":
            handler.close()
            return {}
        case "stats":
            stats = handler.stats()
            return {**dataclasses.asdict(stats), "balanced": stats.balanced}
        case "exit":
            return {}
    raise ValueError(command["do"])


def main() -> None:
    """Do what standard input says."""
    handler = RudderHandler(
        on_drop=lambda event, reason: _tell({"drop": (event["properties"]["n"], reason)}),
        **json.loads(sys.argv[1]),
    )
    logger = logging.getLogger("driver")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    for line in sys.stdin:
        command = json.loads(line)
        _tell(_answer(handler, logger, command))
        if command["do"] == "exit":
            break


if __name__ == "__main__":
    main()
