"""The soak's data plane: fails at random, and remembers of each event only how often it came."""

from __future__ import annotations

import json
import random
import sys
import threading
from typing import Any

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.dataplane.inbox import ReceivedRequest

__all__ = ["WRITE_KEY", "Collector"]

WRITE_KEY = "soak-write-key"
_ROOM = 1 << 16


class Collector:
    """Takes the place of the plane's inbox: counts, by writer and number.

    Two counts of an event: how often it was stored, and how often with an answer that said so.
    Only the first time that such an answer was given was it right to send it no more.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytearray] = {}
        self.answered: dict[str, bytearray] = {}
        self.newest: dict[str, int] = {}
        self.answers_are_lost = False
        """While the port is being closed, whoever gets an answer gets it by luck."""
        self.events = self.duplicates = self.out_of_order = self.strangers = 0

    def add(self, request: ReceivedRequest, events: tuple[dict[str, Any], ...]) -> None:
        """Count what is stored of a request."""
        answered = request.status == 200 and not self.answers_are_lost
        for event in events:
            writer, number = event["properties"]["writer"], event["properties"]["n"]
            if event["messageId"] != f"{writer}/{number}":
                self.strangers += 1
                continue
            stored = self.stored.setdefault(writer, bytearray())
            said = self.answered.setdefault(writer, bytearray())
            while len(stored) <= number:
                stored += bytes(_ROOM)
                said += bytes(_ROOM)
            if stored[number]:
                self.duplicates += 1
            else:
                self.events += 1
                if number < self.newest.get(writer, -1):
                    self.out_of_order += 1
                self.newest[writer] = max(number, self.newest.get(writer, -1))
            stored[number] = min(stored[number] + 1, 255)
            said[number] = min(said[number] + answered, 255)

    def clear(self) -> None:
        """Nothing is kept that could be cleared."""

    def summary(self) -> dict[str, int]:
        """Totals so far."""
        return {
            "events": self.events,
            "duplicates": self.duplicates,
            "out_of_order": self.out_of_order,
            "strangers": self.strangers,
        }


class Chaos:
    """Does one bad thing after another, until it is told to stop."""

    def __init__(self, plane: LocalDataPlane, collector: Collector, seed: int) -> None:
        self._plane = plane
        self._collector = collector
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.doing = "nothing"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End all faults; when this returns, the plane is well."""
        self._over.set()
        self._thread.join()
        self._plane.heal()
        self.doing = "healed"

    def _run(self) -> None:
        faults = [
            self.overload,
            self.failures,
            self.rate_limit,
            self.cuts,
            self.hang,
            self.latency,
            self.disabled,
            self.smaller_limit,
            self.port_away,
        ]
        while not self._over.is_set():
            fault = self._random.choice(faults)
            self.doing = fault.__name__
            seconds = self._random.uniform(1, 6)
            fault(seconds)
            self._plane.heal()
            self.doing = "nothing"
            self._over.wait(self._random.uniform(2, 6))

    def overload(self, seconds: float) -> None:
        self._plane.overloaded = True
        self._over.wait(seconds)

    def failures(self, seconds: float) -> None:
        for status in self._random.choices((500, 502, 503, 504), k=4):
            self._plane.fail(status, times=self._random.randint(1, 3))
        self._over.wait(seconds)

    def rate_limit(self, seconds: float) -> None:
        times, wait = self._random.randint(1, 5), self._random.choice((None, 1))
        self._plane.fail(429, times=times, retry_after=wait)
        self._over.wait(seconds)

    def cuts(self, seconds: float) -> None:
        for _ in range(self._random.randint(1, 6)):
            self._plane.cut(accepted=self._random.random() < 0.7)
        self._over.wait(seconds)

    def hang(self, seconds: float) -> None:
        self._plane.hang(times=self._random.randint(1, 2))
        self._over.wait(seconds)

    def latency(self, seconds: float) -> None:
        self._plane.latency = self._random.uniform(0.02, 0.5)
        self._over.wait(seconds)

    def disabled(self, seconds: float) -> None:
        self._plane.source_enabled = False
        self._over.wait(seconds)

    def smaller_limit(self, seconds: float) -> None:
        self._plane.max_request_bytes = self._random.choice((20_000, 100_000))
        self._over.wait(seconds)

    def port_away(self, seconds: float) -> None:
        self._collector.answers_are_lost = True
        self._over.wait(0.3)  # for answers that are on their way already
        self._plane.stop()
        self._over.wait(seconds)
        self._plane.start()
        self._collector.answers_are_lost = False


def main() -> None:
    """Serve; obey the lines `progress`, `heal` and `report <file>` from standard input."""
    collector = Collector()
    plane = LocalDataPlane(WRITE_KEY)
    plane._inbox = collector  # type: ignore[assignment]
    chaos = Chaos(plane, collector, int(sys.argv[1]))
    with plane:
        print(plane.url, flush=True)
        chaos.start()
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "heal":
                chaos.stop()
            elif command == "report":
                counts = {
                    "stored": {name: held.hex() for name, held in collector.stored.items()},
                    "answered": {name: held.hex() for name, held in collector.answered.items()},
                }
                with open(argument, "w") as file:  # noqa: PTH123
                    json.dump(counts, file)
            print(json.dumps({**collector.summary(), "doing": chaos.doing}), flush=True)
        if chaos.doing != "healed":
            chaos.stop()


if __name__ == "__main__":
    main()
