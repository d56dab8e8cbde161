"""The current user and request, bound for a stretch of code: `bind()` over contextvars."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, TypeVar

from ._events import bind_fields, merge

__all__ = ["bind", "bound_fields"]

_F = TypeVar("_F", bound=Callable[..., Any])

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("rudder_logging_bound", default=_NOTHING)


class _Binding:
    """Fields that are bound while it is entered; or while a function runs that it decorates."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self._tokens: list[Token[Mapping[str, Any]]] = []

    def __enter__(self) -> None:
        self._tokens.append(_bound.set(merge(_bound.get(), self._fields)))

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._tokens.pop())

    def __call__(self, func: _F) -> _F:
        # One binding a call, because calls may overlap in threads and tasks.
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with _Binding(self._fields):
                    return await func(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(func)
        def called(*args: Any, **kwargs: Any) -> Any:
            with _Binding(self._fields):
                return func(*args, **kwargs)

        return called  # type: ignore[return-value]


def bind(**fields: Any) -> _Binding:
    """Merge fields into every event logged inside the `with` block, or the decorated function.

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
    return _Binding(bind_fields(fields))


bound_fields = _bound.get
"""What is bound here and now, by wire key."""
