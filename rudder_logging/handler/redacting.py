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
from ..privacy.texts import SIGNS

__all__ = ["FormatterWithRedaction"]

_EQUALS, _PERCENT, _BACKSLASH, _APOSTROPHE, _AT, _QUOTE = *SIGNS, ord('"')
_MOST_DEFAULTS = 64  # that are redacted, and kept: one a scope


class FormatterWithRedaction:
    """A handler's formatter, with encoders that redact.

    It stands in the formatter's place, so a handler without the option pays nothing for it. The
    defaults that it is given are redacted already.
    """

    def __init__(self, formatter: RudderFormatter, redaction: Redaction) -> None:
        self._formatter = formatter
        self._redaction = redaction
        self._texts = redaction.texts
        self._harmless = redaction.texts.harmless
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
                known = self._redacted.get(id(merged))  # no other object's: this one is kept
                merged = (known or self._clean(merged))[1]
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
        # Few events have one of these signs in a text. To look for one takes 0.02 us, and to know
        # again what stands before the last equals sign, as an app has few pages, 0.5 us.
        has_new_query = False
        if _EQUALS in encoded:
            first, last = encoded.find(_EQUALS), encoded.rfind(_EQUALS)
            has_new_query = encoded[encoded.rfind(_QUOTE, 0, first) : last] not in self._harmless
        if (
            has_new_query
            or _PERCENT in encoded
            or _BACKSLASH in encoded
            or _APOSTROPHE in encoded
            or (_AT in encoded and b"://" in encoded)
        ):
            # What was redacted when it was merged is not looked at again.
            end = len(encoded)
            end -= len(merged.ending) if encoded.endswith(merged.ending) else 0
            if self._texts.may_concern(encoded, end):
                return self._redaction.message(encoded)
        return encoded

    def _clean(self, defaults: Defaults) -> tuple[Defaults, Defaults]:
        """Redact defaults, and keep both."""
        if len(self._redacted) >= _MOST_DEFAULTS:
            self._redacted.clear()
        made = self._redacted[id(defaults)] = defaults, self._redaction.defaults(defaults)
        return made
