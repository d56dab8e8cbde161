"""Stages: all that an event passes before it is queued, in the order that `Privacy` promises."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from ..checks.personal_data import KINDS
from ..common.telling import place_of_error, tell_once
from ..events.encoding import JSON_OPTIONS
from ..events.persons import Matches, concerns_unclosed, ids_of
from .addresses import address_stage
from .choosing import EventChoice, Paths, first_named, name_of_event
from .consent import Consent
from .hashing import Hasher
from .limits import Rates, Samples
from .options import Privacy
from .redaction import Redaction
from .suppression import Suppressed

__all__ = ["FAILED", "REASONS", "SUPPRESSED", "Stages", "redaction_of"]

FAILED = "privacy_failed"
SUPPRESSED = "suppressed"
REASONS = frozenset({SUPPRESSED, "consent", "denied", "sampled", "rate_limited", FAILED})
"""Reasons why an event does not leave, as the ledger counts them."""

Stage = Callable[[dict[str, Any], str], "str | None"]
"""Changes an event, whose name it is told, or returns the reason why it does not leave."""


def redaction_of(privacy: Privacy) -> Redaction:
    """Make the redaction that it asks for."""
    return Redaction(
        privacy.redact,
        privacy.action,
        hash_names=privacy.hash,
        hmac_key=privacy.hmac_key or b"",
        patterns=[_replacing(pattern) for pattern in privacy.patterns],
    )


def _replacing(given: str) -> Callable[[Callable[[str], str], str], str]:
    kind = KINDS.get(given)
    pattern = re.compile(given) if kind is None else kind.pattern

    def replace(make: Callable[[str], str], text: str) -> str:
        def replaced(found: re.Match[str]) -> str:
            part = found[0]
            return make(part) if part and (kind is None or kind.holds(part)) else part

        return pattern.sub(replaced, text)

    return replace


class Stages:
    """All stages of a `Privacy`.

    Args:
        privacy: The options.
        others: Ids that are suppressed whatever the options say.
    """

    def __init__(self, privacy: Privacy, others: Sequence[Suppressed] = ()) -> None:
        self.redaction = redaction_of(privacy)
        self._address = address_stage(privacy.ip, geo=privacy.geo)
        suppressed = privacy.suppressed
        self._listed = None if suppressed is None else suppressed.listed()
        # One list serves both looks at it: a file is read once when it changes.
        self._suppressing = [] if suppressed is None else [suppressed.source(self._listed)]
        self._others = others
        self._own = [stage for stage in _own_stages(privacy) if stage is not None]
        self.in_encoders = (
            not (self._own or self._suppressing or self._address or any(others))
            and self.redaction.asks_names_only
        )
        """True if all that is to be done is done as the event is encoded: nothing is left for
        `passed`. That changes when somebody is suppressed."""

    def passed(self, message: bytes, hashed: Hasher) -> bytes | str:
        """The message as it may leave, before `before_send` sees it; or the reason why it may not.

        Args:
            message: Short of its closing brace, as is the one returned.
            hashed: Makes this event's hashes.
        """
        if self.in_encoders:
            return message
        try:
            event: dict[str, Any] = orjson.loads(message + b"}")
            if self._is_suppressed(event):
                return SUPPRESSED
            name = name_of_event(event)
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

    def named(self, message: bytes, hashed: Hasher) -> bytes | str:
        """Do as `passed`, for a message that did pass, and has got the id of its user since."""
        try:
            hashed.leave_hashes_of(message)
            event: dict[str, Any] = orjson.loads(message + b"}")
            if self._is_suppressed(event):
                return SUPPRESSED
            self.redaction.ids(event, hashed)
            return orjson.dumps(event, None, JSON_OPTIONS)[:-1]
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(error)

    def redacted_by_encoders(self, message: bytes) -> bytes:
        """A message that the app's own `format` has made, as the encoders would have made it."""
        return self.redaction.message(message) if self.in_encoders else message

    def as_sent(self, ids: Collection[str]) -> set[str]:
        """Some ids, and the hashes that may stand in their places in messages."""
        return {*ids, *self.redaction.hashes_of(ids)}

    def of_listed(self) -> Matches | None:
        """Make what tells of a message, which passed, if the list has its person by now.

        None: there is no list. A function's is none: of hashed ids, nobody knows whom it would
        name. While a file can't be read, what it had before counts.
        """
        listed = self._listed
        if listed is None:
            return None
        known: frozenset[str] = frozenset()
        matches = concerns_unclosed(known)

        def is_listed(message: bytes) -> bool:
            nonlocal known, matches
            try:
                ids = listed()
            except (OSError, ValueError) as error:
                tell_once(
                    "suppressed",
                    f"privacy: the file of suppressed can't be read ({type(error).__name__}); "
                    "what waits is held against what it had before",
                )
                ids = known
            if ids is not known:
                known, matches = ids, concerns_unclosed(self.as_sent(ids))
            return matches(message)

        return is_listed

    def look_at_all(self) -> None:
        """Leave nothing to the encoders: somebody is suppressed, whose id redaction might hide."""
        self.in_encoders = False

    def _is_suppressed(self, event: dict[str, Any]) -> bool:
        sources = [*self._suppressing, *(other.holds for other in self._others if other)]
        if not sources:
            return False
        ids = ids_of(event)
        return any(holds(ids) for holds in sources)

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
