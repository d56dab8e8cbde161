"""Workers of Celery, with the file system as the broker; of RQ and dramatiq, with a Redis."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.engines import redis_program

from .stage import Process, Stage, wait_until

__all__ = [
    "celery",
    "celery_that_replaces_workers",
    "celery_that_sets_up_logging",
    "dramatiq",
    "rq",
    "start_redis",
    "thread_that_forked_ends",
]

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


_CONFIGURED = """
import logging.config
from celery.utils.log import get_task_logger

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "all": {"()": "tests.faults.child.make"}, "shops": {"()": "tests.faults.child.make"}
    },
    "root": {"level": "INFO", "handlers": ["all"]},
    "loggers": {"shop": {"level": "INFO", "handlers": ["shops"], "propagate": False}},
})
get_task_logger("shop.orders")

@app.task
def work(number):
    log([number], "shop.orders" if number % 2 else "app")
"""


def celery_that_sets_up_logging(stage: Stage) -> None:
    """As it does by default: it takes off root's handlers, and a task logger has another parent."""
    tasks = _TASKS.replace("worker_hijack_root_logger = app.conf.", "")
    tasks = tasks[: tasks.index("wire()")] + _CONFIGURED
    celery(stage, tasks=tasks, options=["-l", "INFO"])


def celery(stage: Stage, *, tasks: str = _TASKS, options: Sequence[str] = ()) -> None:
    """The handler is made in the master; each task logs an event; then the worker is to end."""
    worker = _celery_told_to_end(stage, tasks, options)
    worker.wait()
    _assert_no_complaints(worker)


def _celery_told_to_end(stage: Stage, tasks: str, options: Sequence[str]) -> Process:
    stage.write("tasks.py", tasks)
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
    return worker


def _assert_no_complaints(worker: Process) -> None:
    assert "rudder_logging:" not in worker.stderr
    assert "Traceback" not in worker.stderr


def celery_that_replaces_workers(stage: Stage) -> None:
    """With this broker, a thread of the master's forks them, and may end while they deliver; so may
    the master.

    Its own end is not waited for. As that thread ends, Linux kills the workers that it forked: one
    that is killed within a put to the results' queue leaves that locked, and the master hangs.
    """
    worker = _celery_told_to_end(stage, _TASKS, ["--max-tasks-per-child=2"])
    wait_until(lambda: len(stage.plane.events) >= _TASKS_SENT, "all events")
    _assert_no_complaints(worker)


def thread_that_forked_ends(stage: Stage) -> None:
    """It ends while the worker tries to deliver, which succeeds only then."""
    stage.plane.fail(503, times=None)
    process = stage.start_script(
        """
        import ctypes
        from celery import signals
        def fork():
            if os.fork() == 0:
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # as Celery's workers do
                log([0])
                signals.worker_process_shutdown.send(sender="worker", pid=os.getpid(), exitcode=0)
                os._exit(0)
            until("go")
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        note("thread ended")
        os.wait()
        """,
        strict=False,
        upload_interval=60,
    )
    wait_until(lambda: stage.plane.requests, "an upload")
    stage.go()
    stage.wait_for_note("thread ended")
    stage.plane.heal()
    process.wait()


_JOBS = """
from tests.faults.child import log, wire
wire()

def work(number):
    log([number])
"""

_ENQUEUE = """
import jobs, redis, rq
queue = rq.Queue(connection=redis.Redis(unix_socket_path="redis"))
for number in range(5):
    queue.enqueue(jobs.work, number)
"""


def start_redis(stage: Stage) -> str:
    """Start one that listens at the file `redis`; returns its path."""
    program = redis_program()
    assert program is not None
    stage.start_program(program, "--port", "0", "--unixsocket", "redis", "--save", "")
    path = stage.directory / "redis"
    wait_until(path.exists, "Redis")
    return str(path)


def rq(stage: Stage, *, options: Sequence[str] = ()) -> None:
    """Each job has a process, which RQ forks from its worker, and ends by `os._exit`."""
    stage.write("jobs.py", _JOBS)
    url = f"unix://{start_redis(stage)}"
    stage.start("-c", _ENQUEUE).wait()
    worker = stage.start(
        *("-m", "rq.cli", "worker", "--burst", "--url", url, *options), upload_interval=60
    )
    worker.wait()
    _assert_no_complaints(worker)


_ACTORS = """
import os
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from tests.faults.child import log, wire
dramatiq.set_broker(RedisBroker(url="unix://" + os.path.abspath("redis")))
wire()

@dramatiq.actor
def work(number):
    log([number])
"""


def dramatiq(stage: Stage, *, command: str = "dramatiq") -> None:
    """Actors run in threads of several processes, each of which ends after SIGTERM."""
    stage.write("actors.py", _ACTORS)
    start_redis(stage)
    stage.start("-c", f"import actors\nfor n in range({_TASKS_SENT}): actors.work.send(n)").wait()
    options = ("--path", ".", "--processes", "2", "--threads", "2")
    program = str(Path(sys.executable).with_name(command))
    worker = stage.start(program, *options, "actors", upload_interval=60)
    stage.wait_for_note("logged", _TASKS_SENT)
    worker.signal(signal.SIGTERM)
    worker.wait()
    _assert_no_complaints(worker)
