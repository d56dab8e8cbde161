"""The options of `RequestContext`, and how each is read.

A value that can't be right is left out with a warning: a request must not fail over it. Then the
option says as little of a client as it can.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypedDict

from ..common.telling import tell_once
from ..events.fields import type_of
from ..events.table import nearest
from ..events.types import Id
from ..exceptions import UnknownOptionError
from .addresses import address_source
from .consent import PROVIDERS
from .cookies import ANONYMOUS_ID_COOKIES
from .queries import utm_names
from .request import Request

__all__ = ["ContextOptions", "authenticated_user", "read_options"]


class ContextOptions(TypedDict, total=False):
    """The options of `RequestContext`, for editors and type checkers."""

    user: str | Callable[[Any], Id] | None
    anonymous_id: str | Sequence[str] | Callable[[Any], Id] | None
    ip: str | None
    ip_mask: bool
    query: str | Sequence[str]
    ad_ids: bool
    consent: str | Callable[[Any], Collection[str] | None] | None
    session: bool
    locale: bool
    ignore: str | Sequence[str]
    extra: Callable[[Any], Mapping[str, Any] | None] | None
    max_value: int


def read_options(options: Mapping[str, Any], place: str) -> dict[str, Any]:
    """All options, those that are not given by their defaults, as `RequestContext` uses them.

    Raises:
        UnknownOptionError: No option has that name.
    """
    for name in options:
        if name not in _OPTIONS:
            raise UnknownOptionError(
                f"RequestContext: no option is named {name!r}{nearest(name, _OPTIONS)}; "
                f"it has: {', '.join(_OPTIONS)}"
            )
    read = {}
    for name, (default, least, parse) in _OPTIONS.items():
        try:
            read[name] = parse(options.get(name, default))
        except (ValueError, TypeError) as error:  # noqa: PERF203 - eleven rounds, once an app
            tell_once(place, f"RequestContext: {name!r} {error}; left out at {place}")
            read[name] = parse(least)
    return read


def _function(value: Any, others: str) -> Any:
    if not callable(value):
        raise TypeError(f"must be {others}, not {_shown(value)}")
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
        getattr(value, "__call__", None)  # noqa: B004 - it may be an object with an async one
    ):
        raise TypeError("is a coroutine function, which a log call can't wait for; give another")
    return value


def _shown(value: Any) -> str:
    return repr(value[:40]) if isinstance(value, str) else type_of(value)


def authenticated_user(request: Request) -> Id:
    """The user whom the framework authenticated."""
    return request.user()


def _user(value: Any) -> Callable[[Request], Id] | None:
    if value is None:
        return None
    if value == "auth":
        return authenticated_user
    function = _function(value, "'auth', a function or None")
    return lambda request: function(request.native)


def _anonymous_id(value: Any) -> Any:
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else value
    if isinstance(names, Sequence):
        for name in names:
            if name not in ANONYMOUS_ID_COOKIES:
                known = ", ".join(map(repr, ANONYMOUS_ID_COOKIES))
                near = nearest(name, dict.fromkeys(ANONYMOUS_ID_COOKIES, ""))
                raise ValueError(f"has {_shown(name)}{near}; it takes {known}")
        return tuple(ANONYMOUS_ID_COOKIES[name] for name in names)
    return _function(value, "names of SDKs, a function or None")


def _ip(value: Any) -> Callable[[Request], str | None] | None:
    source = address_source(value) if isinstance(value, str) else None
    if source is None and value is not None:
        raise ValueError(f"must be 'remote', 'xff:N', 'header:NAME' or None, not {_shown(value)}")
    return source


def _query(value: Any) -> Callable[[str], object]:
    if value == "utm":
        return utm_names
    if value == "none":
        return frozenset[str]().__contains__
    if isinstance(value, str) or not isinstance(value, (Sequence, set, frozenset)):
        raise TypeError(f"must be 'utm', 'none' or a list of names, not {_shown(value)}")
    return frozenset(filter(lambda name: isinstance(name, str), value)).__contains__


def _consent(value: Any) -> Any:
    if value is None or (isinstance(value, str) and value in PROVIDERS):
        return value
    if isinstance(value, str):
        known = ", ".join(map(repr, PROVIDERS))
        raise ValueError(f"is {_shown(value)}{nearest(value, PROVIDERS)}; it takes {known}")  # noqa: TRY004
    return _function(value, "a provider's name, a function or None")


def _switch(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError(f"must be True or False, not {_shown(value)}")
    return value


def _ignore(value: Any) -> Callable[[str], object]:
    patterns = [value] if isinstance(value, str) else list(value or ())
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError("must be patterns of paths, like '/health*'")
    if not patterns:
        return lambda _path: False
    return re.compile("|".join(map(fnmatch.translate, patterns))).match


def _extra(value: Any) -> Callable[[Any], Mapping[str, Any] | None] | None:
    return None if value is None else _function(value, "a function or None")


def _max_value(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise TypeError(f"must be a number of characters, 1 or more, not {_shown(value)}")
    return value


_UNWATCHED = ("/health*", "/ready*", "/live*", "/metrics", "/favicon.ico")
_OPTIONS: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
    "user": ("auth", None, _user),
    "anonymous_id": (tuple(ANONYMOUS_ID_COOKIES), None, _anonymous_id),
    "ip": ("remote", None, _ip),
    "ip_mask": (False, True, _switch),
    "query": ("utm", "none", _query),
    "ad_ids": (False, False, _switch),
    "consent": (None, None, _consent),
    "session": (True, False, _switch),
    "locale": (True, False, _switch),
    "ignore": (_UNWATCHED, _UNWATCHED, _ignore),
    "extra": (None, None, _extra),
    "max_value": (1024, 1024, _max_value),
}
"""By name: the default, what a value is replaced by that can't be right, and the reader."""
