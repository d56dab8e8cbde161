"""The current user and request, bound for a stretch of code: `bind()` over contextvars.

A scope is such a stretch: it has fields of its own, and lies in an outer one. The innermost stands
in a context variable, so each thread and task has its own; a task that is made inherits it.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextvars import ContextVar, Token
from functools import partial
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ..exceptions import InvalidEventError, InvalidValueError
from .defaults import Bound, as_json
from .table import bind_fields, merge_mappings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import BoundFields

__all__ = ["bind", "bound_fields", "innermost"]

_log = logging.getLogger("rudder_logging")

_F = TypeVar("_F", bound=Callable[..., Any])

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_FRAMES_TO_THE_CALLER = 3  # of `bind`: by `bind_fields` and `bind`
_variable: ContextVar[Scope | None] = ContextVar("rudder_logging_scope", default=None)
innermost = _variable.get
"""The innermost scope here and now; None: nothing is bound."""
_last_end = object()
"""Another one each time that a scope ends which others may still see: what was merged is stale."""


class Scope:
    """A stretch of code, with what is bound in it, and in those around it.

    It ends by `__exit__`, in whatever thread, task or context. Where that is the context that it
    began in, and nothing else was begun within, whoever inherited it keeps it. Else nobody sees it
    any more: it may still stand in a context that nobody can reach from here.
    """

    __slots__ = (
        "_bound",
        "_own",
        "_read",
        "_token",
        "as_of",
        "has_ended",
        "is_kept",
        "merged",
        "outer",
        "owner",
    )

    def __init__(self, own: Mapping[str, Any], owner: object = None) -> None:
        self._own = own
        self._read: Mapping[str, Any] | None = None
        self.owner = owner
        """The binding that ends it."""
        self.outer: Scope | None = None
        self.has_ended = False
        """True once nobody sees it any more."""
        self.is_kept = False
        """True if it has ended, but for whoever inherited it: nobody can end it for them."""
        self._token: Token[Scope | None] | None = None
        self.merged = _NOTHING
        self.as_of: object = None
        self._bound: tuple[object, Bound] | None = None

    def __enter__(self) -> None:
        self.outer = _without_ends(innermost())
        self._token = _variable.set(self)

    def __exit__(self, *_: object) -> None:
        global _last_end
        token, self._token = self._token, None  # it keeps a context alive
        if innermost() is self and token is not None:
            try:
                _variable.reset(token)
            except ValueError:  # it began in another context, of which this one is a copy
                _variable.set(self.outer)
            else:
                self.is_kept = True
                return
        self.has_ended = True
        _last_end = object()

    @property
    def is_over(self) -> bool:
        """True if it has ended, for whomever."""
        return self.has_ended or self.is_kept

    @property
    def own(self) -> Mapping[str, Any]:
        """The fields that are bound in it, by wire key: mappings as they are when first asked for.

        So what the app changes in them later, and what else is bound then, changes no event.
        """
        if self._read is None:
            self._read = {key: _as_json(value) for key, value in self._own.items()}
        return self._read

    def fields(self) -> Mapping[str, Any]:
        """All that is bound, by wire key: its own over the outer ones'. Merged when first asked."""
        as_of = _last_end  # read first: what ends from now on is seen next time
        if self.as_of is as_of:
            return self.merged
        stale: list[Scope] = []
        scope: Scope | None = self
        while scope is not None and scope.as_of is not as_of:
            stale.append(scope)
            scope = scope.outer
        merged = _NOTHING if scope is None else scope.merged
        for scope in reversed(stale):
            if not scope.has_ended:
                merged = merge_mappings(merged, scope.own)
            scope.merged, scope.as_of = merged, as_of
        return merged

    def bound(self) -> Bound:
        """All that is bound, in the form in which it is merged into events."""
        as_of = _last_end  # as above
        if self._bound is None or self._bound[0] is not as_of:
            self._bound = as_of, Bound(self.fields())
        return self._bound[1]

    def folded(self) -> Scope:
        """Itself, with those around it that are kept likewise made one with it.

        Else a function that has itself called again, in a context that inherits its scope, would
        lie in one scope more each time.
        """
        folded, outer = self, self.outer
        while folded.is_kept and outer is not None and (outer.is_kept or outer.has_ended):
            own = folded.own if outer.has_ended else merge_mappings(outer.own, folded.own)
            folded = Scope(own)
            folded.is_kept = True
            folded.outer = outer = outer.outer
        return folded


