"""`manage.py rudder doctor`, `manage.py rudder send`: the command `rudder-logging` in the app."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any

from django.core.management.base import BaseCommand

from .....cli import App, main
from .....config import Config
from ...wiring import handlers

__all__ = ["Command"]


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """`rudder-logging`, with the app's logging, and with the key and URL of its handler."""

    help = "rudder-logging within this app: `rudder doctor`, `rudder send TYPE`."
    requires_system_checks = ()  # the doctor is asked when something is wrong

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take all words as they are."""
        parser.add_argument("words", nargs=argparse.REMAINDER, help="the words of rudder-logging")

    def handle(self, *, words: list[str], **_: Any) -> None:
        """Run it; the process ends with its exit code, if that is not 0."""
        config = next((handler.config for handler in handlers()), None)
        code = main(words, App({} if config is None else _of(config), _others_loggers()))
        if code:
            sys.exit(code)


def _of(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in Config.__dataclass_fields__}


def _others_loggers() -> list[str]:
    known = {"django", *sys.stdlib_module_names}
    return [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in known]
