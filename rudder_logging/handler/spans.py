"""The option `trace_context`: events carry the ids of OpenTelemetry's current span."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..events.defaults import Defaults
from ..events.formatter import RudderFormatter

if TYPE_CHECKING:
    from .redacting import FormatterWithRedaction

__all__ = ["FormatterWithSpan"]


class FormatterWithSpan:
    """A handler's formatter, with the current span's ids under each event's own `context`.

    It stands in the formatter's place, so a handler without the option pays nothing for it.
    """

    def __init__(self, formatter: RudderFormatter | FormatterWithRedaction) -> None:
        self._formatter = formatter
        self._last: tuple[tuple[int, int], Defaults, Defaults] | None = None
        """A span's ids, defaults, and both together: a span may have several events."""

    @property
    def is_hooked(self) -> bool:
        """As the formatter's."""
        return self._formatter.is_hooked

    def format(self, record: logging.LogRecord) -> str:
        """Do as the formatter does."""
        return self._formatter.format(record)

    def message_of(
        self, record: logging.LogRecord, fields: Mapping[str, Any], defaults: Defaults
    ) -> bytes:
        """Do as the formatter does."""
        return self._formatter.message_of(record, fields, self._over(defaults))

    def with_defaults(self, defaults: Defaults) -> contextlib.AbstractContextManager[None]:
        """Do as the formatter does."""
        return self._formatter.with_defaults(self._over(defaults))

    def encode(
        self, fields: Mapping[str, Any], template: object, created: float, defaults: Defaults
    ) -> bytes:
        """Do as the formatter does."""
        return self._formatter.encode(fields, template, created, self._over(defaults))

    def _over(self, defaults: Defaults) -> Defaults:
        """The defaults with the ids over them, if there is a valid span."""
        ids = _current_ids()
        if ids is None:
            return defaults
        last = self._last
        if last is None or last[0] != ids or last[1] is not defaults:
            trace_id, span_id = ids
            ids_as_text = {"traceId": f"{trace_id:032x}", "spanId": f"{span_id:016x}"}
            last = self._last = ids, defaults, defaults.with_ids(ids_as_text)
        return last[2]


def _current_ids() -> tuple[int, int] | None:
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        with contextlib.suppress(Exception):  # another thread is just importing it
            span = trace.get_current_span().get_span_context()
            if span.is_valid:
                return span.trace_id, span.span_id
    return None
