"""`rudder-logging guide`: the guides, in the terminal."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ..guides import INDEX, guides, page
from ..guides.search import search
from .common import FailedError

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["guide", "laid_out"]

_WIDEST = 100
_HITS_SHOWN = 3
_NEAREST_SHOWN = 3


def _complete(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=each.line)
        for name, each in guides().items()
        if name.startswith(incomplete)
    ]


@click.command(
    epilog="""\b
Examples:
  rudder-logging guide
  rudder-logging guide django
  rudder-logging guide --search on_commit
"""
)
@click.argument("topics", nargs=-1, metavar="[TOPIC]", shell_complete=_complete)
@click.option("--search", "wanted", metavar="WORDS", help="List the pages that have all the words.")
@click.option("--no-pager", is_flag=True, help="Print a page to its end, without waiting for keys.")
def guide(topics: tuple[str, ...], wanted: str | None, no_pager: bool) -> None:
    """Read a guide, or search in all of them.

    Without a topic, it lists all guides. In a terminal a page is laid out, and shown by $PAGER;
    piped, it is the Markdown as it was written. `rudder-logging serve` has the same pages, in a
    browser, at /guides.
    """
    if wanted is not None:
        _list_found(" ".join([wanted, *topics]))
    elif not topics or topics == (INDEX,):
        _list_all()
    elif len(topics) > 1:
        raise click.UsageError(f"one guide at a time; to search: --search '{' '.join(topics)}'")
    else:
        _show(topics[0], is_paged=not no_pager)


def _list_all() -> None:
    for group, members in groupby(guides().values(), lambda each: each.group):
        formatter = click.HelpFormatter(max_width=_WIDEST)
        with formatter.section(group):
            formatter.write_dl([(each.name, each.line) for each in members])
        click.echo(formatter.getvalue())
    click.echo("rudder-logging guide TOPIC shows one of them; --search WORDS searches in all.")


def _list_found(words: str) -> None:
    found = search(words)
    if not found:
        raise FailedError(f"no guide has all of these words: {words}")
    for each in found:
        click.echo(f"{each.guide.name}: {each.guide.title}")
        for hit in each.hits[:_HITS_SHOWN]:
            click.echo(f"  {hit.section}: {hit.text}" if hit.section else f"  {hit.text}")
        if len(each.hits) > _HITS_SHOWN:
            click.echo(f"  and {len(each.hits) - _HITS_SHOWN} more")


def _show(topic: str, *, is_paged: bool) -> None:
    name = topic.lower().removesuffix(".md")
    if name not in guides():
        raise click.UsageError(f"there is no guide {topic!r}; {_instead(name)}")
    markdown = page(name)
    if not sys.stdout.isatty():
        click.echo(markdown, nl=False)
        return
    text = laid_out(markdown, min(shutil.get_terminal_size().columns, _WIDEST))
    if is_paged:
        # As git has it: colours, no waiting for keys where all fits, and the page stays in view.
        os.environ.setdefault("LESS", "FRX")
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False)


def _instead(name: str) -> str:
    near = difflib.get_close_matches(name, guides(), n=_NEAREST_SHOWN)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    about = [found.guide.name for found in search(name)][:_NEAREST_SHOWN]
    if about:
        return f"it is spoken of in {', '.join(about)}"
    return "rudder-logging guide lists them"


def laid_out(markdown: str, width: int) -> str:
    """A page as a terminal of so many columns shows it."""
    from rich.console import Console  # noqa: PLC0415 - costly
    from rich.markdown import Markdown  # noqa: PLC0415

    console = Console(highlight=False, width=width)
    shown = Markdown(markdown, hyperlinks=False)
    for token in shown.parsed:
        token.children = list(_followed(token.children or ()))
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def _followed(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens of a paragraph, with the links that somebody in a terminal can follow."""
    is_within = False
    for token in tokens:
        if token.type == "link_open":
            target, _, _anchor = str(token.attrs["href"]).partition("#")
            is_within = not target
            if target.endswith(".md"):
                target = f"rudder-logging guide {target.removesuffix('.md')}"
            token.attrs["href"] = target
        if not (is_within and token.type in ("link_open", "link_close")):
            yield token
