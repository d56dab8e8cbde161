"""`RequestContext`: what events of a request say of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rudder_logging
from rudder_logging import RequestContext, carry, current
from rudder_logging.common import telling
from rudder_logging.events.scopes import bound_fields
from rudder_logging.exceptions import UnknownOptionError
from rudder_logging.web.request import Request

from ..conftest import MakeHandler
from ..each import each
from ..events.test_context import message
from .fakes import FakeRequest, context_of, sent


@pytest.fixture(autouse=True)
def _nothing_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_told", set())


FULL = FakeRequest(
    "/products/größe",
    "utm_source=news&utm_campaign=May&token=secret&gclid=g1&utm_source=mail",
    headers={
        "user-agent": "Mozilla/5.0",
        "accept-language": "de;q=0.8, en-GB, *;q=0.1",
        "referer": "https://user:secret@example.com/a?token=secret&utm_medium=cpc#secret",
        "cookie": "rl_anonymous_id=%22a1%22; rl_user_id=%22evil%22; rl_session=%7B%22id%22%3A17%2C"
        "%22sessionStart%22%3Atrue%7D; _ga=GA1.1.12.34; _fbp=fb.1.2.3; _fbc=fb.1.2.x; _ttp=t1",
    },
    user="u1",
)


def test_all_that_a_request_says() -> None:
    """Rules 2 and 14: who, from where, on which page; no user of a cookie, no secret of a query."""
    message_ = sent(FULL, {"properties": {"a": 1}}, user="auth")
    del message_["context"]["library"]
    assert message_["userId"] == "u1"
    assert message_["anonymousId"] == "a1"
    assert message_["properties"] == {"a": 1}
    assert message_["context"] == {
        "ip": "192.0.2.9",
        "userAgent": "Mozilla/5.0",
        "locale": "en-GB",
        "page": {
            "path": "/products/gr%C3%B6%C3%9Fe",
            "referrer": "https://example.com/a?utm_medium=cpc",
            "search": "?utm_source=news&utm_campaign=May&utm_source=mail",
            "url": "https://shop.example/products/gr%C3%B6%C3%9Fe"
            "?utm_source=news&utm_campaign=May&utm_source=mail",
        },
        "campaign": {"source": "mail", "name": "May"},
        "sessionId": 17,
    }


def test_ad_ids_come_only_if_asked_for() -> None:
    """In the places where destinations read them."""
    message_ = sent(FULL, ad_ids=True)
    assert message_["properties"] == {"gclid": "g1", "ttp": "t1"}
    context = message_["context"]
    assert context["externalId"] == [{"type": "ga4ClientId", "id": "12.34"}]
    assert (context["fbp"], context["fbc"]) == ("fb.1.2.3", "fb.1.2.x")
    assert "g1" not in str(context)


def test_options_that_say_less() -> None:
    """Each takes its part away; without an ip the server is to guess no place."""
    context = context_of(FULL, ip=None, query="none", session=False, locale=False)
    assert context == {
        "geo": {},
        "userAgent": "Mozilla/5.0",
        "page": {
            "path": "/products/gr%C3%B6%C3%9Fe",
            "referrer": "https://example.com/a",
            "url": "https://shop.example/products/gr%C3%B6%C3%9Fe",
        },
    }
    assert "anonymousId" not in sent(FULL, anonymous_id=None)
    assert "ip" not in context_of(FakeRequest(peer=None))


def test_names_of_a_list_are_allowed() -> None:
    """And no others: a campaign is made of those that are allowed."""
    context = context_of(FULL, query=["token", "utm_campaign"])
    assert context["page"]["search"] == "?utm_campaign=May&token=secret"
    assert context["campaign"] == {"name": "May"}
    assert context["page"]["referrer"] == "https://example.com/a?token=secret"


# Nothing is done for nothing.


def test_a_request_without_an_event_is_not_read() -> None:
    """Rule 1: not even an object is made for it; with events, one is made and read once."""
    request, made = FakeRequest(user="u1"), []

    def make() -> Request:
        made.append(request)
        return request

    context = RequestContext(user="auth")
    with context.binding("/", make) as scope:
        assert scope is not None
        scope.set(anonymous_id="a1")
        carry(message)
    assert made == []
    assert request.asked == []
    with context.binding("/", make):
        message()
        asked = list(request.asked)
        message()
    assert len(made) == 1
    assert request.asked == asked
    assert asked.count("user") == 1
    assert not bound_fields()


@each("path", ["/health", "/healthz", "/ready/now", "/live", "/metrics", "/favicon.ico"])
def test_ignored_paths_have_nothing_bound(path: str) -> None:
    """Rule 15: nothing is made, and nothing entered."""
    context = RequestContext()
    with context.binding(path, FakeRequest) as scope:
        assert scope is None
        assert not bound_fields()
    assert context.binding(path, FakeRequest) is context.binding(path, FakeRequest)
    with RequestContext(ignore=()).binding(path, FakeRequest) as scope:
        assert scope is not None


@each("path", ["/", "/a/health", "/metrics/a", "/user\n"])
def test_other_paths_are_not_ignored(path: str) -> None:
    """A pattern is for the whole path."""
    with RequestContext().binding(path, FakeRequest) as scope:
        assert scope is not None
    with RequestContext(ignore=path).binding(path, FakeRequest) as scope:
        assert scope is None


def test_two_middlewares_are_one_layer() -> None:
    """Rule 13: the inner one leaves it to the outer one, also in an app that is mounted in it."""
    marks: dict[Any, Any] = {"path": "/"}
    outer, inner = RequestContext(user="auth"), RequestContext(extra=lambda _: {"user_id": "no"})
    with outer.binding("/", lambda: FULL, marks):
        for given_marks in (marks, dict(marks)):
            with inner.binding("/", lambda: FULL, given_marks) as scope:
                assert scope is None
                assert message()["userId"] == "u1"
    with inner.binding("/", lambda: FULL, {"path": "/"}) as scope:
        assert scope is not None


def test_the_package_imports_nothing_of_it() -> None:
    """An app without requests does not pay for it."""
    code = (
        "import sys, rudder_logging; from rudder_logging import RudderHandler;"
        "assert 'rudder_logging.web' not in sys.modules;"
        "rudder_logging.RequestContext; assert 'rudder_logging.web' in sys.modules"
    )
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert rudder_logging.RequestContext is RequestContext


# Who it is.


def test_the_authenticated_user_wins() -> None:
    """Rule 2: over cookies, headers and `extra`; without one nobody is the user."""
    extra = {"user_id": "x", "anonymous_id": "a2", "context": {"page": {"title": "T"}}}
    message_ = sent(FULL, {"type": "page"}, user="auth", extra=lambda _: extra)
    assert message_["userId"] == "u1"
    assert message_["anonymousId"] == "a2"
    assert message_["context"]["page"]["title"] == "T"
    assert message_["context"]["page"]["path"] == "/products/gr%C3%B6%C3%9Fe"
    anonymous = FakeRequest(headers={"cookie": "rl_user_id=%22evil%22; rl_anonymous_id=a1"})
    assert "userId" not in sent(anonymous, {"type": "page"}, user="auth")
    assert sent(FULL, {"type": "page"}, user=lambda native: native is FULL and 42)["userId"] == "42"
    assert sent(FULL, {"type": "page"}, anonymous_id=lambda _: "own")["anonymousId"] == "own"


def test_a_login_in_mid_request() -> None:
    """Rule 4: later events have the user, and none after the logout."""
    with RequestContext(user="auth").binding("/", lambda: FULL) as scope:
        assert scope is not None
        with rudder_logging.bind(properties={"a": 1}):
            ids = [message().get("userId")]
            scope.set(user_id="u2")
            ids.append(message().get("userId"))
        scope.set(user_id=None)
        ids.append(message().get("userId"))
        current().set(user_id="u3")
        ids.append(message().get("userId"))
    assert ids == ["u1", "u2", None, "u3"]


def test_the_order_of_the_cookies_is_that_of_the_option() -> None:
    """The first that has an id."""
    both = {"cookie": 'rl_anonymous_id=a1; ajs_anonymous_id="a2"'}
    bad = {"cookie": "rl_anonymous_id=RS_ENC_v3_x; ajs_anonymous_id=a2"}
    for headers, names, found in [
        (both, ("rudder", "segment"), "a1"),
        (both, ("segment", "rudder"), "a2"),
        (both, "segment", "a2"),
        (bad, ("rudder", "segment"), "a2"),
        (bad, ["rudder"], None),
    ]:
        message_ = sent(FakeRequest(headers=headers), anonymous_id=names)
        assert message_.get("anonymousId") == found


# What can't be right.


def fail(_: object) -> Any:
    """Raise with what nobody may read in a log."""
    raise LookupError("secret")


@pytest.mark.parametrize(
    ("options", "request_", "says"),
    [
        ({"extra": fail}, FULL, "extra was left out: LookupError at "),
        ({"extra": lambda _: 5}, FULL, "AttributeError"),
        ({"extra": lambda _: {"usr": 5}}, FULL, "'usr' can't be bound"),
        ({"user": fail}, FULL, "user"),
        ({"user": lambda _: 1.5}, FULL, "'user_id' must be"),
        ({"user": lambda _: ""}, FULL, "'user_id' is blank"),
        ({"anonymous_id": fail}, FULL, "anonymous_id"),
        ({"user": "auth"}, FakeRequest(user=LookupError("secret")), "user"),
    ],
)
def test_what_raises_loses_only_its_fields(
    options: dict[str, Any], request_: FakeRequest, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 16: told once, without its words; all else is bound."""
    for _ in range(3):
        context = context_of(request_, **options)
        assert context["ip"] == "192.0.2.9"
        assert context["page"]["path"]
    assert len(caplog.records) == 1
    assert says in caplog.text
    assert "secret" not in caplog.text


