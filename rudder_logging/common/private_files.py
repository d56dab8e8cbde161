"""Files and directories that are ours alone: for all that the package itself writes.

Others may know their names, or guess them, and make something there beforehand. So no link is
followed, what is there is looked at once it is open, and what is not ours alone is refused.
Root may work in a directory of another user: a server that drops its privileges later, a command
of an operator. What it makes there belongs to that user, and what that user has is taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Sequence

__all__ = [
    "MODE_OF_DIRECTORIES",
    "blank_lines",
    "is_anybodys",
    "lock_file",
    "make_directories",
    "make_temporary",
    "mend_directory",
    "open_file",
    "original_of",
    "refusal",
    "sweep_temporaries",
    "write_all",
]

MODE_OF_DIRECTORIES = 0o700
_MODE = 0o600
_HAS_OWNERS = hasattr(os, "geteuid")  # not so on Windows, where a user's files are the user's
_FOLLOWS_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = (
    _FOLLOWS_NO_LINK
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # A pipe that nobody reads or writes raises then, or it would stop whoever opens it.
    | getattr(os, "O_NONBLOCK", 0)
)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.new")


def open_file(path: str, flags: int, *, mends: bool = True, in_spool: bool = False) -> int:
    """Open a file that is ours alone, or make it so.

    Args:
        path: Its name.
        flags: As `os.open` takes them.
        mends: Take permissions from others, if they have any.
        in_spool: The directory has to be ours, too, and no link.

    Returns:
        A descriptor.

    Raises:
        OSError: It can't be opened, or it is not ours alone; `strerror` says which.
    """
    if not _HAS_OWNERS:
        return os.open(path, flags | _FLAGS, _MODE)
    directory, name = os.path.split(path)
    directory = directory or "."
    try:
        # Not to be read: one that may only be passed through will do.
        passing = getattr(os, "O_PATH", os.O_RDONLY)
        folder = os.open(directory, _FOLDER | passing | (_FOLLOWS_NO_LINK if in_spool else 0))
        try:
            found = os.fstat(folder)
            heir = _heir(found)
            if in_spool and found.st_uid not in (heir, os.geteuid()):
                _refuse("the directory is another user's")
            return _open_in(folder, name, flags, heir, found.st_gid, mends=mends)
        finally:
            os.close(folder)
    except OSError as error:
        error.filename = path
        raise


def _open_in(folder: int, name: str, flags: int, heir: int, group: int, *, mends: bool) -> int:
    try:
        file, is_new = _open_or_make(folder, name, flags | _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PermissionError(errno.EPERM, _LINK) from None
        raise
    try:
        found = os.fstat(file)
        if is_new:
            if heir != os.geteuid():
                os.fchown(file, heir, group)
        else:
            _refuse(_refusal(found, heir))
        if (is_new or mends) and stat.S_IMODE(found.st_mode) != _MODE:
            os.fchmod(file, _MODE)
    except BaseException:
        os.close(file)
        raise
    return file


def _open_or_make(folder: int, name: str, flags: int) -> tuple[int, bool]:
    """A descriptor, and whether the file was made."""
    if not flags & os.O_CREAT or flags & os.O_EXCL:
        return os.open(name, flags, _MODE, dir_fd=folder), bool(flags & os.O_CREAT)
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, flags & ~os.O_CREAT, dir_fd=folder), False
        with contextlib.suppress(FileExistsError):  # made in this moment
            return os.open(name, flags | os.O_EXCL, _MODE, dir_fd=folder), True


def _refuse(words: str | None) -> None:
    if words is not None:
        raise PermissionError(errno.EPERM, words)


_LINK = "it is a symbolic link, and none is followed"


def _refusal(found: os.stat_result, heir: int) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return _LINK
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if found.st_uid not in (heir, os.geteuid()):
        return "it is another user's"
    if found.st_nlink > 1:
        return "it has another name, too (a hard link)"
    return None


def refusal(path: str) -> str | None:
    """Why a file that is there would not be opened; None: it would, or it is not there."""
    if not _HAS_OWNERS:
        return None
    directory = os.path.dirname(path) or "."  # noqa: PTH120
    try:
        found = os.lstat(path)
        return _refusal(found, _heir(os.stat(directory)))  # noqa: PTH116
    except OSError:
        return None


def _heir(directory: os.stat_result) -> int:
    """Whose files there are: ours; but root's in a directory of another user are that user's."""
    user = os.geteuid()
    return directory.st_uid if user == 0 else user


def is_anybodys(directory: str) -> bool:
    """Tell if it is not ours, and anybody could have made it: below `/tmp`, say.

    Raises:
        OSError: It can't be looked at.
    """
    path = os.path.realpath(directory)
    ours = (0, os.geteuid())
    while (above := os.path.dirname(path)) != path:  # noqa: PTH120
        is_open = os.stat(above).st_mode & stat.S_IWOTH  # noqa: PTH116
        if is_open and os.stat(path).st_uid not in ours:  # noqa: PTH116
            return True
        path = above
    return False


# Files that are replaced whole.


def make_temporary(path: str, *, in_spool: bool = False) -> tuple[int, str]:
    """Make a file that is to replace another one, beside it. Returns a descriptor and its name.

    Raises:
        OSError: It can't be made.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.new")  # noqa: PTH118
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    return open_file(temporary, flags, in_spool=in_spool), temporary


