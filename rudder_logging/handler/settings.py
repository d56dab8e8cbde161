"""The package's settings, and the handler that is made of them when none is configured."""

from __future__ import annotations

import os
import threading
from typing import Any

from ..common.locks import EndingLock
from ..config import canonical_name, parse_option
from ..exceptions import ConfigError
from ..process.forks import add_forkable
from .handler import RudderHandler

__all__ = ["Settings", "settings"]


_IN_A_TEST = "In a test, the fixture rudder_events takes all events, and needs no settings"


class Settings:
    """The package's settings, and the handler that is made of them when none is configured."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._deleted: set[str] = set()
        self._handler: RudderHandler | None = None
        self._retired: list[RudderHandler] = []
        self._lock = EndingLock(threading.RLock())
        add_forkable(self)

    def after_fork(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = EndingLock(threading.RLock())

    def handlers(self) -> list[RudderHandler]:
        """The handler made of the settings, and those before it that still have events."""
        with self._lock:
            self._retired = [handler for handler in self._retired if handler.stats().pending]
            return [*self._retired, *([self._handler] if self._handler else [])]

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
            # The word `none` stays, because None would leave the matter to the environment.
            self._values[name] = value if parsed is None else parsed
            self._deleted.discard(name)
            retired, self._handler = self._handler, None
            if retired is not None:
                # It goes on delivering what it has; nobody waits for it here.
                self._retired.append(retired)
                retired.retire()

    def __delitem__(self, name: str) -> None:
        """Take a setting back; until it is set again, there is none of that name.

        So it is a module's attribute to whoever replaces one for a while, as `mock.patch` does.

        Raises:
            AttributeError: It was deleted already.
            UnknownOptionError: No option has that name.
        """
        name = canonical_name(name)
        if name in self._deleted:
            raise AttributeError(f"the setting {name!r} was deleted already")
        self[name] = None
        self._deleted.add(name)

    def __contains__(self, name: str) -> bool:
        """True if there is such a setting: it may be None, but was not deleted."""
        return canonical_name(name) not in self._deleted

    @property
    def handler(self) -> RudderHandler | None:
        """The handler made of the settings, if one was needed yet."""
        return self._handler

    def make_handler(self) -> RudderHandler:
        """The handler made of the settings, made now if need be.

        Raises:
            ConfigError: `write_key` or `data_plane_url` is set nowhere, and neither is `relay`.
        """
        handler = self._handler
        if handler is None:
            with self._lock:
                handler = self._handler
                if handler is None:
                    try:
                        handler = self._handler = RudderHandler(**self._values)
                    except ConfigError as error:
                        if "PYTEST_CURRENT_TEST" not in os.environ:
                            raise
                        raise ConfigError(f"{error}. {_IN_A_TEST}") from None
        return handler

    def reset(self) -> None:
        """Forget all settings, and close the handler made of them."""
        with self._lock:
            self._values.clear()
            self._deleted.clear()
            closing = self.handlers()
            self._handler, self._retired = None, []
        for handler in closing:
            handler.close()


settings = Settings()
"""The settings that attributes of the package read and write."""
