"""dramatiq: what is bound where a message is sent, in real workers, with a real Redis."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from rudder_logging import bind
from rudder_logging.integrations.dramatiq import OPTION, RudderMiddleware, install
from tests.engines import NEEDS_REDIS
from tests.faults.stage import ROOT, Process, Stage, wait_until
from tests.faults.workers import start_redis

from .tasks import check_users, events_of_tasks

_ACTORS = """
import logging, os
import dramatiq
from dramatiq import group, pipeline
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, CurrentMessage, GroupCallbacks, Middleware, SkipMessage
from dramatiq.rate_limits.backends import RedisBackend
from rudder_logging import RudderHandler, bind
from rudder_logging.integrations.dramatiq import install

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(RudderHandler())

class Skips(Middleware):
    def before_process_message(self, broker, message):
        if "to be skipped" in message.args:
            log("skipped")
            raise SkipMessage

url = "unix://" + os.path.abspath("redis")
broker = RedisBroker(url=url)
broker.add_middleware(GroupCallbacks(RedisBackend(url=url)))
for middleware in (AsyncIO(), CurrentMessage(), Skips()):
    broker.add_middleware(middleware)
dramatiq.set_broker(broker)
install()
install(broker)

def log(what, **properties):
    rudder = {"anonymous_id": "nobody", "properties": {"what": what, **properties}}
    logger.info("Worked", extra={"rudder": rudder})

@dramatiq.actor
def work(what, *_):
    log(what)

@dramatiq.actor
async def work_in_a_loop():
    log("in a loop")

@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
def fail():
    message = CurrentMessage.get_current_message()
    with bind(user_id="another"):
        log("within", bound_within=True)
    log(f"{message.options.get('retries', 0)} retries")
    raise ValueError

@dramatiq.actor
def send():
    work.send("sent by an actor")
"""

_SEND = """
from actors import *
with bind(user_id="u", context={"locale": "de"}):
    work.send("plain")
    work.send_with_options(args=("delayed",), delay=10)
    pipeline([work.message("piped"), work.message_with_options(args=("end of the pipe",))]).run()
    together = group([work.message("one"), work.message("two")])
    together.add_completion_callback(work.message("all"))
    together.run()
    work_in_a_loop.send()
    send.send()
    fail.send()
    work.send("to be skipped")
for number in range(4):
    work.send(f"{number}")
"""

_WITH_USER = {
    *("plain", "delayed", "piped", "end of the pipe", "one", "two", "all", "in a loop"),
    *("sent by an actor", "0 retries", "1 retries", "skipped"),
}
_WITHOUT = {"0", "1", "2", "3"}


def _start(stage: Stage, command: str, folder: str, module: str) -> Process:
    program = str(Path(sys.executable).with_name(command))
    options = ("--processes", "1", "--threads", "1")
    return stage.start(program, module, *options, "--path", folder)


def _end(stage: Stage, worker: Process, count: int) -> None:
    wait_until(lambda: len(stage.plane.events) >= count, f"{count} events")
    worker.signal(signal.SIGTERM)
    worker.wait()


@NEEDS_REDIS
@pytest.mark.slow
@pytest.mark.parametrize("command", ["dramatiq", "dramatiq-gevent"])
def test_what_is_bound_reaches_actors(stage: Stage, command: str) -> None:
    """Rule 19: retried, delayed, in pipelines and groups, they know the user. It is gone after
    them, also after a failure, and after what another middleware skips.
    """
    stage.write("actors.py", _ACTORS)
    start_redis(stage)
    worker = _start(stage, command, ".", "actors")
    stage.start("-c", _SEND).wait()
    _end(stage, worker, len(_WITH_USER | _WITHOUT) + 2)
    check_users(events_of_tasks(stage), _WITH_USER, _WITHOUT)
    assert "Unexpected failure" not in worker.output


@NEEDS_REDIS
@pytest.mark.slow
def test_example(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's app: the user who has ordered is on the receipt's event."""
    monkeypatch.setenv("BROKER_URL", f"unix://{start_redis(stage)}")
    worker = _start(stage, "dramatiq", str(ROOT / "examples"), "dramatiq_app")
    stage.start(str(ROOT / "examples/dramatiq_app.py")).wait()
    _end(stage, worker, 2)
    ordered, sent = sorted(stage.plane.events, key=lambda event: str(event["event"]))
    assert (ordered["event"], sent["event"]) == ("Order Completed", "Receipt Sent")
    assert sent["userId"] == ordered["userId"] == "customer-1"
    assert sent["context"]["ip"] == "203.0.113.7"


def test_what_a_message_says_already_stays() -> None:
    """Rule 19: one that is sent again, by whomever, has what was bound when it was sent first."""
    broker = StubBroker()
    install(broker)
    broker.declare_queue("default")
    message: dramatiq.Message[Any] = dramatiq.Message("default", "work", (), {}, {})
    with bind(user_id="u"):
        first = broker.enqueue(message).options[OPTION]
    with bind(user_id="another"):
        assert broker.enqueue(message).options[OPTION] == first


def test_installed_twice() -> None:
    """There is one middleware, before all others."""
    for broker in (StubBroker(), StubBroker(middleware=[])):
        install(broker)
        install(broker)
        assert [type(one) for one in broker.middleware].count(RudderMiddleware) == 1
        assert type(broker.middleware[0]) is RudderMiddleware
