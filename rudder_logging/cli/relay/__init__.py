"""`rudder-logging relay`: a process that sends what many apps have appended to an engine.

In come an engine's URL and the sources' write keys; out go their events, to the gateway.

- `group.py`: `relay URL`, and the commands beside it
- `status.py`: what waits in an engine, and who delivers it; `forget.py`: nobody delivers it
- `run.py`: the flags of the process, and how it ends
"""

from __future__ import annotations

from .group import relay

__all__ = ["relay"]
