"""The doctor's round: which loggers to ask about, and what else to look at."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import _lifecycle
from .._handler import RudderHandler
from .._settings import settings
from ..config import OPTIONS, Config
from ..exceptions import ConfigError
from . import _doctor_disk, _doctor_network
from ._doctor_findings import Finding, Severity
from ._doctor_logging import Passage, examine
from ._doctor_tree import Reached, all_loggers, describe, named, reached, root, way

__all__ = ["Visit"]

_CALLS = "rudder"
_OWN = "rudder_logging"
_SOME = 5  # names in a sentence


@dataclass
class Visit:
    """One round. The logging tree is as it is; nothing is sent but an empty batch."""

    names: Sequence[str] = ()
    """Loggers to ask about; none: those that have a RudderHandler, and the package's calls."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Options from the command line, which win over the package's settings."""
    not_the_apps: Collection[str] = ()
    """Loggers that were there before its configuration."""
    passages: list[Passage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def look_at_logging(self) -> None:
        """Ask about each logger, then look at what concerns them all."""
        for logger in self._loggers():
            by_call = logger.name == _CALLS
            passage = examine(logger, by_call=by_call)
            if by_call and passage.leaves and not passage.leaves_by:
                passage = self._with_settings(passage)
            self.passages.append(passage)
            self.findings += passage.findings
        self.findings += _of_process()
        if not self.names:
            self.findings += _of_others(self.not_the_apps)
        self.findings = list(dict.fromkeys(self.findings))

    def look_at_network(self, timeout: float) -> None:
        """Check the way of each source once. Seconds are for each step."""
        for config, subject in self._sources():
            self.findings += _doctor_network.examine(config, subject, timeout)

    def look_at_disk(self) -> None:
        """Check the places on the disk that each source's options name."""
        for config, subject in self._sources():
            self.findings += _doctor_disk.examine(config, subject)

    def _loggers(self) -> list[logging.Logger]:
        if self.names:
            return [logging.getLogger(name) for name in dict.fromkeys(self.names)]
        owners = [found.owner for found in _everywhere() if found.owner.name != _CALLS]
        return [*dict.fromkeys(owners), logging.getLogger(_CALLS)]

    def _with_settings(self, passage: Passage) -> Passage:
        """No handler is on the way of the calls: they make one of the settings, if they can."""
        try:
            if self._settings().send:
                return passage
            text = "the option send is off: events are checked and counted, and go nowhere"
            cure = "leave it out (or the variable RUDDER_SEND)"
        except ConfigError as error:
            text, _, cure = str(error).partition("; ")
            text = f"calls like track() raise ConfigError: {text}"
        is_all_there_is = bool(self.names) or not _everywhere()
        severity = Severity.STOPS if is_all_there_is else Severity.WARNING
        finding = Finding(severity, "logging", "the package's settings", text, cure)
        return replace(passage, leaves=False, findings=(*passage.findings, finding))

    def _settings(self) -> Config:
        own = {name: settings[name] for name in OPTIONS}
        return Config.load(**own | {name: value for name, value in self.given.items() if value})

    def _sources(self) -> Iterator[tuple[Config, str]]:
        """Each configuration of which a handler is made, or would be, and how to call it."""
        sources = [(found.handler.config, describe(found.handler)) for found in _everywhere()]
        by_settings = any(passage.leaves and not passage.leaves_by for passage in self.passages)
        if by_settings or any(self.given.values()):
            config = self._settings()
            sources.append((config, f"the package's settings, to {config.data_plane_url}"))
        seen = set()
        for config, subject in sources:
            key = tuple(str(getattr(config, name)) for name in _TOLD_APART_BY)
            if config.send and key not in seen:
                seen.add(key)
                yield config, subject


_TOLD_APART_BY = (
    "write_key",
    "data_plane_url",
    "queue",
    "dead_letter",
    "proxies",
    "ca_bundle",
    "client_cert",
    "gzip",
)


def _everywhere() -> list[Reached]:
    """All RudderHandlers of the tree, each once."""
    first: dict[RudderHandler, Reached] = {}
    for logger in all_loggers():
        for found in reached(logger):
            first.setdefault(found.handler, found)
    return list(first.values())


def _warn(subject: str, text: str, cure: str) -> Finding:
    return Finding(Severity.WARNING, "logging", subject, text, cure)


def _of_process() -> Iterator[Finding]:
    if not _lifecycle.threads_run():
        yield _warn(
            "this process",
            "uWSGI runs without threads: events are sent by the calls that log them, which have to "
            "wait",
            "give uWSGI the option enable-threads",
        )
    if not logging.raiseExceptions:
        yield _warn(
            "logging.raiseExceptions",
            "is off: nothing is said of an event that is not accepted",
            "leave it on, at least where the app is developed",
        )
    own = logging.getLogger(_OWN)
    if own.disabled or not own.isEnabledFor(logging.WARNING):
        how = "shows no warnings"
        if own.disabled:
            how = (
                "is disabled, like every logger that was made before the configuration and is not "
                "named in it"
            )
        yield _warn(
            named(own),
            f"{how}; what it has to say of events that wait, or are dropped, is lost",
            'configure with "disable_existing_loggers": False, and leave it at WARNING or below',
        )


def _of_others(not_the_apps: Collection[str]) -> Iterator[Finding]:
    """Loggers that nobody asked about, and whose events would not leave."""
    owners = {found.owner for found in _everywhere()}
    if not owners:
        return
    ignored = {root.name, _CALLS, _OWN, *not_the_apps}
    others = [logger for logger in all_loggers() if logger.name not in ignored]
    disabled = [logger.name for logger in others if logger.disabled]
    if disabled:
        yield _warn(
            _some(disabled),
            "disabled, as dictConfig and fileConfig leave loggers that they don't name",
            'configure with "disable_existing_loggers": False, or name them in it',
        )
    apart = [
        logger.name
        for logger in others
        if not logger.propagate and logger.parent and not owners & set(way(logger))
        if owners & set(way(logger.parent))
    ]
    if apart:
        yield _warn(
            _some(apart),
            "without propagation: a RudderHandler above is not reached",
            "leave propagate at True, or add a RudderHandler, if events are logged there",
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SOME])
    more = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return f"{'logger' if len(names) == 1 else 'loggers'} {shown}{more}"
