"""A sink as a third party would write it: one file, and nothing private is imported."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rudder_logging.sinks import Later, Outcome, Stored, TooLarge, completed


class FileSink:
    """Appends each message to a file, as a line."""

    max_bytes = 100_000

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:
        """See `rudder_logging.sinks.Sink`."""
        if len(messages) == 1 and len(messages[0]) > self.max_bytes:
            return TooLarge("the line is too long")
        now = time.time()
        try:
            with self.path.open("ab") as file:
                file.write(b"".join(completed(message, now) + b"\n" for message in messages))
        except OSError as error:
            return Later(f"the file can't be written: {error.strerror}", "see to its directory")
        return Stored()

    def close(self) -> None:
        """It is open while it is written only."""
