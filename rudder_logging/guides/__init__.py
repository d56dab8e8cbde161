"""The guides: a page for each topic, in Markdown.

`index.md` puts them into groups, with one line each. Pages link each other by their files' names
(`[Django](django.md#wire-it)`), and pictures stand beside them. They link no other file, because
the wheel has no other.

- `search.py`: which pages have all the words, and where
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["INDEX", "Guide", "anchor", "guides", "page"]

INDEX = "index"
"""Name of the page that lists the others."""

_GROUP = re.compile(r"## (?P<group>.+)")
_LINE = re.compile(r"- \[(?P<title>.+?)\]\((?P<name>[\w-]+)\.md\): (?P<line>.+)")


@dataclass(frozen=True)
class Guide:
    """One page, as the index has it.

    Args:
        name: The topic: that of its file.
        title: Its name in the index.
        line: The line that the index says of it.
        group: The index's heading above it.
    """

    name: str
    title: str
    line: str
    group: str


def page(name: str) -> str:
    """The Markdown of a page, the index included.

    Raises:
        FileNotFoundError: There is none of that name.
    """
    return (files(__package__) / f"{name}.md").read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    """The place of a heading in its page, as forges and Sphinx name it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def guides() -> Mapping[str, Guide]:
    """All guides by their names, in the index's order."""
    found = {}
    group = ""
    for line in page(INDEX).splitlines():
        if heading := _GROUP.fullmatch(line):
            group = heading["group"]
        elif listed := _LINE.fullmatch(line):
            found[listed["name"]] = Guide(**listed.groupdict(), group=group)
    return found
