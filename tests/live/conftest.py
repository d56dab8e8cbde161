"""Fixtures: a plane with its page, and a browser that looks at it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from rudder_logging.dataplane.live import LivePlane

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Event = dict[str, Any]


def event(number: int = 0, **fields: Any) -> Event:
    """An event that is well."""
    known = {"type": "track", "event": "Article Read", "userId": "42", "messageId": f"m{number}"}
    return {**known, "originalTimestamp": "2026-01-02T03:04:05.000Z", **fields}


def post(plane: LivePlane, *events: Event | str, key: str = "any") -> requests.Response:
    """Send a batch, or text as a body."""
    text = events[0] if events and isinstance(events[0], str) else None
    content: Any = {"data": text} if text is not None else {"json": {"batch": events}}
    return requests.post(f"{plane.url}/v1/batch", auth=(key, ""), timeout=10, **content)


@contextmanager
def served(*flags: str) -> Iterator[str]:
    """The address of `rudder-logging serve`, in a process of its own; it ends well."""
    command = [sys.executable, "-m", "rudder_logging", "serve", "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split()[-1].rstrip("/")
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert server.returncode == 0


@pytest.fixture(scope="session")
def _live() -> Iterator[LivePlane]:
    with LivePlane() as plane:
        yield plane


@pytest.fixture
def live(_live: LivePlane) -> LivePlane:
    """A plane with its page, which has received nothing yet and is well."""
    _live.clear()
    return _live


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of the module, because Playwright occupies the thread's event loop while it runs."""
    if CHROMIUM is None:
        pytest.skip("no browser: install Debian's chromium to run the page's tests")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def faults() -> list[str]:
    """What the page complained of, for tests that are about just that."""
    return []


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, faults: list[str]) -> Iterator[Page]:
    """An empty page; what it loads must come from loopback, and nothing may fail in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 760})
    context.set_default_timeout(8_000)
    made = context.new_page()
    hosts: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        # A server that is away is no fault of the page's.
        if message.type in ("error", "warning") and "ERR_CONNECTION" not in message.text:
            faults.append(message.text)

    made.on("console", note)
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    made.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    request.node.user_properties.append(("browser", f"Chromium {browser.version}"))
    yield made
    context.close()
    assert faults == []
    assert hosts <= {"127.0.0.1", "localhost", ""}
