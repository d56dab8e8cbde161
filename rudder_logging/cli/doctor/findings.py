"""Findings of the doctor: severity, place, text and cure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

__all__ = ["Finding", "Severity", "a_stop", "a_warning", "any_stops"]


class Severity(Enum):
    """Severity of a finding."""

    WELL = "well"
    WARNING = "warning"
    """Events leave, but not as one would want it, or not all of them."""
    STOPS = "stops"
    """Events do not leave, or do not arrive, before it is mended."""


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing. It holds no payload and no secret."""

    severity: Severity
    area: str
    """`logging`, `network`, `relay`, `disk` or `messages`."""
    code: str
    """A short name for this kind of finding, which stays when the text is reworded."""
    text: str
    cure: str = ""
    subject: str = ""
    """Which logger, handler, host or directory."""

    def as_warning(self) -> Finding:
        """The same, where events leave by another way."""
        if self.severity is not Severity.STOPS:
            return self
        return replace(self, severity=Severity.WARNING)


def any_stops(findings: Iterable[Finding]) -> bool:
    """Tell if one of them stops events."""
    return any(finding.severity is Severity.STOPS for finding in findings)


def a_stop(code: str, subject: str, text: str, cure: str) -> Finding:
    """A finding in the logging tree that stops events."""
    return Finding(Severity.STOPS, "logging", code, text, cure, subject)


def a_warning(code: str, subject: str, text: str, cure: str) -> Finding:
    """A finding in the logging tree that does not stop events, but is not as one would want it."""
    return Finding(Severity.WARNING, "logging", code, text, cure, subject)
