"""The command `rudder-logging`. Needs the extra `cli`; nothing else in the package imports it.

- `_group.py`: the sub-commands, each loaded when it is called
- `_common.py`: what they share: exit codes, errors, options of the package's table
- `_serve.py`, `_send.py`, `_replay.py`, `_doctor.py`, `_spool.py`: one each
- behind `_replay.py`: `_engine.py`, from lines to arrivals; `_sources.py`, from files to lines;
  `_stored.py`, from lines to messages; `_progress.py`, how far; `_display.py`, the bar
- `_shipper.py`: messages that are ready, to the data plane; `_moments.py`: when they happened
- behind `_doctor.py`: `_doctor_config.py`, the app's configuration in force; `_doctor_visit.py`,
  the round; `_doctor_logging.py`, `_doctor_remarks.py`, `_doctor_probes.py` and `_doctor_tree.py`,
  an event's way through the logging tree; `_doctor_network.py`, `_doctor_disk.py`,
  `_doctor_messages.py`, `_doctor_celery.py` and `_doctor_sigterm.py`, the other places;
  `_doctor_findings.py` and `_doctor_report.py`, what comes of it
- behind `_spool.py`: `_holdings.py`, who holds what; `_erasure.py`, and how it goes
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code (`ExitCode`).

    Args:
        words: The arguments; by default those of the process.
    """
    try:
        from ._group import run  # noqa: PLC0415 - to say what is missing in our words
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("click", "rich"):
            raise
        sys.stderr.write("Error: the command needs an extra: pip install 'rudder-logging[cli]'\n")
        return 2
    return run(words)
