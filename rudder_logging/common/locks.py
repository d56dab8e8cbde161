"""Locks that nobody waits for once the interpreter has ended the threads that hold them."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["EndingLock", "OrphanedError"]


class OrphanedError(RuntimeError):
    """A lock can't be taken: the thread that held it was ended amid a change."""


class EndingLock:
    """A re-entrant lock, also for the time when the interpreter ends.

    It then ends daemon threads wherever they are, with whatever locks they hold: a `__del__` that
    logs an event would wait for ever. Nothing else runs any more, so that there is nobody to
    exclude: `with` goes on without the lock, and `is_orphaned` says so.

    It is slower than an RLock. So what is used all the time is one until the process begins to end.

    Args:
        lock: The RLock that it stands for; who holds that holds this.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._is_finalizing = sys.is_finalizing  # `sys` itself may be taken apart by then
        self._without = 0

    @property
    def is_orphaned(self) -> bool:
        """The thread that held it was ended: what it protects may be amid a change."""
        return self._without > 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it. False: it was not free in time, or the thread that holds it was ended."""
        if self._is_finalizing():
            blocking, timeout = False, -1
        return bool(self._lock.acquire(blocking, timeout))

    def release(self) -> None:
        """Release it once."""
        self._lock.release()

    def __enter__(self) -> bool:
        if not self.acquire():
            self._without += 1
            return False
        return True

    def __exit__(self, *exc_info: object) -> None:
        if self._without:
            self._without -= 1
        else:
            self.release()

    # What a Condition asks of a re-entrant lock.

    def _is_owned(self) -> bool:
        return self.is_orphaned or bool(self._lock._is_owned())  # noqa: SLF001

    def _release_save(self) -> Any:
        return None if self.is_orphaned else self._lock._release_save()  # noqa: SLF001

    def _acquire_restore(self, state: Any) -> None:
        if not self.is_orphaned:
            self._lock._acquire_restore(state)  # noqa: SLF001
