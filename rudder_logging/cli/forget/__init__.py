"""`rudder-logging forget`: some people's events are erased wherever they wait.

In come ids; out goes a report of what was found where. It has numbers, and no events.

- `command.py`: the command
- `places.py`: spools, dead letters, and the engine of a relay
- `regulations.py`: RudderStack's user suppression API
"""

from __future__ import annotations

from .command import forget

__all__ = ["forget"]
