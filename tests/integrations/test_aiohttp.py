"""The aiohttp integration, with its own server in a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from .web_servers import Server, check_mix, check_web_socket, places, serving

pytestmark = pytest.mark.slow

COOKIES = {"rl_anonymous_id": "visitor"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app of `aiohttp_rules.py`."""
    command = ("-m", "tests.integrations.aiohttp_rules")
    with serving(tmp_path_factory.mktemp("aiohttp"), command, upload_interval=0.01) as found:
        yield found
        found.end()


def test_requests_never_mix(fresh: Server) -> None:
    """Rules 10 and 11: 200 at once, with tasks, a pool's threads, and streamed bodies."""
    check_mix(fresh, ("async", "pool", "stream", "written"))


def test_requests_of_one_connection(fresh: Server) -> None:
    """Rule 11: aiohttp answers them in one task, and writes a body when middlewares have ended."""
    with requests.Session() as session:
        for n in range(3):
            cookies = {"rl_anonymous_id": f"visitor-{n}"}
            session.get(fresh.url(f"/stream/{n}"), cookies=cookies, timeout=120)
    for event in fresh.events(9):
        assert event["anonymousId"] == f"visitor-{event['properties']['n']}"


def test_a_login_in_mid_request(fresh: Server) -> None:
    """Rule 4: it changes the events after it, and a logout takes the id away."""
    fresh.ask("/login/42", headers={"X-User": "7"}, cookies=COOKIES)
    assert places(fresh.events(3)) == [("before", "7"), ("logged in", "42"), ("logged out", None)]


def test_a_mounted_app_that_has_it_too(fresh: Server) -> None:
    """Rule 13: one layer, the outer one."""
    fresh.ask("/inner/page", headers={"X-User": "42"}, cookies=COOKIES)
    assert places(fresh.events(1)) == [("mounted", "42")]


def test_an_exception(fresh: Server) -> None:
    """What it raises ends the request's scope; the next one has its own."""
    with requests.Session() as session:
        answer = session.get(fresh.url("/raises"), cookies=COOKIES, timeout=120)
        assert answer.status_code == 500
        session.cookies.clear()
        session.get(fresh.url("/async/2"), cookies={"rl_anonymous_id": "b"}, timeout=120)
    assert [event["anonymousId"] for event in fresh.events(4)] == ["visitor", "b", "b", "b"]


def test_a_web_socket(fresh: Server) -> None:
    """Rule 22: one scope a connection, also when the client closes it."""
    check_web_socket(fresh)


def test_a_request_without_an_event(fresh: Server) -> None:
    """Rule 1: its answer is what the app makes it."""
    assert "Vary" not in fresh.ask("/silent", cookies=COOKIES).headers
    assert fresh.plane.events == []
