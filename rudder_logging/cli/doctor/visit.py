"""The doctor's round: which loggers to ask about, and what else to look at."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from ...config import OPTIONS, Config
from ...exceptions import ConfigError
from ...handler.handler import RudderHandler
from ...handler.settings import settings
from . import disk, network, relay
from .django_app import of_django
from .findings import Finding, Severity, a_warning
from .integrations import of_integrations
from .passage import SEND_OFF, Passage, examine
from .privacy import of_privacy
from .probes import Probes
from .process import OWN, of_process
from .remarks import of_adapters
from .tree import Reached, all_loggers, describe, reached, reached_from, root, way

__all__ = ["Visit"]

_CALLS = "rudder"
_SOME = 5  # names in a sentence

# Of loggers that nobody asked about: code, text and cure.
_DISABLED = (
    "logger-disabled",
    "disabled, as dictConfig and fileConfig leave loggers that they don't name",
    'configure with "disable_existing_loggers": False, or name them in it',
)
_APART = (
    "no-propagation",
    "without propagation: a RudderHandler above is not reached",
    "leave propagate at True, or add a RudderHandler, if events are logged there",
)
_HIGH = (
    "logger-level",
    "with a level above INFO: events logged there at INFO don't leave",
    "set the level to INFO, if events are logged there",
)

# Where events go: handlers that are alike in these are looked at once.
_places_of = attrgetter(
    "write_key", "data_plane_url", "relay", "source", "queue", "dead_letter",
    "proxies", "ca_bundle", "client_cert", "gzip",
)  # fmt: skip


@dataclass
class Visit:
    """One round. The logging tree is as it is; nothing is sent but an empty batch."""

    names: Sequence[str] = ()
    """Loggers to ask about; none: those that have a RudderHandler, and the package's calls."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Options from the command line, which win over the package's settings."""
    not_the_apps: Collection[str] = ()
    """Loggers that were there before its configuration."""
    is_configured: bool = False
    """True if the app itself has configured logging, all of it."""
    made: Sequence[Config] = ()
    """Options of each RudderHandler that was made since."""
    passages: list[Passage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _probes: Probes = field(default_factory=Probes)

    def look_at_logging(self) -> None:
        """Ask about each logger, then look at what concerns them all."""
        if self.names:
            self.passages += map(self._asked, map(logging.getLogger, dict.fromkeys(self.names)))
        else:
            self.passages += self._asked_by_themselves()
        for passage in self.passages:
            self.findings += passage.findings
        self.findings += self._of_none()
        self.findings += of_process([found.handler.config for found in _everywhere()])
        for found in _everywhere():
            self.findings += of_privacy(found.handler.config, describe(found.handler))
        self.findings += of_django()
        self.findings += of_integrations()
        if not self.names:
            self.findings += self._of_others()
        self.findings = list(dict.fromkeys(self.findings))

    def look_at_network(self, timeout: float) -> None:
        """Check the way of each source once. Seconds are for each step."""
        for config, subject in self._sources():
            found = network.examine(config, timeout)
            self.findings += [replace(finding, subject=subject) for finding in found]

    def look_at_relay(self, url: str, source: str | None, timeout: float) -> None:
        """Check an engine, for whoever runs it. Seconds are for each step."""
        subject = f"the engine of {source}" if source else "the engine"
        found = relay.examine(url, source, timeout)
        self.findings += [replace(finding, subject=subject) for finding in found]

    def look_at_disk(self) -> None:
        """Check the places on the disk that each source's options name."""
        for config, subject in self._sources():
            found = disk.examine(config)
            self.findings += [replace(finding, subject=subject) for finding in found]

    def _asked(self, logger: logging.Logger) -> Passage:
        by_call = logger.name == _CALLS
        passage = examine(
            logger, by_call=by_call, probes=self._probes, is_configured=self.is_configured
        )
        if by_call and passage.leaves and not passage.leaves_by:
            return self._with_settings(passage)
        return passage

    def _asked_by_themselves(self) -> list[Passage]:
        """The loggers that have a RudderHandler, and the calls.

        What stands before one logger need not stand before others that come to its handlers: they
        may have a level of their own, and its filters don't see their records.
        """
        passages: dict[logging.Logger, Passage] = {}
        for owner in _owners():
            passage = self._asked(owner)
            below = [] if passage.leaves else self._passing_below(owner)
            passages[owner] = _if_needed(passage) if below else passage
            for other in below:
                passages.setdefault(other.logger, other)
        calls = self._asked(logging.getLogger(_CALLS))
        ways = {found for passage in passages.values() for found in passage.leaves_by}
        if any(found in ways for found in reached_from(calls.logger)) and not calls.logger.filters:
            calls = _if_needed(calls)
        return [*passages.values(), calls]

    def _passing_below(self, owner: logging.Logger) -> list[Passage]:
        """Find some loggers whose events come to an owner's handlers, though its own don't."""
        handlers = {found.handler for found in reached(owner)}
        found: dict[logging.Logger, Passage] = {}
        for logger in self._apps():
            onwards = list(way(logger))
            is_new = owner in onwards[1:] and not found.keys() & set(onwards)
            if is_new and logger.isEnabledFor(logging.INFO) and len(found) < _SOME:
                passage = self._asked(logger)
                if any(reach.handler in handlers for reach in passage.leaves_by):
                    found[logger] = passage
        return list(found.values())

    def _apps(self) -> list[logging.Logger]:
        """The app's own loggers, those with a level of their own first."""
        ignored = {root.name, _CALLS, OWN.name, *self.not_the_apps}
        found = [logger for logger in all_loggers() if logger.name not in ignored]
        return sorted(found, key=lambda logger: not logger.level)

    def _with_settings(self, passage: Passage) -> Passage:
        """No handler is on the way of the calls: they make one of the settings, if they can."""
        try:
            if self._settings().send:
                return passage
            code, text = "send-off", SEND_OFF
            cure = "leave it out (or the variable RUDDER_SEND)"
        except ConfigError as error:
            text, _, cure = str(error).partition("; ")
            code, text = "settings", f"calls like track() raise ConfigError: {text}"
        is_all_there_is = bool(self.names) or not _everywhere()
        severity = Severity.STOPS if is_all_there_is else Severity.WARNING
        finding = Finding(severity, "logging", code, text, cure, "the package's settings")
        return replace(passage, leaves=False, findings=(*passage.findings, finding))

    def _of_none(self) -> Iterator[Finding]:
        """Handlers that were made for nothing, the package's own aside."""
        own = [handler.config for handler in settings.handlers()]
        if not _everywhere() and any(config not in own for config in self.made):
            text = "has a RudderHandler, but no logger has it"
            cure = "name it among the handlers of root, or of a logger"
            yield a_warning("handler-unused", "the configuration", text, cure)

    def _of_others(self) -> Iterator[Finding]:
        """Loggers that nobody asked about, and whose events would not leave."""
        owners = set(_owners())
        if not owners:
            return
        asked = {passage.logger for passage in self.passages}
        others = [logger for logger in self._apps() if logger not in asked]
        by_adapters = of_adapters(others)
        names: dict[tuple[str, str, str], list[str]] = {}
        for logger in others:
            is_on_the_way = bool(owners & set(way(logger)))
            found = [_DISABLED] if logger.disabled else []
            if is_on_the_way:
                found += [_HIGH] if logger.level > logging.INFO else []
                _, kept_back = self._probes.filtered(logger, self._probes.make(logger), "")
                lost = [*kept_back, *by_adapters[logger]]
                found += [(finding.code, finding.text, finding.cure) for finding in lost]
            elif not logger.propagate and logger.parent and owners & set(way(logger.parent)):
                found.append(_APART)
            for kind in found:
                names.setdefault(kind, []).append(logger.name)
        for (code, text, cure), whose in names.items():
            yield a_warning(code, _some(sorted(whose)), text, cure)

    def _settings(self) -> Config:
        own = {name: settings[name] for name in OPTIONS}
        if self.given.get("data_plane_url"):
            own["relay"] = None  # the flag says where to
        return Config.load(**own | {name: value for name, value in self.given.items() if value})

    def _sources(self) -> Iterator[tuple[Config, str]]:
        """Each configuration of which a handler is made, or would be, and how to call it."""
        sources = [(found.handler.config, describe(found.handler)) for found in _everywhere()]
        by_settings = any(passage.leaves and not passage.leaves_by for passage in self.passages)
        if by_settings or any(self.given.values()):
            config = self._settings()
            sources.append((config, f"the package's settings, to {config.destination}"))
        seen = set()
        for config, subject in sources:
            key = str(_places_of(config))
            if config.send and key not in seen:
                seen.add(key)
                yield config, subject


def _owners() -> list[logging.Logger]:
    """The loggers that have a RudderHandler, but for the calls'."""
    return [logger for logger in all_loggers() if logger.name != _CALLS and any(reached(logger))]


def _if_needed(passage: Passage) -> Passage:
    """Lower stops to warnings, because other loggers' events leave."""
    findings = [
        replace(finding.as_warning(), cure=f"{finding.cure}, if events are logged there")
        if finding.severity is Severity.STOPS
        else finding
        for finding in passage.findings
    ]
    return replace(passage, findings=tuple(findings))


def _everywhere() -> list[Reached]:
    """All RudderHandlers of the tree, each once."""
    first: dict[RudderHandler, Reached] = {}
    for logger in all_loggers():
        for found in reached(logger):
            first.setdefault(found.handler, found)
    return list(first.values())


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SOME])
    more = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return f"{'logger' if len(names) == 1 else 'loggers'} {shown}{more}"
