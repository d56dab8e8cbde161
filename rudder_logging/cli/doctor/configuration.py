"""Put an app's logging configuration in force, without delivering anything."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import logging
import logging.config
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from ...config import Config
from ...exceptions import RudderError
from ...handler import pipeline
from ...handler.pipeline import Pipeline
from ...queues import EventQueue
from ...queues.memory import MemoryQueue
from ...sinks.base import Outcome, Sink, Stored
from ..common import BadInputError

__all__ = ["Applied", "apply", "disarmed"]

_FOR_DEVELOPERS = frozenset({"test", "dev", "bench"})


@dataclass(frozen=True)
class Applied:
    """A configuration that was put in force."""

    by_itself: bool
    """True if the app's own function did it: then nothing is left that it does after dictConfig."""
    made: list[Config]
    """Options of each RudderHandler that was made meanwhile."""


def apply(source: str) -> Applied:
    """Configure logging as an app would.

    Args:
        source: A JSON file for `dictConfig`, an INI file for `fileConfig`, or `module:NAME` of a
            dict, or of a function that returns one or configures logging by itself.

    Raises:
        BadInputError: It can't be read, or can't be put in force.
    """
    # What the app's code prints is no result of ours.
    with disarmed() as made, contextlib.redirect_stdout(sys.stderr):
        path = Path(source)
        if path.is_file():
            _apply_file(path)
            return Applied(by_itself=False, made=made)
        if ":" in source:
            return Applied(_apply_name(*source.split(":", 1)), made)
        cure = "give a JSON or INI file, or module:NAME"
        raise BadInputError(f"--config names no file: {source}; {cure}")


@contextlib.contextmanager
def disarmed() -> Iterator[list[Config]]:
    """Have handlers that are made meanwhile keep nothing on the disk, and send nothing, ever.

    One with a durable queue would deliver what processes that have ended left behind. The value
    is what they are made of.
    """
    pipeline.Pipeline = _Disarmed  # type: ignore[misc]
    made: list[Config] = []
    _Disarmed.made = made
    try:
        yield made
    finally:
        pipeline.Pipeline = Pipeline  # type: ignore[misc]


class _Disarmed(Pipeline):
    """Stands in for `Pipeline` while handlers are made."""

    made: ClassVar[list[Config]]

    @classmethod
    def open(
        cls,
        config: Config,
        make_sink: Callable[[Config], Sink],  # noqa: ARG003
        queue: EventQueue | None = None,
    ) -> Pipeline:
        cls.made.append(config)
        if queue is None:
            queue = MemoryQueue(max_events=config.max_queue_size, max_bytes=config.max_queue_bytes)
        return Pipeline.open(config, lambda _config: _Nowhere(), queue)


class _Nowhere:
    """Takes what an app logs while it is loaded."""

    max_bytes = 4_000_000

    def send(self, messages: Sequence[bytes], deadline: float | None) -> Outcome:  # noqa: ARG002
        return Stored()

    def close(self) -> None:
        pass


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
            extra = _extra_with(cause.name.partition(".")[0])
            if extra is not None:
                return f"{text}; pip install 'rudder-logging[{extra}]'"
            return f"{text}; install the package that has it, or start in the app's directory"
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


def _extra_with(package: str) -> str | None:
    """The extra of ours that installs a package."""
    for requirement in importlib.metadata.requires("rudder-logging") or ():
        found = re.fullmatch(r"([\w-]+).*extra == ['\"](\w+)['\"]", requirement)
        if found and found[1] == package and found[2] not in _FOR_DEVELOPERS:
            return found[2]
    return None
