"""`rudder-logging doctor` with no logger named: real configurations, healthy and not."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane

from ...conftest import WRITE_KEY
from .test_doctor import doctor, settings, write

pytestmark = pytest.mark.slow

SINCE_3_12 = sys.version_info >= (3, 12)


@dataclass(frozen=True)
class Visit:
    """What the doctor says of a configuration."""

    exit_code: int
    loggers: list[dict[str, Any]]
    findings: list[dict[str, Any]]

    def leaves(self, logger: str) -> bool:
        """Whether an event logged there at INFO would leave. It is asked about once."""
        (row,) = [row for row in self.loggers if row["logger"] == logger and not row["by_call"]]
        return bool(row["leaves"])

    def only(self, code: str) -> dict[str, Any]:
        """The one finding of that kind."""
        (finding,) = [finding for finding in self.findings if finding["code"] == code]
        return finding

    @property
    def troubles(self) -> set[str]:
        """The kinds of all that is not well."""
        return {finding["code"] for finding in self.findings if finding["severity"] != "well"}


def ask(config: str, at: Path, *words: str, **environment: str) -> Visit:
    """Run the doctor as a process of its own."""
    words = ("--offline", "--json", "--config", config, *words)
    code, out, err = doctor(*words, at=at, stdin=b"", **environment)
    told = json.loads(out)
    assert err == "" or "overheard" in [finding["code"] for finding in told["findings"]]
    return Visit(code, told["loggers"], told["findings"])


def visit(content: dict[str, Any], at: Path) -> Visit:
    """What the doctor says of a configuration."""
    return ask(write(at, content), at)


def visit_module(text: str, at: Path) -> Visit:
    """The same, of what a module has as `LOGGING`."""
    (at / "site_settings.py").write_text(text)
    return ask("site_settings:LOGGING", at)


@pytest.fixture
def content(plane: LocalDataPlane) -> dict[str, Any]:
    """A healthy configuration: a RudderHandler on root, at INFO."""
    return settings(plane)


def test_root_at_warning_and_an_app_at_info(content: dict[str, Any], tmp_path: Path) -> None:
    """Healthy and common: the app's events leave, so that root's level is a warning."""
    content["root"]["level"] = "WARNING"
    assert visit(content, tmp_path).exit_code == 1
    content["loggers"] = {"shop": {"level": "INFO"}, "shop.orders": {"level": "DEBUG"}}
    told = visit(content, tmp_path)
    assert told.exit_code == 0
    assert not told.leaves("root")
    assert told.leaves("shop")
    assert "shop.orders" not in [row["logger"] for row in told.loggers]
    finding = told.only("logger-level")
    assert (finding["severity"], finding["subject"]) == ("warning", "the root logger")
    content["loggers"]["shop"]["level"] = "ERROR"
    del content["loggers"]["shop.orders"]
    assert visit(content, tmp_path).exit_code == 1


def test_one_handler_on_two_loggers(content: dict[str, Any], tmp_path: Path) -> None:
    """Both are asked, and what passes at one of them is enough for root."""
    content["root"]["level"] = "WARNING"
    content["loggers"] = {"shop": {"level": "INFO", "handlers": ["events"]}}
    told = visit(content, tmp_path)
    assert told.exit_code == 0
    assert told.leaves("shop")


@pytest.mark.parametrize("on", ["root", "events"])
def test_filters_that_go_by_the_name(content: dict[str, Any], tmp_path: Path, on: str) -> None:
    """Those of a logger don't see its children's records; a handler's may let these pass."""
    content["filters"] = {"shop": {"name": "shop"}}
    {"root": content["root"], **content["handlers"]}[on]["filters"] = ["shop"]
    assert visit(content, tmp_path).exit_code == 1
    content["loggers"] = {"shop": {}}
    told = visit(content, tmp_path)
    assert told.exit_code == 0
    assert told.leaves("shop")
    assert "Filter('shop')" in told.only("filter-keeps-back")["text"]
    content["handlers"]["events"]["level"] = "ERROR"  # nobody's leave
    assert visit(content, tmp_path).exit_code == 1


def test_loggers_whose_events_do_not_leave(content: dict[str, Any], tmp_path: Path) -> None:
    """By a level or a filter of their own, below a handler that others reach."""
    content["filters"] = {"none": {"name": "nobody"}}
    content["loggers"] = {
        "shop": {"level": "ERROR"},
        "bank": {"level": "WARNING"},
        "desk": {"filters": ["none"]},
        "well": {"level": "DEBUG"},
    }
    told = visit(content, tmp_path)
    assert told.exit_code == 0
    assert told.troubles == {"logger-level", "filter-keeps-back"}
    assert told.only("logger-level")["subject"] == "loggers 'bank', 'shop'"
    assert told.only("filter-keeps-back")["subject"] == "logger 'desk'"


