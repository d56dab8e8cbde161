"""A source in the engine: made by whoever comes first, with a number of shards that stays."""

from __future__ import annotations

from ..base import Hold
from .connecting import Shards
from .errors import Fault
from .keys import VERSION, Keys
from .link import Link, script
from .scripts import MAKE

__all__ = ["checked", "make_source"]


def make_source(
    link: Link, keys: Keys, wanted: Shards, deadline: float | None = None
) -> int | Fault:
    """Make a source, unless it is there; return its number of shards, if that is right."""
    command = script(MAKE, [keys.meta], wanted.value, VERSION)
    (answer,) = link.run([command], deadline=deadline)
    if isinstance(answer, Fault):
        return answer
    found, version = (int(one or 0) for one in answer)
    return checked(link, wanted, found, version)


def checked(link: Link, wanted: Shards, found: int, version: int) -> int | Hold:
    """Compare a source with what is wanted."""
    if version > VERSION:
        return Hold(
            f"the source in the engine {link.engine} was made by a later version of this package",
            "update rudder-logging",
        )
    if wanted.is_given and found != wanted.value:
        return Hold(
            f"the source in the engine {link.engine} has {found} shards, and not {wanted.value}",
            f"give shards={found} in the URL; it can't be changed once the source is there",
        )
    return found
