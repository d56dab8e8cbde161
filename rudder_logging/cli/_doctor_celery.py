"""What a Celery worker does to logging, which no configuration shows."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from ._doctor_config import disarmed
from ._doctor_findings import Finding, a_warning
from ._doctor_tree import reached, root

__all__ = ["of_celery"]


def of_celery() -> Iterator[Finding]:
    """Root's handlers that workers of the app's would take off."""
    if not any(_takes_over(app) for app in _apps()):
        return
    for found in reached(root):
        yield a_warning(
            str(found),
            "is taken off by Celery workers, so that events of tasks don't leave by it",
            "set worker_hijack_root_logger=False and start workers with `-l INFO`, or configure "
            "logging in a receiver of celery.signals.setup_logging",
        )


def _apps() -> list[Any]:
    # Celery itself is not imported for this: an app that has it has done so.
    state, signals = sys.modules.get("celery._state"), sys.modules.get("celery.signals")
    if state is None or signals is None:
        return []
    with contextlib.suppress(AttributeError):  # of another version
        # A receiver of either may put handlers on.
        if not signals.setup_logging.receivers and not signals.after_setup_logger.receivers:
            return list(state._get_active_apps())  # noqa: SLF001 - there is no other way
    return []


def _takes_over(app: Any) -> bool:
    # Settings may be read from a module of the app's only now, which may raise anything.
    with disarmed(), contextlib.suppress(Exception):
        return bool(app.conf.worker_hijack_root_logger)
    return False
