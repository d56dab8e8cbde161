"""Web servers whose workers log one event a request, and end by SIGTERM to their master."""

from __future__ import annotations

import http.client
import re
import signal
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .stage import PATIENCE, Process, Stage, wait_until

__all__ = ["REQUESTS", "asgi", "end_gunicorn", "gunicorn", "start_gunicorn", "uwsgi", "visit"]

_APP = """
import os, time
from tests.faults.child import log, note, wire

wire()
if {logs_at_import}:
    log([0])

def app(environ, start_response):
    status, body = "200 OK", str(os.getpid()).encode()
    if environ.get("QUERY_STRING") == body.decode():
        status = "409 Conflict"  # another worker is asked for
    else:
        log([int(environ["PATH_INFO"][1:])])
    start_response(status, [("Content-Type", "text/plain"), ("Connection", "close")])
    return [body]
"""
"""Its URLs: `/number`, or `/number?pid` for a worker that is not that one."""


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def visit(port: int, numbers: range) -> int:
    """Make a request for each number; the last one another worker than for the first.

    Returns:
        The process of the first one's.
    """
    *numbers_but_last, last = numbers
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: _get(port, f"/{n}"), numbers_but_last))
    assert {status for status, _ in answers} == {200}
    one = answers[0][1]
    wait_until(lambda: _get(port, f"/{last}?{one}")[0] == 200, "an answer by another worker")
    return int(one)


def _port(server: Process, pattern: str) -> int:
    def found() -> re.Match[str] | None:
        return re.search(pattern, server.output)

    wait_until(found, "the server to listen")
    match = found()
    assert match is not None
    return int(match[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(server: Process) -> None:
    server.wait()
    assert "rudder_logging:" not in server.stderr
    assert "Traceback" not in server.stderr


def start_gunicorn(
    stage: Stage, worker: str, *words: str, preload: bool, **options: str
) -> tuple[Process, int]:
    """Start it with two workers, words of its command and the handlers' options.

    Returns:
        It, and its port.
    """
    stage.write("web.py", _APP.format(logs_at_import=preload))
    server = stage.start(
        *("-m", "gunicorn", "web:app", "--bind", "127.0.0.1:0"),
        *("--workers", "2", "--threads", "2", "--worker-class", worker),
        *("--worker-tmp-dir", str(stage.directory), "--no-control-socket"),
        *(["--preload"] if preload else []),
        *words,
        upload_interval=60,
        **options,
    )
    return server, _port(server, r"Listening at: http://127\.0\.0\.1:(\d+)")


def end_gunicorn(server: Process) -> None:
    """Have it end as service managers do."""
    server.signal(signal.SIGTERM)
    _end(server)


def gunicorn(stage: Stage, *, worker: str = "sync", preload: bool = True) -> None:
    """With --preload the handler is made, and one event logged, in the master, before the forks."""
    server, port = start_gunicorn(stage, worker, preload=preload)
    visit(port, range(preload, 50))
    end_gunicorn(server)


def uwsgi(stage: Stage, *, options: Sequence[str] = ()) -> None:
    """The app is loaded, and one event logged, in the master, before the forks.

    It is asked to end gracefully: a worker that it ends within a request runs no exit hooks.
    """
    preload = "--lazy-apps" not in options
    stage.write("web.py", _APP.format(logs_at_import=preload))
    server = stage.start(
        *("-c", "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"),
        *("--http-socket", "127.0.0.1:0", "--wsgi", "web:app"),
        *("--master", "--processes", "2", "--master-fifo", "control"),
        *("--need-app", "--disable-logging", *options),
        upload_interval=60,
    )
    visit(_port(server, r"bound to TCP address 127\.0\.0\.1:(\d+)"), range(preload, 50))
    (stage.directory / "control").write_text("q")
    _end(server)


_ASGI_APP = """
import os
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.faults.child import log, wire

handler = wire()

def number_of_this_worker():
    for number in range({first}, 1_000):
        try:
            os.close(os.open(f"worker {{number}}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return number

@asynccontextmanager
async def lifespan(app):
    yield
    log([number_of_this_worker()])
    if {closes}:
        await handler.aclose()

async def page(request):
    body = str(os.getpid())
    if request.url.query == body:
        return PlainTextResponse(body, 409, {{"Connection": "close"}})
    log([int(request.path_params["number"])])
    return PlainTextResponse(body, headers={{"Connection": "close"}})

app = Starlette(routes=[Route("/{{number}}", page)], lifespan=lifespan)
if {wraps}:
    from rudder_logging.integrations.asgi import RudderMiddleware
    app.add_middleware(RudderMiddleware)
"""
"""Its URLs are those of the other; each worker's end logs an event, too."""

REQUESTS = 20

_UVICORN = ("-m", "uvicorn", "web:app", "--port", "0")
_GUNICORN = (
    *("-m", "gunicorn", "web:app", "--bind", "127.0.0.1:0", "--no-control-socket"),
    *("--workers", "2"),
)
_SERVERS = {
    "uvicorn": _UVICORN,
    "uvicorn `--workers 2`": (*_UVICORN, "--workers", "2"),
    "uvicorn `--reload`": (*_UVICORN, "--reload"),
    "gunicorn, `UvicornWorker`": (*_GUNICORN, "-k", "uvicorn.workers.UvicornWorker"),
    "gunicorn, `asgi` workers": (*_GUNICORN, "-k", "asgi"),
    "hypercorn": ("-m", "hypercorn", "web:app", "--bind", "127.0.0.1:0"),
}
"""How each is started."""


def asgi(
    stage: Stage, *, server: str, wraps: bool = False, closes: bool = False, drains: bool = False
) -> None:
    """Requests log events, which wait; then the service manager's SIGTERM comes.

    Args:
        stage: Where.
        server: Its key in the table above.
        wraps: Whether the app has our middleware.
        closes: Whether the app closes its handler at the end of its lifespan.
        drains: Whether the handler has the option `drain_on_sigterm`.
    """
    stage.write("web.py", _ASGI_APP.format(first=REQUESTS, wraps=wraps, closes=closes))
    command = _SERVERS[server]
    process = stage.start(*command, upload_interval=60, drain_on_sigterm=drains)
    port = _port(process, r"(?:Listening at:|Running on|running on) http://127\.0\.0\.1:(\d+)")
    wait_until(lambda: _listens(port), "a worker to listen")
    if "2" in command:
        visit(port, range(REQUESTS))
    else:
        for number in range(REQUESTS):
            assert _get(port, f"/{number}")[0] == 200
    process.signal(signal.SIGTERM)
    process.wait(None)
