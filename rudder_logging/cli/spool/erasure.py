"""Erasing events from a spool, beside processes that use it.

What a process has left is taken over by its lock, as a process that delivers it would, and its
segments are replaced whole. What a living process holds is left to it: it has read ahead, so what
is overwritten in its files may leave all the same. A line half overwritten would be a damaged
event, which it keeps among its dead letters.
"""

from __future__ import annotations

import contextlib
import os
import stat

from ...common.private_files import make_temporary, open_file, original_of, write_all
from ...events.persons import Matches
from ...queues.file.erasing import Erasures
from ...queues.file.files import is_locked, name_of_progress, parse_name
from ...queues.file.segments import Claim
from ..sources import REPLAYED, Source
from .holdings import Holding, holding_of

__all__ = ["count", "erase", "sweep"]


def count(holding: Holding, matches: Matches) -> int:
    """Count the events of a holding that would be erased."""
    return sum(matches(line.text) for _, line in holding.pending())


def erase(holding: Holding, matches: Matches, request: int = 0) -> int | None:
    """Erase events that a process has left.

    Args:
        holding: What it has left.
        matches: Tells which.
        request: The number of the request that is carried out by this; 0: it is none.

    Returns:
        How many were pending; None: somebody holds them, and none was touched.

    Raises:
        OSError: The directory does not let us.
    """
    claim = Claim.adopt(holding.directory, holding.owner)
    if claim is None:
        return None if is_locked(holding.progress) else 0
    try:
        holding = holding_of(holding.directory, holding.owner)  # the lock was free until now
        asked = Erasures(holding.directory).since(claim.erased) if request else None
        # Of earlier requests, too: nobody would look at them again.
        also = None if asked is None else asked[1]
        erased = sum(_rewrite(holding, number, matches, also) for number in sorted(holding.sizes))
        if asked is not None:
            claim.note_erased(asked[0])
    finally:
        claim.let_go()
    left = Claim.adopt(holding.directory, holding.owner)  # which removes what is settled
    if left is not None:
        left.let_go()
    _forget_replays(holding)
    return erased


def _forget_replays(holding: Holding) -> None:
    """Remove the notes that say how far segments were replayed that are not there any more."""
    for number in holding.sizes:
        path = holding.path(number)
        if not os.path.lexists(path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + REPLAYED)  # noqa: PTH108


def sweep(directory: str) -> None:
    """Remove what an erasure has left that was killed: it has events that are nobody's.

    Raises:
        OSError: The directory does not let us.
    """
    for name in os.listdir(directory):  # noqa: PTH208
        original = original_of(name)
        parsed = None if original is None else parse_name(original)
        if parsed is None:
            continue
        # Under way, an erasure has the lock of the process whose events they are.
        progress = os.path.join(directory, name_of_progress(parsed[0]))  # noqa: PTH118
        if not is_locked(progress):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))  # noqa: PTH108, PTH118


def _rewrite(holding: Holding, number: int, matches: Matches, also: Matches | None) -> int:
    """Replace one segment by what is to stay. Returns how many pending events match, and are gone.

    Offsets stay right at any moment: what is settled already becomes as many blanks.
    """
    path = holding.path(number)
    settled = holding.settled[1] if number == holding.settled[0] else 0
    kept: list[bytes] = []
    erased = 0
    changes = False
    source = Source(path, is_segment=True)
    try:
        for line in source.lines():
            if line is None:
                continue
            is_meant = matches(line.text)
            hit = is_meant or (also is not None and also(line.text))
            changes = changes or hit
            if line.end <= settled:
                continue
            if hit:
                erased += is_meant
            else:
                kept.append(line.text if line.is_torn else line.text + b"\n")
    finally:
        source.close()
    if changes:
        blanks = b" " * (settled - 1) + b"\n" if settled else b""
        _replace(path, blanks + b"".join(kept))
    return erased


def _replace(path: str, content: bytes) -> None:
    """Either all of it is there afterwards, or what was; with the same owner and mode."""
    earlier = open_file(path, os.O_RDONLY, mends=False, in_spool=True)
    try:
        before = os.fstat(earlier)
    finally:
        os.close(earlier)
    file, temporary = make_temporary(path, in_spool=True)
    try:
        with contextlib.suppress(PermissionError):  # only root may: else it is ours as it was
            os.fchown(file, before.st_uid, before.st_gid)
        os.fchmod(file, stat.S_IMODE(before.st_mode))  # whoever takes it over mends that
        write_all(file, content)
        os.fsync(file)
        os.rename(temporary, path)  # noqa: PTH104
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    finally:
        os.close(file)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
