"""The command `rudder-logging`. Needs the extra `cli`; nothing else in the package imports it.

In come the command's words; out go a result on stdout, all else on stderr, and an exit code.

- `group.py`: the sub-commands, each loaded when it is called; `common.py`: what they share;
  `app.py`: the app that they run within
- `send.py`: one event; `serve.py`: a data plane with a page
- `relay/`: the process that sends what apps have appended to an engine
- `replay/`: what was written is sent later
- `doctor/`: what keeps events from arriving
- `spool/`: what a durable queue holds, and how it goes
- `guide.py`: the guides, in the terminal
- `forget/`: what there is of some people is erased, there and at RudderStack
- `codegen/`: typed functions for a tracking plan's events; `plan.py`: what its changes break
- `migrate/`: code that uses an SDK is moved to this package
- from a file to the data plane, for several of them: `sources.py`, from files to lines;
  `stored.py`, from lines to messages; `moments.py`, when they happened; `shipper.py`, their way
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .app import App

__all__ = ["App", "main"]


def main(words: Sequence[str] | None = None, app: App | None = None) -> int:
    """Run the command; return its exit code (`ExitCode`).

    Args:
        words: The arguments; by default those of the process.
        app: The app that it runs within.
    """
    try:
        from .group import run  # noqa: PLC0415 - to say what is missing in our words
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("click", "rich"):
            raise
        sys.stderr.write("Error: the command needs an extra: pip install 'rudder-logging[cli]'\n")
        return 2
    return run(words, app)
