"""Handler, signals and transactions, wired once for the process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import ImproperlyConfigured

from ...common.logging_tree import all_loggers, chains, way_by_name
from ...config import Config
from ...events.formatter import RudderFormatter
from ...exceptions import ConfigError
from ...handler import commits
from ...handler.handler import RudderHandler
from .commits import find
from .options import Options
from .users import note_login, note_logout

__all__ = ["handlers", "has_key", "made", "takers", "wire"]

made: list[RudderHandler] = []
"""The handler that was made of the settings, if one was."""


def wire() -> Options:
    """Wire all, if it is not; return what the setting RUDDER says.

    Raises:
        ImproperlyConfigured: The setting can't be right.
    """
    options = Options.read()
    user_logged_in.connect(note_login, dispatch_uid=__name__)
    user_logged_out.connect(note_logout, dispatch_uid=__name__)
    commits.register(find)
    if not any(takers()) and has_key(options):
        made.append(_on_root(options))
    return options


def handlers() -> Iterator[RudderHandler]:
    """The RudderHandlers that loggers have, also inside others."""
    return (handler for handler in takers() if isinstance(handler, RudderHandler))


def has_key(options: Options) -> bool:
    """Say if RUDDER or the environment has what a handler needs.

    Raises:
        ImproperlyConfigured: They have it, and it can't be right.
    """
    try:
        Config.load(**options.of_handler)
    except ConfigError as error:
        if " is missing; " in str(error):
            return False
        raise ImproperlyConfigured(f"RUDDER: {error}") from None
    return True


def takers() -> Iterator[logging.Handler]:
    """The handlers in the logging tree that make something of events."""
    for logger in all_loggers():
        for *_, handler in chains(logger.handlers, _takes_events):
            yield handler


def _takes_events(handler: object) -> bool:
    formatter = getattr(handler, "formatter", None)
    return isinstance(handler, RudderHandler) or isinstance(formatter, RudderFormatter)


def _on_root(options: Options) -> RudderHandler:
    """Give the root logger a handler that is made of the settings, and change nothing else."""
    try:
        handler = RudderHandler(**options.of_handler)
    except ConfigError as error:
        raise ImproperlyConfigured(f"RUDDER: {error}") from None
    root = logging.getLogger()
    if not root.handlers:
        # Without a handler there, logging writes warnings to stderr, and basicConfig says nothing.
        root.addHandler(_LastResort())
        if not _is_configured():
            root.setLevel(logging.INFO)
    root.addHandler(handler)
    return handler


def _is_configured() -> bool:
    """Say if the app may have said something of the root logger."""
    given = settings.LOGGING or {}
    return not settings.LOGGING_CONFIG or "root" in given or "" in given.get("loggers", {})


class _LastResort(logging.Handler):
    """Writes to stderr what logging itself would, if there were no RudderHandler on root."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def handle(self, record: logging.LogRecord) -> bool:
        last = logging.lastResort
        others = (
            handler
            for logger in way_by_name(record.name)
            for handler in logger.handlers
            if not isinstance(handler, (RudderHandler, _LastResort))
        )
        if last is None or record.levelno < last.level or any(True for _ in others):
            return False
        return bool(last.handle(record))
