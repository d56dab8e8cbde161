"""Events that were written before they are sent: to a log, a spool, a file of dead letters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import orjson

from .options import Privacy, Suppression
from .stages import Stages

__all__ = ["Again"]

Edit = Callable[[bytes], "bytes | str"]


class Again:
    """All stages of a `Privacy` but its rates, which would drop what can be sent later.

    An event that passed them when it was written passes them as it is, unless rules are stricter
    now, or its person is suppressed since: hashes stay, whom a sample chose is chosen.

    Args:
        privacy: The options.
    """

    def __init__(self, privacy: Privacy) -> None:
        options = {
            field.name: getattr(privacy, field.name) for field in dataclasses.fields(privacy)
        }
        options["rate"] = {}
        self._stages = Stages(Privacy(**options))
        listed = None if privacy.suppressed is None else privacy.suppressed.listed()
        if listed is not None:  # of a function, nobody knows whose hashes it would name
            options["suppressed"] = Suppression(self._stages.as_sent(listed()))
        self._of_sampled = Stages(Privacy(**{**options, "sample": {}}))
        self._of_passed = Stages(Privacy(**options))
        for stages in (self._stages, self._of_sampled, self._of_passed):
            stages.look_at_all()

    def passed(self, message: bytes, *, has_passed: bool, edit: Edit | None = None) -> bytes | str:
        """The message as it may leave, or the reason why it may not.

        Args:
            message: Short of its closing brace, as is the one returned.
            has_passed: It was written behind a `Privacy`: what looks like a hash in it is one.
            edit: Comes before redaction is done once more; see `edited_by`.
        """
        stages, hashed = self._stages, self._stages.redaction.hasher()
        if has_passed:
            stages = self._of_sampled if _is_sampled(message) else self._of_passed
            hashed.leave_hashes_of(message)
        passed = stages.passed(message, hashed)
        if edit is None or not isinstance(passed, bytes):
            return passed
        edited = edit(passed)
        return stages.redacted(edited, hashed) if isinstance(edited, bytes) else edited

    def rest(self, kept: bytes) -> bytes:
        """A line that can't be sent as it may be kept: as JSON."""
        try:
            value = orjson.loads(kept)
        except ValueError:
            value = kept.decode("utf-8", "replace")
        if isinstance(value, dict):
            passed = self.passed(kept[:-1], has_passed=False)
            return passed + b"}" if isinstance(passed, bytes) else b"null"
        redaction = self._stages.redaction
        return orjson.dumps(redaction.tree(value, redaction.hasher()))


def _is_sampled(message: bytes) -> bool:
    context = orjson.loads(message + b"}").get("context")
    return isinstance(context, dict) and "sampling" in context
