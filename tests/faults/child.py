"""What the processes of the scenarios import: a handler, and a journal of what they log.

A process writes the journal by itself, call by call: so what was accepted is known whatever
becomes of the process, and without asking the library.
"""

from __future__ import annotations

import atexit
import json
import os


def _at_the_very_end() -> None:
    _ended.append(True)
    _note_stats()


# Before logging and rudder_logging are imported, which makes it run after their exit hooks.
atexit.register(_at_the_very_end)

import logging  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from dataclasses import asdict  # noqa: E402
from pathlib import Path  # noqa: E402
from time import sleep  # noqa: E402
from typing import Any  # noqa: E402

from rudder_logging import RudderHandler  # noqa: E402

from .account import JOURNAL  # noqa: E402

_handlers: list[RudderHandler] = []
_ended: list[bool] = []
_file = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(kind: str, *details: object) -> None:
    """Write one line into the journal, whole whichever processes write at the same time."""
    os.write(_file, json.dumps([os.getpid(), kind, *details]).encode() + b"\n")


def on_drop(event: dict[str, Any], reason: str) -> None:
    """Note each event that the handler drops; of a line that it can't read, there is none."""
    if event:
        note("dropped", event["properties"]["n"], event["messageId"], reason)


def make(**options: Any) -> RudderHandler:
    """Make a handler; what is not given comes from the environment."""
    handler = RudderHandler(**{"on_drop": on_drop, **options})
    _handlers.append(handler)
    return handler


def wire(name: str = "app", **options: Any) -> RudderHandler:
    """Add a handler to a logger."""
    handler = make(**options)
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def until(name: str) -> None:
    """Wait for a file of that name: the scenario makes it when things are ready."""
    while not Path(name).exists():
        sleep(0.01)


def log(numbers: Iterable[int], name: str = "app", size: int = 0) -> None:
    """Log events with these numbers, each padded to some size."""
    logger = logging.getLogger(name)
    for number in numbers:
        properties = {"n": number, "padding": "x" * size}
        logger.info("Tested", extra={"rudder": {"user_id": "u", "properties": properties}})
        note("logged", number)
    if _ended:
        _note_stats()


def _note_stats() -> None:
    for index, handler in enumerate(_handlers):
        note("stats", index, asdict(handler.stats()))
