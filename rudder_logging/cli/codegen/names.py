"""Names in Python, of names in a plan: the same for a name, whatever else the plan has."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

__all__ = ["camel", "distinct", "is_plain", "snake"]

_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
_MARKED = 4
"""Digits of a hash that tell names apart; more, where those are the same."""


def snake(name: str, kind: str) -> str:
    """`order_completed`, of "Order Completed" or "orderCompleted".

    Args:
        name: As the plan has it.
        kind: What it is of: put in front where the name can't begin an identifier.
    """
    spaced = _HUMPS.sub("_", unicodedata.normalize("NFKC", name))
    lower = unicodedata.normalize("NFKC", spaced.lower())
    kept = "".join(char if f"a{char}".isidentifier() else "_" for char in lower)
    slug = re.sub("_+", "_", kept).strip("_")
    if not slug:
        slug = "_".join(f"{ord(char):x}" for char in name) or "empty"
    if not slug.isidentifier():
        slug = f"{kind}_{slug}"
    return f"{slug}_" if keyword.iskeyword(slug) else slug


def camel(*names: str) -> str:
    """`OrderCompleted`, of a name as `snake` has it or of a plan's."""
    words = (word for name in names for word in snake(name, "").split("_"))
    text = unicodedata.normalize("NFKC", "".join(f"{w[:1].upper()}{w[1:]}" for w in words))
    return text if text.isidentifier() and not keyword.iskeyword(text) else f"T{text}"


def is_plain(name: str) -> bool:
    """It may stand in a class body as it is: Python changes no letter of it."""
    is_same = unicodedata.normalize("NFKC", name) == name
    return name.isidentifier() and is_same and not keyword.iskeyword(name) and name[:2] != "__"


def distinct(
    wanted: Iterable[tuple[str, str]], taken: Collection[str]
) -> tuple[dict[str, str], list[list[str]]]:
    """Give each of a plan's names one of its own in Python.

    Names that would be the same get a mark each that follows from the name alone. So none of them
    takes another's place when one is added, and calls of the old code fail a type check.

    Args:
        wanted: A plan's name, and what it would be called.
        taken: What is called so already: a name gets an underscore behind it.

    Returns:
        The names, and those of the plan's that would have been the same.
    """
    pairs = [(name, f"{slug}_" if slug in taken else slug) for name, slug in wanted]
    counts = Counter(slug for _name, slug in pairs)
    used = {slug for slug, count in counts.items() if count == 1} | {*taken}
    names: dict[str, str] = {}
    for name, slug in pairs:
        names[name] = slug if counts[slug] == 1 else _marked(name, slug, used)
        used.add(names[name])
    alike = (
        [name for name, one in pairs if one == slug] for slug, count in counts.items() if count > 1
    )
    return names, list(alike)


def _marked(name: str, slug: str, used: Collection[str]) -> str:
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    ends = range(_MARKED, len(digits))
    return next(one for end in ends if (one := f"{slug}_{digits[:end]}") not in used)
