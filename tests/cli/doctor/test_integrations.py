"""`rudder-logging doctor` of apps that use frameworks: wired, not wired, merely installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rudder_logging

from .test_round import Visit, ask, content

__all__ = ["content"]

pytestmark = pytest.mark.slow

FLASK = "from flask import Flask\napp = Flask('shop')"
STARLETTE = "from starlette.applications import Starlette\napp = Starlette()"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()"
AIOHTTP = "from aiohttp import web\napp = web.Application({})"
CELERY = "from celery import Celery\napp = Celery('shop', broker='memory://')"
RQ = """
from redis import Redis
from rq import Queue
queue = Queue(connection=Redis())
"""
DRAMATIQ = """
import dramatiq
from dramatiq.brokers.stub import StubBroker
broker = StubBroker()
dramatiq.set_broker(broker)
@dramatiq.actor
def send_receipt():
    pass
"""
STRUCTLOG = """
import structlog
structlog.configure(processors=[{}structlog.processors.JSONRenderer()])
"""
LOGURU = "import sys\nfrom loguru import logger\nlogger.add(sys.stderr)"
HANDLER = (
    "from rudder_logging import RudderHandler\n"
    "handler = RudderHandler('key', 'http://127.0.0.1:9', send=False)\n"
)

_ASGI = "from rudder_logging.integrations.asgi import RudderMiddleware\n"
_INSTALL = "from rudder_logging.integrations.{} import install\n{}"

UNUSED: dict[str, tuple[str, str, str]] = {
    "flask": ("well", FLASK, "from rudder_logging.integrations.flask import init_app"),
    "starlette": ("well", STARLETTE, "app.add_middleware(RudderMiddleware)"),
    "aiohttp": ("well", AIOHTTP.format(""), "web.Application(middlewares=[middleware()])"),
    "celery": ("well", CELERY, "install(app)"),
    "rq": ("well", RQ, "install()"),
    "dramatiq": ("well", DRAMATIQ, "install(broker)"),
    "structlog": ("warning", STRUCTLOG.format(""), "RudderProcessor()"),
    "loguru": ("warning", LOGURU, "logger.add(rudder_sink(RudderHandler()))"),
}
"""Apps without the integration: the severity of that, the app, and a line of the cure."""

WIRED: dict[str, str] = {
    "flask": f"{FLASK}\nfrom rudder_logging.integrations.flask import init_app\ninit_app(app)",
    "flask, by WSGI": f"{FLASK}\nfrom rudder_logging.integrations.wsgi import RudderMiddleware\n"
    "app.wsgi_app = RudderMiddleware(app.wsgi_app)",
    "starlette": f"{STARLETTE}\n{_ASGI}app.add_middleware(RudderMiddleware)",
    "starlette, wrapped": f"{STARLETTE}\n{_ASGI}served = RudderMiddleware(app)",
    "fastapi": f"{FASTAPI}\n{_ASGI}app.add_middleware(RudderMiddleware)",
    "fastapi, with a mounted app": f"{FASTAPI}\n{_ASGI}app.add_middleware(RudderMiddleware)\n"
    "app.mount('/old', FastAPI())",
    "aiohttp": "from rudder_logging.integrations.aiohttp import middleware\n"
    + AIOHTTP.format("middlewares=[middleware()]"),
    "celery": f"{CELERY}\n{_INSTALL.format('celery', 'install(app)')}",
    "rq": f"{RQ}\n{_INSTALL.format('rq', 'install()')}",
    "dramatiq": f"{DRAMATIQ}\n{_INSTALL.format('dramatiq', 'install(broker)')}",
    "structlog": "from rudder_logging.integrations.structlog import RudderProcessor"
    + STRUCTLOG.format("RudderProcessor(), "),
    "loguru": f"{LOGURU}\n{HANDLER}from rudder_logging.integrations.loguru import rudder_sink\n"
    "logger.add(rudder_sink(handler))",
}
"""The same, with it."""

_SENTRYS_SINKS = "loguru with no sink but its own and Sentry's"
NOT_THE_APPS: dict[str, str] = {
    "imported": "import flask, starlette.applications, fastapi, aiohttp.web, celery, rq, dramatiq\n"
    "import structlog, loguru, sentry_sdk",
    "objects that packages make": "from celery import shared_task\n"
    "@shared_task\ndef receipt(): pass\nreceipt.name\n"
    "import dramatiq\nfrom dramatiq.brokers.stub import StubBroker\n"
    "dramatiq.set_broker(StubBroker())\nimport structlog\n"
    "structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())",
    "loguru to the handler itself": f"{LOGURU}\n{HANDLER}logger.add(handler)",
    "loguru to logging": f"{LOGURU}\nimport logging\n"
    "logger.add(lambda line: logging.getLogger('shop').info(line))",
    _SENTRYS_SINKS: "import sentry_sdk\n"
    "from sentry_sdk.integrations.loguru import LoguruIntegration\n"
    "from rudder_logging.integrations.sentry import without_payloads\n"
    "sentry_sdk.init(auto_enabling_integrations=False, integrations=[LoguruIntegration()],"
    " **without_payloads())",
}
"""Facts that look like a use, and are none, or none that lacks anything."""


def visit_app(app: str, content: dict[str, Any], at: Path, **environment: str) -> Visit:
    """What the doctor says of an app: a module with its logging configuration in it."""
    (at / "shop_app.py").write_text(f"LOGGING = {content!r}\n{app}\n")
    return ask("shop_app:LOGGING", at, **environment)


def integration_findings(told: Visit) -> list[tuple[str, str]]:
    """Findings of things that are used without their integration: severity and code."""
    codes = ("-unused", "sentry-payloads", "uvicorn-without-lifespan", "on-commit-unknown")
    return [
        (finding["severity"], finding["code"])
        for finding in told.findings
        if finding["code"].endswith(codes)
    ]


def test_used_and_not_wired(content: dict[str, Any], tmp_path: Path) -> None:
    """Each is told, with the two lines that wire it and the guide; events leave all the same."""
    for name, (_, app, _) in UNUSED.items():
        (tmp_path / f"with_{name}.py").write_text(app)
    told = visit_app("\n".join(f"import with_{name}" for name in UNUSED), content, tmp_path)
    assert told.exit_code == 0
    expected = [(severity, f"{name}-unused") for name, (severity, _, _) in UNUSED.items()]
    assert integration_findings(told) == expected
    for name, (_, _, line) in UNUSED.items():
        cure = told.only(f"{name}-unused")["cure"]
        assert line in cure
        assert "`from rudder_logging.integrations." in cure
        guide = cure.rpartition("see rudder_logging/")[2]
        assert (Path(rudder_logging.__file__).parent / guide).is_file()


def test_fastapi_is_an_app_of_starlettes(content: dict[str, Any], tmp_path: Path) -> None:
    """It is told once, by the guide of both."""
    told = visit_app(FASTAPI, content, tmp_path)
    assert integration_findings(told) == [("well", "starlette-unused")]
    assert "rudder_logging/guides/fastapi.md" in told.only("starlette-unused")["cure"]


def test_sentrys_sinks_hide_nothing(content: dict[str, Any], tmp_path: Path) -> None:
    """Sentry gives loguru sinks of its own, which hand no event on."""
    app = f"{NOT_THE_APPS[_SENTRYS_SINKS]}\n{LOGURU}"
    assert integration_findings(visit_app(app, content, tmp_path)) == [("warning", "loguru-unused")]


@pytest.mark.parametrize("name", WIRED)
def test_used_and_wired(content: dict[str, Any], tmp_path: Path, name: str) -> None:
    """Nothing is said, whichever of the ways wires it."""
    assert integration_findings(visit_app(WIRED[name], content, tmp_path)) == []


@pytest.mark.parametrize("name", NOT_THE_APPS)
def test_no_false_alarms(content: dict[str, Any], tmp_path: Path, name: str) -> None:
    """Nothing is said of what the app does not use, or uses in a way that loses nothing."""
    assert integration_findings(visit_app(NOT_THE_APPS[name], content, tmp_path)) == []


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ("", ["before_breadcrumb", "before_send"]),
        ("enable_logs=True", ["before_breadcrumb", "before_send", "before_send_log"]),
        ("before_breadcrumb=before_breadcrumb", ["before_send"]),
        ("**without_payloads()", []),
        ("enable_logs=True, **without_payloads()", []),
        ("default_integrations=False", []),  # it sees no log line then
    ],
)
def test_sentry_without_hooks(
    content: dict[str, Any], tmp_path: Path, options: str, lacking: list[str]
) -> None:
    """Payloads that Sentry would store are warned of, with the hooks that its init lacks."""
    told = visit_app(
        "import sentry_sdk\n"
        "from rudder_logging.integrations.sentry import before_breadcrumb, without_payloads\n"
        f"sentry_sdk.init(auto_enabling_integrations=False, {options})",
        content,
        tmp_path,
    )
    assert integration_findings(told) == [("warning", "sentry-payloads")] * bool(lacking)
    if lacking:
        finding = told.only("sentry-payloads")
        assert [word for word in finding["text"].split() if word.startswith("before_")] == lacking
        assert "sentry_sdk.init(**without_payloads())" in finding["cure"]


WRAPPED = f"{STARLETTE}\n{_ASGI}app.add_middleware(RudderMiddleware)\nimport uvicorn\n"
SERVED = """
import logging.config, threading, time, uvicorn
{middleware}
async def picky(scope, receive, send):
    if scope["type"] == "lifespan" and {raises}:
        raise RuntimeError
    await app(scope, receive, send)
