"""The current user and request, bound for a stretch of code: `bind()` over contextvars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ._events import bind_fields, merge

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager  # which also decorates

__all__ = ["bind", "bound_fields"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("rudder_logging_bound", default=_NOTHING)


def bind(**fields: Any) -> _GeneratorContextManager[None]:
    """Merge fields into every event logged inside the `with` block.

    Each thread and each asyncio task sees its own; a task inherits what was bound when it was
    created. Explicit fields of an event win, then inner blocks, then outer ones; mappings
    are merged.

    Args:
        **fields: `user_id`, `anonymous_id`, `context`, `integrations`, `properties`. A field that
            an event type does not have is left out of events of that type. None binds nothing.

    Raises:
        InvalidValueError: A field is unknown, or its value is empty.
        InvalidTypeError: A field's value has a wrong type.

    .. versionadded:: 0.1.0
    """
    return _bind(bind_fields(fields))


@contextmanager
def _bind(fields: Mapping[str, Any]) -> Iterator[None]:
    token = _bound.set(merge(_bound.get(), fields))
    try:
        yield
    finally:
        _bound.reset(token)


def bound_fields() -> Mapping[str, Any]:
    """What is bound here and now, by wire key."""
    return _bound.get()
