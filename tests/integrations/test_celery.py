"""Celery: what is bound where a task is sent, in real workers, with a real Redis."""

from __future__ import annotations

import copy
import signal
from typing import Any

import celery
import pytest

from rudder_logging import bind, load_bound
from rudder_logging.events.scopes import bound_fields
from rudder_logging.integrations.celery import HEADER, install
from tests.engines import NEEDS_REDIS
from tests.faults.stage import ROOT, Stage, wait_until
from tests.faults.workers import start_redis

from .tasks import check_users

_TASKS = """
import logging, os
from celery import Celery, chain, chord, group
from celery.exceptions import Ignore, Reject
from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.celery import install

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(RudderHandler())

url = "redis+socket://" + os.path.abspath("redis")
app = Celery("tasks", broker=url, backend=url)
install()

def log(what, **properties):
    rudder = {"anonymous_id": "nobody", "properties": {"what": what, **properties}}
    logger.info("Worked", extra={"rudder": rudder})

@app.task(bind=True)
def work(self, what):
    log(what, header=(self.request.headers or {}).get("x"))

@app.task(bind=True)
def retry(self):
    log(f"attempt {self.request.retries}", header=self.request.headers.get("x"))
    if self.request.retries < 2:
        with bind(user_id="only in this attempt"):
            raise self.retry(countdown=0)

@app.task
def fail(what):
    with bind(context={"ip": "192.0.2.1"}):
        log(what)
        raise {"Ignore": Ignore, "Reject": Reject, "error": ValueError}[what]()

@app.task
def send():
    work.delay("sent by a task")
    app.send_task("tasks.work", ["sent by name"])
"""

_SEND = """
from tasks import *
user = bind(user_id="u", context={"locale": "de"})
with user:
    work.delay("plain")
    work.apply_async(["with headers"], headers={"x": "theirs"})
    retry.apply_async(headers={"x": "theirs"})
    chain(work.si("first"), work.si("second")).delay()
    group(work.si("one"), work.si("two")).delay()
    chord([work.si("three"), work.si("four")], work.si("all")).delay()
    work.apply_async(["called"], link=work.si("called back"))
    work.apply(["eager"])
    send.delay()
for what in ("Ignore", "Reject", "error"):
    with user:
        fail.delay(what)
    work.delay(f"after {what}")
"""

_WITH_USER = {
    *("plain", "with headers", "attempt 0", "attempt 1", "attempt 2", "first", "second"),
    *("one", "two", "three", "four", "all", "called", "called back", "eager"),
    *("sent by a task", "sent by name", "Ignore", "Reject", "error"),
}
_WITHOUT = {"after Ignore", "after Reject", "after error"}
_WITH_HEADER = {"with headers", "attempt 0", "attempt 1", "attempt 2"}

_WORKER = """
import logging, os
from rudder_logging import RudderHandler
logging.basicConfig(level=logging.INFO, handlers=[RudderHandler()])

from celery import Celery
from rudder_logging.integrations.celery import install

app = Celery("tasks", broker="redis+socket://" + os.path.abspath("redis"))
install(app)

@app.task(name="work")
def work():
    logging.getLogger("shop").info("Worked", extra={"rudder": {"user_id": "u"}})

if __name__ == "__main__":
    app.worker_main(["worker", "-l", "INFO", "-P", "solo"])
"""


