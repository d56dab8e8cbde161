"""Fields that are merged under an event's: a handler's defaults, and what `bind()` has bound.

Either becomes JSON once, and not with each event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from ..exceptions import InvalidValueError
from .compiled import encoders_with
from .encoding import dumps
from .table import CONTEXT, INTEGRATIONS, PROPERTIES, merge_mappings

__all__ = ["NOTHING_BOUND", "Bound", "Defaults"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Defaults:
    """Defaults of every message, below its own `context` and `integrations`.

    Raises:
        InvalidValueError: They can't be sent; see `dumps`.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    integrations: Mapping[str, Any] = field(default_factory=dict)
    """Once made, both are what a server reads: dicts with nothing in them but JSON's own types."""

    ending: bytes = field(init=False, repr=False, compare=False)
    """End of a message that has neither of its own: short of the brace.

    To serialise them for each event cost 4 % of a call.
    """

    only_context: bytes = field(init=False, repr=False, compare=False)
    before_context: bytes = field(init=False, repr=False, compare=False)
    after_context: bytes = field(init=False, repr=False, compare=False)
    """Text of `context`; around a message's own, if that has no names of these; of `integrations`.
    """

    def __post_init__(self) -> None:
        """Serialise them."""
        context = b"," + dumps({CONTEXT.key: self.context})[1:-1]
        integrations = b"," + dumps({INTEGRATIONS.key: self.integrations})[1:-1]
        for name, value in {
            "context": _read(context)[CONTEXT.key],
            "integrations": _read(integrations)[INTEGRATIONS.key],
            "ending": context + integrations,
            "only_context": context,
            "before_context": context[:-1] + (b"," if self.context else b""),
            "after_context": integrations,
        }.items():
            object.__setattr__(self, name, value)

    def under(self, over: Defaults) -> Defaults:
        """These defaults, and others that win over them."""
        return Defaults(
            merge_mappings(self.context, over.context),
            merge_mappings(self.integrations, over.integrations),
        )


class Bound:
    """All that `bind()` has bound, as it was at the first event that it is merged into.

    Args:
        fields: By wire key.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        own = {**fields}
        self._context = own.pop(CONTEXT.key, _NOTHING)
        self._integrations = own.pop(INTEGRATIONS.key, _NOTHING)
        if PROPERTIES.key in own:
            own[PROPERTIES.key] = _as_json(own[PROPERTIES.key])
        self.fields: Mapping[str, Any] = own
        """All but those that lie under an event as `Defaults` do: they are made such."""
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
            merged = Defaults(
                merge_mappings(defaults.context, self._context),
                merge_mappings(defaults.integrations, self._integrations),
            )
            known = self._over[id(defaults)] = defaults, merged
        return known[1]


NOTHING_BOUND = Bound(_NOTHING)


def _read(text: bytes) -> Any:
    return orjson.loads(b"{" + text[1:] + b"}")


def _as_json(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return {**orjson.loads(dumps({**mapping}))}
    except InvalidValueError:  # told with each event that it would be sent with
        return mapping
