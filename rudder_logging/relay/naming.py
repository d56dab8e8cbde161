"""The source that a log line is about: a relay may have many."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["NamesSource", "about"]

_source: ContextVar[str] = ContextVar("rudder_relay_source", default="")


@contextlib.contextmanager
def about(source: str) -> Iterator[None]:
    """Lines that are logged within are about that source."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


class NamesSource(logging.Filter):
    """Gives a record the attribute `source`: `shop: `, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter.filter`. All records pass."""
        name = _source.get()
        record.source = f"{name}: " if name else ""
        return True
