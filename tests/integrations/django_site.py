"""A Django site for tests: a process of its own is a server of it, or runs `manage.py` in it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Thread
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.core import asgi, management, wsgi
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from rudder_logging import carry, on_commit, track
from rudder_logging.integrations.django.wiring import made

ALLOWED_HOSTS = ["*"]
SECRET_KEY = "a test's"
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{alias}.sqlite3",
        "ATOMIC_REQUESTS": alias == "default" and "ATOMIC" in os.environ,
        "OPTIONS": {"timeout": 60},
    }
    for alias in ("default", "other")
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rudder_logging.integrations.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "rudder_logging.integrations.django.RudderMiddleware",
]
# Without a durable table of its own, a test of interleaved requests would wait for SQLite's lock.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
RUDDER: dict[str, Any] = {"DRAIN_ON_SIGTERM": True}
for _name, _value in json.loads(os.environ.get("SETTINGS", "{}")).items():
    globals()[_name] = _value
ROOT_URLCONF = os.environ["DJANGO_SETTINGS_MODULE"] = __name__

shop = logging.getLogger("shop")
pool = ThreadPoolExecutor(4)
queries = 0


def note(event: str, **properties: Any) -> None:
    """Log an event."""
    shop.info(event, extra={"rudder": {"properties": properties}})


def nothing(request: HttpRequest) -> HttpResponse:
    """Log none, and say how many queries there were so far."""
    return JsonResponse({"queries": queries})


async def anothing(request: HttpRequest) -> HttpResponse:
    """As above."""
    return JsonResponse({"queries": queries})


def ledger(request: HttpRequest) -> HttpResponse:
    """Say what became of events so far."""
    (handler,) = made
    stats = handler.stats()
    return JsonResponse({"dropped": dict(stats.dropped), "balanced": stats.balanced})


def seen(request: HttpRequest) -> HttpResponse:
    """Log two."""
    note("Seen", **request.GET.dict())
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


async def aseen(request: HttpRequest) -> HttpResponse:
    """Log two before the user is known."""
    note("Seen", **request.GET.dict())
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


async def aknown(request: HttpRequest) -> HttpResponse:
    """Log one when the user is known."""
    await request.auser()
    note("Seen", **request.GET.dict())
    return HttpResponse()


async def aslept(request: HttpRequest) -> HttpResponse:
    """Log one, then give the loop to others, and log one more."""
    note("Seen", **request.GET.dict())
    await asyncio.sleep(0.01)
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


async def athreaded(request: HttpRequest) -> HttpResponse:
    """Log one in a thread of Django's."""
    await sync_to_async(note)("Seen", **request.GET.dict())
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


def pooled(request: HttpRequest) -> HttpResponse:
    """Log one in a thread of the app's."""
    pool.submit(carry(note), "Seen", **request.GET.dict()).result()
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


def looped(request: HttpRequest) -> HttpResponse:
    """Log one in a loop of the view's own, which ends with it."""
    asyncio.run(_note_soon(request))
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


async def _note_soon(request: HttpRequest) -> None:
    note("Seen", **request.GET.dict())


def elsewhere(request: HttpRequest) -> HttpResponse:
    """Log one in a loop of the app's, in a thread that never ends."""
    asyncio.run_coroutine_threadsafe(_note_soon(request), loop()).result()
    note("Seen Again", **request.GET.dict())
    return HttpResponse()


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Start the app's loop."""
    new = asyncio.new_event_loop()
    Thread(target=new.run_forever, daemon=True).start()
    return new


async def atasked(request: HttpRequest) -> HttpResponse:
    """Log one in a task that goes on when the request has ended."""

    async def work() -> None:
        await asyncio.sleep(0.01)
        note("Seen Again", **request.GET.dict())

    note("Seen", **request.GET.dict())
    tasks.add(asyncio.create_task(work()))
    return HttpResponse()


tasks: set[asyncio.Task[None]] = set()


def _chunks(request: HttpRequest) -> Iterator[str]:
    try:
        for number in ("1", "2"):
            note("Streamed", number=number, **request.GET.dict())
            yield number
    finally:
        note("Stream Ended", **request.GET.dict())


