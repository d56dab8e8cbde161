"""The interpreter's lock (GIL), and all that counts on it.

CPython's free-threaded builds can run without it. Where no lock of ours protects something, then:

- It holds all the same, because such a build makes it one step, too: a deque's `append` and
  `popleft`, a dict's `setdefault`, a set's `add` and `discard`, the copy of a dict or list
  (`events/encoding.py`), the next number of an `itertools.count` (`events/ids.py`, `tally.py`), an
  attribute that is replaced as a whole (`events/ids.py`, `handler/handler.py`).
- It is done otherwise: `queues/memory.py` counts bytes in a statement without a call, and takes its
  lock instead.
- It may be wrong, if two threads do it at the same moment: the bytes of events that wait for a
  commit (`delivery/ledger.py`), and with them the bound; the number of requests to hurry
  (`delivery/listener.py`), so that a flush waits for `upload_interval` at the most.
- It is not ours to mend: orjson declares that it needs the lock. Its import turns the lock on, with
  a warning of Python's, unless Python was started with `PYTHON_GIL=0` or `-X gil=0`.

Nothing of this was run on such a build; so the package's import warns where the lock is off.
"""

from __future__ import annotations

import sys
import warnings

__all__ = ["gil_is_on", "warn_without_gil"]


def gil_is_on() -> bool:
    """Tell if one thread runs at a time."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())  # from Python 3.13


def warn_without_gil() -> None:
    """Warn whoever imports the package. To be called once orjson is imported."""
    if not gil_is_on():
        warnings.warn(
            "rudder_logging was not tried without Python's lock (GIL), and orjson, which it needs, "
            "may crash: start Python with -X gil=1, or without PYTHON_GIL=0",
            RuntimeWarning,
            stacklevel=3,
        )
