"""Write keys, one a source: from files, which may be replaced, or from the environment."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from ..config import parse_option
from ..exceptions import ConfigError

__all__ = ["WriteKey", "find_keys", "variable_of"]

_log = logging.getLogger("rudder_logging")
_LARGEST = 4_096  # bytes; a file that has more is no key's
_FOR_ONE = "RUDDER_WRITE_KEY"


class WriteKey:
    """The write key of a source, which may change while the relay runs.

    Args:
        source: The source's name.
        path: The file that it is in; it is read at once.
        text: The key, where there is no file.

    Raises:
        ConfigError: It can't be read, or is no key.
    """

    def __init__(self, source: str, *, path: str | None = None, text: str = "") -> None:
        self._source = source
        self._path = path
        self._told = ""
        if path is None:
            self.text: str = parse_option("write_key", text)
            """The key as it is now."""
        else:
            self.text = self._read(path)
            self._warn_of_others(path)

    def __repr__(self) -> str:
        """Say where it is from, not what it is."""
        return f"WriteKey({self._source!r}, path={self._path!r})"

    def look_again(self) -> None:
        """Read the file again, if there is one; a key that can't be read changes nothing."""
        if self._path is None:
            return
        try:
            self.text = self._read(self._path)
            self._told = ""
        except ConfigError as error:
            if str(error) != self._told:
                self._told = str(error)
                _log.warning("%s; the key from before stays in use", error)

    def _read(self, path: str) -> str:
        try:
            with Path(path).open("rb") as file:
                content = file.read(_LARGEST + 1)
        except OSError as error:
            raise ConfigError(
                f"the write key of the source {self._source} can't be read from {path}: "
                f"{error.strerror}"
            ) from None
        try:
            key: str = parse_option("write_key", content.decode("utf-8", "replace"))
        except ConfigError:
            raise ConfigError(
                f"{path} holds no write key for the source {self._source}: it has to be one line "
                "of printable ASCII, without a colon"
            ) from None
        return key

    def _warn_of_others(self, path: str) -> None:
        mode = Path(path).stat().st_mode
        # The secrets of containers are for all that run in there, and can't be written.
        if os.name == "posix" and mode & stat.S_IROTH and mode & stat.S_IWUSR:
            _log.warning(
                "anybody on this machine can read %s, the write key of %s; chmod o-r mends that",
                path,
                self._source,
            )


def variable_of(source: str) -> str:
    """The environment variable of a source's key: `RUDDER_WRITE_KEY_SHOP`."""
    return f"{_FOR_ONE}_{re.sub('[^A-Z0-9]', '_', source.upper())}"


def find_keys(sources: Mapping[str, str | None], environ: Mapping[str, str]) -> dict[str, WriteKey]:
    """The key of each source.

    Args:
        sources: Names, each with the file of its key, or None.
        environ: The environment, for those without a file.

    Raises:
        ConfigError: There is none for a source, or it is no key.
    """
    named: dict[str, str] = {}  # sources by variable
    keys = {}
    for source, path in sources.items():
        if path is not None:
            keys[source] = WriteKey(source, path=path)
            continue
        variable = variable_of(source)
        found = variable if environ.get(variable) else None
        if found is None and len(sources) == 1 and environ.get(_FOR_ONE):
            found = _FOR_ONE
        if found is None:
            raise ConfigError(
                f"there is no write key for the source {source}; give --source {source}=KEYFILE, "
                f"set {variable}, or, with one source only, set {_FOR_ONE}"
            )
        if found in named:
            raise ConfigError(
                f"{found} would be the write key of both {named[found]} and {source}; give "
                "KEYFILEs instead"
            )
        named[found] = source
        try:
            keys[source] = WriteKey(source, text=environ[found])
        except ConfigError as error:
            raise ConfigError(f"{found}: {error}") from None
    return keys
