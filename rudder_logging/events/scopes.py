"""Scopes: what is bound for a stretch of code, over contextvars.

A scope has fields of its own, and lies in an outer one. The innermost stands in a context variable,
so each thread and task has its own; a task that is made inherits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from threading import Lock, RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..common.tally import RAISED
from ..common.telling import name_of, place_of_caller, place_of_error, tell_once
from ..exceptions import InvalidEventError, InvalidValueError
from .defaults import Bound, as_json
from .encoding import actual
from .table import BINDABLE_FIELDS, bind_fields, merge_mappings

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .types import BoundFields

__all__ = [
    "Made",
    "Scope",
    "Steps",
    "after_fork",
    "bound_fields",
    "innermost",
    "lazy_scope",
    "tell_of_bad_value",
    "without_ends",
]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_CALLS_TO_THE_APP = 3  # from `tell_of_bad_value`: by `bind_fields`, and `bind` or `set`
_LONGEST_WAIT = 5.0  # for a thread that makes fields; it may wait for this one

_variable: ContextVar[Scope | None] = ContextVar("rudder_logging_scope", default=None)
innermost = _variable.get
"""The innermost scope here and now; None: nothing is bound."""
_last_change = object()
"""Another one each time that what others have merged is stale: a scope ends which they may still
see, or its fields change."""
_changing = RLock()  # a signal handler may change a scope, too


class Made:
    """Fields that are made when they are first asked for, once, by whoever asks."""

    __slots__ = ("_fields", "_lock", "_make")

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make: Callable[[], Mapping[str, Any]] | None = make
        self._fields = _NOTHING
        self._lock = Lock()

    def fields(self) -> Mapping[str, Any] | None:
        """The fields, by wire key; None: another thread is making them, and has been for long."""
        if self._make is not None:
            if not self._lock.acquire(timeout=_LONGEST_WAIT):
                return None
            try:
                if self._make is not None:
                    self._fields = _read(self._make())
                    self._make = None
            finally:
                self._lock.release()
        return self._fields


class Scope:
    """A stretch of code, with what is bound in it, and in those around it.

    It ends by `__exit__`, in whatever thread, task or context. Where that is the context that it
    began in, and nothing else was begun within, whoever inherited it keeps it. Else nobody sees it
    any more: it may still stand in a context that nobody can reach from here.

    Args:
        own: Its fields, by wire key.
        owner: The binding that ends it.
        hides: What is bound around it is not seen within.
    """

    __slots__ = (
        "_bound",
        "_changed",
        "_gone",
        "_own",
        "_read",
        "_token",
        "as_of",
        "has_ended",
        "hides",
        "is_kept",
        "merged",
        "outer",
        "owner",
    )

    def __init__(
        self, own: Mapping[str, Any] | Made, owner: object = None, *, hides: bool = False
    ) -> None:
        self._own = own
        self._read: Mapping[str, Any] | None = None
        self._gone: frozenset[str] = frozenset()
        self._changed = _NOTHING
        self.owner = owner
        self.hides = hides
        self.outer: Scope | None = None
        self.has_ended = False
        """True once nobody sees it any more."""
        self.is_kept = False
        """True if it has ended, but for whoever inherited it: nobody can end it for them."""
        self._token: Token[Scope | None] | None = None
        self.merged = _NOTHING
        self.as_of: object = None
        self._bound: tuple[object, Bound] | None = None

    def __enter__(self) -> Self:
        outer = without_ends(innermost())
        self.outer = outer and outer.folded()
        self._token = _variable.set(self)
        return self

    def __exit__(self, *_: object) -> None:
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
        _note_a_change()

    def lie_in(self, around: Scope | None) -> None:
        """Have it lie in another scope from now on, unless it lies around that one."""
        around = inner = without_ends(around)
        while inner is not None:
            if inner is self:
                return
            inner = inner.outer
        if self.outer is not around:
            self.outer = around and around.folded()
            if self.as_of is not None:
                _note_a_change()

    @property
    def is_over(self) -> bool:
        """True if it has ended, for whomever."""
        return self.has_ended or self.is_kept

    @property
    def own(self) -> Mapping[str, Any]:
        """The fields that are bound in it, by wire key: mappings as they are when first asked for.

        So what the app changes in them later, and what else is bound then, changes no event.
        """
        read = self._read
        if read is None:
            read = self._own_at_first()
        if self._gone:
            kept = {key: value for key, value in read.items() if key not in self._gone}
            return merge_mappings(kept, self._changed)
        return merge_mappings(read, self._changed) if self._changed else read

    def _own_at_first(self) -> Mapping[str, Any]:
        if not isinstance(self._own, Made):
            self._read = _read(self._own)
            return self._read
        # What makes them may log: then within what is bound around the scope, in whatever thread
        # it does so, and without asking for them again.
        token = _variable.set(self.outer)
        try:
            read = self._own.fields()
        finally:
            _variable.reset(token)
        if read is None:
            _note_a_change()  # so that it is asked again
            return _NOTHING
        self._read = read
        return read

    def set(self, **fields: Unpack[BoundFields]) -> None:
        """Change the scope's own fields, for all events in it from now on; mappings are merged.

        Args:
            **fields: As `bind` takes them. None takes a field away, as does a value that can't be
                right: an event without an id is better than one with another's.

        Raises:
            InvalidValueError: A field is unknown.
        """
        checked = _read(bind_fields(fields, tell_of_bad_value))
        gone = {BINDABLE_FIELDS[name].key for name in fields} - checked.keys()
        with _changing:
            kept = {key: value for key, value in self._changed.items() if key not in gone}
            self._changed = merge_mappings(kept, checked)
            self._gone |= gone
        _note_a_change()

    def fields(self) -> Mapping[str, Any]:
        """All that is bound, by wire key: its own over the outer ones'. Merged when first asked."""
        as_of = _last_change  # read first: what changes from now on is seen next time
        if self.as_of is as_of:
            return self.merged
        stale: list[Scope] = []
        scope: Scope | None = self
        while scope is not None and scope.as_of is not as_of:
            stale.append(scope)
            scope = None if scope.hides and not scope.has_ended else scope.outer
        merged = _NOTHING if scope is None else scope.merged
        for scope in reversed(stale):
            if not scope.has_ended:
                merged = merge_mappings(merged, scope.own)
            scope.merged, scope.as_of = merged, as_of
        return merged

    def bound(self) -> Bound:
        """All that is bound, in the form in which it is merged into events."""
        as_of = _last_change  # as above
        if self._bound is None or self._bound[0] is not as_of:
            self._bound = as_of, Bound(self.fields())
        return self._bound[1]

    def copy(self) -> Scope:
        """Its own, with what is bound around it: no end and no change is seen here any more.

        Nothing is made for it. What is made later, is made once for both.
        """
        copied = inner = self._copy_of_own()
        scope = self
        while not scope.hides and (outer := without_ends(scope.outer)) is not None:
            inner.outer = outer._copy_of_own()  # noqa: SLF001 - another of this class
            inner, scope = inner.outer, outer
        return copied

    def _copy_of_own(self) -> Scope:
        if self._read is None and not isinstance(self._own, Made):
            self._read = _read(self._own)
        copied = Scope(self._own, hides=self.hides)
        copied._read, copied._gone, copied._changed = self._read, self._gone, self._changed
        return copied

    def folded(self) -> Scope:
        """Itself, with those around it that are kept likewise made one with it.

        Else a function that has itself called again, in a context that inherits its scope, would
        lie in one scope more each time.
        """
        folded, outer = self, self.outer
        while folded.is_kept and outer is not None and (outer.is_kept or outer.has_ended):
            is_alone = outer.has_ended or folded.hides
            own = folded.own if is_alone else merge_mappings(outer.own, folded.own)
            hides = folded.hides or (outer.hides and not outer.has_ended)
            folded = Scope(own, hides=hides)
            folded.is_kept = True
            folded.outer = outer = outer.outer
        return folded


