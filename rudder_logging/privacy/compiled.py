"""The compiled encoders with redaction in their one pass.

A mapping of an event's fields is a private copy when it is encoded. Where all of its keys are known
to be harmless, one step says so; else its values are copied and redacted, level by level. To read
the finished message again would double what a call costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..events.compiled import Encoder, compile_redacting_encoder
from ..events.encoding import MOST_PLAIN_DEPTH, NATIVE, are_native, convert
from .redaction import Redaction

__all__ = ["RedactingEncoders", "Shape"]

Shape = tuple[Any, ...]
_Encoders = dict[Shape, "Encoder | None"]


class RedactingEncoders:
    """Encoders by shape, and by the names of what is bound: see `events/compiled.py`.

    Args:
        redaction: Done to each event; it asks for names only.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._level = redaction.level
        self._keys_within = redaction.keys_within
        self.are_harmless: Callable[[Mapping[Any, Any]], bool] = redaction.are_harmless
        """See `Names.are_harmless`."""
        self.by_names: dict[tuple[str, ...], _Encoders] = {}
        """Encoders by the wire keys of the fields that are bound."""

    def compile(self, shape: Shape, bound: tuple[str, ...]) -> Encoder | None:
        """Add the encoder for a shape, and return it; None: it needs the long way."""
        encoders = self.by_names.setdefault(bound, {})
        return compile_redacting_encoder(encoders, shape, bound, self)

    def clean_closely(self, copy: dict[Any, Any], depth: int, room: int) -> bool:
        """See `Redacts.clean_closely`."""
        if convert(copy, depth, [room]) is not copy:
            return False
        self._keys_within(copy)
        return True

    def clean_within(self, copy: dict[Any, Any], depth: int, room: int) -> int:
        """See `Redacts.clean_within`."""
        if depth >= MOST_PLAIN_DEPTH:
            raise TypeError
        are_harmless = self.are_harmless
        if not are_harmless(copy):
            self._level(copy)
        made: Any
        for key, value in copy.items():
            kind = type(value)
            if kind is str or kind in NATIVE:
                continue
            if type(key) is not str:
                raise TypeError
            if kind is dict:
                made = {**value}
                # A step of its own for what needs no closer look, as most: a call costs as much.
                if not are_native(map(type, made.values())) or not are_harmless(made):
                    room = self.clean_within(made, depth + 1, room)
            elif kind is list or kind is tuple:
                made = [*value]
                if not are_native(map(type, made)):
                    room = self._clean_within_list(made, depth + 1, room)
            else:
                raise TypeError
            copy[key] = made
            room -= len(made)
            if room < 0:
                raise TypeError
        return room

    def _clean_within_list(self, copy: list[Any], depth: int, room: int) -> int:
        are_harmless = self.are_harmless
        for index, value in enumerate(copy):
            if type(value) is dict:
                copy[index] = made = {**value}
                if not are_native(map(type, made.values())) or not are_harmless(made):
                    room = self.clean_within(made, depth + 1, room)
                room -= len(made)
                if room < 0:
                    raise TypeError
            elif type(value) not in NATIVE:
                raise TypeError
        return room