def original_of(name: str) -> str | None:
    """The name of the file that a temporary one was to replace; None: it is no such name."""
    found = _TEMPORARY.fullmatch(name)
    return None if found is None else found[1]


def sweep_temporaries(path: str) -> None:
    """Remove what is left of earlier attempts to replace a file. Nobody may be at it."""
    directory, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for entry in os.listdir(directory or "."):  # noqa: PTH208
            if original_of(entry) == name:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(directory, entry))  # noqa: PTH108, PTH118


def write_all(file: int, content: bytes) -> None:
    """Write all of it: a disk that fills up, or a bound, may take only a part at a time.

    Raises:
        OSError: That can't be.
    """
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def blank_lines(file: int, lines: Sequence[tuple[int, int]], *, sync: bool) -> None:
    """Overwrite lines with blanks: they keep their lengths, so that offsets stay right.

    The first bytes go first. A line that begins with a blank is none whoever reads it, so that a
    kill in between leaves no half of one.

    Args:
        file: A descriptor, that does not append.
        lines: Their offsets and lengths.
        sync: Have the disk keep it.

    Raises:
        OSError: It can't be; some may have been.
    """
    for offset, _ in lines:
        os.lseek(file, offset, os.SEEK_SET)
        write_all(file, b" ")
    if sync:
        os.fsync(file)
    for offset, length in lines:
        os.lseek(file, offset, os.SEEK_SET)
        write_all(file, b" " * length)
    if sync:
        os.fsync(file)


# Directories.


def lock_file(file: int, *, waits: bool) -> bool:
    """Lock a file until it is closed. False: another process has it; without locks, True.

    Args:
        file: A descriptor.
        waits: Wait until the other process lets it go.
    """
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:  # pragma: no cover - Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def make_directories(path: str) -> None:
    """Make a directory, and what is missing above it, for its owner only, whatever the umask is.

    Raises:
        OSError: It can't be made.
    """
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)  # noqa: PTH120
    for directory in reversed(missing):
        with contextlib.suppress(FileExistsError):  # made in this moment
            os.mkdir(directory, MODE_OF_DIRECTORIES)  # noqa: PTH102
            _hand_over(directory)


def _hand_over(directory: str) -> None:
    """Give a directory that root has made to the owner of the one that it is in."""
    mend_directory(directory)
    above = os.path.dirname(directory)  # noqa: PTH120
    found = os.stat(above)  # noqa: PTH116
    heir = _heir(found)
    if heir == os.geteuid():
        return
    folder = os.open(directory, _FOLDER | _FOLLOWS_NO_LINK | os.O_RDONLY)
    try:
        # That user may have put another one of root's in its place; an empty one is of no use.
        if os.fstat(folder).st_uid == os.geteuid() and not os.listdir(folder):  # noqa: PTH208
            os.fchown(folder, heir, found.st_gid)
    finally:
        os.close(folder)


def mend_directory(path: str) -> None:
    """Take from others what they may do with a directory.

    Raises:
        OSError: It can't be done, or it is none any more.
    """
    try:
        folder = os.open(path, _FOLDER | _FOLLOWS_NO_LINK | os.O_RDONLY)
    except PermissionError:
        # By a umask, its own user may not look into it.
        os.chmod(path, MODE_OF_DIRECTORIES)  # noqa: PTH101
        folder = os.open(path, _FOLDER | _FOLLOWS_NO_LINK | os.O_RDONLY)
    try:
        if stat.S_IMODE(os.fstat(folder).st_mode) != MODE_OF_DIRECTORIES:
            os.fchmod(folder, MODE_OF_DIRECTORIES)
    finally:
        os.close(folder)
