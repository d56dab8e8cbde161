"""RudderStack's SDKs for browsers and for Node against the live plane, beside apps with ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from rudder_logging.dataplane.live import LivePlane
from tests.faults.stage import PATIENCE, wait_until
from tests.integrations.test_django import BUYER, EXAMPLE, ROOT, SHOPS, python
from tests.integrations.web_servers import UVICORN, Server, serving

from .npm import BROWSER_SDK, NODE_SDK, install

pytestmark = pytest.mark.slow

GUIDE = ROOT / "rudder_logging" / "guides" / "browser.md"
(SNIPPET,) = re.findall(r"```html\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
BUNDLED = "dist/npm/modern/bundled/esm/index.mjs"
KINDS = {
    "v3": ("", "RS_ENC_v3_", "/v1/page"),
    "legacy": ('storage: { encryption: { version: "legacy" } }', "RudderEncrypt", "/v1/page"),
    "beacon": (
        "useBeacon: true, beaconQueueOptions: { flushQueueInterval: 100 }",
        "RS_ENC_v3_",
        "/beacon/v1/batch",
    ),
}
"""Options that a page may add; what its cookies begin with then, and where its events go."""


@pytest.fixture(scope="session")
def modules(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDKs, as npm installs them."""
    cache = request.config.pluginmanager.hasplugin("cacheprovider")
    return install(request.config.cache.mkdir("npm") if cache else tmp_path_factory.mktemp("npm"))


@contextmanager
def fastapi(directory: Path, **options: Any) -> Iterator[tuple[Server, str, str]]:
    """The example under uvicorn; the path of a page that logs an event; a session."""
    with serving(directory, (*UVICORN, "examples.fastapi_app:app"), **options) as server:
        yield server, "/products/7", ""


@contextmanager
def django(directory: Path, **options: Any) -> Iterator[tuple[Server, str, str]]:
    """The example under gunicorn, which sells to users only."""
    python(directory, str(ROOT / EXAMPLE), "migrate", "-v", "0")
    session = python(directory, str(ROOT / EXAMPLE), "shell", "-c", BUYER).split()[-1]
    served = directory / "served"
    served.mkdir()
    (directory / "shop.sqlite3").rename(served / "shop.sqlite3")
    with serving(served, SHOPS["gunicorn gthread"], **options) as server:
        yield server, "/buy/7", session


APPS = {"fastapi": fastapi, "django": django}


def show_snippet(page: Page, plane: LivePlane, sdk: Path, options: str) -> None:
    """Put the guide's snippet on each page of an app."""
    snippet = SNIPPET.replace("http://127.0.0.1:8080", plane.url)
    snippet = snippet.replace("configUrl: url", f"configUrl: url, {options}")
    # The page itself has to come from loopback: Chromium lets no other one reach the plane.
    page.add_init_script(f"""
        const snippet = {json.dumps(snippet)};
        if (location.pathname.endsWith("/7"))
            addEventListener("DOMContentLoaded", () => document.body.append(
                document.createRange().createContextualFragment(snippet)));
    """)
    page.route("**/rudder.mjs", lambda route: route.fulfill(path=sdk))
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))


def of_type(plane: LivePlane, kind: str) -> list[dict[str, Any]]:
    """The events of a type that have arrived."""
    return [event for event in plane.events if event["type"] == kind]


def server_side(plane: LivePlane) -> list[dict[str, Any]]:
    """The events of the app that know their browser: all but the first visit's."""
    return [event for event in of_type(plane, "track") if "anonymousId" in event]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("app", APPS)
def test_a_visit(
    page: Page, live: LivePlane, modules: Path, tmp_path: Path, app: str, kind: str
) -> None:
    """The browser's events and the server's have one anonymous id and one session, in whatever
    format the cookies are, and stand together on the live page. Nothing else is asked for.
    """
    options, cookie, delivery = KINDS[kind]
    page.set_default_timeout(1000 * PATIENCE)
    show_snippet(page, live, modules / BROWSER_SDK / BUNDLED, options)
    with APPS[app](
        tmp_path, data_plane_url=live.url, write_key="local-write-key", upload_interval=0.1
    ) as (server, path, session):
        if session:
            page.context.add_cookies(
                [{"name": "sessionid", "value": session, "url": server.url("/")}]
            )
        for _ in range(2):
            with page.expect_response(f"{live.url}{delivery}*"):
                page.goto(server.url(path))
        wait_until(lambda: server_side(live), "the server's event")
        values = {one["name"]: one["value"] for one in page.context.cookies(server.url("/"))}
    assert values["rl_anonymous_id"].startswith(cookie)
    events = [*of_type(live, "page"), *server_side(live)]
    assert [event["type"] for event in events] == ["page", "page", "track"]
    assert len({event["anonymousId"] for event in events}) == 1
    assert len({event["context"]["sessionId"] for event in events}) == 1
    assert live.problems == []
    page.goto(live.url)
    page.fill("#search", events[0]["anonymousId"])
    expect(page.locator("#canvas .row:not([hidden])")).to_have_count(3, timeout=1000 * PATIENCE)


def test_node(live: LivePlane, modules: Path) -> None:
    """The Node SDK delivers as it is."""
    node = shutil.which("node")
    assert node is not None  # npm is a program of it
    script = f"""
        const Analytics = require("{NODE_SDK}");
        const client = new Analytics("local-write-key", {{ dataPlaneUrl: process.argv[1] }});
        client.track({{ userId: "42", event: "Order Completed" }});
        client.flush(error => process.exit(error ? 1 : 0));
    """
    subprocess.run([node, "-e", script, live.url], cwd=modules.parent, check=True, timeout=PATIENCE)
    (event,) = live.events
    assert (event["userId"], event["event"]) == ("42", "Order Completed")
    assert live.problems == []
