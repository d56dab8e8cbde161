"""Stages: all that an event passes before it is queued, in the order that `Privacy` promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from ..common.telling import place_of_error, tell_once
from ..events.encoding import JSON_OPTIONS
from .addresses import address_stage
from .choosing import EventChoice, Paths, first_named, name_of_event
from .consent import Consent
from .hashing import Hasher
from .limits import Rates, Samples
from .options import Privacy
from .redaction import Redaction
from .suppression import Source, Suppressed, ids_of

__all__ = ["FAILED", "REASONS", "SUPPRESSED", "Stages", "redaction_of", "without_content"]

FAILED = "privacy_failed"
SUPPRESSED = "suppressed"
REASONS = frozenset({SUPPRESSED, "consent", "denied", "sampled", "rate_limited", FAILED})
"""Reasons why an event does not leave, as the ledger counts them."""

_SHOWN = ("messageId", "type", "event", "name")

Stage = Callable[[dict[str, Any], str], "str | None"]
"""Changes an event, whose name it is told, or returns the reason why it does not leave."""


def without_content(message: bytes) -> bytes:
    """As much of a message that does not leave as anybody is told: its id, its type, its name."""
    event = orjson.loads(message + b"}")
    return orjson.dumps({key: event[key] for key in _SHOWN if key in event})[:-1]


def redaction_of(privacy: Privacy) -> Redaction:
    """Make the redaction that it asks for."""
    return Redaction(
        privacy.redact,
        privacy.action,
        hash_names=privacy.hash,
        hmac_key=privacy.hmac_key or b"",
        patterns=[_replacing(re.compile(pattern)) for pattern in privacy.patterns],
    )


def _replacing(pattern: re.Pattern[str]) -> Callable[[Callable[[str], str], str], str]:
    def replace(make: Callable[[str], str], text: str) -> str:
        return pattern.sub(lambda found: make(found[0]) if found[0] else "", text)

    return replace


class Stages:
    """All stages of a `Privacy`.

    Args:
        privacy: The options.
        everywhere: Ids that are suppressed whatever the options say.
    """

    def __init__(self, privacy: Privacy, everywhere: Suppressed) -> None:
        self.redaction = redaction_of(privacy)
        self._address = address_stage(privacy.ip, geo=privacy.geo)
        sources = [everywhere.holds]
        if privacy.suppressed is not None:
            sources.append(privacy.suppressed.source())
        self._everywhere = everywhere
        self._own = [stage for stage in _own_stages(privacy) if stage is not None]
        self._suppression = _suppression(sources)
        self._is_suppressing = privacy.suppressed is not None
        self.only_redacts = (
            not (self._own or self._is_suppressing or self._address)
            and self.redaction.asks_names_only
        )
        """True if all that is to be done can be done as the event is encoded."""

    def passed(self, message: bytes, hashed: Hasher) -> bytes | str:
        """The message as it may leave, before `before_send` sees it; or the reason why it may not.

        Args:
            message: Short of its closing brace, as is the one returned.
            hashed: Makes this event's hashes.
        """
        try:
            event: dict[str, Any] = orjson.loads(message + b"}")
            name = name_of_event(event)
            if self._is_suppressing or self._everywhere:
                reason = self._suppression(event, name)
                if reason is not None:
                    return reason
            for stage in self._own:
                reason = stage(event, name)
                if reason is not None:
                    return reason
            self._redact(event, hashed)
            return orjson.dumps(event, None, JSON_OPTIONS)[:-1]
        except Exception as error:  # noqa: BLE001 - a function of the app's may raise anything
            return _failed(error)

    def redacted(self, message: bytes, hashed: Hasher) -> bytes | str:
        """The message once more as it may leave, after others have edited it; or as above."""
        try:
            event: dict[str, Any] = orjson.loads(message + b"}")
            self._redact(event, hashed)
            return orjson.dumps(event, None, JSON_OPTIONS)[:-1]
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(error)

    def _redact(self, event: dict[str, Any], hashed: Hasher) -> None:
        if self.redaction.is_used:
            self.redaction.event(event, hashed)
        if self._address is not None:
            self._address(event)


def _failed(error: Exception) -> str:
    # Not the exception's text: it may quote the event.
    where = place_of_error(error)
    tell_once(
        where,
        f"privacy: {type(error).__name__} at {where}; events that it concerns are kept back",
    )
    return FAILED


def _suppression(sources: list[Source]) -> Stage:
    def stage(event: dict[str, Any], _name: str) -> str | None:
        ids = ids_of(event)
        return SUPPRESSED if any(holds(ids) for holds in sources) else None

    return stage


def _own_stages(privacy: Privacy) -> list[Stage | None]:
    """In this order, between suppression and redaction."""
    return [
        _consent(privacy),
        _choice(privacy),
        _paths(privacy),
        _samples(privacy),
        _rates(privacy),
    ]


def _consent(privacy: Privacy) -> Stage | None:
    policy = privacy.consent
    if policy is None:
        return None
    consent = Consent(policy.provider, policy.categories, policy.allowed, policy.on_unknown)
    return lambda event, _name: None if consent.admits(event) else "consent"


def _choice(privacy: Privacy) -> Stage | None:
    if privacy.allow_events is None and not privacy.deny_events:
        return None
    choice = EventChoice(privacy.allow_events, privacy.deny_events)
    return lambda _event, name: None if choice.admits(name) else "denied"


def _paths(privacy: Privacy) -> Stage | None:
    if not privacy.allow:
        return None
    by_name = {name: Paths(paths) for name, paths in privacy.allow.items()}

    def stage(event: dict[str, Any], name: str) -> None:
        paths: Paths | None = first_named(by_name, name)
        if paths is not None:
            paths.keep(event)

    return stage


def _samples(privacy: Privacy) -> Stage | None:
    if not privacy.sample:
        return None
    samples = Samples(privacy.sample, privacy.salt)
    return lambda event, name: None if samples.admits(event, name) else "sampled"


def _rates(privacy: Privacy) -> Stage | None:
    if not privacy.rate:
        return None
    rates = Rates(privacy.rate)
    return lambda _event, name: None if rates.admit(name) else "rate_limited"
