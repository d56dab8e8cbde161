"""Checks of the disk: the spool, and the file of dead letters."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ...common.private_files import is_anybodys
from ...config import Config
from ...exceptions import ConfigError
from ...queues.urls import SpoolUrl, is_spool_url, parse_spool_url
from .findings import Finding, Severity

__all__ = ["examine"]

_well = partial(Finding, Severity.WELL, "disk")
_warning = partial(Finding, Severity.WARNING, "disk")
_stop = partial(Finding, Severity.STOPS, "disk")

_MEGABYTE = 1_000_000
_ALMOST_FULL = 0.8


def examine(config: Config) -> Iterator[Finding]:
    """Look at the places that a handler's options name. Nothing is made or changed."""
    if isinstance(config.queue, str) and is_spool_url(config.queue):
        yield from _of_spool(parse_spool_url(config.queue), config)
    if config.dead_letter:
        yield _of_dead_letters(Path(config.dead_letter))


def _of_spool(url: SpoolUrl, config: Config) -> Iterator[Finding]:
    from ...queues.file.left import left_by_others  # noqa: PLC0415 - POSIX only
    from ...queues.file.spool import Spool, check_directory  # noqa: PLC0415 - POSIX only

    spool = Spool(url, config.identity, lambda _error: None)
    modes = {}
    try:
        for path in (url.path, spool.path):
            modes[path] = check_directory(path, is_source=path == spool.path)
    except ConfigError as error:
        text, _, cure = str(error).partition("; ")
        cure = cure or "name a directory of your own in the option queue"
        yield _stop("spool-refused", text, cure)
        return
    except FileNotFoundError:
        pass  # it will be made
    except OSError as error:
        text = f"{error.filename} can't be looked at: {error.strerror}"
        yield _stop("spool-unreadable", text, _OWN_IT)
        return
    where = _nearest(Path(url.path))
    if not where.is_dir() or not os.access(where, os.W_OK | os.X_OK):
        text = f"{where} is not writable for this user: {url.path} is needed"
        yield _stop("spool-unwritable", text, _OWN_IT)
        return
    if os.geteuid() == 0 and is_anybodys(str(where)):
        text = f"root keeps events in {url.path}, for another user, who can read them"
        cure = "name a directory of root's, or run the app as that user"
        yield _warning("spool-of-another-user", text, cure)
    for path, mode in modes.items():
        if mode is not None:
            text = f"others can write to the spool, or look into it: {path} (mode {mode:o})"
            cure = f"chmod 700 {shlex.quote(path)}: the next handler does that, and says so"
            yield _warning("spool-mode", text, cure)
    is_there = where == Path(url.path)
    state = f"is well ({_mode_and_owner(where)})" if is_there else "will be made"
    yield _well("spool", f"the spool {url.path} {state}")
    spool.look()
    yield _of_room(url, spool.size, shutil.disk_usage(where).free)
    for left in left_by_others(url.path, spool.paths, spool.key):
        yield _warning("left-by-others", left.text, left.cure)


_OWN_IT = "give the directory to the user that runs the app, with mode 700"


def _of_room(url: SpoolUrl, size: int, free: int) -> Finding:
    text = (
        f"{_shown(size)} of events wait in the spool, of {_shown(url.max_bytes)} at the most "
        f"(max_bytes); {_shown(free)} are free on the disk"
    )
    if size >= url.max_bytes:
        return _stop("spool-full", f"the spool is full: {text}", "see why events don't arrive")
    if size > _ALMOST_FULL * url.max_bytes:
        cure = "see why events don't arrive, or raise max_bytes"
        return _warning("spool-almost-full", text, cure)
    if free < url.max_bytes - size:
        cure = "make room on the disk, or lower max_bytes"
        text = f"the disk fills up before the spool: {text}"
        return _warning("disk-almost-full", text, cure)
    return _well("spool-room", text)


def _of_dead_letters(path: Path) -> Finding:
    place = path if path.exists() else path.parent
    if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        text = f"dead letters can't be written to {path}"
        cure = "name a file in a directory that exists, and is writable, in the option dead_letter"
        return _warning("dead-letters", text, cure)
    return _well("dead-letters", f"dead letters go to {path}")


def _mode_and_owner(path: Path) -> str:
    try:
        owner = path.owner()
    except KeyError:  # a user of another machine, or of none
        owner = str(path.stat().st_uid)
    return f"mode {stat.S_IMODE(path.stat().st_mode):o}, of the user {owner}"


def _nearest(path: Path) -> Path:
    """The directory, or the nearest above it that exists."""
    while not path.exists():
        path = path.parent
    return path


def _shown(size: int) -> str:
    return f"{size / _MEGABYTE:,.1f} MB"
