"""RudderFormatter: a record that carries an event becomes its message, as JSON."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from .._version import __version__
from ..common.dictconfig import resolved
from .compiled import compile_encoder
from .defaults import NOTHING_BOUND, Defaults, as_json
from .encoding import dumps
from .ids import MOMENTS
from .lines import line_of, writable
from .records import RECORD_IDS, template_of
from .scopes import innermost
from .table import CONTEXT, INTEGRATIONS, build, merge_mappings

__all__ = ["RudderFormatter"]

_LIBRARY = MappingProxyType({"library": {"name": "rudder-logging", "version": __version__}})


Encode = Callable[[Mapping[str, Any], object, float, Defaults], bytes]
"""Does as `RudderFormatter.encode`."""

_in_force: ContextVar[Defaults | None] = ContextVar("rudder_logging_defaults", default=None)


class RudderFormatter(OrjsonFormatter):
    """Formats records that carry an event as one line of RudderStack JSON.

    Any other record becomes python-json-logger's usual JSON line, to which all further arguments
    apply. No such line is lost over a value that JSON lacks. What a handler's stream can't encode
    is escaped. It works on any handler, so an app can write events to a file or to stdout and ship
    them later. The record is not changed.

    Args:
        context: Merged under the `context` of every event.
        integrations: Merged under the `integrations` of every event; by default `{"All": True}`.

    Raises:
        InvalidEventError: From `format`, where stdlib handlers pass it to `handleError`.

    .. versionadded:: 0.1.0
    """

    shares_records = True
    """True if records that it formats may be sent by a handler, too: then under the same id."""
    _has_hook = False
    """The class has a `format` of its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Look once if the class has a `format` of its own."""
        super().__init_subclass__(**kwargs)
        cls._has_hook = cls.format is not RudderFormatter.format

    def __setattr__(self, name: str, value: object) -> None:
        """Notice a `format` that is set on the instance."""
        super().__setattr__(name, value)
        if name == "format":
            self.is_hooked = True

    def __delattr__(self, name: str) -> None:
        """Notice a `format` that is taken off the instance."""
        super().__delattr__(name)
        if name == "format":
            self.is_hooked = self._has_hook

    def __init__(
        self,
        *args: Any,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.is_hooked = self._has_hook
        """True if class or instance has a `format` of its own, which a handler has to ask."""
        super().__init__(*map(resolved, args), **{k: resolved(v) for k, v in kwargs.items()})
        RECORD_IDS.wanted |= self.shares_records
        context, integrations = resolved(context), resolved(integrations)
        given = (
            CONTEXT.normalise("RudderFormatter: 'context'", {} if context is None else context),
            INTEGRATIONS.normalise(
                "RudderFormatter: 'integrations'", {} if integrations is None else integrations
            ),
        )
        self.event_defaults = Defaults(_LIBRARY, {"All": True}).under(*map(as_json, given))
        """The defaults in force, the library's own included."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without a line end."""
        fields = record.__dict__.get("rudder")
        if fields is None:
            return writable(super().format(record), self)
        message = self.message_of(record, fields, _in_force.get() or self.event_defaults)
        return writable((message + b"}").decode(), self)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """A record's values as JSON, each repaired if it can't be written as it is."""
        return line_of(log_data, self.json_default, indent=self.json_indent)

    def message_of(
        self,
        record: logging.LogRecord,
        fields: Mapping[str, Any],
        defaults: Defaults,
        encode: Encode | None = None,
    ) -> bytes:
        """The message of a record's event: as `encode`, with the id that its other messages have.

        Args:
            record: That carries it.
            fields: The event.
            defaults: See `encode`.
            encode: Takes the place of that.

        Raises:
            InvalidEventError: See `encode`; or a text that is no template would name the event.
        """
        template = record.msg if record.args is not None else template_of(record, fields)
        message = (encode or self.encode)(fields, template, record.created, defaults)
        return RECORD_IDS.one_for_all(message, record) if RECORD_IDS.wanted else message

    @staticmethod
    @contextlib.contextmanager
    def with_defaults(defaults: Defaults) -> Iterator[None]:
        """Have `format` use others than the formatter's own, for a while."""
        token = _in_force.set(defaults)
        try:
            yield
        finally:
            _in_force.reset(token)

    def encode(
        self, fields: Mapping[str, Any], template: object, created: float, defaults: Defaults
    ) -> bytes:
        """The message of an event, as UTF-8 JSON.

        Args:
            fields: What the app gave, for example as `extra["rudder"]`. It is not changed.
            template: The log line's, `record.msg`.
            created: When it was logged, in seconds since the epoch.
            defaults: The formatter's own, or others instead.

        Returns:
            It lacks the closing brace, like all that is queued: `sentAt` is still to come.

        Raises:
            InvalidEventError: The data plane would refuse the event, or lose it.
        """
        scope = innermost()
        if scope is None:
            bound = NOTHING_BOUND
        else:
            bound = scope.bound()
            defaults = bound.over(defaults)
        if type(fields) is dict:
            shape = (fields["type"], *fields) if "type" in fields else tuple(fields)
            try:
                encoder = bound.encoders[shape]
            except KeyError:
                encoder = compile_encoder(shape, bound.names)
            except TypeError:  # a type that has no hash
                encoder = None
            if encoder is not None:
                try:
                    encoded = encoder(fields, template, created, defaults, bound.fields)
                except KeyError:  # another thread took a field away
                    encoded = None
                if encoded is not None:
                    return encoded
        message = build(fields, template=template, bound=bound.fields, now=created)
        message["originalTimestamp"] = MOMENTS.at(created)[2]
        context = message.pop("context", None)
        integrations = message.pop("integrations", None)
        if context is None and integrations is None:
            return dumps(message)[:-1] + defaults.ending
        # In the order in which the compiled encoders have them.
        message["context"] = merge_mappings(defaults.context, context or {})
        message["integrations"] = merge_mappings(defaults.integrations, integrations or {})
        return dumps(message)[:-1]
