"""The setting RUDDER: the options of the handler, and those of `RequestContext`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ...config import OPTIONS, parse_option, parsers
from ...events.table import nearest
from ...exceptions import RudderError, UnknownOptionError
from ...web.context import RequestContext

__all__ = ["Options"]

_CONTEXT = "context"
_DEFAULTS = "default_context"
"""The handler's option `context`, whose own name is that of what a request knows."""
_NAMES = {_DEFAULTS if name == _CONTEXT else name: name for name in OPTIONS}
_FUNCTIONS = ("user", "anonymous_id", "extra")
"""Options of `RequestContext` that may be functions; in settings, by their dotted names."""


@dataclass(frozen=True)
class Options:
    """All that RUDDER says. Names may be in capitals, as settings are."""

    of_handler: Mapping[str, Any]
    """The handler's options, by their names in the package."""
    context: RequestContext
    follows_logins: bool
    """The user is the one that Django authenticates."""

    @classmethod
    def read(cls) -> Options:
        """Read and check the setting.

        Raises:
            ImproperlyConfigured: A name is unknown, or a value can't be right.
        """
        given = _mapping("RUDDER", getattr(settings, "RUDDER", {}))
        of_request = _mapping("RUDDER['CONTEXT']", given.pop(_CONTEXT, {}))
        try:
            of_handler = dict(_option(name, value) for name, value in given.items())
            for name in _FUNCTIONS:
                if "." in str(of_request.get(name)):
                    of_request[name] = parsers.callback(of_request[name])
            context = RequestContext(**of_request)
        except (RudderError, ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"RUDDER: {error}") from None
        return cls(of_handler, context, of_request.get("user", "auth") == "auth")


def _mapping(where: str, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{where} must be a dict, not {type(given).__name__}")
    lower = {str(name).lower(): given[name] for name in given}
    if len(lower) < len(given):
        raise ImproperlyConfigured(f"{where} has a name twice, in capitals and in small letters")
    return lower


def _option(name: str, value: Any) -> tuple[str, Any]:
    if name not in _NAMES:
        known = {known.upper(): known for known in (*_NAMES, _CONTEXT)}
        raise UnknownOptionError(
            f"no option is named {name.upper()!r}{nearest(name.upper(), known)}"
        )
    return _NAMES[name], None if value is None else parse_option(_NAMES[name], value)
