"""A Celery worker's change of root's level, which no configuration shows."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from .findings import Finding, a_warning
from .tree import named, reached, root

__all__ = ["of_celery"]


def of_celery() -> Iterator[Finding]:
    """Warn if Celery workers would raise root's level; its handlers the package puts back."""
    if root.level <= logging.INFO and any(reached(root)) and _sets_up_logging():
        yield a_warning(
            "celery-level",
            named(root),
            "Celery workers give it the level of their option -l, WARNING by default; events that "
            "tasks log at INFO then don't leave by its handlers",
            "start workers with `-l INFO`, or give the app's own loggers a level",
        )


def _sets_up_logging() -> bool:
    # Celery itself is not imported for this: an app that has it has done so.
    state, signals = sys.modules.get("celery._state"), sys.modules.get("celery.signals")
    if state is None or signals is None:
        return False
    with contextlib.suppress(AttributeError):  # of another version
        # A receiver of it configures logging instead.
        return bool(state._get_active_apps()) and not signals.setup_logging.receivers  # noqa: SLF001
    return False
