"""The Flask integration: gunicorn's workers, and Flask's own client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import login_user, logout_user

from rudder_logging import RequestContext, RudderError, current
from rudder_logging.events.scopes import bound_fields
from rudder_logging.integrations.flask import init_app
from rudder_logging.testing import CapturedEvents

from .flask_rules import User, app, loads
from .seen import log
from .web_servers import GUNICORN, Server, check_mix, places, serving

KINDS = ("sync", "pool", "stream")


@pytest.fixture(scope="module", params=["gthread", "gevent"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The app of `flask_rules.py` under gunicorn, with a worker of each kind."""
    command = (
        *GUNICORN,
        "--workers",
        "1",
        "-k",
        request.param,
        "tests.integrations.flask_rules:app",
    )
    with serving(tmp_path_factory.mktemp("gunicorn"), command, upload_interval=0.01) as found:
        yield found
        found.end()


@pytest.mark.slow
def test_requests_never_mix(fresh: Server) -> None:
    """Rules 10 and 11: 200 at once, with a pool's threads, streams, and what runs after those."""
    check_mix(fresh, KINDS)


@pytest.mark.slow
def test_a_login_in_mid_request(fresh: Server) -> None:
    """Rule 4: it changes the events after it, and a logout takes the id away."""
    cookies = {"rl_anonymous_id": "visitor"}
    fresh.ask("/login/42", cookies=cookies, headers={"X-User": "7"})
    assert places(fresh.events(3)) == [("before", "7"), ("logged in", "42"), ("logged out", None)]
    fresh.plane.clear()
    fresh.ask("/login/42", cookies=cookies)
    assert places(fresh.events(3)) == [("before", None), ("logged in", "42"), ("logged out", None)]
    fresh.plane.clear()
    fresh.ask("/late/42", cookies=cookies)
    assert places(fresh.events(1)) == [("logged in", "42")]


# With Flask's own client.


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    """A visitor of the app."""
    loads.clear()
    with app.test_client() as visitor:
        visitor.set_cookie("rl_anonymous_id", "visitor")
        yield visitor


def test_no_user_is_loaded_without_an_event(
    client: FlaskClient, rudder_events: CapturedEvents
) -> None:
    """Rule 1: no query for a request that logs nothing."""
    client.get("/stay/42")
    assert client.get("/silent").json == {"loads": 0}
    assert client.get("/seen").json == {"loads": 1}
    assert places([*rudder_events]) == [("seen", "42")]


def test_the_users_own_id_wins(client: FlaskClient, rudder_events: CapturedEvents) -> None:
    """Rule 2: whatever cookies and headers say."""
    client.set_cookie("rl_user_id", "another")
    client.get("/stay/42")
    client.get("/seen", headers={"X-User-Id": "another"})
    (event,) = rudder_events
    assert (event["userId"], event["anonymousId"]) == ("42", "visitor")


def test_the_scope_ends_with_a_request(client: FlaskClient, rudder_events: CapturedEvents) -> None:
    """Also one whose view raises: what is logged next in this thread has nothing of it."""
    assert client.get("/raises").status_code == 500
    with pytest.raises(RudderError):
        current()
    assert places([*rudder_events]) == [("in the view", None)]
    assert bound_fields() == {}


def test_without_flask_login(rudder_events: CapturedEvents) -> None:
    """A function says who the user is: it gets Flask's request."""
    plain = Flask("plain")
    init_app(plain, RequestContext(user=lambda request: request.headers.get("X-User")))

    @plain.get("/")
    def view() -> str:
        log("in the view")
        return ""

    answer = plain.test_client().get("/", headers={"X-User": "42"})
    assert "Vary" not in answer.headers  # Flask-Login itself reads the session, which sets it
    assert places([*rudder_events]) == [("in the view", "42")]


def test_a_login_outside_a_request_changes_nothing() -> None:
    """Flask-Login's signals come from an app's tests and commands, too."""
    with app.test_request_context():
        login_user(User("42"))
        logout_user()
    assert bound_fields() == {}