def test_adapters_of_loggers_that_nobody_named(content: dict[str, Any], tmp_path: Path) -> None:
    """What throws events away is told of, around another adapter, too."""
    told = visit_module(
        "import logging, rudder_logging\n"
        f"LOGGING = {content!r}\n"
        "shop = logging.LoggerAdapter(logging.getLogger('shop'), {'a': 1})\n"
        "bank = logging.LoggerAdapter(rudder_logging.EventLogger(logging.getLogger('bank')), {})\n"
        "well = rudder_logging.EventLogger(logging.getLogger('well'))\n",
        tmp_path,
    )
    assert told.exit_code == 0
    assert told.troubles == {"adapter-drops-extra"}
    assert told.only("adapter-drops-extra")["subject"] == "loggers 'bank', 'shop'"


FILTERS = """
import itertools
class Filter:
    def __init__(self):
        self.seen, self.numbers = set(), itertools.count()
    def filter(self, record):
        return self.{kind}(record, record.getMessage())
    def no_repeats(self, record, text):
        is_new = text not in self.seen
        self.seen.add(text)
        return is_new
    def no_repeats_of_events(self, record, text):
        return self.no_repeats(record, str(record.rudder))
    def the_first_only(self, record, text):
        return next(self.numbers) < 1
    def every_third(self, record, text):
        return next(self.numbers) % 3 == 2
    def never(self, record, text):
        return False
LOGGING = {content!r}
LOGGING["filters"] = {{"some": {{"()": Filter}}}}
LOGGING["handlers"]["events"]["filters"] = ["some"]
LOGGING["loggers"] = {{"shop": {{"handlers": ["events"]}}, "bank": {{"handlers": ["events"]}}}}
"""


@pytest.mark.parametrize(
    ("kind", "exit_code", "troubles"),
    [
        ("no_repeats", 0, set()),
        ("no_repeats_of_events", 0, set()),
        ("the_first_only", 0, {"filter-keeps-some"}),
        ("every_third", 0, {"filter-keeps-some"}),
        ("never", 1, {"filter-keeps-back"}),
    ],
)
def test_filters_with_a_memory(
    content: dict[str, Any], tmp_path: Path, kind: str, exit_code: int, troubles: set[str]
) -> None:
    """That the doctor asks about several loggers does not make such a filter a fault.

    Each of `shop` and `bank` meets the handler twice, whose filter then sees the record once.
    """
    told = visit_module(FILTERS.format(kind=kind, content=content), tmp_path)
    assert told.exit_code == exit_code
    assert told.troubles == troubles


def test_a_handler_that_no_logger_has(content: dict[str, Any], tmp_path: Path) -> None:
    """Added to `handlers` of the whole, and forgotten among those of root."""
    content["root"]["handlers"] = []
    words = ("--data-plane-url", "http://127.0.0.1:9", "--write-key", WRITE_KEY)
    told = ask(write(tmp_path, content), tmp_path, *words)
    assert told.exit_code == 0
    assert told.troubles == {"handler-unused"}


def test_filters_that_ask_djangos_settings(content: dict[str, Any], tmp_path: Path) -> None:
    """They know which these are, as under Django, where the configuration is in them."""
    told = visit_module(
        "import os\n"
        "class RequireDebugFalse:\n"
        "    def filter(self, record):\n"
        "        return os.environ['DJANGO_SETTINGS_MODULE'] == 'site_settings'\n"
        "INSTALLED_APPS = []\n"
        f"LOGGING = {content!r}\n"
        "LOGGING['filters'] = {'debug_off': {'()': RequireDebugFalse}}\n"
        "LOGGING['handlers']['events']['filters'] = ['debug_off']\n",
        tmp_path,
    )
    assert told.exit_code == 0, told


QUEUE = """
import atexit, logging, queue
from logging.handlers import QueueHandler, QueueListener
from rudder_logging import RudderHandler
def LOGGING():
    global listener
    records, logger = queue.SimpleQueue(), logging.getLogger()
    listener = {listener}(records, RudderHandler({key!r}, "http://127.0.0.1:9"))
    logger.addHandler(QueueHandler(records))
    logger.setLevel("INFO")
    {then}
class OfItsOwn(QueueListener):
    def start(self):
        "By a task, not by a thread."
"""


