"""README and guides as files, and as a Markdown parser reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from markdown_it import MarkdownIt
from markdown_it.token import Token

import rudder_logging
from rudder_logging.cli.group import group

FOLDER = Path(rudder_logging.__file__).parent / "guides"
ROOT = FOLDER.parents[1]
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
README = ROOT / "README.md"
PAGES = [README, *(FOLDER / f"{name}.md" for name in NAMES)]


def tokens(path: Path) -> Iterator[Token]:
    """All of a file, those within paragraphs, too."""
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text()):
        yield token
        yield from token.children or ()


def targets(path: Path) -> list[str]:
    """Where a file's links and images lead."""
    named = {"link_open": "href", "image": "src"}
    return [str(token.attrs[named[token.type]]) for token in tokens(path) if token.type in named]


def anchors(path: Path) -> set[str]:
    """Those of a file's headings, as forges and Sphinx name them."""
    found = list(tokens(path))
    headings = [after.content for token, after in pairwise(found) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@dataclass(frozen=True)
class Block:
    """One of code, which is fenced."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None
    """Why it can't be run, by the comment before it."""

    def __str__(self) -> str:
        """Its place."""
        return f"{self.page.name}:{self.line}"


def blocks(path: Path, *languages: str) -> Iterator[Block]:
    """All of a page, or those in some languages."""
    before = ""
    for token in tokens(path):
        if token.type == "fence" and (not languages or token.info in languages):
            reason = re.fullmatch(r"<!-- not run: (.+) -->", before)
            line = (token.map or [0])[0] + 1
            yield Block(path, line, token.info, token.content, reason and reason[1])
        before = token.content.strip()


def check_ours(words: list[str]) -> None:
    """A command of the package has flags and sub-commands that exist."""
    command: Any = group
    context = None
    while isinstance(command, click.Group):
        context = command.make_context(words[0], words, parent=context)
        _name, command, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
    command.make_context(words[:1], words, parent=context)