def test_what_raises_is_counted(make_handler: MakeHandler) -> None:
    """Rule 16: each time, by each handler."""
    handler = make_handler()
    for _ in range(3):
        sent(FULL, extra=fail, user=fail)
        sent(FakeRequest(headers={"cookie": "rl_anonymous_id=null"}))  # a client's, not the app's
    assert handler.stats().callback_errors == 6


@pytest.mark.parametrize("name", ["path", "query", "scheme", "host", "peer", "header", "user"])
def test_a_request_that_raises_loses_only_what_it_would_say(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 16: Django's `get_host` raises for a host that is not allowed, say."""
    monkeypatch.setattr(FakeRequest, name, fail)
    context = context_of(FULL, user="auth")
    assert context.get("ip") == (None if name == "peer" else "192.0.2.9")
    assert caplog.records
    assert "secret" not in caplog.text


def test_a_request_that_cannot_be_made_binds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Rule 16: and its events are sent."""
    with RequestContext().binding("/", lambda: fail(None)):
        assert message(user_id="u1")["userId"] == "u1"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("name", "near"), [("anonymous", "anonymous_id"), ("max_len", None), ("ipmask", "ip_mask")]
)
def test_unknown_options_raise(name: str, near: str | None) -> None:
    """With the nearest known one."""
    with pytest.raises(UnknownOptionError, match=f"did you mean '{near}'" if near else name):
        RequestContext(**{name: True})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "id"),
        ("user", 5),
        ("anonymous_id", ("ruder",)),
        ("anonymous_id", [5]),
        ("ip", "xff"),
        ("ip", "xff:0"),
        ("ip", "xff:-1"),
        ("ip", "header:"),
        ("ip", "header:a b"),
        ("ip", "peer"),
        ("ip", 1),
        ("ip_mask", 1),
        ("query", "all"),
        ("query", 5),
        ("ad_ids", "yes"),
        ("session", None),
        ("locale", 0),
        ("ignore", 5),
        ("ignore", [5]),
        ("extra", "f"),
        ("max_value", 0),
        ("max_value", "5"),
    ],
)
def test_a_bad_option_is_left_out(
    name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning a place; then less is said of the client, and never more."""
    for _ in range(2):
        context = RequestContext(**{name: value})  # type: ignore[arg-type]
        with context.binding("/", lambda: FULL):
            least = message(user_id="u1")
    assert len(caplog.records) == 1
    assert f"'{name}'" in caplog.text
    assert f"{__file__}:" in caplog.text
    usual = sent(FULL)["context"]
    assert least["context"]["page"].keys() <= usual["page"].keys()
    if name == "ip":
        assert least["context"]["geo"] == {}


def test_async_functions_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """A log call can't wait for them."""

    async def user(_: object) -> str:
        return "u1"

    assert "anonymousId" not in sent(FULL, user=user, anonymous_id=user, extra=user)
    assert len(caplog.records) == 3


@each("most", [1, 10, 1024])
def test_values_are_capped(most: int) -> None:
    """Rule 7: control characters go, lengths are capped, what is empty is absent."""
    headers = {
        "user-agent": " a\x00\x1b[31m\u0085b" + "c" * 70_000,
        "accept-language": "\x00",
        "referer": "https://e.example/" + "é" * 5_000 + "?utm_source=" + "s" * 5_000,
        "cookie": "rl_anonymous_id=" + "i" * 1_025,
    }
    request = FakeRequest(
        "/\r\n" + "é" * 3_000, "utm_source=%00%0a&utm_term=" + "t" * 5_000, headers=headers
    )
    context = context_of(request, max_value=most)
    assert context["userAgent"] == ("a[31mb" + "c" * 2_000)[:most]
    assert "locale" not in context
    assert len(context["campaign"]["term"]) == most
    assert "source" not in context["campaign"]
    for value in context["page"].values():
        assert 1 <= len(value) <= most
        assert value.isprintable()
    assert "anonymousId" not in sent(request, max_value=most)
    assert context_of(FakeRequest(headers={"user-agent": " \t"})).get("userAgent") is None


texts = st.text() | st.text('aé%=&;,. \x00\r\n"{[]}:/?#@1234567890RS_ENC_v3_', max_size=200)


@given(
    st.dictionaries(
        st.sampled_from(
            ["host", "referer", "cookie", "user-agent", "accept-language", "x-forwarded-for"]
        ),
        texts | texts.map(lambda text: f"rl_anonymous_id={text}; rl_session={text}; _ga={text}"),
    ),
    texts,
    texts,
    st.none() | texts,
    st.integers(1, 5),
)
@settings(max_examples=300)
def test_no_request_makes_it_raise(
    headers: dict[str, str], path: str, query: str, peer: str | None, proxies: int
) -> None:
    """Rules 7 and 8: whatever a client sends, the event is sent, with nothing long or blank."""
    request = FakeRequest(path, query, headers=headers, peer=peer)
    made = sent(request, ip=f"xff:{proxies}", ad_ids=True, max_value=50)

    def check(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                check(item)
        elif isinstance(value, str):
            assert 1 <= len(value) <= 50
            assert value == value.strip()
            assert not any(ord(char) < 32 for char in value)

    for key in ("page", "campaign", "userAgent", "locale", "ip", "fbp", "fbc"):
        check(made["context"].get(key, {}))
    assert len(made.get("anonymousId", "")) <= 50


# Requests at once.


def test_requests_that_are_interleaved_never_mix() -> None:
    """Rule 10: tasks, threads of a pool, and what they carry there."""
    context = RequestContext(user="auth", anonymous_id=lambda native: f"a{native.user()}")
    pool = concurrent.futures.ThreadPoolExecutor(8)

    def in_thread(number: str) -> None:
        with context.binding("/", lambda: FakeRequest(user=number)):
            check(number)
            pool.submit(carry(check), number).result(30)

    def check(number: str) -> None:
        made = message()
        assert (made["userId"], made["anonymousId"]) == (number, f"a{number}")

    async def in_task(number: str) -> None:
        with context.binding("/", lambda: FakeRequest(user=number)):
            for _ in range(int(number) % 5):
                await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(pool, contextvars.copy_context().run, check, number)
            await loop.run_in_executor(pool, carry(check), number)
            await asyncio.create_task(asyncio.to_thread(check, number))
            check(number)
        assert not bound_fields()

    async def main() -> None:
        await asyncio.gather(*[in_task(str(number)) for number in range(200)])

    with pool, concurrent.futures.ThreadPoolExecutor(8) as others:
        runs = [others.submit(in_thread, str(number)) for number in range(200, 400)]
        asyncio.run(main())
        for run in runs:
            run.result(60)


def test_a_dependency_with_yield_binds_for_the_endpoint() -> None:
    """Rule 21: within a request's scope; each ends in whatever context the framework ends it."""

    def dependency() -> Any:
        with rudder_logging.bind(properties={"a": 1}):
            yield

    with RequestContext(user="auth").binding("/", lambda: FULL):
        made = dependency()
        next(made)
        sent_within = message()
        contextvars.copy_context().run(next, made, None)
        after = message()
    assert sent_within["properties"] == {"a": 1}
    assert sent_within["userId"] == after["userId"] == "u1"
    assert not after.get("properties")