@pytest.mark.parametrize(
    ("then", "exit_code"), [("", 1), ("listener.start(); atexit.register(listener.stop)", 0)]
)
def test_listener_that_was_never_started(tmp_path: Path, then: str, exit_code: int) -> None:
    """Events stay in its queue: that stops them, and the cure is said."""
    text = QUEUE.format(key=WRITE_KEY, then=then, listener="QueueListener")
    told = visit_module(text, tmp_path)
    assert told.exit_code == exit_code
    assert told.leaves("root") is (exit_code == 0)
    assert ("listener-not-started" in told.troubles) is (exit_code == 1)
    if exit_code == 1:
        assert "start()" in told.only("listener-not-started")["cure"]


def test_listener_that_may_be_started_otherwise(tmp_path: Path) -> None:
    """How is its own affair: a warning."""
    text = QUEUE.format(key=WRITE_KEY, then="listener.start()", listener="OfItsOwn")
    told = visit_module(text, tmp_path)
    assert told.exit_code == 0
    assert "listener-not-started" in told.troubles


@pytest.mark.skipif(not SINCE_3_12, reason="dictConfig makes listeners from Python 3.12")
def test_listener_that_the_app_starts_after_its_configuration(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """The doctor puts just the dict in force, so it can't know: a warning."""
    content["handlers"]["queue"] = {
        "class": "logging.handlers.QueueHandler",
        "handlers": ["events"],
    }
    content["root"]["handlers"] = ["queue"]
    told = visit(content, tmp_path)
    assert told.exit_code == 0
    finding = told.only("listener-not-started")
    assert finding["severity"] == "warning"
    assert finding["subject"].startswith("RudderHandler 'events'")


CELERY = """
import logging, celery, celery.signals
app = celery.Celery("shop", broker="memory://")
LOGGING = {content!r}
def keep(**_options):
    "Configures logging instead of Celery."
def worker():
    logging.config.dictConfig(LOGGING)
    celery.signals.celeryd_init.send(sender="worker", instance=None, conf=app.conf, options={{}})
    app.log.setup_logging_subsystem(loglevel="WARNING")
{then}
"""


@pytest.mark.parametrize(
    ("then", "sets_level"),
    [
        ("", True),
        ("app.conf.worker_hijack_root_logger = False", True),
        ("celery.signals.setup_logging.connect(keep)", False),
    ],
)
def test_celery_sets_roots_level(
    content: dict[str, Any], tmp_path: Path, then: str, *, sets_level: bool
) -> None:
    """What workers do without `-l INFO`, and what the doctor says, agree. So does the warning."""
    pytest.importorskip("celery")
    text = CELERY.format(content=content, then=then)
    told = visit_module(text, tmp_path)
    assert told.exit_code == 0
    assert ("celery-level" in told.troubles) is sets_level
    told = ask("site_settings:worker", tmp_path, "shop")
    assert told.leaves("shop") is not sets_level
    overheard = [finding["text"] for finding in told.findings if finding["code"] == "overheard"]
    assert any("Celery" in text and "WARNING" in text for text in overheard) is sets_level


def test_celery_leaves_roots_handlers_on(content: dict[str, Any], tmp_path: Path) -> None:
    """Workers take them off and get them back: with `-l INFO`, events leave, as the doctor says."""
    pytest.importorskip("celery")
    text = CELERY.format(content=content, then="").replace('"WARNING"', '"INFO"')
    (tmp_path / "site_settings.py").write_text(text)
    assert ask("site_settings:worker", tmp_path, "shop").leaves("shop")


DJANGO = """
INSTALLED_APPS = {apps!r}
MIDDLEWARE = {middleware!r}
DATABASES = {databases!r}
LOGGING = {content!r}
"""
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
APP = "rudder_logging.integrations.django"
SQLITE = {"default": {"ENGINE": "django.db.backends.sqlite3"}}


@pytest.mark.parametrize(
    ("apps", "middleware", "databases", "codes"),
    [
        ([], [SESSIONS], SQLITE, {"django-unused"}),
        ([APP], [SESSIONS], SQLITE, {"django-middleware-missing", "django-not-running"}),
        (
            [APP],
            [f"{APP}.RudderMiddleware", SESSIONS],
            SQLITE,
            {"django-middleware-order", "django-not-running"},
        ),
        (
            [f"{APP}.apps.RudderConfig"],
            [SESSIONS, f"{APP}.RudderMiddleware"],
            {},
            {"django-no-database", "django-not-running"},
        ),
    ],
)
def test_djangos_settings(
    content: dict[str, Any],
    tmp_path: Path,
    apps: list[str],
    middleware: list[str],
    databases: dict[str, Any],
    codes: set[str],
) -> None:
    """A middleware that is missing or misplaced, and a commit that can't come, are told."""
    text = DJANGO.format(apps=apps, middleware=middleware, databases=databases, content=content)
    told = visit_module(text, tmp_path)
    assert told.exit_code == 0
    found = {finding["code"] for finding in told.findings}
    assert {code for code in found if code.startswith("django-")} == codes
