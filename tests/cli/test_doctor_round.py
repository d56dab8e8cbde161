"""`rudder-logging doctor` with no logger named: real configurations, healthy and not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from .test_doctor import doctor, settings, write

SINCE_3_12 = sys.version_info >= (3, 12)


def visit(content: dict[str, Any], at: Path, *names: str) -> tuple[int, str]:
    """What the doctor says of a configuration, and its exit code."""
    code, out, err = doctor("--offline", "--config", write(at, content), *names, at=at)
    assert err == ""
    return code, out


def visit_module(text: str, at: Path, *names: str) -> tuple[int, str]:
    """The same, of what a module has as `LOGGING`."""
    (at / "site_settings.py").write_text(text)
    code, out, err = doctor("--offline", "--config", "site_settings:LOGGING", *names, at=at)
    assert err == ""
    return code, out


@pytest.fixture
def content(plane: LocalDataPlane) -> dict[str, Any]:
    """A healthy configuration: a RudderHandler on root, at INFO."""
    return settings(plane)


def test_root_at_warning_and_an_app_at_info(content: dict[str, Any], tmp_path: Path) -> None:
    """Healthy and common: the app's events leave, so that root's level is a warning."""
    content["root"]["level"] = "WARNING"
    assert visit(content, tmp_path)[0] == 1
    content["loggers"] = {"shop": {"level": "INFO"}, "shop.orders": {"level": "DEBUG"}}
    code, out = visit(content, tmp_path)
    assert code == 0
    assert "the root logger at INFO: does NOT leave." in out
    assert "logger 'shop' at INFO: leaves, by RudderHandler 'events'" in out
    assert "'shop.orders'" not in out
    assert (
        "warning  logging  the root logger: its level is WARNING, above INFO. Cure: set the level "
        "of the root logger to INFO, if events are logged there.\n"
    ) in out
    content["loggers"]["shop"]["level"] = "ERROR"
    del content["loggers"]["shop.orders"]
    assert visit(content, tmp_path)[0] == 1


def test_one_handler_on_two_loggers(content: dict[str, Any], tmp_path: Path) -> None:
    """Both are asked, and what passes at one of them is enough for root."""
    content["root"]["level"] = "WARNING"
    content["loggers"] = {"shop": {"level": "INFO", "handlers": ["events"]}}
    code, out = visit(content, tmp_path)
    assert code == 0
    assert out.count("logger 'shop' at INFO: leaves") == 1


@pytest.mark.parametrize("on", ["root", "events"])
def test_filters_that_go_by_the_name(content: dict[str, Any], tmp_path: Path, on: str) -> None:
    """Those of a logger don't see its children's records; a handler's may let these pass."""
    content["filters"] = {"shop": {"name": "shop"}}
    {"root": content["root"], **content["handlers"]}[on]["filters"] = ["shop"]
    assert visit(content, tmp_path)[0] == 1
    content["loggers"] = {"shop": {}}
    code, out = visit(content, tmp_path)
    assert code == 0
    assert "logger 'shop' at INFO: leaves" in out
    assert "its filter Filter('shop') keeps a probe back" in out
    content["handlers"]["events"]["level"] = "ERROR"  # nobody's leave
    assert visit(content, tmp_path)[0] == 1


def test_loggers_whose_events_do_not_leave(content: dict[str, Any], tmp_path: Path) -> None:
    """By a level or a filter of their own, below a handler that others reach."""
    content["filters"] = {"none": {"name": "nobody"}}
    content["loggers"] = {
        "shop": {"level": "ERROR"},
        "bank": {"level": "WARNING"},
        "desk": {"filters": ["none"]},
        "well": {"level": "DEBUG"},
    }
    code, out = visit(content, tmp_path)
    assert code == 0
    assert "warning  logging  loggers 'bank', 'shop': with a level above INFO" in out
    assert "warning  logging  logger 'desk': its filter Filter('nobody') keeps a probe back" in out
    assert out.endswith("nothing stops events, 2 warnings.\n")


