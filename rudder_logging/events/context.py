"""The current user and request, bound for a stretch of code: `bind()` and its like."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import InvalidValueError
from .bodies import run_within
from .scopes import Scope, innermost, lazy_scope, tell_of_bad_value, without_ends
from .table import bind_fields

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import BoundFields

__all__ = ["Binding", "bind", "bind_lazily", "current"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _frame_of_the_caller() -> FrameType | None:
    try:
        return sys._getframe(2)  # noqa: SLF001 - as logging itself does
    except ValueError:  # it is called from C
        return None


class Binding:
    """Fields that are bound while it is entered; or while a function runs that it decorates.

    One object may be entered many times, by many threads and tasks at once.

    Args:
        begin: Makes the scope of one entry, which is given its owner.
    """

    def __init__(self, begin: Callable[..., Scope]) -> None:
        self._begin = begin
        self._open: dict[Scope, FrameType | None] = {}
        """Scopes, each with the frame that began it: a `with` block is ended by the same one.
        (An `ExitStack` is not; so it is the frame itself, whose address nobody else gets.)"""

    def __enter__(self) -> None:
        scope = self._begin(owner=self)
        self._open[scope] = _frame_of_the_caller()
        scope.__enter__()

    def __exit__(self, *_: object) -> None:
        scope = self._begun_by(_frame_of_the_caller())
        try:
            if scope is None:  # it was entered by somebody else, in another context
                scope, _frame = self._open.popitem()
            else:
                del self._open[scope]
        except KeyError:  # it is ended more often than it was begun
            return
        scope.__exit__()

    def _begun_by(self, frame: FrameType | None) -> Scope | None:
        """The scope that the block of that frame began; or else the innermost one here."""
        begun = self._open.get
        here = innermost()
        while here is not None and (here.owner is not self or here.is_over):
            here = here.outer
        if frame is None or (here is not None and begun(here) is frame):
            return here
        for scope, beginner in reversed(self._open.copy().items()):
            if beginner is frame:
                return scope
        return here

    def __call__(self, func: _F) -> _F:
        """Have the fields bound while a function's body runs, of whatever kind it is."""
        return run_within(self._begin, func)


def bind(**fields: Unpack[BoundFields]) -> Binding:
    """Merge fields into every event logged inside the `with` block, or the decorated function.

    Each thread and each asyncio task sees its own; a task inherits what was bound when it was
    created, and keeps it. Explicit fields of an event win, then inner blocks, then outer ones;
    mappings are merged. A value that can't be right, such as a blank id, is left out with a warning
    (one for each line that binds it): the app goes on.

    Of a decorated coroutine function, generator or async generator, the fields are bound while its
    body runs, and not in whoever consumes it; nor is a `with` block in there. One inside any other
    generator is bound in the consumer, too, until it ends: so `contextlib.contextmanager` can make
    a block of it. It may end in any thread, task or context.

    Mappings, and all values in them, become JSON once, for the first event within: what changes in
    them later is not seen.

    Args:
        **fields: `user_id`, `anonymous_id`, `context`, `integrations`, `properties`. A field that
            an event type does not have is left out of events of that type. None binds nothing.

    Raises:
        InvalidValueError: A field is unknown.

    .. versionadded:: 0.1.0
    """
    return Binding(partial(Scope, bind_fields(fields, tell_of_bad_value)))


def bind_lazily(make: Callable[[], Mapping[str, Any] | None]) -> Binding:
    """Bind what a function returns, as `bind` does, and call it only if there is an event.

    It is called once for each block, for the first event within, in the thread that logs it. Events
    that it logs itself have what is bound around the block. If it raises, or names an unknown
    field, nothing of it is bound, with one warning.

    Args:
        make: It takes nothing, and returns a mapping of what `bind` takes; or None.

    .. versionadded:: 0.1.0
    """
    return Binding(partial(lazy_scope, make))


def current() -> Scope:
    """The innermost scope here and now, whose own fields may be changed: a login in mid-request.

        current().set(user_id="42")

    The change reaches each event that is logged in the scope from then on, also in tasks that
    inherited it, and ends with the scope.

    Raises:
        InvalidValueError: There is none here.

    .. versionadded:: 0.1.0
    """
    scope = without_ends(innermost())
    if scope is None:
        raise InvalidValueError(
            "current: nothing is bound here; call it inside a block of bind() or a request that a "
            "middleware binds, in the same task or thread"
        )
    return scope