@NEEDS_REDIS
@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent"])
def test_what_is_bound_reaches_tasks(stage: Stage, pool: str) -> None:
    """Rule 18: retried, chained, in groups and chords, eager and sent by tasks, they know the user.
    It is gone after them, also after Ignore, Reject and an exception. The sender's headers stay.
    """
    stage.write("tasks.py", _TASKS)
    start_redis(stage)
    worker = stage.start(
        *("-m", "celery", "-A", "tasks", "worker", "-l", "INFO", "-P", pool, "--concurrency", "1"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )
    stage.start("-c", _SEND).wait()
    _wait_for(stage, len(_WITH_USER | _WITHOUT))
    worker.signal(signal.SIGTERM)
    worker.wait()
    events = {event["properties"].pop("what"): event for event in stage.plane.events}
    check_users([*events.items()], _WITH_USER, _WITHOUT)
    headers = {what: event["properties"].get("header") for what, event in events.items()}
    assert {what for what, header in headers.items() if header == "theirs"} == _WITH_HEADER
    assert "Signal handler" not in worker.stderr


@NEEDS_REDIS
@pytest.mark.slow
def test_example(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's app: the user who has ordered is on the receipt's event, which a worker logs
    by a handler that was on root before Celery set up logging.
    """
    monkeypatch.setenv("BROKER_URL", f"redis+socket://{start_redis(stage)}")
    worker = stage.start(
        *("-m", "celery", "--workdir", str(ROOT / "examples"), "-A", "celery_app"),
        *("worker", "-l", "INFO", "--concurrency", "1"),
        upload_interval=60,
    )
    stage.start(str(ROOT / "examples/celery_app.py")).wait()
    wait_until(lambda: "succeeded" in worker.stderr, "the task's end")
    worker.signal(signal.SIGTERM)
    worker.wait()
    ordered, sent = stage.plane.events
    assert (ordered["event"], sent["event"]) == ("Order Completed", "Receipt Sent")
    assert sent["userId"] == ordered["userId"] == "customer-1"
    assert sent["context"]["ip"] == "203.0.113.7"


@NEEDS_REDIS
@pytest.mark.slow
def test_handler_made_before_celery_is_imported(stage: Stage) -> None:
    """Rule 18: it is put back on root, too, from which the worker takes it."""
    start_redis(stage)
    stage.write("tasks.py", _WORKER)
    worker = stage.start("tasks.py", upload_interval=60)
    stage.start("-c", "import tasks; tasks.app.send_task('work')").wait()
    wait_until(lambda: "succeeded" in worker.stderr, "the task's end")
    worker.signal(signal.SIGTERM)
    worker.wait()
    assert [event["userId"] for event in stage.plane.events] == ["u"]


def _wait_for(stage: Stage, count: int) -> None:
    wait_until(lambda: len(stage.plane.events) >= count, f"{count} events")


@pytest.fixture
def app() -> celery.Celery:
    """An app of its own, with a broker in memory."""
    app = celery.Celery("tasks", broker="memory://", set_as_current=False)
    app.conf.task_ignore_result = True
    return app


def _headers_sent(app: celery.Celery, **options: Any) -> dict[str, Any]:
    """The headers of the message that arrives of a task that is sent with these options."""
    app.send_task("work", **options)
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=120)
        message.ack()
    headers: dict[str, Any] = message.headers
    return headers


def _bound_by(text: str) -> dict[str, Any]:
    with load_bound(text):
        return dict(bound_fields())


def test_message(app: celery.Celery) -> None:
    """Rule 18: what is bound is in the message's headers, and in those nested there, with the
    sender's own. What the sender passed stays as it was.
    """
    install(app)
    cases: list[dict[str, Any]] = [{"x": 1}, {"x": 1, "headers": {"y": 2}}]
    for own in cases:
        given = copy.deepcopy(own)
        with bind(user_id="u"):
            headers = _headers_sent(app, headers=given)
        assert given == own
        nested = headers["headers"]
        assert _bound_by(nested.pop(HEADER)) == _bound_by(headers[HEADER]) == {"userId": "u"}
        assert nested == own.get("headers", own)
        assert headers["x"] == 1


def test_what_a_message_says_already_stays(app: celery.Celery) -> None:
    """Rule 18: a retry is sent with the headers of what is retried, whatever is bound by then."""
    install(app)
    with bind(user_id="u"):
        first = _headers_sent(app)
    with bind(user_id="another"):
        again = _headers_sent(app, headers=first["headers"])
    assert again[HEADER] == again["headers"][HEADER] == first[HEADER]


def test_installed_twice(app: celery.Celery) -> None:
    """A second call changes nothing."""
    install(app)
    receivers = [*celery.signals.before_task_publish.receivers]
    send_task = app.send_task
    install(app)
    assert celery.signals.before_task_publish.receivers == receivers
    assert app.send_task is send_task


def test_an_app_that_it_is_not_installed_for(app: celery.Celery) -> None:
    """Of other apps, no message has a header, and no task reads one."""
    install(celery.Celery("other", broker="memory://", set_as_current=False))
    with bind(user_id="u"):
        assert HEADER not in _headers_sent(app)

    @app.task
    def work() -> dict[str, Any]:
        return dict(bound_fields())

    text = '{"v":1,"bound":{"userId":"u"}}'
    assert work.apply(headers={HEADER: text}).get() == {}
    install(app)
    assert work.apply(headers={HEADER: text}).get() == {"userId": "u"}
    assert bound_fields() == {}