async def _achunks(request: HttpRequest) -> AsyncIterator[str]:
    for number in ("1", "2"):
        note("Streamed", number=number, **request.GET.dict())
        yield number
        await asyncio.sleep(0)
    note("Stream Ended", **request.GET.dict())


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Log while the body is sent."""
    return StreamingHttpResponse(_chunks(request))


async def astream(request: HttpRequest) -> StreamingHttpResponse:
    """As above."""
    return StreamingHttpResponse(_achunks(request))


def sign_in(request: HttpRequest, name: str) -> HttpResponse:
    """Log before and after a login."""
    note("Before", **request.GET.dict())
    auth.login(request, auth.authenticate(request, username=name, password="secret"))
    note("After", **request.GET.dict())
    return HttpResponse()


async def asign_in(request: HttpRequest, name: str) -> HttpResponse:
    """As above."""
    note("Before", **request.GET.dict())
    user = await auth.aauthenticate(request, username=name, password="secret")
    await auth.alogin(request, user)
    note("After", **request.GET.dict())
    return HttpResponse()


def sign_out(request: HttpRequest) -> HttpResponse:
    """Log before and after a logout."""
    note("Before", **request.GET.dict())
    auth.logout(request)
    note("After", **request.GET.dict())
    return HttpResponse()


async def asign_out(request: HttpRequest) -> HttpResponse:
    """As above."""
    note("Before", **request.GET.dict())
    await auth.alogout(request)
    note("After", **request.GET.dict())
    return HttpResponse()


def commits(request: HttpRequest) -> HttpResponse:
    """Do all that a transaction can do to an event."""
    with atomic():
        track(event="Committed", on_commit=True)
        with _undone(), atomic():
            track(event="Savepoint Undone", on_commit=True)
            raise _UndoneError
        with atomic(using="other"):
            track(event="Other Committed", on_commit="other")
        with _undone(), atomic(using="other"), on_commit("other"):
            note("Other Undone")
            raise _UndoneError
    with _undone(), atomic(), on_commit():
        note("Undone")
        track(event="At Once", on_commit=False)
        raise _UndoneError
    track(event="Outside", on_commit="other")
    track(event="Unknown", on_commit="nowhere")
    return HttpResponse()


def order(request: HttpRequest) -> HttpResponse:
    """Log one that leaves if the request ends well, with ATOMIC_REQUESTS."""
    track(event="Ordered", on_commit=True)
    if "fail" in request.GET:
        raise _UndoneError
    return HttpResponse()


class _UndoneError(Exception):
    """Rolls back."""


class _undone:  # noqa: N801 - used as `suppress` is
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is _UndoneError


def _count(connection: Any, **_: Any) -> None:
    def counted(execute: Any, *arguments: Any) -> Any:
        global queries
        queries += 1
        return execute(*arguments)

    connection.execute_wrappers.append(counted)


connection_created.connect(_count, weak=False)

_VIEWS = (
    nothing,
    anothing,
    seen,
    aseen,
    aknown,
    aslept,
    athreaded,
    pooled,
    looped,
    elsewhere,
    atasked,
)
urlpatterns = [
    *(path(view.__name__, view) for view in _VIEWS),
    *(path(view.__name__, view) for view in (stream, astream, commits, order, ledger)),
    path("health", seen),
    path("in/<name>", csrf_exempt(sign_in)),
    path("ain/<name>", csrf_exempt(asign_in)),
    path("out", sign_out),
    path("aout", asign_out),
]


def fill() -> None:
    """Make tables and users, and sessions in which they are logged in; print the keys."""
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore

    management.call_command("migrate", verbosity=0)
    keys = {}
    for number in range(1, 21):
        user = User.objects.create_user(f"user{number}", password="secret")
        session = SessionStore()
        session[auth.SESSION_KEY] = str(user.pk)
        session[auth.BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        keys[str(user.pk)] = session.session_key
    connections["default"].cursor().execute("PRAGMA journal_mode=WAL")
    print(json.dumps(keys))  # noqa: T201 - that is what it is for


wsgi_app = wsgi.get_wsgi_application()
asgi_app = asgi.get_asgi_application()
if __name__ == "__main__":
    if sys.argv[1:] == ["fill"]:
        fill()
    else:
        management.execute_from_command_line(sys.argv)