def test_adapters_of_loggers_that_nobody_named(content: dict[str, Any], tmp_path: Path) -> None:
    """What throws events away is told of, around another adapter, too."""
    code, out = visit_module(
        "import logging, rudder_logging\n"
        f"LOGGING = {content!r}\n"
        "shop = logging.LoggerAdapter(logging.getLogger('shop'), {'a': 1})\n"
        "bank = logging.LoggerAdapter(rudder_logging.EventLogger(logging.getLogger('bank')), {})\n"
        "well = rudder_logging.EventLogger(logging.getLogger('well'))\n",
        tmp_path,
    )
    assert code == 0
    assert "warning  logging  loggers 'bank', 'shop': a LoggerAdapter throws the `extra`" in out
    assert out.endswith("nothing stops events, 1 warning.\n")


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
    ("kind", "exit_code", "words"),
    [
        ("no_repeats", 0, "no warnings"),
        ("no_repeats_of_events", 0, "no warnings"),
        ("the_first_only", 0, "its filter Filter keeps some probes back, and lets others pass"),
        ("every_third", 0, "its filter Filter keeps some probes back, and lets others pass"),
        ("never", 1, "its filter Filter keeps a probe back"),
    ],
)
def test_filters_with_a_memory(
    content: dict[str, Any], tmp_path: Path, kind: str, exit_code: int, words: str
) -> None:
    """That the doctor asks about several loggers does not make such a filter a fault.

    Each of `shop` and `bank` meets the handler twice, whose filter then sees the record once.
    """
    code, out = visit_module(FILTERS.format(kind=kind, content=content), tmp_path)
    assert code == exit_code
    assert words in out


def test_a_handler_that_no_logger_has(content: dict[str, Any], tmp_path: Path) -> None:
    """Added to `handlers` of the whole, and forgotten among those of root."""
    content["root"]["handlers"] = []
    config = write(tmp_path, content)
    words = ["--offline", "--config", config, "--data-plane-url", "http://127.0.0.1:9"]
    code, out, _ = doctor(*words, at=tmp_path, RUDDER_WRITE_KEY=WRITE_KEY)
    assert code == 0
    assert "the configuration: has a RudderHandler, but no logger has it. Cure: name it" in out


def test_filters_that_ask_djangos_settings(content: dict[str, Any], tmp_path: Path) -> None:
    """They know which these are, as under Django, where the configuration is in them."""
    code, out = visit_module(
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
    assert code == 0, out


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
    code, out = visit_module(text, tmp_path)
    assert code == exit_code
    assert ("the root logger at INFO: does NOT leave." in out) is (exit_code == 1)
    is_told = "inside a QueueListener that has not been started: events stay in its queue" in out
    assert is_told is (exit_code == 1)
    assert ("Cure: call its start()" in out) is (exit_code == 1)


def test_listener_that_may_be_started_otherwise(tmp_path: Path) -> None:
    """How is its own affair: a warning."""
    text = QUEUE.format(key=WRITE_KEY, then="listener.start()", listener="OfItsOwn")
    code, out = visit_module(text, tmp_path)
    assert code == 0
    assert "has not been started" in out


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
    code, out = visit(content, tmp_path)
    assert code == 0
    assert "warning  logging  RudderHandler 'events'" in out
    assert "has not been started" in out


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
    code, out = visit_module(text, tmp_path)
    assert code == 0
    assert ("Celery workers give it the level of their option -l" in out) is sets_level
    _, out, _ = doctor("--offline", "--config", "site_settings:worker", "shop", at=tmp_path)
    assert ("logger 'shop' at INFO: does NOT leave" in out) is sets_level
    assert ("Celery has set the root logger's level to WARNING" in out) is sets_level


def test_celery_leaves_roots_handlers_on(content: dict[str, Any], tmp_path: Path) -> None:
    """Workers take them off and get them back: with `-l INFO`, events leave, as the doctor says."""
    pytest.importorskip("celery")
    text = CELERY.format(content=content, then="").replace('"WARNING"', '"INFO"')
    (tmp_path / "site_settings.py").write_text(text)
    _, out, _ = doctor("--offline", "--config", "site_settings:worker", "shop", at=tmp_path)
    assert "logger 'shop' at INFO: leaves" in out
