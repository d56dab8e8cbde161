"""Erasing some people's events: in place, and by request to all processes that use a source.

A line is overwritten with blanks and keeps its length. So offsets stay right, whoever reads there
meanwhile, and it needs no room on the disk.

A living process alone knows what it has read and counted. So whoever has people erased notes a
request in the source's file `erasures`, and each process carries it out on what it holds: when it
looks, or when it takes over from one that has ended. Its file of progress then says which request
was the last. Once all have done it, the file goes. It has no ids but their hashes by a salt.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import os
import re
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from ...common.private_files import blank_lines, lock_file, open_file, write_all
from .files import erased_in, parse_name

if TYPE_CHECKING:
    from ...events.persons import Matches

__all__ = ["Erasures", "blank", "cure_of", "is_erased"]

_NAME = "erasures"
_FOR_THIS_USER = "have it, and all in it, be this user's, to read and write (chown, chmod)"
_SALT = re.compile(rb"[0-9a-f]{32}\n")
_REQUEST = re.compile(rb"^(\d{20}) ([0-9a-f]{64})\n", re.MULTILINE)
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+')


_CURES = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room on its disk",
    errno.EROFS: "mount it for writing",
    errno.EACCES: _FOR_THIS_USER,
    errno.EPERM: _FOR_THIS_USER,
}


def cure_of(error: OSError) -> str:
    """Name the way to mend a fault of a spool's directory."""
    return _CURES.get(error.errno or 0, "see to its disk")


def is_erased(line: bytes) -> bool:
    """Tell if a line was erased, be it in part. What is written begins with a brace."""
    return line[:1] == b" "


def blank(path: str, lines: Sequence[tuple[int, int]], *, sync: bool) -> None:
    """Erase lines of a segment: see `blank_lines`.

    Raises:
        OSError: It can't be; some may have been.
    """
    # Not by the descriptor that is appended to: Linux would append this, too.
    file = open_file(path, os.O_RDWR, mends=False, in_spool=True)
    try:
        blank_lines(file, lines, sync=sync)
    finally:
        os.close(file)


class _Read(NamedTuple):
    mark: object
    salt: bytes
    requests: list[tuple[int, str]]

    @property
    def last(self) -> int:
        """The number of the last request."""
        return self.requests[-1][0] if self.requests else 0


_NOTHING = _Read(None, b"", [])


class Erasures:
    """The requests of a source's directory. Nothing here is safe for threads.

    Args:
        directory: Its path.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, _NAME)  # noqa: PTH118
        self._read = _NOTHING

    def ask(self, people: Collection[str]) -> tuple[int, int]:
        """Note a request: all events of these people are to be erased that are there by now.

        Returns:
            Its number, and that of the one before it; 0: there is none.

        Raises:
            OSError: It can't be noted.
        """
        while True:
            file = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, in_spool=True)
            try:
                lock_file(file, waits=True)
                if os.fstat(file).st_nlink:
                    return self._ask(file, people)
            finally:
                os.close(file)

    def _ask(self, file: int, people: Collection[str]) -> tuple[int, int]:
        content = _content_of(file)
        whole = content.rfind(b"\n") + 1
        if not _SALT.match(content):
            whole = 0
        if whole < len(content):  # whoever wrote it was killed
            os.ftruncate(file, whole)
        lines = b"" if whole else secrets.token_hex(16).encode() + b"\n"
        read = _parsed(None, content[:whole] or lines)
        # Greater than any that was carried out, be a clock set back meanwhile.
        number = max(time.time_ns(), read.last, *self._carried_out().values(), 0) + 1
        lines += b"".join(b"%020d %s\n" % (number, _hash(read.salt, one)) for one in people)
        try:
            write_all(file, lines)
        except OSError:  # the disk is full
            os.ftruncate(file, whole)
            if not whole:
                os.unlink(self._path)  # noqa: PTH108
            raise
        return number, read.last

    def since(self, number: int) -> tuple[int, Matches] | None:
        """The number of the last request, and the lines that those since one are for; None: none.

        Raises:
            OSError: That can't be read.
        """
        read = self._look()
        if read.last <= number:
            return None
        return read.last, _having(read.salt, {one for at, one in read.requests if at > number})

    def _look(self) -> _Read:
        """While there is no file, or it is the one that was read, this takes one call."""
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            self._read = _NOTHING
            return _NOTHING
        mark = (found.st_ino, found.st_size, found.st_mtime_ns)
        if mark != self._read.mark:
            with contextlib.suppress(FileNotFoundError):
                file = open_file(self._path, os.O_RDONLY, mends=False, in_spool=True)
                try:
                    self._read = _parsed(mark, _content_of(file))
                finally:
                    os.close(file)
        return self._read

    def forget_if_done(self) -> None:
        """Remove the requests, if all whose segments are there have carried them out.

        Raises:
            OSError: They can't be removed.
        """
        if not self._look().requests:
            return
        try:
            file = open_file(self._path, os.O_RDWR, mends=False, in_spool=True)
        except FileNotFoundError:
            return
        try:
            lock_file(file, waits=True)
            last = _parsed(None, _content_of(file)).last
            if all(number >= last for number in self._carried_out().values()):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path)  # noqa: PTH108
        finally:
            os.close(file)

    def left_with(self, number: int) -> set[str]:
        """Owners of segments that have not carried out a request."""
        return {owner for owner, last in self._carried_out().items() if last < number}

    def _carried_out(self) -> dict[str, int]:
        """By owner the number of the last request."""
        found: dict[str, int] = {}
        for name in os.listdir(self._directory):  # noqa: PTH208
            parsed = parse_name(name)
            if parsed is not None:
                owner = parsed[0]
                found[owner] = found.get(owner) or erased_in(self._directory, owner)
        return found


def _content_of(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _parsed(mark: object, content: bytes) -> _Read:
    salt, _, rest = content.partition(b"\n")
    requests = [(int(number), one.decode()) for number, one in _REQUEST.findall(rest)]
    return _Read(mark, salt, requests)


def _hash(salt: bytes, one: str) -> bytes:
    return hmac.digest(salt, one.encode("utf-8", "replace"), "sha256").hex().encode()


def _having(salt: bytes, hashes: Collection[str]) -> Matches:
    """Lines that have an id with one of the hashes; of damaged ones, whatever may be an id."""
    from ...events.persons import ids_of  # noqa: PLC0415 - few need it

    known: dict[str, bool] = {}

    def is_wanted(one: str) -> bool:
        if one not in known:
            known[one] = _hash(salt, one).decode() in hashes
        return known[one]

    def matches(line: bytes) -> bool:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            return any(map(is_wanted, _texts_in(line)))
        return isinstance(event, dict) and any(map(is_wanted, ids_of(event)))

    return matches


def _texts_in(line: bytes) -> Iterable[str]:
    for found in _TEXT.findall(line):
        with contextlib.suppress(orjson.JSONDecodeError):
            yield str(orjson.loads(found))
