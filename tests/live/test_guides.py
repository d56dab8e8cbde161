"""The guides beside the live page, over HTTP: pages, pictures, search, and who may ask."""

from __future__ import annotations

import re
import sys
from functools import cache
from urllib.parse import urljoin

import pytest
import requests

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.dataplane.live import LivePlane, guides
from rudder_logging.dataplane.live.guards import HEADERS
from rudder_logging.guides import INDEX
from rudder_logging.guides import guides as known

from ..each import each

PATHS = ["/guides", *(f"/guides/{name}" for name in known())]


@cache
def read(url: str) -> requests.Response:
    """What is at an address."""
    return requests.get(url, timeout=60)


@each("path", PATHS)
def test_each_guide_is_a_page(live: LivePlane, path: str) -> None:
    """With its title, the list of all, and the live page's policy, in which nothing is inline."""
    answer = read(live.url + path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    html = answer.text
    assert html.count("<h1") == 2  # the frame's, and its own
    assert all(f'<a href="{other}"' in html for other in PATHS)
    assert html.count('aria-current="page"') == (path != "/guides")
    assert re.findall(r"<script[^>]*>([^<]*)</script>", html) == ["", ""]
    assert not re.search(r"<style|<!--|<[^>]*\s(?:style|on\w+)=", html)


@each("path", PATHS)
def test_links_and_pictures_lead_somewhere(live: LivePlane, path: str) -> None:
    """To a page's heading, a picture, or the web."""
    at = live.url + path
    (content,) = re.findall(r'<article id="article">(.*)</article>', read(at).text, re.DOTALL)
    for target in re.findall(r'(?:href|src)="([^"]+)"', content):
        address, _, anchor = urljoin(at, target).partition("#")
        if not address.startswith(live.url):
            assert address.startswith("https://")
            continue
        answer = read(address)
        assert answer.status_code == 200, target
        assert not anchor or f'id="{anchor}"' in answer.text, target
        if "src=" in content and address.endswith(("png", "svg")):
            assert answer.headers["Content-Type"].startswith("image/")


@each("path", ["/guides/nowhere", "/guides/__init__.py", "/guides/../search.py", "/guides/a.png"])
def test_nothing_else_is_there(live: LivePlane, path: str) -> None:
    """Only guides and their pictures; and a LocalDataPlane has none of them."""
    answer = requests.get(live.url + path, timeout=60)
    assert answer.status_code == 404
    with LocalDataPlane() as plane:
        assert requests.get(f"{plane.url}/guides", timeout=60).status_code == 404


@each("path", ["/guides", f"/guides/{INDEX}", "/guides/", "/live/guides?q=event"])
def test_guides_are_guarded(live: LivePlane, path: str) -> None:
    """As the live page is: a foreign name does not open them, other sites don't read them."""
    url = live.url + path
    assert requests.get(url, timeout=60).status_code == 200
    rebound = requests.get(url, headers={"Host": "evil.example"}, timeout=60)
    foreign = requests.get(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=60)
    assert (rebound.status_code, foreign.status_code) == (403, 403)
    assert requests.post(url, timeout=60).status_code == 405


def test_search(live: LivePlane) -> None:
    """The pages that have all the words, with each line's section and its place in the page."""
    found = requests.get(f"{live.url}/live/guides", {"q": "ATOMIC with"}, timeout=60).json()
    (django,) = [page for page in found if page["path"] == "/guides/django"]
    assert django["title"] == "Django"
    for hit in django["hits"]:
        assert "atomic" in hit["text"].casefold()
        assert f'id="{hit["anchor"]}"' in read(live.url + django["path"]).text
    assert django["hits"]


@each("query", ["", "?q=", "?q=zzzz", "?p=event", "?q=%ff%00"])
def test_a_search_finds_nothing(live: LivePlane, query: str) -> None:
    """An empty list is the answer."""
    assert requests.get(f"{live.url}/live/guides{query}", timeout=60).json() == []


def test_html_is_not_let_through() -> None:
    """Nor is a link to a script, or a style; text stays text."""
    nasty = (
        "<script>a</script>\n\na <b onclick=x>b</b> [c](javascript:d) `<i>`\n\n| e |\n|--:|\n| f |"
    )
    html = guides.rendered(nasty)
    assert not re.search(r"<script|<b|href|style=|<i>", html)
    assert "&lt;i&gt;" in html
    assert '<td class="right">f</td>' in html


def test_without_the_extra_the_cure_is_told(
    live: LivePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data plane of the extra `dataplane` alone says what the guides need."""
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    guides.html.cache_clear()
    answer = requests.get(f"{live.url}/guides", timeout=60)
    assert (answer.status_code, answer.text.strip()) == (
        501,
        "the guides need an extra: pip install 'rudder-logging[cli]'",
    )
