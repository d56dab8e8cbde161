"""The guides as pages of a browser: each Markdown file as HTML, and the pictures beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ... import guides as written
from ...guides import INDEX, anchor, guides
from ...guides.search import search

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["AT", "found", "html", "picture", "rendered"]

AT = "/guides"
"""Path of the index; below it are the others."""

_BESIDE = re.compile(r"^([\w-]+)\.md")
_PICTURES = {"png": "image/png", "svg": "image/svg+xml"}


@cache
def html(name: str) -> str | None:
    """A page; None: there is none of that name.

    Raises:
        ModuleNotFoundError: The extra `cli` is missing.
    """
    known = guides()
    if name not in known and name != INDEX:
        return None
    frame = Template((files(__package__) / "guides.html").read_text(encoding="utf-8"))
    title = known[name].title if name in known else "Guides"
    content = rendered(written.page(name))
    return frame.substitute(title=escape(title), nav=_nav(name), content=content)


@cache
def picture(name: str) -> tuple[str, bytes] | None:
    """The media type and the content of a picture; None: there is none of that name."""
    media_type = _PICTURES.get(name.rpartition(".")[2])
    if media_type is None or name not in {file.name for file in files(written).iterdir()}:
        return None
    return media_type, (files(written) / name).read_bytes()


def found(query: str) -> Sequence[dict[str, Any]]:
    """The pages that have the words of a URL's query `q`, and the lines that do."""
    words = " ".join(parse_qs(query).get("q", []))
    return [
        {
            "title": each.guide.title,
            "line": each.guide.line,
            "path": f"{AT}/{each.guide.name}",
            "hits": [
                {"section": hit.section, "anchor": anchor(hit.section), "text": hit.text}
                for hit in each.hits
            ],
        }
        for each in search(words)
    ]


def _nav(current: str) -> str:
    lines = []
    for group, members in groupby(guides().values(), lambda each: each.group):
        lines.append(f"<h2>{escape(group)}</h2>\n<ul>")
        for each in members:
            mark = ' aria-current="page"' if each.name == current else ""
            title = escape(each.title)
            lines.append(f'<li><a href="{AT}/{each.name}"{mark}>{title}</a></li>')
        lines.append("</ul>")
    return "\n".join(lines)


def rendered(markdown: str) -> str:
    """The HTML of a page. No HTML that the Markdown has is let through."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - another extra's, and costly

    parser = MarkdownIt("commonmark", {"highlight": _coloured}).enable("table")
    rendered: str = parser.renderer.render(_placed(parser.parse(markdown)), parser.options, {})
    return rendered


def _placed(tokens: Sequence[Token]) -> list[Token]:
    """The tokens of a page, with its place in links, and without what the policy forbids."""
    from markdown_it.token import Token as Made  # noqa: PLC0415

    placed = []
    for place, token in enumerate(tokens):
        if token.type in ("html_block", "html_inline"):  # comments; guides have no other HTML
            continue
        if token.type == "heading_open":
            token.attrs["id"] = anchor(tokens[place + 1].content)
        elif token.type == "link_open":
            token.attrs["href"] = _BESIDE.sub(rf"{AT}/\1", str(token.attrs["href"]))
        elif token.type == "image":
            token.attrs["src"] = f"{AT}/{token.attrs['src']}"
        if "style" in token.attrs:  # of a cell: where its text stands
            token.attrs = {"class": str(token.attrs["style"]).rpartition(":")[2]}
        if token.children:
            token.children = _placed(token.children)
        if token.type == "table_open":
            placed.append(Made("html_block", "", 0, content='<div class="wide">\n'))
        placed.append(token)
        if token.type == "table_close":
            placed.append(Made("html_block", "", 0, content="</div>\n"))
    return placed


def _coloured(code: str, language: str, _attributes: str) -> str:
    """Code as HTML, its parts in spans whose classes `guides.css` knows; empty: as it is."""
    from pygments import highlight  # noqa: PLC0415 - as above
    from pygments.formatters import HtmlFormatter  # noqa: PLC0415
    from pygments.lexers import get_lexer_by_name  # noqa: PLC0415
    from pygments.util import ClassNotFound  # noqa: PLC0415

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""
    coloured: str = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return coloured
