"""Frameworks, loggers and databases of the app that nothing of ours is wired to.

None of them is imported to find that out.

A package that is merely installed, or imported by another one, is no finding: an app, a queue, a
broker or a configuration of it has to be there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from ...common.wired import wired
from ...handler import commits
from .asgi import is_wired
from .findings import Finding, Severity, a_warning
from .tree import alive_of

__all__ = ["of_integrations"]

_REQUESTS = "events have of a request what the app itself binds"
_TASKS = "events of tasks lack what was bound where these were sent"


class _Framework(NamedTuple):
    name: str
    kind: str
    """A class of which an object is there if the app uses the framework."""
    loses: str
    wired_by: tuple[str, ...]
    """Integrations; `imports` and `line` are of the first one."""
    imports: str
    line: str
    counts: Callable[[Any], bool] = lambda _object: True
    """Tell if an object says that the app uses it."""
    guide: str = ""
    """Of another name than the integration."""


_FRAMEWORKS = (
    _Framework(
        "Flask",
        "flask.app.Flask",
        _REQUESTS,
        ("flask", "wsgi", "asgi"),
        "init_app",
        "init_app(app)",
    ),
    _Framework(
        "Starlette",  # and FastAPI, whose app is one of it
        "starlette.applications.Starlette",
        _REQUESTS,
        ("asgi",),
        "RudderMiddleware",
        "app.add_middleware(RudderMiddleware)",
        guide="fastapi",
    ),
    _Framework(
        "aiohttp",
        "aiohttp.web_app.Application",
        _REQUESTS,
        ("aiohttp",),
        "middleware",
        "web.Application(middlewares=[middleware()])",
    ),
    _Framework(
        "Celery",
        "celery.app.base.Celery",
        _TASKS,
        ("celery",),
        "install",
        "install(app)",
        # The default one is Celery's own: a package has made tasks, and nobody an app.
        lambda app: app.main != "default",
    ),
    _Framework("RQ", "rq.queue.Queue", _TASKS, ("rq",), "install", "install()"),
    _Framework(
        "dramatiq",
        "dramatiq.broker.Broker",
        _TASKS,
        ("dramatiq",),
        "install",
        "install(broker)",
        lambda broker: bool(broker.actors),
    ),
)


def of_integrations() -> Iterator[Finding]:
    """Find frameworks, loggers and observers without their integration, and commits unknown."""
    in_force = wired | ({"asgi"} if is_wired() else set())
    for one in _FRAMEWORKS:
        if in_force.isdisjoint(one.wired_by) and any(map(one.counts, alive_of(one.kind))):
            text = f"is used, and nothing is wired to it: {one.loses}"
            cure = _cure(one.wired_by[0], one.imports, one.line, one.guide)
            code = f"{one.name.lower()}-unused"
            yield Finding(Severity.WELL, "logging", code, text, cure, one.name)
    if "structlog" not in wired and _structlog_prints():
        yield _of_logger(
            "structlog",
            "RudderProcessor",
            "structlog.configure(processors=[..., RudderProcessor(), renderer])",
        )
    if "loguru" not in wired and _loguru_writes():
        yield _of_logger("loguru", "rudder_sink", "logger.add(rudder_sink(RudderHandler()))")
    yield from _of_sentry()
    yield from _of_commits()


def _cure(integration: str, name: str, line: str, guide: str = "") -> str:
    where = f"rudder_logging/guides/{guide or integration}.md"
    return f"`from rudder_logging.integrations.{integration} import {name}`, `{line}`; see {where}"


def _of_logger(name: str, imported: str, line: str) -> Finding:
    text = "is set up, and nothing is wired to it: events that it logs are lost"
    cure = f"if events are logged by it, {_cure(name, imported, line)}"
    return a_warning(f"{name}-unused", name, text, cure)


def _structlog_prints() -> bool:
    """Tell if it is configured, and its loggers are none of the standard library's."""
    structlog = sys.modules.get("structlog")
    if structlog is None or not structlog.is_configured():
        return False
    factory = structlog.get_config()["logger_factory"]
    kinds = ("PrintLoggerFactory", "WriteLoggerFactory", "BytesLoggerFactory")
    return isinstance(factory, tuple(getattr(structlog, kind) for kind in kinds))


def _loguru_writes() -> bool:
    """Tell if the app has added sinks, and all of them are streams or files.

    Others may hand lines on: a logging.Handler, as a RudderHandler is one, or a function.
    """
    loguru = sys.modules.get("loguru")
    if loguru is None:
        return False
    handlers = loguru.logger._core.handlers  # noqa: SLF001
    # The first one is loguru's own; Sentry adds some wherever both are installed.
    sinks = [handler._sink for number, handler in handlers.items() if number]  # noqa: SLF001
    kinds = [type(sink).__name__ for sink in sinks if not _is_sentrys(sink)]
    return bool(kinds) and {*kinds} <= {"StreamSink", "FileSink"}


def _is_sentrys(sink: Any) -> bool:
    held = vars(sink)
    inner = held.get("_handler") or held.get("_function")
    module = getattr(inner, "__module__", None) or ""
    return module.startswith("sentry_sdk.")


def _of_sentry() -> Iterator[Finding]:
    sentry = sys.modules.get("sentry_sdk")
    if sentry is None or not hasattr(sentry, "get_client"):  # it came with 2.0
        return
    client = sentry.get_client()
    if not client.is_active() or "logging" not in client.integrations:
        return
    hooks = ["before_breadcrumb", "before_send"]
    hooks += ["before_send_log"] if client.options.get("enable_logs") else []
    if lacking := [name for name in hooks if client.options.get(name) is None]:
        text = f"stores the payloads of events: its init has no {' and no '.join(lacking)}"
        line = "sentry_sdk.init(**without_payloads())"
        yield a_warning(
            "sentry-payloads", "Sentry", text, _cure("sentry", "without_payloads", line)
        )


def _of_commits() -> Iterator[Finding]:
    """Find what asks for commits of a database that no integration knows."""
    cure = (
        "wire the database: rudder_logging/guides/sqlalchemy.md, rudder_logging/guides/django.md; "
        "or leave `on_commit` out"
    )
    for fault in commits.told():
        yield a_warning("on-commit-unknown", "on_commit", fault, cure)
    if not commits.knows_databases():
        text = "uses on_commit, and no integration with a database is there: events leave at once"
        for name in _that_use(commits.on_commit):
            yield a_warning("on-commit-unknown", f"module {name}", text, cure)


def _that_use(thing: object) -> list[str]:
    """The app's modules that have something by a name of their own."""
    return [
        name
        for name, module in sys.modules.copy().items()
        if issubclass(type(module), ModuleType) and not name.startswith("rudder_logging")
        # Not `vars`: it would load a module that is lazy.
        if any(held is thing for held in object.__getattribute__(module, "__dict__").values())
    ]
