"""`suppress()`: from now on, events of some people do not leave, nor do those that are pending."""

from __future__ import annotations

from ..events.types import Id
from ..privacy.suppression import EVERYWHERE, checked_ids
from .handler import all_handlers

__all__ = ["suppress"]


def suppress(*ids: Id, erase_pending: bool = True) -> int:
    """Keep back all events of all handlers that have one of some ids, in whatever field.

    It is so until the process ends, also for handlers that are made later, and in processes that
    are forked from now on. Other processes go on accepting theirs: each has to be told by itself,
    or by a list that `Privacy(suppressed=...)` reads.

    Args:
        *ids: Of people: user ids, anonymous ids, whatever else an event knows them by.
        erase_pending: Events of theirs that wait are dropped, too, and counted as `suppressed`.
            In memory, and in this process's spool and those of processes that have ended, their
            bytes are gone at once. Living processes that share the spool erase their own, each by
            itself: in a second if it has events waiting, or else at its next one. What is being
            uploaded is dropped before the next attempt; the upload under way may be stored. A
            relay's engine is asked by the thread that delivers, so that this waits for no network.
            Dead letters of theirs are blanked.

    Returns:
        How many events were dropped at once, here.

    Raises:
        InvalidEventError: One of them is no id.

    .. versionadded:: 0.1.0
    """
    known = checked_ids(ids)
    EVERYWHERE.add(known)
    return sum(one.keep_back(known, erase_pending=erase_pending) for one in all_handlers())
