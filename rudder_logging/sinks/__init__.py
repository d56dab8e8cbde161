"""Sinks: the only rooms that open a connection.

In come the messages of one upload; out they go over the network, and back comes an outcome.
Waiting and trying again are delivery's business.

- `opening.py`: from a handler's options to a sink; `guard.py`: one for tests before it
- `base.py`: the protocol of all sinks, and the outcomes
- `nowhere.py`: one that sends nothing
- `frames.py`: messages as an engine keeps them; `ahead.py`: those stored in a failed upload
- `redis/`: the engine of a relay, Redis or Valkey
- `gateway/`: RudderStack's gateway, over HTTP
- `kafka/`: a topic of Kafka's, on the way to a relay
"""

from __future__ import annotations

from .base import (
    MESSAGE_OVERHEAD,
    Dropped,
    Forkable,
    Hold,
    Later,
    Outcome,
    Refused,
    Sink,
    Stored,
    TooLarge,
    Trip,
    Unknown,
    completed,
)
from .opening import open_sink, register

__all__ = [
    "MESSAGE_OVERHEAD",
    "Dropped",
    "Forkable",
    "Hold",
    "Later",
    "Outcome",
    "Refused",
    "Sink",
    "Stored",
    "TooLarge",
    "Trip",
    "Unknown",
    "completed",
    "open_sink",
    "register",
]
