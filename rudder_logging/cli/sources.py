"""From files and pipes to numbered lines, in constant memory."""

from __future__ import annotations

import os
import select
import shlex
import stat
import sys
from collections.abc import Iterator
from typing import NamedTuple

from ..common.private_files import open_file
from .common import BadInputError

__all__ = ["LONGEST_LINE", "LONGEST_TAIL", "REPLAYED", "Line", "Source"]

LONGEST_LINE = 5_000_000
"""Bytes; no event is as long: a request may have 4,096,000."""

REPLAYED = ".replayed"
"""Behind a file's name: the file that says how far that was replayed."""

LONGEST_TAIL = 16 * 1024
"""Bytes before an offset that can be asked for."""

_CHUNK = 256 * 1024
_SECONDS_UNTIL_IDLE = 0.5
_UNPACKERS = {
    b"\x1f\x8b": "zcat",
    b"\xfd7zXZ": "xzcat",
    b"\x28\xb5\x2f\xfd": "zstdcat",
    b"BZh91AY&SY": "bzcat",
}
"""Programs that print a compressed file, by its first bytes, with which no text or JSON begins."""


class Line(NamedTuple):
    """A line as it was read, without its end."""

    text: bytes
    """Empty, if it was too long."""
    number: int
    end: int
    """The offset at which the next one begins."""
    is_torn: bool = False
    """Nothing ends it: it is the last one, and perhaps still being written."""
    is_too_long: bool = False


class Source:
    """A file, or what comes through a pipe.

    Args:
        path: Its path; `-`: stdin.
        is_segment: It is a spool's own, and is read whatever a fault of the disk has made of it.

    Raises:
        BadInputError: It can't be read, or it is compressed.
    """

    def __init__(self, path: str, *, is_segment: bool = False) -> None:
        self.name = "stdin" if path == "-" else path
        self.path = "-" if path == "-" else os.path.abspath(path)  # noqa: PTH100 - links stay
        try:
            if path == "-":
                self._file = sys.stdin.fileno() if sys.stdin is not None else -1
            elif is_segment:
                self._file = open_file(path, os.O_RDONLY, mends=False, in_spool=True)
            else:
                self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            mode = os.fstat(self._file).st_mode
            self.is_file = stat.S_ISREG(mode) and path != "-"
            beginning = self._read_at(0, max(map(len, _UNPACKERS))) if self.is_file else b""
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or "it is no file"
            raise BadInputError(f"{self.name} can't be read: {words}") from None
        if stat.S_ISDIR(mode):
            raise BadInputError(f"{self.name} can't be read: it is a directory; name its files")
        if not is_segment:
            self._refuse_compressed(beginning)
        self._offset = self._number = 0
        self._kept = bytearray()  # of a pipe: what was read, but for what nobody needs any more
        self._kept_from = 0

    @property
    def size(self) -> int | None:
        """Bytes there are; None: nobody knows."""
        found = os.fstat(self._file)
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: the same for all names of one file."""
        found = os.fstat(self._file)
        return found.st_dev, found.st_ino

    @property
    def key(self) -> str:
        """Its name in a file of progress, which is UTF-8 whatever the path is."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    def before(self, offset: int, length: int) -> bytes:
        """The bytes right before an offset that was read: as far as they are kept, of a pipe."""
        start = max(0, offset - length)
        if self.is_file:
            return self._read_at(start, offset - start)
        return bytes(self._kept[max(0, start - self._kept_from) : offset - self._kept_from])

    def forget_before(self, offset: int) -> None:
        """Forget what stands before an offset, but for the last bytes."""
        needless = offset - LONGEST_TAIL - self._kept_from
        if needless > 0:
            del self._kept[:needless]
            self._kept_from += needless

    def skip_to(self, offset: int, number: int) -> None:
        """Go on behind a line that was read before."""
        if self.is_file:
            os.lseek(self._file, offset, os.SEEK_SET)
        else:
            left = offset
            while left and (chunk := os.read(self._file, min(left, _CHUNK))):
                self._kept += chunk
                left -= len(chunk)
                self.forget_before(offset - left)
        self._offset, self._number = offset, number

    def skip_settled(self, offset: int) -> int:
        """Go on behind so many bytes. Returns how many lines they are."""
        number = 0
        for start in range(0, offset, _CHUNK):
            number += self._read_at(start, min(_CHUNK, offset - start)).count(b"\n")
        self.skip_to(offset, number)
        return number

    def lines(self) -> Iterator[Line | None]:
        """The lines from there on; None: a pipe has nothing more to give, for now.

        Raises:
            OSError: Reading failed.
            BadInputError: What comes through a pipe is compressed.
        """
        rest, is_too_long = b"", False
        is_first = not self._offset
        while True:
            if not self._is_ready():
                yield None
                continue
            chunk = os.read(self._file, _CHUNK)
            if not chunk:
                break
            if not self.is_file:
                if is_first:
                    self._refuse_compressed(chunk)
                self._kept += chunk
                is_first = False
            *whole, rest = (rest + chunk).split(b"\n")
            for text in whole:
                self._offset += len(text) + 1
                self._number += 1
                if is_too_long:
                    yield Line(b"", self._number, self._offset, is_too_long=True)
                    is_too_long = False
                else:
                    yield Line(text, self._number, self._offset)
            if len(rest) > LONGEST_LINE:
                self._offset += len(rest)
                rest, is_too_long = b"", True
        if rest or is_too_long:
            self._offset += len(rest)
            yield Line(
                b"" if is_too_long else rest,
                self._number + 1,
                self._offset,
                is_torn=True,
                is_too_long=is_too_long,
            )

    def close(self) -> None:
        """Close it, unless it is stdin."""
        if self.path != "-":
            os.close(self._file)

    def _refuse_compressed(self, beginning: bytes) -> None:
        for magic, unpacker in _UNPACKERS.items():
            if beginning.startswith(magic):
                what = "FILE" if self.path == "-" else shlex.quote(self.name)
                raise BadInputError(
                    f"{self.name} is compressed; give - for it, and pipe it in unpacked: "
                    f"{unpacker} {what} | rudder-logging ..."
                )

    def _read_at(self, offset: int, size: int) -> bytes:
        """Read somewhere else, and come back: there is no `pread` on Windows."""
        back = os.lseek(self._file, 0, os.SEEK_CUR)
        os.lseek(self._file, offset, os.SEEK_SET)
        found = b""
        try:
            while len(found) < size and (chunk := os.read(self._file, size - len(found))):
                found += chunk
            return found
        finally:
            os.lseek(self._file, back, os.SEEK_SET)

    def _is_ready(self) -> bool:
        if self.is_file or os.name != "posix":  # elsewhere, only sockets can be waited for
            return True
        return bool(select.select([self._file], [], [], _SECONDS_UNTIL_IDLE)[0])
