"""Sends events at a steady rate: `python -m tests.live.flood URL PER_SECOND SECONDS`."""

from __future__ import annotations

import json
import sys
from time import monotonic, sleep

import requests

_BATCH = 100


def main(url: str, per_second: int, seconds: float) -> None:
    """Send, each batch at its time; print by how many seconds one was answered late, at the most.

    Late is what came after the next one was due.
    """
    names = ["Article Read", "Cart Viewed", "Coupon Used", "Order Completed"]
    session = requests.Session()
    session.auth = ("flood", "")
    start = monotonic()
    latest = 0.0
    for batch in range(int(per_second * seconds / _BATCH)):
        events = [
            {
                "type": "track",
                "event": names[number % 4],
                "userId": f"user-{number % 97}",
                "messageId": f"flood-{batch}-{number}",
                "originalTimestamp": "2026-01-02T03:04:05.000Z",
                "channel": "server",
                "context": {"library": {"name": "rudder-logging", "version": "0.1.0"}},
                "properties": {"batch": batch, "number": number, "title": "The Independence"},
                "integrations": {"All": True},
            }
            for number in range(_BATCH)
        ]
        sleep(max(0.0, start + batch * _BATCH / per_second - monotonic()))
        session.post(f"{url}/v1/batch", data=json.dumps({"batch": events})).raise_for_status()
        latest = max(latest, monotonic() - (start + (batch + 1) * _BATCH / per_second))
    print(latest)  # noqa: T201 - its result


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
