"""Search in the guides: which pages have the words, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import Guide, guides, page

__all__ = ["Found", "Hit", "search"]

_LONGEST = 160
_BEFORE = 50
"""Characters of a longer line that are shown before the first word."""

_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"#{2,6} (.+)")
_UNREAD = re.compile(r"<!--.*-->|[|:\s-]*")
_LINK = re.compile(r"!?\[([^]]*)\]\([^)]*\)")
_MARK = re.compile(r"^(?:[-|>]|\d+\.) +|`|\*\*")


@dataclass(frozen=True)
class Hit:
    """A line that has the words.

    Args:
        section: The heading above it; none: the page's title.
        text: The line without Markdown's marks, or the part of it around the first of the words.
    """

    section: str
    text: str


@dataclass(frozen=True)
class Found:
    """A page that has the words.

    Args:
        guide: It.
        hits: Lines with all the words; if there are none, those with any of them.
    """

    guide: Guide
    hits: Sequence[Hit]


def search(words: str) -> list[Found]:
    """The pages that have all the words, in whatever case; those named after them come first.

    If none has all, those that have most of them: more than half, at least.
    """
    wanted = words.casefold().split()
    pages = [(guide, list(_lines(page(guide.name)))) for guide in guides().values()]
    texts = {
        guide.name: "\n".join([guide.name, guide.title, guide.line, *(text for _, text in lines)])
        for guide, lines in pages
    }
    counts = {name: sum(word in text.casefold() for word in wanted) for name, text in texts.items()}
    most = max(counts.values())
    ranked = []
    for guide, lines in pages if most > len(wanted) / 2 else ():
        named = f"{guide.name} {guide.title}".casefold()
        if counts[guide.name] == most:
            full = [line for line in lines if all(word in line[1].casefold() for word in wanted)]
            some = [line for line in lines if any(word in line[1].casefold() for word in wanted)]
            hits = [Hit(section, _excerpt(text, wanted)) for section, text in full or some]
            in_name = sum(word in named for word in wanted)
            rank = (guide.name != "-".join(wanted), -in_name, not full, -len(hits))
            ranked.append((rank, Found(guide, hits)))
    return [found for _, found in sorted(ranked, key=lambda each: each[0])]


def _lines(markdown: str) -> Iterator[tuple[str, str]]:
    """Each line that is read, below its title, and the heading above it."""
    section, is_code = "", False
    for line in map(str.strip, markdown.splitlines()[1:]):
        if _FENCE.match(line):
            is_code = not is_code
        elif is_code:
            yield section, line
        elif heading := _HEADING.fullmatch(line):
            section = heading[1]
            yield section, section
        elif not _UNREAD.fullmatch(line):
            yield section, _MARK.sub("", _LINK.sub(r"\1", line))


def _excerpt(text: str, wanted: Sequence[str]) -> str:
    if len(text) <= _LONGEST:
        return text
    folded = text.casefold()
    first = min(at for word in wanted if (at := folded.find(word)) >= 0)
    start = text.rfind(" ", 0, max(0, first - _BEFORE)) + 1
    end = text.rfind(" ", start, start + _LONGEST)
    end = end if end > first else start + _LONGEST
    return "…" * (start > 0) + text[start:end] + "…" * (end < len(text))
