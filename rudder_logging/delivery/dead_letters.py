"""Dead letters: a file of the events that the server refuses for good."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from time import time

import orjson

from ..common.private_files import blank_lines, lock_file, open_file, refusal
from ..events.encoding import utc_milliseconds
from ..exceptions import ConfigError

__all__ = ["DeadLetters", "check_dead_letters"]


class DeadLetters:
    """A JSON Lines file of `{message, status, reason, refusedAt}`, readable by its owner only.

    Each line is one write in append mode under a lock of the operating system, so several
    processes may share the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def append(self, message: bytes, status: int, reason: str) -> None:
        """Add one event.

        Args:
            message: As JSON.
            status: What the server answered; 0: it was not asked.
            reason: In the server's words, or ours.

        Raises:
            OSError: It can't be written, or not without others being able to read it.
        """
        tail = {"status": status, "reason": reason, "refusedAt": utc_milliseconds(time())}
        line = b'{"message":' + message + b"," + orjson.dumps(tail)[1:] + b"\n"
        # Whoever made it, a tool that rotates logs perhaps: others can't read it from then on.
        descriptor = open_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            lock_file(descriptor, waits=True)
            _append_all(descriptor, line, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def count(self, matches: Callable[[bytes], bool]) -> int:
        """Count the letters whose messages match, as JSON.

        Raises:
            OSError: The file can't be read.
        """
        return self._blank(matches, os.O_RDONLY)

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        """Blank the letters whose messages match. Returns how many they are.

        In place: whoever waits for the file's lock, to add a letter, has it open already.

        Raises:
            OSError: The file can't be read, or written to.
        """
        return self._blank(matches, os.O_RDWR)

    def _blank(self, matches: Callable[[bytes], bool], mode: int) -> int:
        try:
            descriptor = open_file(self._path, mode, mends=False)
        except FileNotFoundError:
            return 0
        found: list[tuple[int, int]] = []
        number = offset = 0
        try:
            if mode != os.O_RDONLY:
                lock_file(descriptor, waits=True)
            with open(descriptor, "rb", closefd=False) as file:
                for line in file:
                    text = line.rstrip(b"\n")
                    was_begun = text[:1] == b" "  # and whoever did was killed
                    if text.strip() if was_begun else _is_of(text, matches):
                        found.append((offset, len(text)))
                        number += not was_begun
                    offset += len(line)
            if mode != os.O_RDONLY:
                blank_lines(descriptor, found, sync=True)
        finally:
            os.close(descriptor)
        return number


def _is_of(letter: bytes, matches: Callable[[bytes], bool]) -> bool:
    try:
        message = orjson.loads(letter)["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return matches(letter)
    # Of what was damaged, a letter has the text.
    return matches(message.encode() if isinstance(message, str) else orjson.dumps(message))


def check_dead_letters(path: str) -> None:
    """Check that dead letters can be kept in a file that is this user's alone.

    Raises:
        ConfigError: It is a file of another user, or a link, which might lead to one.
    """
    words = refusal(path)
    if words is None:
        return
    found = os.lstat(path)
    if not stat.S_ISLNK(found.st_mode) and os.geteuid() not in (0, found.st_uid):
        others = " that others can read" if found.st_mode & 0o077 else ""
        raise ConfigError(
            f"dead_letter names a file of another user{others}: {path}; "
            "have it made yours, with permissions for nobody else (0600)"
        )
    if not stat.S_ISFIFO(found.st_mode):  # which is told when it is needed: it may be a file then
        raise ConfigError(f"dead_letter names {path}, but {words}; name a file of your own")


def _append_all(descriptor: int, line: bytes, size: int) -> None:
    """Write a line to a locked file of that size; if the disk ends in it, take it back."""
    written = 0
    try:
        while written < len(line):
            written += os.write(descriptor, line[written:])
    except BaseException:
        # Else the next line would be glued to it. Without a lock, somebody's may stand behind it.
        if written and os.fstat(descriptor).st_size == size + written:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
        raise
