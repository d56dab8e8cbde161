"""`EventLogger`: the seven calls on any logger, and its own methods, with fields bound to it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ..events.table import bind_fields, merge_bound
from .calls import Calls

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..events.types import BoundFields

    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:
    _LoggerAdapter = logging.LoggerAdapter

__all__ = ["EventLogger"]


class EventLogger(Calls, _LoggerAdapter):
    """The seven calls on any logger, with fields that are merged into each event.

    It also has a logger's own methods. Unlike a plain `LoggerAdapter` they keep the call's
    `extra`, and where that carries an event, the bound fields are merged into it.

    Args:
        logger: Its handlers receive the events; where none of them is a `RudderHandler`, the
            package's settings make one.
        **bound: `user_id`, `anonymous_id`, `context`, `integrations`, `properties`. Explicit fields
            of an event win; mappings are merged.

    Raises:
        InvalidEventError: A bound field is unknown, or its value can't be right.

    .. versionadded:: 0.1.0
    """

    def __init__(self, logger: logging.Logger, **bound: Unpack[BoundFields]) -> None:
        if not isinstance(logger, logging.Logger):
            given = type(logger).__name__
            raise TypeError(f"EventLogger takes a logging.Logger, not {given}")
        super().__init__(logger, {})
        self._bound = bind_fields(bound)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the bound fields into the event that a log call carries, if it does."""
        extra = kwargs.get("extra")
        if self._bound and extra and isinstance(extra.get("rudder"), Mapping):
            kwargs["extra"] = {**extra, "rudder": merge_bound(extra["rudder"], self._bound)}
        return msg, kwargs
