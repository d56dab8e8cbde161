"""RQ: what is bound where a job is made, in real workers, with a real Redis."""

from __future__ import annotations

import pytest

from tests.engines import NEEDS_REDIS
from tests.faults.stage import ROOT, Stage
from tests.faults.workers import start_redis

from .tasks import check_users, events_of_tasks

pytestmark = [
    pytest.mark.slow,
    NEEDS_REDIS,
]

_JOBS = """
import logging, os, redis
from rq import Callback, Queue, Retry, get_current_job
from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.rq import install

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(RudderHandler())
install()
install()
queue = Queue(connection=redis.Redis(unix_socket_path="redis"))

def log(what, **properties):
    rudder = {"anonymous_id": "nobody", "properties": {"what": what, **properties}}
    logger.info("Worked", extra={"rudder": rudder})

def work(what):
    log(what, meta=get_current_job().meta.get("x"))

async def work_in_a_loop():
    log("in a loop")

def fail():
    retries_left = get_current_job().retries_left
    with bind(user_id="another"):
        log(f"{retries_left} retries left", bound_within=True)
    log(f"again, {retries_left} retries left")
    raise ValueError

def succeeded(job, connection, result):
    log("success")

def failed(job, connection, *exc_info):
    log("failure")

def send():
    queue.enqueue("jobs.work", "sent by a job")
"""

_ENQUEUE = """
from jobs import *
theirs = {"x": 1}
with bind(user_id="u", context={"locale": "de"}):
    made = Queue(connection=queue.connection).create_job("jobs.work", args=["made before"])
    first = queue.enqueue("jobs.work", "plain", meta=theirs)
assert theirs == {"x": 1}
queue.enqueue("jobs.work", "after plain")
queue.enqueue_job(made)
with bind(user_id="u", context={"locale": "de"}):
    queue.enqueue("jobs.work", "called", on_success=Callback("jobs.succeeded"))
    queue.enqueue("jobs.work", "depends", depends_on=first)
    queue.enqueue("jobs.work_in_a_loop")
    queue.enqueue("jobs.send")
    queue.enqueue("jobs.fail", retry=Retry(max=1), on_failure=Callback("jobs.failed"))
    Queue(connection=queue.connection, is_async=False).enqueue("jobs.work", "at once")
queue.enqueue("jobs.work", "after the others")
queue.enqueue("jobs.work", "last", at_front=False)
"""

_WITH_USER = {
    *("plain", "made before", "called", "success", "depends", "in a loop", "sent by a job"),
    *("again, 1 retries left", "again, 0 retries left", "failure", "at once"),
}
_WITHOUT = {"after plain", "after the others", "last"}


@pytest.mark.parametrize("kind", ["rq.Worker", "rq.SimpleWorker"])
def test_what_is_bound_reaches_jobs(stage: Stage, kind: str) -> None:
    """Rule 19: retried, called back, made by a job or run at once, they know the user. It is gone
    after them, also after a failure, and all arrives, though RQ imports the job's module, which
    installs this, within the first job.
    """
    stage.write("jobs.py", _JOBS)
    url = f"unix://{start_redis(stage)}"
    stage.start("-c", _ENQUEUE).wait()
    worker = stage.start(
        *("-m", "rq.cli", "worker", "--burst", "--url", url, "--worker-class", kind),
        upload_interval=60,
    )
    worker.wait()
    events = events_of_tasks(stage)
    check_users(events, _WITH_USER, _WITHOUT)
    assert {what for what, event in events if event["properties"].get("meta")} == {"plain"}


def test_example(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's app: the user who has ordered is on the receipt's event."""
    monkeypatch.setenv("RQ_REDIS_URL", f"unix://{start_redis(stage)}")
    stage.start(str(ROOT / "examples/rq_app.py")).wait()
    stage.start("-m", "rq.cli", "worker", "--burst", "--path", str(ROOT / "examples")).wait()
    ordered, sent = stage.plane.events
    assert (ordered["event"], sent["event"]) == ("Order Completed", "Receipt Sent")
    assert sent["userId"] == ordered["userId"] == "customer-1"
    assert sent["context"]["ip"] == "203.0.113.7"
