"""Django under real servers, sync and async, with real users, sessions and transactions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.faults.stage import PATIENCE, Process, Stage, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket")
UVICORN = ("-m", "uvicorn", "--port", "0")
MODULE = "tests.integrations.django_site"
SERVERS = {
    "gunicorn": (*GUNICORN, "-k", "gthread", "--threads", "4", f"{MODULE}:wsgi_app"),
    "uvicorn": (*UVICORN, f"{MODULE}:asgi_app"),
}
_LISTENS = re.compile(r"(?:Listening at:|running on) (http://127\.0\.0\.1:\d+)")
ANONYMOUS = "5f3c1e9a-7d42-4b8e-9a51-2c6b7f0d8e13"
"""An anonymous id, as a browser's cookie has it."""
CLAIMED = "somebody else"
"""An id that a client writes."""


def python(directory: Path, *words: str, code: int = 0, **environment: str) -> str:
    """Run Python in a directory to its end; return all that it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


class Site:
    """The site under a server, and its users, each with a session."""

    def __init__(self, stage: Stage, process: Process, keys: dict[str, str]) -> None:
        self.process = process
        self.plane = stage.plane
        self.keys = keys
        wait_until(lambda: _LISTENS.search(process.output), "the server to listen")
        match = _LISTENS.search(process.output)
        assert match is not None
        self.url = match[1]
        self.is_async = "Uvicorn" in process.output

    def visit(
        self, path: str, user: str | None = None, method: str = "GET", **cookies: str
    ) -> requests.Response:
        """Make a request, as a browser that claims to be somebody else."""
        session = {} if user is None else {"sessionid": self.keys[user]}
        cookies = {"rl_anonymous_id": ANONYMOUS, "rl_user_id": CLAIMED, **session, **cookies}
        headers = {"X-Rudder-User-Id": CLAIMED, "X-User": CLAIMED}
        answer = requests.request(
            method, f"{self.url}/{path}", headers=headers, cookies=cookies, timeout=PATIENCE
        )
        assert answer.ok, answer.text
        return answer

    def arrived(self, count: int, **properties: str) -> list[dict[str, Any]]:
        """Wait for so many events with these properties; return them by their calls' order."""

        def found() -> list[dict[str, Any]]:
            events = self.plane.events
            return [one for one in events if properties.items() <= one["properties"].items()]

        wait_until(lambda: len(found()) >= count, f"{count} events with {properties}")
        assert len(found()) == count
        return sorted(found(), key=lambda event: str(event["originalTimestamp"]))


@contextmanager
def running(directory: Path, name: str, **settings: Any) -> Iterator[Site]:
    """The site under a server, with some other settings."""
    keys = json.loads(python(directory, "-m", MODULE, "fill"))
    with pytest.MonkeyPatch.context() as patch, Stage(directory) as stage:
        patch.setenv("SETTINGS", json.dumps(settings))
        try:
            yield Site(stage, stage.start(*SERVERS[name]), keys)
        except BaseException:
            sys.stderr.write(stage.output())
            raise


@pytest.fixture(scope="module", params=SERVERS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The site under a sync and under an async server."""
    with running(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


@pytest.mark.parametrize("path", ["nothing", "anothing"])
def test_a_request_without_an_event(site: Site, path: str) -> None:
    """Rule 1: no query for it, and no `Vary: Cookie`."""
    before = site.visit(path, "1")
    after = site.visit(path, "1")
    assert after.json() == before.json()
    assert "Cookie" not in after.headers.get("Vary", "")


USERS = ["seen", "aseen", "aknown", "aslept", "athreaded", "pooled", "looped", "elsewhere"]
"""Views that log, before or after the user is known."""


@pytest.mark.parametrize("path", USERS)
def test_the_user_of_the_session(site: Site, path: str) -> None:
    """Rules 2 and 3: no cookie and no header makes another of it, and the loop is never blocked
    to read it.
    """
    count = 1 if path == "aknown" else 2
    site.visit(f"{path}?of={path}", "7")
    for event in site.arrived(count, of=path):
        assert event["userId"] == "7"
        assert event["anonymousId"] == ANONYMOUS
        assert event["context"]["ip"] == "127.0.0.1"
        assert event["context"]["page"]["path"] == f"/{path}"
        assert CLAIMED not in json.dumps(event)


@pytest.mark.parametrize("path", ["seen", "aseen", "aknown"])
def test_a_visitor(site: Site, path: str) -> None:
    """Rule 2: who is not logged in has no id, whatever cookies and headers say."""
    count = 1 if path == "aknown" else 2
    site.visit(f"{path}?visitor={path}")
    site.visit(f"{path}?visitor={path}", sessionid="of nobody")
    for event in site.arrived(2 * count, visitor=path):
        assert "userId" not in event
        assert event["anonymousId"] == ANONYMOUS


@pytest.mark.parametrize("prefix", ["", "a"])
def test_login_and_logout_within_a_request(site: Site, prefix: str) -> None:
    """Rule 4: later events have the id, or have it no more."""
    label = f"{prefix}in"
    answer = site.visit(f"{label}/user3?by={label}", method="POST")
    before, after = site.arrived(2, by=label)
    assert "userId" not in before
    assert after["userId"] == "3"
    label = f"{prefix}out"
    site.visit(f"{label}?by={label}", sessionid=answer.cookies["sessionid"])
    before, after = site.arrived(2, by=label)
    assert before["userId"] == "3"
    assert "userId" not in after


def test_interleaved_requests(site: Site) -> None:
    """Rule 10: of 200 requests at a time, each event has its own request's user."""
    paths = [*USERS]
    if site.is_async:  # a sync server ends the loop with the request, and its tasks
        paths.append("atasked")
    users = [*site.keys, None]
    asked = list(islice(zip(cycle(paths), cycle(users), strict=False), 200))
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda one: site.visit(f"{one[0]}?who={one[1]}&all=", one[1]), asked))
    count = sum(1 if path == "aknown" else 2 for path, _ in asked)
    for event in site.arrived(count, all=""):
        assert event.get("userId", "None") == event["properties"]["who"]


