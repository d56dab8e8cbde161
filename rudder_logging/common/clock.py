"""Clocks that go on while an app's tests freeze theirs; all waits here are on them.

Tools such as freezegun replace the functions of the module `time`, there and in every module that
imported one by name: whoever waits for a frozen clock waits for ever. They leave alone what they
don't know, hence a second instance of that module, which is in no list of modules.

What an event says of its time follows the app's clock, frozen or not: that is what tests freeze it
for.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable
from types import ModuleType

__all__ = ["monotonic", "wait_until", "wall_time"]


def _second_instance(module: ModuleType) -> ModuleType:
    """A built-in module anew, with functions of its own; the module itself where there is none."""
    spec = module.__spec__
    if spec is None or spec.loader is None:
        return module
    second = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(second)
    return second


_time = _second_instance(time)

monotonic: Callable[[], float] = _time.monotonic
"""Seconds since some moment, for durations and deadlines."""

wall_time: Callable[[], float] = _time.time
"""Seconds since the epoch, where another machine's clock is compared with ours."""


def wait_until(is_so: Callable[[], bool], changed: threading.Condition, timeout: float) -> bool:
    """Wait until something is so.

    Args:
        is_so: Asked with the condition's lock held.
        changed: Notified when the answer may be another. The caller holds its lock.
        timeout: Seconds to wait at the most.

    Returns:
        Whether it is so.
    """
    deadline = monotonic() + timeout
    while not is_so():
        remaining = deadline - monotonic()
        if remaining <= 0:
            return False
        changed.wait(remaining)
    return True
