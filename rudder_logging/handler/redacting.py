"""The option `privacy`, where redaction alone is asked for: it is done as an event is encoded."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from ..events.defaults import NOTHING_BOUND, Defaults
from ..events.formatter import RudderFormatter
from ..events.scopes import innermost
from ..privacy.compiled import RedactingEncoders
from ..privacy.redaction import Redaction

__all__ = ["FormatterWithRedaction"]

_EQUALS = ord("=")
_MOST_DEFAULTS = 64  # that are redacted, and kept: one a scope


class FormatterWithRedaction:
    """A handler's formatter, with encoders that redact.

    It stands in the formatter's place, so a handler without the option pays nothing for it. The
    defaults that it is given are redacted already.
    """

    def __init__(self, formatter: RudderFormatter, redaction: Redaction) -> None:
        self._formatter = formatter
        self._redaction = redaction
        self._encoders = RedactingEncoders(redaction)
        self._redacted: dict[int, tuple[Defaults, Defaults]] = {}
        self.format = formatter.format
        """As the formatter's: what it makes is to be redacted."""

    @property
    def is_hooked(self) -> bool:
        """As the formatter's."""
        return self._formatter.is_hooked

    def message_of(
        self, record: logging.LogRecord, fields: Mapping[str, Any], defaults: Defaults
    ) -> bytes:
        """Do as the formatter does, and redact."""
        return self._formatter.message_of(record, fields, defaults, self.encode)

    def with_defaults(self, defaults: Defaults) -> contextlib.AbstractContextManager[None]:
        """Do as the formatter does."""
        return self._formatter.with_defaults(defaults)

    def encode(
        self, fields: Mapping[str, Any], template: object, created: float, defaults: Defaults
    ) -> bytes:
        """Do as the formatter does, and redact."""
        scope = innermost()
        bound, merged = NOTHING_BOUND, defaults
        if scope is not None:
            bound = scope.bound()
            merged = bound.over(defaults)
            if merged is not defaults:
                merged = self._clean(merged)
        encoded = None
        if type(fields) is dict:
            shape = (fields["type"], *fields) if "type" in fields else tuple(fields)
            try:
                encoder = self._encoders.by_names[bound.names][shape]
            except KeyError:
                encoder = self._encoders.compile(shape, bound.names)
            except TypeError:  # a type that has no hash
                encoder = None
            if encoder is not None:
                try:
                    encoded = encoder(fields, template, created, merged, bound.fields)
                except KeyError:  # another thread took a field away
                    encoded = None
        if encoded is None:
            return self._redaction.message(
                self._formatter.encode(fields, template, created, defaults)
            )
        # Few events have an equals sign of their own: so few are looked at for queries.
        found = encoded.find(_EQUALS)
        if found < 0:
            return encoded
        if found >= len(encoded) - len(merged.ending) and encoded.endswith(merged.ending):
            return encoded  # it is in what was redacted when it was merged
        if self._redaction.may_concern_queries(encoded, found):
            return self._redaction.message(encoded)
        return encoded

    def _clean(self, defaults: Defaults) -> Defaults:
        known = self._redacted.get(id(defaults))  # no other object's: this one is kept
        if known is None:
            if len(self._redacted) >= _MOST_DEFAULTS:
                self._redacted.clear()
            made = self._redaction.defaults(defaults)
            known = self._redacted[id(defaults)] = defaults, made
        return known[1]
