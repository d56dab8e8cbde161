"""The process under test: eight threads and two forked children at a time log events.

Each thread and each child is a writer, and numbers its events from 0. What they know is written to
files as it happens, so that nothing of it stays in memory.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
import sys
import threading
import warnings
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from rudder_logging import RudderHandler

from .plane import WRITE_KEY

__all__ = ["CHILDREN", "THREADS"]

THREADS = 8
CHILDREN = 2
_EVENTS_PER_SECOND = 20.0
_SECONDS_BETWEEN_BURSTS = 12.0
_LARGEST_BURST = 300
_SECONDS_TO_SETTLE = 120.0

logger = logging.getLogger("soak")


class App:
    """Writers, and the files in which they account for what they do."""

    def __init__(self, folder: Path, url: str, queue: str, seed: int, child_life: float) -> None:
        self._folder = folder
        self._seed = seed
        self._child_life = child_life
        self._stop = folder / "stop"
        self._children: dict[int, float] = {}
        self._forked = 0
        self.handler = RudderHandler(
            WRITE_KEY,
            url,
            queue=queue,
            timeout=3,
            max_queue_size=5_000,
            on_drop=self._on_drop,
        )

    def _on_drop(self, event: dict[str, Any], reason: str) -> None:
        self._note("drops", f"{event['messageId']} {reason}")

    def _note(self, name: str, line: str) -> None:
        with (self._folder / f"{name}-{os.getpid()}").open("a") as file:
            file.write(line + "\n")

    def write(self, writer: str, until: float | None = None) -> None:
        """Log at a moderate pace, with bursts now and then, until it is time to stop."""
        chance = random.Random(f"{self._seed}/{writer}")
        number = 0
        next_burst = monotonic() + chance.uniform(0, _SECONDS_BETWEEN_BURSTS)
        while not self._stop.exists() and (until is None or monotonic() < until):
            count = 1
            if monotonic() >= next_burst:
                count = chance.randint(10, _LARGEST_BURST)
                next_burst = monotonic() + chance.uniform(0, 2 * _SECONDS_BETWEEN_BURSTS)
            for _ in range(count):
                event = {
                    "message_id": f"{writer}/{number}",
                    "user_id": writer,
                    "properties": {"writer": writer, "n": number, "text": "x" * (number % 300)},
                }
                logger.info("event", extra={"rudder": event})
                number += 1
            sleep(chance.expovariate(_EVENTS_PER_SECOND))
        self._note("logged", f"{writer} {number}")

    def run(self) -> None:
        """Write until told to stop; then have all settled."""
        threads = [
            threading.Thread(target=self.write, args=(f"thread-{number}",))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        while not self._stop.exists():
            self._replace_children()
            sleep(0.2)
        for thread in threads:
            thread.join()
        for child in self._children:
            self._reap(child, os.WUNTRACED)
        self._settle()

    def _replace_children(self) -> None:
        for child in list(self._children):
            if self._reap(child, os.WNOHANG):
                del self._children[child]
        while len(self._children) < CHILDREN:
            self._forked += 1
            child = os.fork()
            if child == 0:
                life = self._child_life * random.uniform(0.5, 1.5)
                self.write(f"child-{self._forked}", monotonic() + life)
                self._settle()
                sys.exit(0)
            self._children[child] = monotonic()

    def _reap(self, child: int, flags: int) -> bool:
        pid, status = os.waitpid(child, flags)
        if pid and status:
            self._note("failed", f"a child ended with status {status}")
        return bool(pid)

    def _settle(self) -> None:
        while not self._stop.exists() and not self.handler.flush(1):
            pass  # a child whose time is up goes through the server's troubles like all others
        settled = self.handler.flush(_SECONDS_TO_SETTLE)
        self.handler.close()
        stats = self.handler.stats()
        self._note(
            "stats",
            json.dumps(
                {**dataclasses.asdict(stats), "balanced": stats.balanced, "settled": settled}
            ),
        )


def main() -> None:
    """Log what the arguments say, to where they say."""
    folder, url, queue, seed, child_life = sys.argv[1:]
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads is what is tried
    logging.getLogger("rudder_logging").setLevel(logging.CRITICAL)
    app = App(Path(folder), url, queue, int(seed), float(child_life))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(app.handler)
    app.run()


if __name__ == "__main__":
    main()