def serve():
    logging.config.dictConfig(LOGGING)
    server = uvicorn.Server(uvicorn.Config(picky, port=0, log_config=None))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("then", "variable", "reason"),
    [
        ("", "", None),
        ("config = uvicorn.Config(app)", "auto", None),
        ("config = uvicorn.Config(app, lifespan='off')", "", "uvicorn.Config"),
        ("", "off", "UVICORN_LIFESPAN"),
    ],
)
def test_uvicorn_without_a_lifespan(
    content: dict[str, Any], tmp_path: Path, then: str, variable: str, reason: str | None
) -> None:
    """The middleware can't deliver at the end then: the cure is drain_on_sigterm."""
    told = visit_app(WRAPPED + then, content, tmp_path, UVICORN_LIFESPAN=variable)
    assert integration_findings(told) == [("warning", "uvicorn-without-lifespan")] * bool(reason)
    if reason is not None:
        finding = told.only("uvicorn-without-lifespan")
        assert reason in finding["text"]
        assert "drain_on_sigterm" in finding["cure"]
        content["handlers"]["events"]["drain_on_sigterm"] = True
        told = visit_app(WRAPPED + then, content, tmp_path, UVICORN_LIFESPAN=variable)
        assert integration_findings(told) == []


@pytest.mark.parametrize("raises", [True, False])
def test_a_lifespan_that_failed(content: dict[str, Any], tmp_path: Path, *, raises: bool) -> None:
    """Uvicorn goes on without one, silently: seen within its process."""
    app = SERVED.format(middleware=WRAPPED, raises=raises)
    (tmp_path / "shop_app.py").write_text(f"LOGGING = {content!r}\n{app}\n")
    told = ask("shop_app:serve", tmp_path)
    expected = [("warning", "uvicorn-without-lifespan")] if raises else []
    assert integration_findings(told) == expected


