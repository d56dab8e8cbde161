"""`rudder-logging replay`: events from spools, dead letters and logs are sent later.

In come files of JSON Lines; out go their events, and beside each file a note of how far it got.

- `command.py`: the flags, the inputs, and the counts at the end
- `engine.py`: from lines to arrivals, an upload at a time
- `progress.py`: the note; `display.py`: the bar
"""

from __future__ import annotations

from .command import replay

__all__ = ["replay"]
