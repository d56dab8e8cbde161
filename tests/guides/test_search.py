"""Search in the guides."""

from __future__ import annotations

import re

from rudder_logging.guides import guides, page
from rudder_logging.guides.search import search

from ..each import each

HEADINGS = [
    (name, heading)
    for name in guides()
    for heading in re.findall(
        r"^## (.+)", re.sub(r"```.*?```", "", page(name), flags=re.DOTALL), re.MULTILINE
    )
]


@each(("name", "heading"), HEADINGS)
def test_each_section_is_found(name: str, heading: str) -> None:
    """By the words of its heading, in any order and case; and its page is told."""
    words = " ".join(reversed(heading.upper().split()))
    (found,) = [one for one in search(words) if one.guide.name == name]
    assert heading in [hit.section for hit in found.hits]


@each("name", list(guides()))
def test_the_page_of_that_name_comes_first(name: str) -> None:
    """Whatever other pages say of it."""
    assert search(name)[0].guide.name == name


@each("words", ["the event", "rudder_logging", "user_id"])
def test_a_hit_has_the_words(words: str) -> None:
    """Each is a line of the page, or the part of a long one that has the first of the words."""
    found = search(words)
    assert found
    for one in found:
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page(one.guide.name)).replace("**", "")
        for hit in one.hits:
            assert any(word in hit.text.casefold() for word in words.split())
            assert hit.text.strip("…").replace("`", "") in text.replace("`", "")
            assert len(hit.text) <= 162
    assert any(hit.text.startswith("…") for one in found for hit in one.hits)


def test_where_no_page_has_all_words_most_are_enough() -> None:
    """Somebody's own words are rarely all on a page."""
    names = [one.guide.name for one in search("outage hour xylophone")]
    assert names[:1] == ["faq"], names
    assert names == [one.guide.name for one in search("outage hour")]


@each("words", ["", "  ", "event zzzz", "scenarios.py;", "```"])
def test_nothing_is_found(words: str) -> None:
    """Where no page has all the words, or nothing is asked; what readers don't see is not read."""
    assert search(words) == []
