"""Queues: messages wait here between the call and the data plane.

In comes one message after the other, as bytes; out go batches, which stay until they are settled.
A queue never uses the network. It may be asked by any number of threads.

- `opening.py`: from the option `queue` to a queue; `urls.py`: the `file:` URLs that it takes
- `base.py`: the seam, `Buffer`, which an app may have one of its own of
- `waiting.py`: the part that all queues share: the lock, and whoever waits for room or a flush
- `memory.py`: the queue in memory; `file/`: the durable queue
- `shared.py`: a queue over a buffer of the app's
"""

from __future__ import annotations

from .base import Batch, Buffer, Depth, Outgoing
from .memory import MemoryQueue
from .opening import open_queue, register
from .waiting import EventQueue

__all__ = [
    "Batch",
    "Buffer",
    "Depth",
    "EventQueue",
    "MemoryQueue",
    "Outgoing",
    "open_queue",
    "register",
]
