"""The compiled encoders with redaction in their one pass.

A mapping of an event's fields is a private copy when it is encoded. Where all of its keys are known
to be harmless, one step says so; else its values are copied and redacted, level by level. So ten
keys cost a call less than a fifth; to read the finished message again would double it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from gc import is_tracked
from typing import Any

from ..events.compiled import Encoder, compile_redacting_encoder
from ..events.encoding import MOST_PLAIN_DEPTH, NATIVE, are_native, convert
from .redaction import Redaction

__all__ = ["RedactingEncoders"]

Shape = tuple[Any, ...]


class RedactingEncoders:
    """Encoders by shape, and by the names of what is bound: see `events/compiled.py`.

    Args:
        redaction: Done to each event; it asks for names only.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._hasher = redaction.hasher()  # never used
        self.are_harmless: Callable[[Mapping[Any, Any]], bool] = redaction.are_harmless
        """See `Names.are_harmless`."""
        self._by_names: dict[tuple[str, ...], dict[Shape, Encoder | None]] = {}

    def encoded(
        self,
        fields: Mapping[str, Any],
        template: object,
        now: float,
        defaults: Any,
        bound: Any,
    ) -> bytes | None:
        """An event's redacted message; None: the long way is to make it."""
        if type(fields) is not dict:
            return None
        shape = (fields["type"], *fields) if "type" in fields else tuple(fields)
        try:
            encoders = self._by_names[bound.names]
            encoder = encoders[shape]
        except KeyError:
            encoders = self._by_names.setdefault(bound.names, {})
            encoder = compile_redacting_encoder(encoders, shape, bound.names, self)
        except TypeError:  # a type that has no hash
            return None
        if encoder is None:
            return None
        try:
            message = encoder(fields, template, now, defaults, bound.fields)
        except KeyError:  # another thread took a field away
            return None
        if message is not None and self._redaction.has_queries(message):
            return self._redaction.message(message)
        return message

    def clean(self, copy: dict[Any, Any], depth: int, room: int) -> dict[str, Any] | None:
        """A dict, which nobody else knows, with private and redacted copies of all in it.

        Args:
            copy: It is changed.
            depth: Containers around it.
            room: How many values it may have.

        Returns:
            It; None: its keys are to be made text first.

        Raises:
            InvalidValueError: See `dumps`.
        """
        try:
            self._copy_within(copy, depth, room - len(copy))
        except TypeError:
            if convert(copy, depth, [room]) is not copy:
                return None
            self._redaction.tree(copy, self._hasher)
        return copy

    def _copy_within(self, copy: dict[Any, Any], depth: int, room: int) -> int:
        """Do as `copy_within` of the encoding does, and redact each level."""
        if depth >= MOST_PLAIN_DEPTH:
            raise TypeError
        if not self.are_harmless(copy):
            self._redaction.level(copy, self._hasher)
        made: Any
        for key, value in copy.items():
            kind = type(value)
            if kind is str or kind in NATIVE:
                continue
            if type(key) is not str:
                raise TypeError
            if kind is dict:
                made = {**value}
                room = self._room_after(made, depth, room)
            elif kind is list or kind is tuple:
                made = [*value]
                if not are_native(map(type, made)):
                    room = self._copy_within_list(made, depth + 1, room)
            else:
                raise TypeError
            copy[key] = made
            room -= len(made)
            if room < 0:
                raise TypeError
        return room

    def _copy_within_list(self, copy: list[Any], depth: int, room: int) -> int:
        for index, value in enumerate(copy):
            if type(value) is dict:
                copy[index] = made = {**value}
                room = self._room_after(made, depth, room) - len(made)
                if room < 0:
                    raise TypeError
            elif type(value) not in NATIVE:
                raise TypeError
        return room

    def _room_after(self, made: dict[Any, Any], depth: int, room: int) -> int:
        if (
            is_tracked(made)
            or not self.are_harmless(made)
            or not are_native(map(type, made.values()))
        ):
            return self._copy_within(made, depth + 1, room)
        return room
