"""The WSGI middleware, called as servers do, and as they should not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest

from rudder_logging import RequestContext, bind, current
from rudder_logging.integrations.wsgi import RudderMiddleware
from rudder_logging.testing import CapturedEvents

from .seen import log

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def call(app: App, path: str = "/", **environ: Any) -> Iterable[bytes]:
    """Call an app as a server does; its body is still to be read, and to be closed."""
    environ = {
        "PATH_INFO": path,
        "REMOTE_ADDR": "203.0.113.7",
        "HTTP_COOKIE": "rl_anonymous_id=visitor",
        **environ,
    }
    setup_testing_defaults(environ)
    return app(environ, lambda *_arguments: None)


def paths(events: CapturedEvents) -> list[tuple[str, str | None]]:
    """Where events were logged, and the paths of their requests."""
    return [
        (event["properties"]["place"], event["context"].get("page", {}).get("path"))
        for event in events
    ]


def streaming(environ: dict[str, Any], _start: object) -> Iterator[bytes]:
    """An app whose body logs."""
    try:
        for number in range(2):
            log(f"step {number}", anonymous_id="a")
            yield b"a line"
    finally:
        log("end", anonymous_id="a")


def test_a_streamed_body(rudder_events: CapturedEvents) -> None:
    """Rule 11: it sees its request; what its consumer logs between two steps does not."""
    body = call(RudderMiddleware(streaming), "/one")
    for _line in body:
        log("between", anonymous_id="a")
    body.close()  # type: ignore[attr-defined]
    assert paths(rudder_events) == [
        ("step 0", "/one"),
        ("between", None),
        ("step 1", "/one"),
        ("between", None),
        ("end", "/one"),
    ]


def test_a_block_in_a_streamed_body(rudder_events: CapturedEvents) -> None:
    """Rule 11: it lies in the request from step to step, and not in the server's thread."""

    def app(_environ: object, _start: object) -> Iterator[bytes]:
        with bind(anonymous_id="block"):
            yield b"a line"
            log("step 1")
            yield b"a line"
            log("step 2")

    for _line in call(RudderMiddleware(app), "/one"):
        log("between", anonymous_id="a")
    assert paths(rudder_events) == [
        ("between", None),
        ("step 1", "/one"),
        ("between", None),
        ("step 2", "/one"),
    ]
    assert [event["anonymousId"] for event in rudder_events] == ["a", "block", "a", "block"]


def test_a_file_wrapper_that_is_a_function(tmp_path: Path, rudder_events: CapturedEvents) -> None:
    """That of uWSGI returns the file, which the server sends; other bodies are iterated as ever."""
    wrapper: Any = {"wsgi.file_wrapper": lambda file: file}
    assert list(call(RudderMiddleware(streaming), **wrapper)) == [b"a line"] * 2
    assert len(rudder_events) == 3
    (tmp_path / "file").write_bytes(b"its bytes")
    with (tmp_path / "file").open("rb") as file:
        app = RudderMiddleware(lambda environ, _start: environ["wsgi.file_wrapper"](file))
        assert call(app, **wrapper) is file


def test_bodies_that_are_never_closed(rudder_events: CapturedEvents) -> None:
    """Nothing leaks into the thread's next request, nor into one that is answered meanwhile."""
    app = RudderMiddleware(streaming)
    first, second = iter(call(app, "/one")), iter(call(app, "/two"))
    for body in (first, second, second, first):
        next(body)
    log("afterwards", anonymous_id="a")
    assert paths(rudder_events) == [
        ("step 0", "/one"),
        ("step 0", "/two"),
        ("step 1", "/two"),
        ("step 1", "/one"),
        ("afterwards", None),
    ]


def test_a_body_that_is_closed_early(rudder_events: CapturedEvents) -> None:
    """The client is gone: what the app does at the end sees its request."""
    body = call(RudderMiddleware(streaming), "/one")
    next(iter(body))
    body.close()  # type: ignore[attr-defined]
    assert paths(rudder_events) == [("step 0", "/one"), ("end", "/one")]


def test_what_is_set_in_a_view_holds_for_the_body(rudder_events: CapturedEvents) -> None:
    """Rule 4: a login, then a body."""

    def app(environ: dict[str, Any], _start: object) -> Iterable[bytes]:
        current().set(user_id="42")
        log("in the view")
        return lines()

    def lines() -> Iterator[bytes]:
        log("before")
        yield b"a line"
        current().set(user_id=None)
        yield b"a line"
        log("after")

    assert [*call(RudderMiddleware(app))] == [b"a line", b"a line"]
    assert [event.get("userId") for event in rudder_events] == ["42", "42", None]


def test_an_app_that_raises(rudder_events: CapturedEvents) -> None:
    """What it raises ends the scope."""

    def app(_environ: object, _start: object) -> Iterable[bytes]:
        log("in the app")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(RudderMiddleware(app))
    log("afterwards", anonymous_id="a")
    assert paths(rudder_events) == [("in the app", "/"), ("afterwards", None)]


def test_installed_twice(rudder_events: CapturedEvents) -> None:
    """Rule 13: one layer, the outer one."""
    inner = RudderMiddleware(streaming, RequestContext(user=lambda _environ: "inner"))
    assert len([*call(RudderMiddleware(inner))]) == 2
    assert {event.get("userId") for event in rudder_events} == {None}


def test_what_is_bound_around_it(rudder_events: CapturedEvents) -> None:
    """A server's or a middleware's own fields are there, too."""
    with bind(properties={"server": "one"}):
        [*call(RudderMiddleware(streaming), "/one")]
    assert {event["properties"].get("server") for event in rudder_events} == {"one"}


def test_the_user_that_the_server_knows(rudder_events: CapturedEvents) -> None:
    """Rule 2: REMOTE_USER; no header and no cookie says who the user is."""
    app = RudderMiddleware(streaming)
    [*call(app, REMOTE_USER="42", HTTP_X_USER_ID="7", HTTP_COOKIE="rl_user_id=7")]
    assert {event["userId"] for event in rudder_events} == {"42"}


@pytest.mark.parametrize("body", [[b"a line"], (b"a line",)])
def test_plain_bodies_are_left_alone(body: Iterable[bytes]) -> None:
    """Servers take the length of an answer from them, or send them as files."""
    assert call(RudderMiddleware(lambda _environ, _start: body)) is body
    with open(__file__, "rb") as file:  # noqa: PTH123 - as the wrapper wants it
        wrapper = FileWrapper(file)
        app = RudderMiddleware(lambda _environ, _start: wrapper)
        environ: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
        assert call(app, **environ) is wrapper


def test_ordinary_lines_cost_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Rule 1: what has no event asks nobody who the user is."""
    asked: list[object] = []

    def app(_environ: object, _start: object) -> list[bytes]:
        logging.getLogger("shop").warning("an ordinary line")
        return []

    call(RudderMiddleware(app, RequestContext(user=asked.append)))
    assert "an ordinary line" in caplog.text
    assert asked == []
