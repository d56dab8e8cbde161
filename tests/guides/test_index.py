"""The index has every guide, and every link of a guide leads somewhere."""

from __future__ import annotations

from collections import Counter

import pytest

from rudder_logging.guides import INDEX, guides, page

from .pages import FOLDER, NAMES, ROOT, targets, tokens


def test_every_guide_is_in_the_index_once() -> None:
    """In a group, with a title and a line; and no line leads to a guide that is not there."""
    linked = Counter(targets(FOLDER / "index.md"))
    assert linked == Counter(f"{name}.md" for name in NAMES if name != INDEX)
    assert list(guides()) == [target.removesuffix(".md") for target in linked]
    for guide in guides().values():
        assert guide.group
        assert guide.title
        assert guide.line.endswith("."), guide.name


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_markdown_with_one_title(name: str) -> None:
    """It begins with its title, and has no HTML but comments, which readers don't see."""
    found = list(tokens(FOLDER / f"{name}.md"))
    assert [token.tag for token in found[:1]] == ["h1"]
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in found) == 1
    html = [token.content.strip() for token in found if token.type.startswith("html")]
    assert [text for text in html if not (text.startswith("<!--") and text.endswith("-->"))] == []
    assert page(name).startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """To a guide or a picture beside it, to a file of the repository, or to the web."""
    for target in targets(FOLDER / f"{name}.md"):
        path, _, _anchor = target.partition("#")
        if target.startswith("https://") or not path:
            continue
        assert (FOLDER / path).exists(), target
        is_beside = "/" not in path
        assert is_beside or (FOLDER / path).resolve().is_relative_to(ROOT), target