def _as_json(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    try:
        return as_json(value)
    except InvalidValueError:  # told with each event that it would be sent with
        return value


def _without_ends(scope: Scope | None) -> Scope | None:
    """The innermost scope that has not ended, from here outwards."""
    while scope is not None and scope.has_ended:
        scope = scope.outer
    return None if scope is None else scope.folded()


def _frame_of_the_caller() -> FrameType | None:
    try:
        return sys._getframe(2)  # noqa: SLF001 - as logging itself does
    except ValueError:  # it is called from C
        return None


class _Binding:
    """Fields that are bound while it is entered; or while a function runs that it decorates.

    One object may be entered many times, by many threads and tasks at once.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self._open: dict[Scope, FrameType | None] = {}
        """Scopes, each with the frame that began it: a `with` block is ended by the same one.
        (An `ExitStack` is not; so it is the frame itself, whose address nobody else gets.)"""

    def __enter__(self) -> None:
        scope = Scope(self._fields, self)
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
        for is_one, _type, bound in _KINDS:
            if is_one(func):
                return functools.update_wrapper(bound(func, self._fields), func)  # type: ignore[return-value]

        @functools.wraps(func)
        def called(*args: Any, **kwargs: Any) -> Any:
            with Scope(self._fields):
                made = func(*args, **kwargs)
            for _is_one, body_type, bound in _KINDS:
                if isinstance(made, body_type):  # its body is still to run
                    return bound(lambda: made, self._fields)()
            return made

        return called  # type: ignore[return-value]


def _coroutine_function(func: Callable[..., Any], fields: Mapping[str, Any]) -> Callable[..., Any]:
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with Scope(fields):
            return await func(*args, **kwargs)

    return awaited


def _generator_function(func: Callable[..., Any], fields: Mapping[str, Any]) -> Callable[..., Any]:
    """Bound within each step: between two of them the consumer runs, in the same context."""

    def generated(*args: Any, **kwargs: Any) -> Any:
        with Scope(fields):
            body = func(*args, **kwargs)
        step = partial(body.send, None)
        while True:
            try:
                with Scope(fields):
                    item = step()
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield item
            except GeneratorExit:
                with Scope(fields):
                    body.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the body's, to handle or to raise
                step = partial(body.throw, error)
            else:
                step = partial(body.send, sent)

    return generated


def _async_generator_function(
    func: Callable[..., Any], fields: Mapping[str, Any]
) -> Callable[..., Any]:
    """Bound within each step, as above."""

    async def generated(*args: Any, **kwargs: Any) -> Any:
        with Scope(fields):
            body = func(*args, **kwargs)
        step = partial(body.asend, None)
        while True:
            try:
                with Scope(fields):
                    item = await step()
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                with Scope(fields):
                    await body.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                step = partial(body.athrow, error)
            else:
                step = partial(body.asend, sent)

    return generated


_KINDS = (
    (inspect.iscoroutinefunction, Coroutine, _coroutine_function),
    (inspect.isgeneratorfunction, Generator, _generator_function),
    (inspect.isasyncgenfunction, AsyncGenerator, _async_generator_function),
)
"""Kinds of functions whose body runs after the call; how to tell them, what they make, and how to
have something bound while the body runs."""


def bind(**fields: Unpack[BoundFields]) -> _Binding:
    """Merge fields into every event logged inside the `with` block, or the decorated function.

    Each thread and each asyncio task sees its own; a task inherits what was bound when it was
    created, and keeps it. Explicit fields of an event win, then inner blocks, then outer ones;
    mappings are merged. A value that can't be right, such as a blank id, is left out with a warning
    (one for each line that binds it): the app goes on.

    Of a decorated coroutine function, generator or async generator, the fields are bound while its
    body runs, and not in whoever consumes it. A `with` block inside a generator is bound in the
    consumer, too, until it ends: so `contextlib.contextmanager` can make a block of it. It may end
    in any thread, task or context.

    Mappings, and all values in them, become JSON once, for the first event within: what changes in
    them later is not seen.

    Args:
        **fields: `user_id`, `anonymous_id`, `context`, `integrations`, `properties`. A field that
            an event type does not have is left out of events of that type. None binds nothing.

    Raises:
        InvalidValueError: A field is unknown.

    .. versionadded:: 0.1.0
    """
    return _Binding(bind_fields(fields, _tell_of_bad_value))


_told: set[tuple[str, str]] = set()  # places and words


def _tell_of_bad_value(error: InvalidEventError) -> None:
    try:
        frame = sys._getframe(_FRAMES_TO_THE_CALLER)  # noqa: SLF001 - as logging itself does
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    except ValueError:  # it was called from C
        place = "an unknown place"
    if (place, str(error)) not in _told:
        _told.add((place, str(error)))
        _log.warning("%s; left out of what is bound at %s (said once)", error, place)


def bound_fields() -> Mapping[str, Any]:
    """All that is bound here and now, by wire key."""
    scope = innermost()
    return _NOTHING if scope is None else scope.fields()
