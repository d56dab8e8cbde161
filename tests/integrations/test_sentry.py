"""Our payloads do not leave with what Sentry sends: seen at a transport and at a server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.integrations.sentry import before_breadcrumb, before_send, without_payloads

from .scripts import run_example

SECRET = "2401 Main Street"

# A process of its own: Sentry changes logging, threads and more for good. The secret is no line of
# its source, which Sentry sends, too.
APP = f"""
import json, logging, sys
import rudder_logging, sentry_sdk
from loguru import logger
from rudder_logging import RudderHandler
from rudder_logging.integrations.loguru import rudder_sink
from rudder_logging.integrations.sentry import without_payloads
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.loguru import LoguruIntegration
from sentry_sdk.transport import Transport

class Printing(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            print(item.headers["type"], item.get_bytes().decode())

hooks = without_payloads() if sys.argv[1] == "with" else {{}}
sentry_sdk.init("http://key@127.0.0.1:9/1", transport=Printing, enable_logs=True,
                attach_stacktrace=True, include_local_variables=True, **hooks,
                auto_enabling_integrations=False, integrations=[
                    LoggingIntegration(event_level=logging.INFO), LoguruIntegration()])
handler = RudderHandler()
logging.basicConfig(level=logging.INFO, handlers=[handler])
logger.remove(0)
logger.add(rudder_sink(handler), level="INFO")
def make():
    address = {SECRET[:5]!r} {SECRET[5:]!r}
    return {{"event": "E", "user_id": "42", "properties": {{"address": address}}}}
logging.info("a line", extra={{"rudder": make(), "items": 3}})
rudder_logging.track(**make())
logger.info("loguru's line", rudder=make(), items=3)
logging.error("an error", extra={{"rudder": make(), "items": 3}})
logger.error("loguru's error", rudder=make(), items=3)
assert handler.flush()
sentry_sdk.flush()
"""


@pytest.fixture(scope="module")
def left() -> Callable[[LocalDataPlane, str], list[tuple[str, Any]]]:
    """Run the app with or without the hooks, once, and read what it sent to Sentry: type, item."""
    known: dict[str, list[tuple[str, Any]]] = {}

    def run(plane: LocalDataPlane, hooks: str) -> list[tuple[str, Any]]:
        if hooks not in known:
            settings = {"RUDDER_WRITE_KEY": "test-write-key", "RUDDER_DATA_PLANE_URL": plane.url}
            done = subprocess.run(
                [sys.executable, "-c", APP, hooks],
                env={**os.environ, **settings},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert len(plane.events) == 5
            pairs = [line.partition(" ") for line in done.stdout.splitlines()]
            known[hooks] = [(kind, json.loads(item)) for kind, _, item in pairs]
        return known[hooks]

    return run


def holders(value: Any, path: str = "") -> Iterator[str]:
    """Where the secret is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from holders(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from holders(item, path)
    elif isinstance(value, str) and SECRET in value:
        yield path


@pytest.mark.slow
def test_without_the_hooks_payloads_leave(plane: LocalDataPlane, left: Any) -> None:
    """In every place that the guide names: else the hooks are needed no more."""
    found = {f"{kind}{path}" for kind, item in left(plane, "without") for path in holders(item)}
    for place in (
        "event.breadcrumbs.values.data.rudder.",
        "event.breadcrumbs.values.data.extra.rudder.",
        "event.extra.rudder.",
        "event.extra.extra.rudder.",
        "event.threads.values.stacktrace.frames.vars.extra.rudder.",
        "event.threads.values.stacktrace.frames.vars.properties.",  # of our own frames
        "log.items.attributes.rudder.",
        "log.items.attributes.sentry.message.parameter.rudder.",
    ):
        assert any(path.startswith(place) for path in found), (place, sorted(found))


@pytest.mark.slow
def test_with_the_hooks_none_leaves(plane: LocalDataPlane, left: Any) -> None:
    """And all else does: lines, other extras, and frames."""
    items = left(plane, "with")
    assert [list(holders(item)) for _, item in items] == [[]] * len(items)
    _, tracked, first, second = (item for kind, item in items if kind == "event")
    assert tracked["logger"] == "rudder"
    assert first["extra"]["items"] == 3
    assert second["extra"]["extra"] == {"items": 3}
    crumbs = [crumb["message"] for crumb in first["breadcrumbs"]["values"]]
    assert crumbs[0] == "a line"
    assert first["threads"]["values"][0]["stacktrace"]["frames"][0]["vars"]
    (logs,) = (item for kind, item in items if kind == "log")
    assert len(logs["items"]) == 5


def test_apps_own_hooks_get_what_is_left() -> None:
    """In each of the three, and what they return counts: None drops it."""
    hooks = without_payloads(
        before_breadcrumb=lambda crumb, hint: (crumb, hint),
        before_send=lambda event, hint: None,
        before_send_log=lambda log, hint: log,
    )
    crumb = {"message": "a line", "data": {"rudder": {"user_id": "42"}, "items": 3}}
    without = {"message": "a line", "data": {"items": 3}}
    assert hooks["before_breadcrumb"](crumb, {"of": "Sentry"}) == (without, {"of": "Sentry"})
    assert hooks["before_send"]({"message": "an error"}, {}) is None
    log = {"body": "a line", "attributes": {"rudder": "{}", "sentry.message.parameter.rudder": ""}}
    assert hooks["before_send_log"](log, {}) == {"body": "a line", "attributes": {}}


def test_what_the_app_logs_is_not_changed() -> None:
    """A breadcrumb holds the very objects: they are copied, a cycle among them no further."""
    extra: dict[str, Any] = {"rudder": {"user_id": "42"}}
    extra["me"] = extra
    crumb = {"data": {"extra": extra}}
    cleaned = before_breadcrumb(crumb, {})
    assert cleaned["data"]["extra"] == {"me": extra}
    assert extra.keys() == {"rudder", "me"}
    assert crumb == {"data": {"extra": extra}}


@pytest.mark.parametrize(
    "crumb", [{}, {"data": None}, {"data": {}}, {"type": "http", "data": {1: 2}}]
)
def test_other_breadcrumbs_stay(crumb: dict[str, Any]) -> None:
    """Those that nobody logged have other data, or none."""
    assert before_breadcrumb(crumb, {}) == crumb
    assert before_send(crumb, {}) == crumb


class _Sentry(ThreadingHTTPServer):
    """A server that keeps what Sentry's client posts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeping)
        self.bodies: list[str] = []


class _Keeping(BaseHTTPRequestHandler):
    server: _Sentry

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append(body.decode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.slow
def test_example(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's app, as a process: its error arrives at Sentry, its payloads do not."""
    with _Sentry() as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            monkeypatch.setenv("SENTRY_DSN", f"http://key@127.0.0.1:{server.server_port}/1")
            run_example(plane, "examples/sentry_app.py")
        finally:
            server.shutdown()
    sent = "\n".join(server.bodies)
    assert SECRET not in sent
    for words in ('"Payment Failed"', '"Cart Viewed"', '"items"', '"sweets"'):
        assert words in sent
    assert [event["event"] for event in plane.events] == ["Cart Viewed", "Payment Failed"]
