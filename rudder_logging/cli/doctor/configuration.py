"""Put an app's logging configuration in force, without delivering anything."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import logging.config
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from ...config import Config
from ...exceptions import RudderError
from ...handler.outlets import Outlets, replaced_by
from ...queues import EventQueue
from ...queues.memory import MemoryQueue
from ...sinks.base import Sink
from ...sinks.nowhere import Nowhere
from ..common import EXTRAS, BadInputError

__all__ = ["apply", "disarmed"]


def apply(source: str) -> bool:
    """Configure logging as an app would.

    Args:
        source: A JSON file for `dictConfig`, an INI file for `fileConfig`, or `module:NAME` of a
            dict, or of a function that returns one or configures logging by itself.

    Returns:
        True if the app's own function did it: then nothing is left that it does after dictConfig.

    Raises:
        BadInputError: It can't be read, or can't be put in force.
    """
    # What the app's code prints is no result of ours.
    with contextlib.redirect_stdout(sys.stderr):
        path = Path(source)
        if path.is_file():
            _apply_file(path)
            return False
        if ":" in source:
            return _apply_name(*source.split(":", 1))
        cure = "give a JSON or INI file, or module:NAME"
        raise BadInputError(f"--config names no file: {source}; {cure}")


@contextlib.contextmanager
def disarmed() -> Iterator[list[Config]]:
    """Have handlers that are made meanwhile keep nothing on the disk, and send nothing, ever.

    One with a durable queue would deliver what processes that have ended left behind. The value
    is the options of each that was made.
    """
    outlets = _Disarmed()
    with replaced_by(outlets):
        yield outlets.made


class _Disarmed(Outlets):
    """Whatever the options name, events wait in memory and go nowhere."""

    def __init__(self) -> None:
        self.made: list[Config] = []

    def queue(self, config: Config) -> EventQueue:
        self.made.append(config)
        return MemoryQueue(max_events=config.max_queue_size, max_bytes=config.max_queue_bytes)

    def sink(self, config: Config) -> Sink:  # noqa: ARG002
        return Nowhere()


def _apply_file(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise BadInputError(f"--config: {path} can't be read: {words}") from None
    if path.suffix in (".yaml", ".yml"):
        raise BadInputError(
            f"--config: {path} is YAML; give what loads it as module:NAME, or the same as JSON"
        )
    if path.suffix != ".json" and not text.lstrip().startswith("{"):
        _in_force(str(path), lambda: logging.config.fileConfig(path))
        return
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise BadInputError(f"--config: {path} is not valid JSON: {error}") from None
    except RecursionError:
        raise BadInputError(f"--config: {path} is nested too deeply") from None
    _apply_settings(str(path), settings)


def _apply_name(module: str, name: str) -> bool:
    """Apply `module:NAME`. True: it is a function that configured logging by itself."""
    # Console scripts, unlike `python -m`, don't look into the current directory.
    if (here := str(Path.cwd())) not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    whole = f"{module}:{name}"
    if not module or not name:
        raise BadInputError(f"--config: {whole} is not module:NAME")
    found = _in_force(whole, lambda: attrgetter(name)(_imported(module)))
    if callable(found):
        found = _in_force(whole, found)
        if found is None:
            return True
    _apply_settings(whole, found)
    return False


def _imported(name: str) -> ModuleType:
    module = importlib.import_module(name)
    if hasattr(module, "INSTALLED_APPS"):
        # Django's filters ask its settings, and raise if nobody has said which these are.
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", name)
    return module


def _apply_settings(source: str, settings: object) -> None:
    if not isinstance(settings, Mapping):
        kind = type(settings).__name__
        raise BadInputError(f"--config: {source} must be a dict for dictConfig, not {kind}")
    _in_force(source, lambda: logging.config.dictConfig(dict(settings)))


def _in_force(source: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the app's code may raise anything
        raise BadInputError(f"--config: {source}: {_in_words(error)}") from None


def _in_words(error: BaseException) -> str:
    """Describe an error in one line: its innermost cause, and the place in the app's own code."""
    causes = _causes(error)
    inner = causes[-1]
    words = [first for cause in (error, inner) for first in str(cause).strip().splitlines()[:1]]
    if words[1:] and words[1] in words[0]:
        words.pop()
    if not isinstance(inner, (RudderError, ValueError)):
        words.insert(-1 if words else 0, type(inner).__name__)
    text = ": ".join(words) or type(error).__name__
    for cause in causes:
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            cure = "install the package that has it, or start in the app's directory"
            if extra := EXTRAS.get(cause.name.partition(".")[0]):
                cure = f"pip install 'rudder-logging[{extra}]'"
            return f"{text}; {cure}"
    own = [
        frame
        for frame in traceback.extract_tb(inner.__traceback__)
        if not frame.filename.startswith((sys.base_prefix, sys.prefix, "<"))
        and "rudder_logging" not in Path(frame.filename).parts
    ]
    return f"{text} ({own[-1].filename}:{own[-1].lineno})" if own else text


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what led to it, as a traceback would show it."""
    causes = [error]
    while True:
        last = causes[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or cause in causes:
            return causes
        causes.append(cause)