@pytest.mark.parametrize("path", ["stream", "astream"])
def test_streamed_bodies(site: Site, path: str) -> None:
    """Rule 11: Django iterates them outside the middleware; they have the request's user."""
    assert site.visit(f"{path}?of={path}", "5").text == "12"
    first, second, end = site.arrived(3, of=path)
    assert [first["event"], second["event"], end["event"]] == ["Streamed"] * 2 + ["Stream Ended"]
    for event in (first, second, end):
        assert event["userId"] == "5"
        assert event["context"]["page"]["path"] == f"/{path}"


def test_a_task_that_outlives_its_request(site: Site) -> None:
    """Rule 11: it has the request's user."""
    site.visit("atasked?of=task", "6")
    for event in site.arrived(2 if site.is_async else 1, of="task"):
        assert event["userId"] == "6"


def test_ignored_paths(site: Site) -> None:
    """Rule 15: what is logged there has nothing of the request, and is refused without an id."""
    site.visit("health?of=health", "1")
    site.visit("seen?of=seen", "1")
    site.arrived(2, of="seen")
    assert not [event for event in site.plane.events if "health" in str(event)]


def names(events: list[dict[str, Any]]) -> list[str]:
    """The events' names, in the order of the alphabet."""
    return sorted(event["event"] for event in events)


COMMITTED = ["At Once", "Committed", "Other Committed", "Outside", "Unknown"]


def test_commits(site: Site) -> None:
    """Rule 17: commit, rollback, savepoint, two databases; the ledger balances."""
    site.visit("commits", "2")
    wait_until(lambda: {"Unknown"} <= set(names(site.plane.events)), "the last event")
    arrived = [event for event in site.plane.events if event["event"] in COMMITTED]
    assert names(arrived) == COMMITTED
    assert {event["userId"] for event in arrived} == {"2"}
    assert not {event["event"] for event in site.plane.events if "Undone" in event["event"]}
    ledger = site.visit("ledger").json()
    assert ledger == {"dropped": {"rolled_back": 3}, "balanced": True}


def test_atomic_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 17: with ATOMIC_REQUESTS, an event leaves if its request ends well."""
    monkeypatch.setenv("ATOMIC", "1")
    with running(tmp_path, "gunicorn") as site:
        requests.get(f"{site.url}/order?fail=", cookies={"sessionid": site.keys["1"]}, timeout=60)
        site.visit("order", "2")
        (event,) = site.plane.wait_for(1, PATIENCE)
        assert event["userId"] == "2"
        ledger = site.visit("ledger").json()
    assert ledger == {"dropped": {"rolled_back": 1}, "balanced": True}


def test_installed_twice(tmp_path: Path) -> None:
    """Rule 13: there is one layer, whose user a login changes."""
    middleware = [
        "rudder_logging.integrations.django.RudderMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "rudder_logging.integrations.django.RudderMiddleware",
    ]
    with running(tmp_path, "gunicorn", MIDDLEWARE=middleware) as site:
        site.visit("in/user4?by=twice")
        before, after = site.arrived(2, by="twice")
        assert "userId" not in before
        assert after["userId"] == "4"


CHECKS = """
from django.test import override_settings
from rudder_logging.integrations.django.system_checks import check
from tests.integrations import django_site

def told(**settings):
    with override_settings(**settings):
        return [(message.id, message.msg, message.hint) for message in check()]

def ids(**settings):
    return [identifier for identifier, _, _ in told(**settings)]