class Steps:
    """A scope for a body that runs in steps: its consumer runs between them, in the same context.

    Blocks of the body's that are open at the end of a step are so in the next one, and not in the
    consumer.
    """

    __slots__ = ("_around", "_inside", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._inside: Scope | None = scope
        self._around: list[Scope | None] = []
        """Several, if a step has another one run."""

    def __enter__(self) -> None:
        around = innermost()
        self._scope.lie_in(around)
        self._scope.is_kept = False
        self._around.append(around)
        _variable.set(self._inside)

    def __exit__(self, *_: object) -> None:
        self._inside = innermost()
        _variable.set(self._around.pop())
        self._scope.is_kept = not self._around


def after_fork() -> None:
    """In a forked child: let go of the lock, which may be held by a thread of the parent's."""
    global _changing
    _changing = RLock()


def _note_a_change() -> None:
    global _last_change
    _last_change = object()


def _read(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with their mappings as they are now."""
    return {key: _as_json(value) for key, value in fields.items()}


def _as_json(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    try:
        return as_json(value)
    except InvalidValueError:  # told with each event that it would be sent with
        return value


def without_ends(scope: Scope | None) -> Scope | None:
    """The innermost scope that has not ended, from one outwards."""
    while scope is not None and scope.has_ended:
        scope = scope.outer
    return scope


def lazy_scope(make: Callable[[], Mapping[str, Any] | None], owner: object = None) -> Scope:
    """A scope whose fields are made, as `bind` takes them, for the first event within.

    What can't be right is left out, and all of it if `make` raises, with one warning.
    """

    def checked() -> Mapping[str, Any]:
        try:
            fields = actual(make())
            return bind_fields({} if fields is None else fields, _tell)
        except Exception as error:  # noqa: BLE001 - an app's function may raise anything
            RAISED.one()
            # Not the exception's text: it may quote what a client sent.
            words = str(error) if isinstance(error, InvalidEventError) else type(error).__name__
            place = place_of_error(error)
            tell_once(name, f"{name} raised {words} at {place}; nothing of it is bound")
            return _NOTHING

    def _tell(error: InvalidEventError) -> None:
        tell_once(name, f"{error}; left out of what {name} binds")

    name = name_of(make)
    return Scope(Made(checked), owner)


def tell_of_bad_value(error: InvalidEventError) -> None:
    """Warn once of a value that is left out of what a line of the app binds."""
    place = place_of_caller(_CALLS_TO_THE_APP)
    tell_once(place, f"{error}; left out of what is bound at {place}")


def bound_fields() -> Mapping[str, Any]:
    """All that is bound here and now, by wire key."""
    scope = innermost()
    return _NOTHING if scope is None else scope.fields()
