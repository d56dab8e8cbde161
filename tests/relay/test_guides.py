"""The relay's guides tell the truth: code runs, files pass their linters, names exist."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from ..engines import NEEDS_REDIS, RedisServer
from ..guides.pages import check_ours
from ..test_examples import run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "rudder_logging" / "guides"
GUIDES = {
    name: (FOLDER / f"{name}.md").read_text()
    for name in ("relay", "relay-operations", "relay-guarantees", "capacity")
}
LONGEST = 200
EXAMPLE = ROOT / "examples/relay_app.py"
ENGINE_URL = "redis://127.0.0.1:6379/0"


def blocks(language: str) -> list[str]:
    """All of them, of all guides."""
    return [
        block
        for text in GUIDES.values()
        for block in re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    ]


PYTHON = blocks("python")
(UNIT,), (DOCKERFILE,), (ACL,) = blocks("ini"), blocks("dockerfile"), blocks("text")
COMPOSE, ALERTS = blocks("yaml")


def service(name: str) -> dict[str, Any]:
    """One of the Compose file."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE)["services"][name]
    return found


def commands() -> Iterator[list[str]]:
    """The words behind `rudder-logging` of each command that the guides show."""
    (started,) = re.findall(r"^ExecStart=\S+/rudder-logging relay (.*)$", UNIT, re.MULTILINE)
    yield ["relay", ENGINE_URL, *shlex.split(started)]  # its environment has the URL
    yield ["relay", ENGINE_URL, *service("relay")["command"]]
    for shown in re.findall(r"rudder-logging ((?:relay|doctor) [^`\n]+)", "".join(GUIDES.values())):
        if started not in shown:
            yield shlex.split(shown)


def run_example(url: str) -> None:
    """The app, which knows the engine only."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={"ENGINE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 events are with the engine" in done.stdout


def deliver(url: str, plane: LocalDataPlane, folder: Path) -> None:
    """Have a relay deliver all that waits in an engine."""
    key = folder / "shop.key"
    key.write_text(f"{WRITE_KEY}\n")
    words = ["relay", url, "--source", f"shop={key}", "--data-plane-url", plane.url]
    run(plane, "-m", "rudder_logging", *words, "--drain")


@pytest.mark.parametrize("name", GUIDES)
def test_guides_are_short_and_their_links_lead_somewhere(name: str) -> None:
    """A guide that is longer is two."""
    text = GUIDES[name]
    assert text.count("\n") <= LONGEST
    links = re.findall(r"\]\(([\w.-]+\.md)\)", text)
    assert [link for link in links if not (FOLDER / link).exists()] == []


def test_guide_shows_the_example() -> None:
    """The app's two options, as a test runs them."""
    example = EXAMPLE.read_text()
    assert example.count("\n") <= 40
    assert PYTHON[0] in example


@pytest.mark.slow
@NEEDS_REDIS
def test_example_is_delivered_by_a_relay(plane: LocalDataPlane, tmp_path: Path) -> None:
    """The app knows neither key nor gateway; the relay's command delivers what it has logged."""
    with RedisServer(tmp_path / "redis") as server:
        run_example(server.url)
        assert plane.events == []
        deliver(server.url, plane, tmp_path)
    assert [event["properties"]["order_id"] for event in plane.events] == ["o-1", "o-2", "o-3"]
    assert plane.problems == []


@pytest.mark.slow
@NEEDS_REDIS
@pytest.mark.parametrize("number", range(1, len(PYTHON)))
def test_blocks_run(plane: LocalDataPlane, tmp_path: Path, number: int) -> None:
    """Each Python block runs as it stands, beside a Redis; what it logs gets to the gateway."""
    with RedisServer(tmp_path / "redis") as server:
        run(plane, "-c", PYTHON[number].replace(ENGINE_URL, server.url))
        deliver(server.url, plane, tmp_path)
    sends = "dictConfig" not in PYTHON[number]
    assert bool(plane.events) is sends