rudder = "rudder_logging.integrations.django.RudderMiddleware"
sessions, auth, _ = django_site.MIDDLEWARE
assert ids() == ["rudder.W004"], told()
(_, _, hint) = told()[0]
assert "WRITE_KEY" in hint
assert ids(MIDDLEWARE=[sessions, auth]) == ["rudder.W001", "rudder.W004"]
assert ids(MIDDLEWARE=[sessions, rudder, auth])[:1] == ["rudder.W002"]
assert ids(MIDDLEWARE=[rudder, sessions, auth])[:2] == ["rudder.W002"] * 2
where = {"WRITE_KEY": "key", "DATA_PLANE_URL": "http://127.0.0.1:9"}
assert ids(RUDDER=where) == ["rudder.W003"]
for wrong, words in (
    ({"WRITE_KEYS": "key"}, "'WRITE_KEYS'; did you mean 'WRITE_KEY'?"),
    ({"CONTEXTS": {}}, "did you mean 'CONTEXT'?"),
    ({"CONTEXT": {"IPS": "remote"}}, "did you mean 'ip'?"),
    ({"CONTEXT": {"EXTRA": "no.such"}}, "can't be imported"),
    ({"UPLOAD_SIZE": "many"}, "upload_size"),
    ({"CONTEXT": []}, "must be a dict"),
    ([], "must be a dict"),
):
    (_, text, hint), *others = told(RUDDER=wrong)
    assert others == [], others
    assert words in f"{text} {hint}".replace(". Did", "; did"), (text, hint)
    assert "many" not in f"{text} {hint}"
import logging
from rudder_logging import RudderHandler
logging.getLogger("shop").addHandler(RudderHandler("key", "http://127.0.0.1:9"))
assert ids() == ["rudder.W005"]
assert ids(RUDDER=where) == ["rudder.W005"]
assert ids(RUDDER={"CONTEXT": {}}) == []
print("all checked")
"""


def test_system_checks(tmp_path: Path) -> None:
    """They tell of a missing or misplaced middleware, of no handler, no key, and wrong settings."""
    assert "all checked" in python(tmp_path, "-c", CHECKS)


def test_a_wrong_setting_is_told_everywhere(tmp_path: Path) -> None:
    """`manage.py check` fails, a server does not start, and any other process says it."""
    wrong = json.dumps({"RUDDER": {"WRITE_KEYS": "secret"}})
    told = python(tmp_path, "-m", MODULE, "check", code=1, SETTINGS=wrong)
    assert "did you mean 'WRITE_KEY'?" in told
    assert "secret" not in told
    assert "ImproperlyConfigured" in told  # the module makes servers of the site


HANDLER = """
import logging, sys
from tests.integrations import django_site
from rudder_logging import RudderHandler
logging.getLogger("library").warning("a warning as before")
logging.getLogger("library").info("not shown before either")
alone = logging.getLogger("alone")
alone.addHandler(logging.StreamHandler(sys.stdout))
alone.warning("once")
django_site.shop.info("Named", extra={"rudder": {"user_id": "1"}})
"""


def test_the_handler_of_the_setting(tmp_path: Path) -> None:
    """An event that any logger takes at INFO leaves; what else is logged goes where it did."""
    with Stage(tmp_path) as stage:
        process = stage.start_script(HANDLER, "")
        process.wait()
        assert process.stderr == "a warning as before\n"
        assert process.output.count("once") == 1
        (event,) = stage.plane.events
        assert (event["event"], event["userId"]) == ("Named", "1")


def test_the_handler_of_the_configuration(tmp_path: Path) -> None:
    """Where LOGGING has one, there is no other, and root is left alone."""
    logging = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"rudder": {"class": "rudder_logging.RudderHandler"}},
        "loggers": {"shop": {"level": "INFO", "handlers": ["rudder"]}},
    }
    with pytest.MonkeyPatch.context() as patch, Stage(tmp_path) as stage:
        patch.setenv("SETTINGS", json.dumps({"LOGGING": logging, "RUDDER": {}}))
        script = f"{HANDLER}\nassert not logging.root.handlers\nassert not django_site.made"
        process = stage.start_script(script, "")
        process.wait()
        assert process.stderr == "a warning as before\n"
        assert [event["event"] for event in stage.plane.events] == ["Named"]


def test_manage_py(tmp_path: Path) -> None:
    """`send` has the key and URL of RUDDER, `forget` its queue; `doctor` knows the app."""
    with Stage(tmp_path) as stage, pytest.MonkeyPatch.context() as patch:
        plane = {"WRITE_KEY": stage.plane.write_key, "DATA_PLANE_URL": stage.plane.url}
        patch.setenv("SETTINGS", json.dumps({"RUDDER": plane}))
        manage = ("-m", MODULE, "rudder")
        python(tmp_path, *manage, "send", "track", "--user-id", "42", "--event", "Sent")
        (event,) = stage.plane.events
        assert (event["event"], event["userId"]) == ("Sent", "42")
        told = json.loads(python(tmp_path, *manage, "doctor", "--json"))
        assert told["ok"]
        assert {one["logger"]: one["leaves"] for one in told["loggers"]} == {
            "root": True,
            "rudder": True,
        }
        codes = {one["code"] for one in told["findings"] if one["severity"] != "well"}
        assert codes == set()
        spool = tmp_path / "spool"
        spool.mkdir(mode=0o700)
        queued = {"RUDDER": {**plane, "QUEUE": f"file://{spool}"}}
        patch.setenv("SETTINGS", json.dumps(queued))
        told = json.loads(python(tmp_path, *manage, "forget", "42", "--json").partition("\n")[0])
        assert told["spool"]["erased"] == 0
        settings: dict[str, Any] = {"RUDDER": plane, "MIDDLEWARE": []}
        patch.setenv("SETTINGS", json.dumps(settings))
        told = json.loads(python(tmp_path, *manage, "doctor", "--json", "--offline"))
        codes = {one["code"] for one in told["findings"] if one["severity"] != "well"}
        assert codes == {"django-middleware-missing"}
        assert len(stage.plane.events) == 1


TEST_CASE = """
import asyncio
from unittest.mock import patch
import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.db.transaction import atomic
from django.test import AsyncClient, TestCase
from tests.integrations import django_site
from rudder_logging import track

