"""The examples run, and do what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rudder_logging.dataplane import LocalDataPlane

from .conftest import WRITE_KEY
from .faults.stage import PATIENCE
from .readme import README

ROOT = README.parent


def run(plane: LocalDataPlane, *arguments: str, code: int = 0) -> str:
    """Run Python in a process of its own, which has to return a code; return what it printed."""
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
    }
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.mark.slow
def test_quickstart_shows_what_arrived(plane: LocalDataPlane) -> None:
    """It prints a table of all events, and a ledger that balances."""
    printed = run(plane, "examples/quickstart.py")
    for word in ("identify", "Article Read", "Sample Doc", "Brightness", "group-1", "Coupon Used"):
        assert word in printed
    assert "8 accepted = 8 delivered + 0 dropped + 0 refused + 0 pending" in printed
    assert plane.events == []


@pytest.mark.slow
def test_quickstart_behind_a_proxy(plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data plane is here: a proxy of the environment is not asked, whatever NO_PROXY says.
    If the events do not arrive all the same, the quickstart fails.
    """
    nobody = "http://127.0.0.1:9"
    monkeypatch.setenv("HTTP_PROXY", nobody)
    assert "0 pending" in run(plane, "examples/quickstart.py")
    monkeypatch.setenv("RUDDER_PROXIES", json.dumps({"http": nobody}))
    monkeypatch.setenv("RUDDER_SHUTDOWN_TIMEOUT", "0.5")
    assert "8 pending" in run(plane, "examples/quickstart.py", code=1)


@pytest.mark.slow
def test_seed_calls_arrive(plane: LocalDataPlane) -> None:
    """The documentation's snippets, as a script that just ends, deliver all seven events."""
    run(plane, "examples/seed_calls.py")
    assert [event["type"] for event in plane.events] == [
        "track",
        "identify",
        "track",
        "page",
        "screen",
        "group",
        "alias",
    ]


@pytest.mark.slow
def test_stdout_events_are_json_lines(plane: LocalDataPlane) -> None:
    """Each line is JSON: the ordinary one as python-json-logger's, the event as a message."""
    ordinary, event = map(json.loads, run(plane, "examples/stdout_events.py").splitlines())
    assert ordinary["message"] == "the shop is open"
    assert (event["event"], event["userId"]) == ("Product Viewed", "123456")


@pytest.mark.slow
def test_checkout_example_passes(plane: LocalDataPlane) -> None:
    """The example of a user's tests passes under pytest."""
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", "examples/test_checkout.py")
    assert "2 passed" in printed


@pytest.mark.slow
def test_shop_example_passes(plane: LocalDataPlane) -> None:
    """The sample app's tests show each helper, and pass; `test_shop_example.py` breaks the app."""
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", "examples/shop")
    assert "9 passed" in printed
    assert "warning" not in printed
    assert plane.events == []


@pytest.mark.slow
def test_typed_events_pass(plane: LocalDataPlane) -> None:
    """Functions of a plan, in an app and its tests; `tests/cli/test_codegen.py` writes them."""
    printed = run(plane, "-m", "pytest", "-p", "no:cacheprovider", "examples/typed_events")
    assert "4 passed" in printed
    assert "warning" not in printed
    assert plane.events == []


@pytest.mark.slow
def test_context_example_binds(plane: LocalDataPlane) -> None:
    """Its events have the visitor; after the login the user, in the pool and in the task, too."""
    run(plane, "examples/context_app.py")
    ids = {event["event"]: event.get("userId") for event in plane.events}
    assert ids == {"Login Viewed": None, "Password Checked": "42", "Mail Sent": "42"}
    for event in plane.events:
        assert event["anonymousId"] == "a1"
        assert event["context"]["ip"] == "203.0.113.7"
        assert event["context"]["page"] == {"path": "/login"}


@pytest.mark.slow
def test_privacy_app(plane: LocalDataPlane) -> None:
    """Of two people, one is suppressed while the event waits; of the other, little is left."""
    run(plane, "examples/privacy_app.py")
    (event,) = plane.events
    assert len(event["userId"]) == 64
    assert event["properties"] == {"revenue": 9, "products": [{"sku": "a"}]}
    assert event["context"]["ip"] == "203.0.113.0"
    assert event["context"]["app"] == {"name": "shop"}
    assert event["context"]["consentManagement"]["deniedConsentIds"] == ["C0002"]


def test_every_example_is_run_here() -> None:
    """A new example, or a new directory of them, needs a test here, or among the integrations'."""
    folders = [ROOT / "tests" / name for name in ("integrations", "relay")]
    tests = [Path(__file__), *(path for folder in folders for path in folder.glob("*.py"))]
    source = "".join(path.read_text() for path in tests)
    for example in (ROOT / "examples").rglob("*.py"):
        path = example.relative_to(ROOT)
        shown = path if path.parent.name == "examples" else path.parent
        assert f'"{shown.as_posix()}"' in source
