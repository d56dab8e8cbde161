"""Celery workers, with the file system as the broker."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from .stage import Stage

__all__ = ["celery"]

_TASKS = """
import os
from celery import Celery
from tests.faults.child import log, wire

app = Celery("tasks", broker="filesystem://")
folders = {folder: "broker" for folder in ("data_folder_in", "data_folder_out")}
app.conf.broker_transport_options = {
    **folders, "control_folder": "control", "polling_interval": 0.05
}
app.conf.worker_hijack_root_logger = app.conf.worker_redirect_stdouts = False
app.conf.task_ignore_result = True
wire()

@app.task
def work(number):
    log([number])
"""

_TASKS_SENT = 10


def celery(stage: Stage, *, options: Sequence[str] = ()) -> None:
    """The handler is made in the master; each task logs an event; then the worker is to end."""
    stage.write("tasks.py", _TASKS)
    for folder in ("broker", "control"):
        (stage.directory / folder).mkdir()
    sender = stage.start("-c", f"import tasks\nfor n in range({_TASKS_SENT}): tasks.work.delay(n)")
    sender.wait()
    worker = stage.start(
        *("-m", "celery", "-A", "tasks", "worker", "--concurrency", "2"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", *options),
        upload_interval=60,
    )
    stage.wait_for_note("logged", _TASKS_SENT)
    worker.signal(signal.SIGTERM)
    worker.wait()
    assert "rudder_logging:" not in worker.stderr
    assert "Traceback" not in worker.stderr
