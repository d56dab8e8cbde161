"""Queues: messages wait here between the call and the data plane.

In comes one message after the other, as bytes; out go batches, which stay until they are settled.
A queue never uses the network. It may be asked by any number of threads.

- `opening.py`: from the option `queue` to a queue; `urls.py`: the URLs that it takes
- `base.py`: the protocol of all queues
- `memory.py`: the queue in memory; `eviction.py`: how it makes room
- `file/`: the durable queue
- `settled.py`: how far a queue has settled what was put
"""

from __future__ import annotations

from .base import EventQueue
from .memory import MemoryQueue
from .opening import open_queue

__all__ = ["EventQueue", "MemoryQueue", "open_queue"]
