"""The package's settings, and the handler that is made of them when none is configured."""

from __future__ import annotations

import threading
from typing import Any

from ._handler import RudderHandler
from .config import canonical_name, parse_option

__all__ = ["Settings", "settings"]


class Settings:
    """The package's settings, and the handler that is made of them when none is configured."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._handler: RudderHandler | None = None
        self._lock = threading.RLock()

    def __getitem__(self, name: str) -> Any:
        """The setting's value; None if it was not set."""
        return self._values.get(canonical_name(name))

    def __setitem__(self, name: str, value: Any) -> None:
        """Change a setting; it is in force from the next call. None takes it back.

        Raises:
            UnknownOptionError: No option has that name.
            ConfigError: The value is malformed or out of range.
        """
        name = canonical_name(name)
        parsed = None if value is None else parse_option(name, value)
        with self._lock:
            self._values[name] = parsed
            retired, self._handler = self._handler, None
        if retired is not None:
            # It goes on delivering what it has; nobody waits for it here.
            retired.retire()

    @property
    def handler(self) -> RudderHandler | None:
        """The handler made of the settings, if one was needed yet."""
        return self._handler

    def make_handler(self) -> RudderHandler:
        """The handler made of the settings, made now if need be.

        Raises:
            ConfigError: `write_key` or `data_plane_url` is set nowhere.
        """
        handler = self._handler
        if handler is None:
            with self._lock:
                handler = self._handler
                if handler is None:
                    handler = self._handler = RudderHandler(**self._values)
        return handler

    def reset(self) -> None:
        """Forget all settings, and close the handler made of them."""
        with self._lock:
            self._values.clear()
            retired, self._handler = self._handler, None
        if retired is not None:
            retired.close()


settings = Settings()
"""What attributes of the package read and write."""
