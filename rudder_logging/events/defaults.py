"""Fields that are merged under an event's: a handler's defaults, and what `bind()` has bound.

Either becomes JSON once, and not with each event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from .compiled import encoders_with
from .encoding import dumps
from .table import CONTEXT, INTEGRATIONS, Field, merge_mappings

__all__ = ["NOTHING_BOUND", "Bound", "Defaults", "as_json"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_MOST_DEFAULTS = 8  # that are merged with what is bound, and kept: one a handler


@dataclass(init=False)
class Defaults:
    """Defaults of every message, below its own `context` and `integrations`.

    Raises:
        InvalidValueError: They can't be sent; see `dumps`.
    """

    context: Mapping[str, Any]
    integrations: Mapping[str, Any]
    """Either is as a server reads it: a dict with nothing in it but JSON's own types."""

    only_context: bytes = field(repr=False, compare=False)
    """Text of `context`, with the comma before it."""
    before_context: bytes = field(repr=False, compare=False)
    """The same, for a message's own entries to follow, if none has a name of these."""
    after_context: bytes = field(repr=False, compare=False)
    """Text of `integrations`, with the comma before it."""
    ending: bytes = field(repr=False, compare=False)
    """End of a message that has neither of its own, short of the brace.

    To serialise them for each event cost 4 % of a call.
    """

    def __init__(
        self, context: Mapping[str, Any] = _NOTHING, integrations: Mapping[str, Any] = _NOTHING
    ) -> None:
        self.context, self.integrations = as_json(context), as_json(integrations)
        self.only_context = _entry(CONTEXT, self.context)
        self.after_context = _entry(INTEGRATIONS, self.integrations)
        self.make_texts()

    def make_texts(self) -> None:
        """Make the two texts that follow from those of `context` and `integrations`."""
        self.before_context = self.only_context[:-1] + (b"," if self.context else b"")
        self.ending = self.only_context + self.after_context

    def under(self, context: Mapping[str, Any], integrations: Mapping[str, Any]) -> Defaults:
        """These defaults, and others that win over them. They are as `as_json` makes them.

        Raises:
            InvalidValueError: They can't be sent; see `dumps`.
        """
        merged = object.__new__(Defaults)  # `copy` costs a request's first event 2 % more
        merged.__dict__.update(self.__dict__)
        if context:  # else its text stays as it is
            merged.context = merge_mappings(self.context, context)
            merged.only_context = _entry(CONTEXT, merged.context)
        if integrations:
            merged.integrations = merge_mappings(self.integrations, integrations)
            merged.after_context = _entry(INTEGRATIONS, merged.integrations)
        merged.make_texts()
        return merged

    def edited(self, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Defaults:
        """These defaults as a function leaves a copy of either."""
        return Defaults(edit(as_json(self.context)), edit(as_json(self.integrations)))

    def with_ids(self, ids: Mapping[str, str]) -> Defaults:
        """Do as `under`, for a `context` of names and ids in plain letters and digits.

        It is put together as text, which saves 11 us of the call of an event in a new span.
        """
        if not self.context or not ids.keys().isdisjoint(self.context):
            return self.under(ids, _NOTHING)
        merged = object.__new__(Defaults)
        merged.context, merged.integrations = {**self.context, **ids}, self.integrations
        entries = "".join(f',"{name}":"{value}"' for name, value in ids.items())
        merged.only_context = self.only_context[:-1] + entries.encode() + b"}"
        merged.after_context = self.after_context
        merged.make_texts()
        return merged


class Bound:
    """All that is bound, in the form in which it is merged into events.

    Args:
        fields: By wire key; mappings are as `as_json` makes them.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        own = {**fields}
        self._context = own.pop(CONTEXT.key, _NOTHING)
        self._integrations = own.pop(INTEGRATIONS.key, _NOTHING)
        self.fields: Mapping[str, Any] = own
        """All but `context` and `integrations`, which lie under an event with the defaults."""
        self.names = (*own,)
        self.encoders = encoders_with(self.names)
        self._over: dict[int, tuple[Defaults, Defaults]] = {}

    def over(self, defaults: Defaults) -> Defaults:
        """The defaults with bound `context` and `integrations` over them.

        Raises:
            InvalidValueError: These can't be sent; see `dumps`.
        """
        if not (self._context or self._integrations):
            return defaults
        known = self._over.get(id(defaults))  # no other object's: this one is kept
        if known is None:
            if len(self._over) >= _MOST_DEFAULTS:
                self._over.clear()
            merged = defaults.under(self._context, self._integrations)
            known = self._over[id(defaults)] = defaults, merged
        return known[1]


NOTHING_BOUND = Bound(_NOTHING)


def as_json(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as a server reads it: a dict with nothing in it but JSON's own types.

    Raises:
        InvalidValueError: It can't be sent; see `dumps`.
    """
    return orjson.loads(dumps({**mapping}))  # type: ignore[no-any-return]


def _entry(field: Field, value: Mapping[str, Any]) -> bytes:
    return b"," + dumps({field.key: value})[1:-1]