@pytest.mark.parametrize("words", [*commands()], ids=" ".join)
def test_commands_can_be_given(words: list[str]) -> None:
    """Each command that is shown has flags and sub-commands that exist."""
    check_ours(words)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_unit_passes_systemd(tmp_path: Path) -> None:
    """It names a program that is there, has no unknown key, and no value that is not one."""
    unit = tmp_path / "rudder-relay.service"
    unit.write_text(UNIT.replace("/opt/rudder-relay/bin/rudder-logging", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def hadolint() -> str | None:
    """The program; its package puts it beside Python."""
    return shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )


@pytest.mark.skipif(hadolint() is None, reason="no hadolint here")
def test_dockerfile_passes_hadolint() -> None:
    """With all its rules."""
    done = subprocess.run(
        [str(hadolint()), "--no-color", "-"],
        input=DOCKERFILE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(importlib.util.find_spec("compose_spec") is None, reason="no compose_spec here")
def test_compose_file_is_valid() -> None:
    """By the Compose specification: each key, each value, each volume and secret."""
    from compose_spec import PyCompose

    compose = PyCompose.from_yaml(COMPOSE)
    compose.validate()
    assert compose.service_names() == ["redis", "relay"]


def test_compose_file_fits_together() -> None:
    """Its Redis keeps what it has acknowledged; the relay has the key's file, and waits for it."""
    redis, app = service("redis"), service("relay")
    assert "--maxmemory-policy noeviction" in redis["command"]
    assert "--appendonly yes" in redis["command"]
    assert set(app["depends_on"]) == {"redis"}
    keys = [word.partition("=")[2] for word in app["command"] if word.startswith("shop=")]
    assert keys == [f"/run/secrets/{secret}" for secret in app["secrets"]]
    assert app["environment"]["RUDDER_RELAY"] == "redis://redis:6379/0"


def test_container_is_well_when_the_relay_is() -> None:
    """Its health check asks the port and the path at which the relay answers."""
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert f"http://127.0.0.1:{port}/healthz" in DOCKERFILE
    assert service("relay")["command"][-1].endswith(f":{port}")


@pytest.mark.slow
@NEEDS_REDIS
def test_users_may_do_what_they_have_to(plane: LocalDataPlane, tmp_path: Path) -> None:
    """An app, a relay and whoever looks, each with its user; the app's can't read what is there."""
    import redis

    with RedisServer(tmp_path / "redis", users=ACL.splitlines()) as server:
        urls = {
            user: server.url.replace("//", f"//{user}:{user.upper()}-PASSWORD@")
            for user in ("app", "relay", "operator")
        }
        run_example(urls["app"])
        status = ["relay", "status", urls["operator"], "--json"]
        shown = json.loads(run(plane, "-m", "rudder_logging", *status, code=1))
        assert shown["lag_events"] == 3
        deliver(urls["relay"], plane, tmp_path)
        with redis.Redis.from_url(urls["app"]) as client:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command("XRANGE", "rudder:{shop:0}:q", "-", "+")
    assert len(plane.events) == 3


def served() -> set[str]:
    """The names that a relay's `/metrics` has."""
    from rudder_logging.relay.metrics import Metrics

    page, _kind = Metrics([]).page("")
    return set(re.findall(r"^# TYPE (\w+)", page.decode(), re.MULTILINE))


def test_metrics_are_those_that_are_served() -> None:
    """All of them are in the table, and alerts ask for no other."""
    (table,) = re.findall(r"## Metrics\n(.*?)```", GUIDES["relay-operations"], re.DOTALL)
    assert set(re.findall(r"`(rudder_relay_\w+)`", table)) == served()
    rules = [rule for group in yaml.safe_load(ALERTS)["groups"] for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert set(re.findall(r"rudder_relay_\w+", rule["expr"])) <= served(), rule["alert"]