@pytest.fixture(autouse=True)
def events(request, rudder_events):
    if request.instance is not None:
        request.instance.events = rudder_events

class TestEvents(TestCase):
    @classmethod
    def setUpClass(cls):
        from django.test.utils import setup_databases
        cls.old = setup_databases(0, False)
        super().setUpClass()

    databases = {"default", "other"}

    def test_commits(self):
        self.client.get("/commits", headers={"cookie": "rl_anonymous_id=visitor"})
        seen = {event["event"]: event.on_commit for event in self.events}
        assert seen == {
            "Committed": True, "Other Committed": True, "At Once": False, "Outside": True,
            "Unknown": False,
        }

    async def test_async(self):
        from django.contrib.auth.models import User
        user = await User.objects.acreate(username="somebody")
        client = AsyncClient()
        await client.aforce_login(user)
        await client.get("/aseen")
        await asyncio.wait_for(client.get("/elsewhere"), 60)
        assert [event["userId"] for event in self.events] == [str(user.pk)] * 4

    def test_a_database_that_fails(self):
        from django.contrib.auth.models import User
        self.client.force_login(User.objects.create(username="another"))
        store = "django.contrib.sessions.backends.db.SessionStore.load"
        with patch(store, side_effect=OperationalError):
            assert self.client.get("/aseen").status_code == 200
        assert ["userId" in event for event in self.events] == [False] * 2
"""


def test_of_the_app(tmp_path: Path) -> None:
    """Rule 17: TestCase never commits, and `rudder_events` shows what would leave, marked."""
    (tmp_path / "test_app.py").write_text(TEST_CASE)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}")
    assert "3 passed" in python(tmp_path, *words, "test_app.py")


EXAMPLE = "examples/django_app.py"
BUYER = """
from django.contrib import auth
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user, session = User.objects.create_user("buyer"), SessionStore()
session[auth.SESSION_KEY] = str(user.pk)
session[auth.BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print("KEY", session.session_key)
"""
SHOPS = {
    "gunicorn sync": (*GUNICORN, "-k", "sync", "--workers", "2", "examples.django_app:wsgi_app"),
    "gunicorn gthread": (*GUNICORN, "-k", "gthread", "examples.django_app:wsgi_app"),
    "uvicorn": (*UVICORN, "examples.django_app:asgi_app"),
}


@pytest.mark.parametrize("name", SHOPS)
def test_the_example(tmp_path: Path, name: str) -> None:
    """It is a shop, whose last events leave at SIGTERM."""
    python(tmp_path, str(ROOT / EXAMPLE), "migrate", "-v", "0")
    printed = python(tmp_path, str(ROOT / EXAMPLE), "shell", "-c", BUYER)
    key = printed.split()[-1]
    with Stage(tmp_path) as stage:
        shop = Site(stage, stage.start(*SHOPS[name], upload_interval=60), {"1": key})
        for number in range(10):
            shop.visit(f"buy/{number}", "1")
        shop.process.signal(signal.SIGTERM)
        shop.process.wait(None)
        events = stage.plane.events
        assert "Traceback" not in shop.process.output
    assert sorted(event["context"]["page"]["path"] for event in events) == [
        f"/buy/{number}" for number in range(10)
    ]
    for event in events:
        assert event["userId"] == "1"
        assert event["anonymousId"] == ANONYMOUS
        assert event["context"]["ip"] == "127.0.0.1"
