"""A sink that sends nothing, for commands that only look: the doctor, and a dry run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .base import Outcome, Stored

__all__ = ["Nowhere"]


class Nowhere:
    """Forgets all messages, and says that they are stored."""

    max_bytes = sys.maxsize

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:  # noqa: ARG002
        """See `Sink.send`."""
        return Stored()

    def close(self) -> None:
        """See `Sink.close`."""
