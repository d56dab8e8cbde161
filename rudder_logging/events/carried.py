"""Takes what is bound here elsewhere: to another thread, to a callback, across a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import orjson

from ..common.telling import place_of_caller, tell_once
from ..exceptions import InvalidValueError
from .bodies import run_within
from .context import Binding
from .encoding import dumps
from .scopes import Made, Scope, bound_fields, innermost, lazy_scope, without_ends
from .table import BINDABLE_FIELDS, CONTEXT, PROPERTIES

__all__ = ["carry", "dump_bound", "load_bound"]

_F = TypeVar("_F", bound=Callable[..., Any])

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_VERSION = 1
_MOST_BYTES = 4096
_ARGS = {field.key: field.arg for field in BINDABLE_FIELDS.values()}
_DISPENSABLE = (PROPERTIES.key, CONTEXT.key)  # in this order; ids and integrations are not


def carry(func: _F) -> _F:
    """Have a function run, wherever it does, with what is bound here and now, and nothing else.

    For thread pools and callbacks, which know nothing of the request that they work for:
    `pool.submit(carry(work), order)`. A later change of what is bound here does not reach it.

    Args:
        func: A function of any kind, as `bind` decorates them.

    .. versionadded:: 0.1.0
    """
    here = without_ends(innermost())
    carried = Made(dict if here is None else here.copy().fields)
    return run_within(partial(Scope, carried, hides=True), func)


def dump_bound() -> str:
    """All that is bound here and now, as text of at most 4 KiB for `load_bound` to read elsewhere.

    What does not fit is left out with one warning: the largest entries of `properties` first, then
    those of `context`.

    .. versionadded:: 0.1.0
    """
    fields = dict(bound_fields())
    try:
        text = _text_of(fields)
        if len(text) > _MOST_BYTES:
            place = place_of_caller(1)
            tell_once(
                place, f"over {_MOST_BYTES} bytes are bound at {place}; the largest are left out"
            )
            text = _short_text_of(fields)
    except InvalidValueError as error:
        place = place_of_caller(1)
        tell_once(place, f"what is bound at {place} can't be written: {error}")
        text = _text_of({})
    return text.decode()


def _text_of(fields: Mapping[str, Any]) -> bytes:
    return dumps({"v": _VERSION, "bound": fields})


def _short_text_of(fields: dict[str, Any]) -> bytes:
    size = len(_text_of(fields))
    for key in _DISPENSABLE:
        # An entry has a comma, and no braces; the last one that goes has none.
        sizes = {name: len(dumps({name: item})) - 1 for name, item in fields.get(key, {}).items()}
        kept = set(sizes)
        for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
            if size <= _MOST_BYTES:
                break
            kept.remove(name)
            size -= sizes[name]
        if len(kept) < len(sizes):
            size += not kept
            fields[key] = {name: item for name, item in fields[key].items() if name in kept}
    text = _text_of(fields)
    return text if len(text) <= _MOST_BYTES else _text_of({})


def load_bound(text: str | bytes | None) -> Binding:
    """Bind what `dump_bound` wrote, as `bind` does. It is read for the first event within.

    Text that it can't read binds nothing, with one warning: it may be of another version, or the
    message's sender does not use this package (None).

    .. versionadded:: 0.1.0
    """
    place = place_of_caller(1)

    def loaded() -> Mapping[str, Any]:
        return _fields_of(text, place)

    return Binding(partial(lazy_scope, loaded))


def _fields_of(text: str | bytes | None, place: str) -> Mapping[str, Any]:
    if text is None:
        return _NOTHING
    try:
        read = orjson.loads(text) if len(text) <= _MOST_BYTES else None
        if type(read) is dict and read.get("v") == _VERSION:
            return {arg: read["bound"].get(key) for key, arg in _ARGS.items()}
    except Exception:  # noqa: BLE001, S110 - it may be anything
        pass
    tell_once(place, f"load_bound at {place} was given text that it can't read; nothing is bound")
    return _NOTHING
