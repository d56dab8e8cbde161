"""The option `privacy`: what is in force, and what of it does not do what it seems to."""

from __future__ import annotations

from collections.abc import Iterator

from ...config import Config
from ...privacy.limits import EXEMPT
from .findings import Finding, Severity, a_warning

__all__ = ["of_privacy"]


def of_privacy(config: Config, subject: str) -> Iterator[Finding]:
    """Look at one handler's options.

    Args:
        config: The handler's.
        subject: Its name.
    """
    if config.allowed_hosts is not None:
        hosts = ", ".join(config.allowed_hosts)
        yield _in_force("residency", f"events may be sent to {hosts} alone", subject)
    privacy = config.privacy
    if privacy is None:
        return
    yield _in_force("privacy", f"in force: {privacy!r}", subject)
    policy = privacy.consent
    if policy is not None:
        allowed = policy.allowed
        if not policy.categories or (
            isinstance(allowed, tuple) and set(policy.categories) <= set(allowed)
        ):
            yield a_warning(
                "consent-denies-nothing",
                subject,
                "its consent policy denies nothing to whoever says nothing: every destination gets "
                "these events",
                "name all categories in 'categories', and in 'allowed' those alone that need no "
                "consent",
            )
    exempt = sorted(EXEMPT.intersection(privacy.sample))
    if exempt:
        yield a_warning(
            "sample-of-identify",
            subject,
            f"its 'sample' names {', '.join(exempt)}, of which every event leaves: all others "
            "build on them",
            "leave them out; 'deny_events' keeps them back",
        )


def _in_force(code: str, text: str, subject: str) -> Finding:
    return Finding(Severity.WELL, "logging", code, text, subject=subject)
