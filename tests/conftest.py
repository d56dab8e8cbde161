"""Fixtures: a data plane, handlers that send to it, loggers that reach them."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.dataplane.dialects import DIALECTS, NEWEST
from rudder_logging.events import scopes
from rudder_logging.handler.settings import settings as package_settings
from rudder_logging.privacy.suppression import EVERYWHERE

# The same examples in every run, so that no run fails by chance. `--hypothesis-profile=long` looks
# at many more, and at others each time.
# A machine may be too busy for Hypothesis' idea of how fast values are drawn.
_ON_ANY_MACHINE: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", max_examples=100, derandomize=True, **_ON_ANY_MACHINE)
settings.register_profile("long", max_examples=3_000, print_blob=True, **_ON_ANY_MACHINE)
settings.load_profile("suite")

WRITE_KEY = "test-write-key"

# Older servers differ in words alone.
EACH_DIALECT = [
    NEWEST,
    *(pytest.param(name, marks=pytest.mark.slow) for name in DIALECTS if name != NEWEST),
]
_numbers = count()

MakeHandler = Callable[..., RudderHandler]
Wire = Callable[..., logging.Logger]


def examples(share: float) -> int:
    """How many examples a test looks at, as a share of what the profile in force says."""
    return max(1, int(settings().max_examples * share))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What data planes refuse, and what is pending, is what most tests here are about.

    `make_handler` looks at each ledger itself.
    """
    for item in items:
        if "plane" in getattr(item, "fixturenames", ()):
            item.add_marker("rudder_unchecked")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that the live page was seen in a browser; `-ra` lists its tests if there was none."""
    passed = terminalreporter.stats.get("passed", [])
    properties = [pair for report in passed for pair in report.user_properties]
    browsers = [value for name, value in properties if name == "browser"]
    measured = [value for name, value in properties if name == "measured"]
    if browsers:
        seen = f"{len(browsers)} tests looked at the live page in {browsers[0]}"
        terminalreporter.write_line("; ".join([seen, *measured]))


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    """Each test begins with nothing bound, though one before it may have left something so."""
    token = scopes._variable.set(None)
    yield
    scopes._variable.reset(token)


@pytest.fixture
def plane(rudder_data_plane: LocalDataPlane) -> LocalDataPlane:
    """A data plane that has received nothing yet and is well: the one of our own plugin."""
    assert rudder_data_plane.write_key == WRITE_KEY
    return rudder_data_plane


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's reaches a test."""
    for name in list(os.environ):
        if name.startswith("RUDDER_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def clean_settings() -> Iterator[None]:
    """Settings of the package and its loggers do not outlive a test."""
    yield
    package_settings.reset()
    EVERYWHERE.clear()
    for known in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(known, logging.Logger):
            known.disabled = False  # a configuration disables all that it does not name
    for name in ("rudder", "rudder_logging"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        logger.disabled = False
        logger.propagate = True
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
    logging.disable(logging.NOTSET)


@pytest.fixture
def make_handler(plane: LocalDataPlane) -> Iterator[MakeHandler]:
    """Make handlers that send to `plane`; each one's ledger must balance in the end."""
    made: list[RudderHandler] = []

    def make(**options: Any) -> RudderHandler:
        # `flush()` waits so long, too: on a busy machine ten seconds are soon over.
        usual = {"write_key": WRITE_KEY, "data_plane_url": plane.url, "shutdown_timeout": 60}
        options = {**usual, **options}
        handler = RudderHandler(**options)
        made.append(handler)
        return handler

    yield make
    plane.heal()
    for handler in made:
        handler.close()
        if handler.stats().pending:
            handler._listener.finish(0)  # nothing goes on in the background of later tests
        stats = handler.stats()
        assert stats.balanced, stats


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Make a logger at INFO with the given handlers, and take them off afterwards."""
    wired: list[logging.Logger] = []

    def make(*handlers: logging.Handler, name: str | None = None) -> logging.Logger:
        logger = logging.getLogger(name or f"app{next(_numbers)}")
        logger.setLevel(logging.INFO)
        for handler in handlers:
            logger.addHandler(handler)
        wired.append(logger)
        return logger

    yield make
    for logger in wired:
        logger.setLevel(logging.NOTSET)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool's directory, which is not there yet."""
    return tmp_path / "spool"


@pytest.fixture
def away() -> Iterator[LocalDataPlane]:
    """A data plane that answers nothing well until it is told to."""
    with LocalDataPlane(WRITE_KEY) as plane:
        plane.fail(503, times=None)
        yield plane


def heal_for_the_living(plane: LocalDataPlane) -> None:
    """Have a data plane be well, but not to what was sent before, by processes that were killed.

    It may have read none of that yet.
    """
    plane.stop()
    plane.heal()
    plane.start()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once: full jitter draws a fraction of the backoff, and that is 0 here."""
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `handleError` was told, instead of printing it."""
    import sys

    texts: list[str] = []

    def keep(self: RudderHandler, record: logging.LogRecord) -> None:
        texts.append(str(sys.exc_info()[1]))

    monkeypatch.setattr(RudderHandler, "handleError", keep)
    return texts
