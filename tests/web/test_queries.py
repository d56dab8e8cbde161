"""Query strings, referrers, languages: what events show of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.web.queries import (
    campaign_of,
    filtered,
    referrer_of,
    search_of,
    url_of,
    utm_names,
)
from rudder_logging.web.text import best_locale, path_of

from ..each import each

ANY_TEXT = st.text() | st.text("ab&=;?#@/:%+20utm_", max_size=200)


@each(
    ("query", "pairs"),
    [
        ("utm_source=a+b&utm_term=c%26d", [("utm_source", "a b"), ("utm_term", "c&d")]),
        ("token=s&utm_source=a&password", [("utm_source", "a")]),
        ("utm%5Fsource=a", [("utm_source", "a")]),
        ("utm_source=a;token=s", [("utm_source", "a;token=s")]),
        ("UTM_SOURCE=a&xutm_source=b&utm_=c&utm_a-b=d", []),
        ("utm_source=&utm_term&utm_id=%20", []),
        ("utm_source=%ff", [("utm_source", "\ufffd")]),
        ("a=1&" * 99 + "utm_source=a", [("utm_source", "a")]),
        ("a=1&" * 100 + "utm_source=a", []),
        ("utm_source=" + "a" * 10_000, []),
    ],
)
def test_allowed_names_alone_are_read(query: str, pairs: list[tuple[str, str]]) -> None:
    """Rule 14: no secret of another one; what is not whole is left out."""
    assert filtered(query, utm_names, 1024) == pairs


def test_a_campaign_is_named_as_the_browsers_sdk_names_it() -> None:
    """`utm_campaign` is its name; the last of several wins."""
    pairs = [("utm_campaign", "a"), ("utm_id", "1"), ("other", "x"), ("utm_campaign", "b")]
    assert campaign_of(pairs) == {"name": "b", "id": "1"}


@each(
    ("header", "referrer"),
    [
        ("https://a.example/b?utm_source=c&token=s#f", "https://a.example/b?utm_source=c"),
        ("https://user:secret@a.example/", "https://a.example/"),
        ("https://a.example", "https://a.example"),
        ("HTTP://a.example:8080/", "http://a.example:8080/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("android-app://com.example/", "android-app://com.example/"),
        ("http://[::1/", None),
        ("http://a b/", None),
        ("javascript:alert(1)", None),
        ("//a.example/", None),
        ("/path", None),
        ("about:blank", None),
        ("", None),
        (None, None),
    ],
)
def test_referrers_are_filtered_likewise(header: str | None, referrer: str | None) -> None:
    """Rule 14: allowed names, and nobody's password."""
    assert referrer_of(header, utm_names, 1024) == referrer


@each(
    ("header", "locale"),
    [
        ("de", "de"),
        ("de-CH-1996, en", "de-CH-1996"),
        ("en;q=0.5, de;q=0.9, fr;q=0.9", "de"),
        ("*, en;q=0.1", "en"),
        ("en;q=0", None),
        ("en;q=x, fr;q=0.1", "fr"),
        ("en;q=nan, fr;q=0.1", "fr"),
        ("en;q=9, fr", "en"),
        ("en_US, x", None),
        ("en; q=0.8 , de ; q = 0.9", "de"),
        ("," * 10_000, None),
        ("", None),
        (None, None),
    ],
)
def test_the_best_language_is_the_locale(header: str | None, locale: str | None) -> None:
    """By its weight; the first of those that weigh the same."""
    assert best_locale(header) == locale


def test_hosts_that_are_none_make_no_url() -> None:
    """A client writes that header, too."""
    for host in (None, "", "a b", "a/b", "u@a", "a:b", "<script>"):
        assert url_of("https", host, "/", "", 100) is None
    assert url_of("https", "a.example:1", "/b", search_of([("c", "é &")]), 100) == (
        "https://a.example:1/b?c=%C3%A9+%26"
    )


@given(ANY_TEXT, st.integers(1, 100))
def test_any_text_can_be_read(text: str, most: int) -> None:
    """Rules 7 and 14: nothing raises, and nothing but allowed names comes out."""
    for name, value in filtered(text, utm_names, most):
        assert utm_names(name)
        assert 1 <= len(value) <= most
    assert len(path_of(text, most)) <= most
    assert len(referrer_of(text, utm_names, most) or "") <= most
    assert (best_locale(text) or "a").isascii()
