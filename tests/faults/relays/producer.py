"""An app: logs events until it is told to stop, then has them delivered, and ends.

    python -m tests.faults.relays.producer NAME COUNT USERS SECONDS_BETWEEN SIZE

The handler's options come from the environment. A COUNT of 0 means: until there is a file
`NAME.stop`. What it knows goes to `NAME.journal`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count, islice
from pathlib import Path
from secrets import token_hex
from time import sleep
from typing import Any

from rudder_logging import RudderHandler
from rudder_logging.config import Config
from rudder_logging.handler.outlets import Outlets, replaced_by
from rudder_logging.sinks import Outcome, Refused, Sink, Stored

from .journal import Notes

__all__ = ["main"]

_ID = re.compile(rb'"messageId":\s*"([^"]+)"')


class _NotingSink:
    """Notes what the engine has acknowledged, before the handler hears of it."""

    def __init__(self, sink: Sink, notes: Notes) -> None:
        self._sink, self._notes = sink, notes
        self.max_bytes = sink.max_bytes

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `Sink.send`."""
        outcome = self._sink.send(messages, deadline)
        refused: Sequence[int] | None = None
        if isinstance(outcome, Stored):
            refused = ()
        elif isinstance(outcome, Refused):
            refused = outcome.which
        if refused is not None:
            stored = (m for at, m in enumerate(messages) if at not in refused)
            found = [_ID.search(message) for message in stored]
            self._notes.acknowledged(match[1].decode() for match in found if match)
        return outcome

    def close(self) -> None:
        """See `Sink.close`."""
        self._sink.close()


class _Noting(Outlets):
    """Opens what the options name, and listens to what the engine says."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def sink(self, config: Config) -> Sink:
        """See `Outlets.sink`."""
        return _NotingSink(super().sink(config), self._notes)


def main(name: str, most: str, users: str, seconds_between: str, size: str) -> None:
    """Log, deliver, end."""
    notes = Notes(f"{name}.journal")

    def on_drop(event: dict[str, Any], reason: str) -> None:
        notes.dropped(event["messageId"], reason)

    with replaced_by(_Noting(notes)):
        handler = RudderHandler(on_drop=on_drop)
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    stop = Path(f"{name}.stop")
    for number in islice(count(), int(most) or None):
        if stop.exists():
            break
        user, turn = number % int(users), number // int(users)
        event_id = f"{name}/u{user}/{turn}"
        properties = {"padding": token_hex(int(size) // 2)}
        event = {"message_id": event_id, "user_id": f"u{user}", "properties": properties}
        logger.info("Tested", extra={"rudder": event})
        notes.logged(event_id)
        if float(seconds_between):
            sleep(float(seconds_between))
    while not handler.flush(1):
        pass
    handler.close()
    notes.stats(asdict(handler.stats()))


if __name__ == "__main__":
    main(*sys.argv[1:])
