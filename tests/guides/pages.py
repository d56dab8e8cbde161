"""The guides as files, and as a Markdown parser reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

import rudder_logging

FOLDER = Path(rudder_logging.__file__).parent / "guides"
ROOT = FOLDER.parents[1]
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))


def tokens(path: Path) -> Iterator[Token]:
    """All of a file, those within paragraphs, too."""
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text()):
        yield token
        yield from token.children or ()


def targets(path: Path) -> list[str]:
    """Where a file's links and images lead."""
    named = {"link_open": "href", "image": "src"}
    return [str(token.attrs[named[token.type]]) for token in tokens(path) if token.type in named]