ON_COMMIT = """
import logging.config
from rudder_logging import {name}
{database}
def used():
    logging.config.dictConfig(LOGGING)
    logging.getLogger("shop").info("Paid", extra={{"rudder": {{"user_id": "1"}}, {on_commit}}})
"""


@pytest.mark.parametrize(
    ("name", "on_commit", "subject"),
    [
        ("track", '"rudder_on_commit": True', "on_commit"),
        ("on_commit", "", "module shop_app"),
        ("track", "", None),
    ],
)
def test_on_commit_without_a_database(
    content: dict[str, Any], tmp_path: Path, name: str, on_commit: str, subject: str | None
) -> None:
    """It is told once, be it that an event has asked for it, or that a module has it."""
    for database in ("", "import rudder_logging.integrations.sqlalchemy"):
        if database:
            on_commit, subject = "", None
        app = ON_COMMIT.format(name=name, on_commit=on_commit, database=database)
        (tmp_path / "shop_app.py").write_text(f"LOGGING = {content!r}\n{app}\n")
        told = ask("shop_app:used", tmp_path)
        expected = [("warning", "on-commit-unknown")] if subject else []
        assert integration_findings(told) == expected
        assert "overheard" not in told.troubles
        if subject:
            finding = told.only("on-commit-unknown")
            assert finding["subject"] == subject
            assert "rudder_logging/guides/sqlalchemy.md" in finding["cure"]


_AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
_WSGI = "from rudder_logging.integrations.wsgi import RudderMiddleware"
_OURS = "rudder_logging.integrations.django"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], [("well", "django-unused")]),
        ([_WSGI, "application = RudderMiddleware(None)"], []),
        ([f"INSTALLED_APPS = [{_OURS!r}]"], [("warning", "django-middleware-missing")]),
        (
            [f"MIDDLEWARE = ['{_OURS}.RudderMiddleware', {_AUTH!r}]"],
            [("warning", "django-middleware-order")],
        ),
        ([f"MIDDLEWARE = [{_AUTH!r}, '{_OURS}.RudderMiddleware']"], []),
        (
            [f"MIDDLEWARE = ['{_OURS}.RudderMiddleware']", "DATABASES = {}"],
            [("well", "django-no-database")],
        ),
    ],
)
def test_djangos_settings(
    content: dict[str, Any], tmp_path: Path, lines: list[str], expected: list[tuple[str, str]]
) -> None:
    """The middleware missing, or above what it needs, is told; where all is wired, nothing is."""
    pytest.importorskip("django")
    before = ["INSTALLED_APPS = []", "DATABASES = {'default': {'ENGINE': 'x.sqlite3'}}"]
    told = visit_app("\n".join(["SECRET_KEY = 'x'", *before, *lines]), content, tmp_path)
    assert told.exit_code == 0
    assert [
        (finding["severity"], finding["code"])
        for finding in told.findings
        if finding["code"].startswith("django-") and finding["code"] != "django-not-running"
    ] == expected
