"""A Flask app in which events are logged wherever a request can log them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, Response, request, stream_with_context
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from rudder_logging import carry
from rudder_logging.integrations.flask import init_app

from .seen import log, pause

pool = ThreadPoolExecutor(8)

app = Flask(__name__)
app.secret_key = "a test's"
init_app(app)
init_app(app)  # one layer
login = LoginManager(app)
loads: list[str] = []


class User(UserMixin):
    """A user by an id."""

    def __init__(self, user_id: str) -> None:
        self.id = user_id


@login.user_loader
def load(user_id: str) -> User:
    """Get a user: a query, in an app."""
    loads.append(user_id)
    return User(user_id)


@login.request_loader
def load_by_header(_request: object) -> User | None:
    """Get the user whom a test's client names."""
    user_id = request.headers.get("X-User")
    return load(user_id) if user_id else None


@app.get("/sync/<n>")
def in_a_thread(n: str) -> str:
    """Log in the view."""
    log("first", n)
    time.sleep(pause())
    log("task", n)
    time.sleep(pause())
    log("last", n)
    return n


@app.get("/pool/<n>")
def in_a_pool(n: str) -> str:
    """Log in a thread of a pool that knows nothing of requests."""
    log("first", n)
    pool.submit(carry(in_pool), n).result()
    log("last", n)
    return n


def in_pool(n: str) -> None:
    """Log in a thread."""
    time.sleep(pause())
    log("task", n)


@app.get("/stream/<n>")
def stream(n: str) -> Response:
    """A body that logs, and a function after it."""

    def lines() -> Iterator[str]:
        log("first", n)
        time.sleep(pause())
        yield "a line"
        time.sleep(pause())
        log("task", n)

    response = Response(stream_with_context(lines()))
    response.call_on_close(lambda: log("last", n))
    return response


@app.get("/login/<user_id>")
def log_in(user_id: str) -> str:
    """Log in, and out again."""
    log("before")
    login_user(User(user_id))
    log("logged in")
    logout_user()
    log("logged out")
    return user_id


@app.get("/late/<user_id>")
def late(user_id: str) -> str:
    """Log in before anything is logged."""
    login_user(User(user_id))
    log("logged in")
    return user_id


@app.get("/stay/<user_id>")
def stay(user_id: str) -> str:
    """Log in, and stay so."""
    login_user(User(user_id))
    return user_id


@app.get("/silent")
def silent() -> dict[str, int]:
    """No event; how many users have been loaded."""
    return {"loads": len(loads)}


@app.get("/seen")
def seen() -> dict[str, int]:
    """One event, with the user that the session has."""
    log("seen")
    return {"loads": len(loads)}


@app.get("/raises")
def raises() -> str:
    """A bug."""
    log("in the view")
    raise ZeroDivisionError


@app.get("/asked")
def asked() -> str:
    """The user, asked for by the view."""
    log("seen")
    return str(current_user.get_id())
