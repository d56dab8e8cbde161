"""Celery workers, with the file system as the broker."""

from __future__ import annotations

import signal

from .stage import Stage

__all__ = ["celery"]

_TASKS = """
import os
from celery import Celery
from tests.faults.child import log, wire

app = Celery("tasks", broker="filesystem://")
folders = {folder: "broker" for folder in ("data_folder_in", "data_folder_out")}
app.conf.broker_transport_options = {**folders, "control_folder": "control"}
app.conf.worker_hijack_root_logger = False
app.conf.task_ignore_result = True
wire()

@app.task
def work(number):
    log([number])
"""

_TASK_COUNT = 10


def celery(stage: Stage, *options: str, warm: bool = True) -> None:
    """The handler is made in the master; each task logs one event.

    Args:
        stage: Where it takes place.
        options: The worker's.
        warm: End the worker by SIGTERM to the master when all tasks have begun.
    """
    stage.write("tasks.py", _TASKS)
    for folder in ("broker", "control"):
        (stage.directory / folder).mkdir()
    sender = stage.start("-c", f"import tasks\nfor n in range({_TASK_COUNT}): tasks.work.delay(n)")
    sender.wait()
    worker = stage.start(
        *("-m", "celery", "-A", "tasks", "worker", "--concurrency", "2"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", *options),
        upload_interval=60,
    )
    stage.wait_for_note("logged", _TASK_COUNT)
    worker.signal(signal.SIGTERM)
    worker.wait()
    assert "rudder_logging:" not in worker.stderr
    assert "Traceback" not in worker.stderr
