"""`rudder-logging spool`: what a durable queue holds, and how to erase from it.

In comes the directory of a spool; out go lists of who holds what, or its events. All of it is safe
beside processes that use the queue.

- `command.py`: `list`, `show` and `purge`
- `holdings.py`: who holds what; `erasure.py`: how it goes
"""

from __future__ import annotations

from .command import spool

__all__ = ["spool"]
