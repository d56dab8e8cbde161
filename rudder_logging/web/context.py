"""RequestContext: from a request to what is bound while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from ..common.tally import RAISED
from ..common.telling import place_of_caller, place_of_error, tell_once
from ..events.scopes import Made, Scope
from ..events.table import bind_fields, merge_mappings
from ..exceptions import InvalidEventError
from .addresses import address_of
from .consent import consent_of_cookie, consent_of_ids
from .cookies import ad_ids_of, anonymous_id_of, session_id_of
from .options import authenticated_user, read_options
from .queries import campaign_of, filtered, referrer_of, search_of, url_of
from .request import Request
from .text import best_locale, clean, path_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import ContextOptions

__all__ = ["RequestContext"]

_MARK = "rudder_logging.request"
_UNBOUND: AbstractContextManager[None] = nullcontext()
_CLICK_IDS = frozenset({"gclid", "gbraid", "wbraid", "ttclid"})
_REQUESTS = "requests"  # the place of all warnings of what a client sent


class RequestContext:
    """Describes what events of a web request say of it: who, from where, on which page.

    Nothing is read of a request that logs no event. A value that can't be right, in a request or in
    an option, is left out with one warning.

    Args:
        **options: All may be left out.
            `user`: Sets `user_id`: "auth", the user that the framework authenticated (the default);
            or a function of the framework's request; or None: nobody.
            `anonymous_id`: The SDKs whose cookie is read, in this order: `("rudder", "segment")` by
            default; or a function; or None.
            `ip`: "remote", the address of the connection (the default); "xff:N", the Nth entry of
            X-Forwarded-For from the right, where N proxies stand in front of the app;
            "header:NAME", of a proxy that overwrites it; None: no location either.
            `ip_mask`: Zeros in place of the last byte of an IPv4 address, and of all behind the
            first six of an IPv6 address.
            `query`: Names in query strings that events show: "utm" (the default; they make
            `context.campaign`, too), "none", or a list.
            `ad_ids`: Ids of GA4, Meta, Google Ads and TikTok, from cookies and click ids.
            `consent`: Whose cookie says what the person allowed: "oneTrust", "ketch" or "iubenda";
            or a function that returns the ids. That becomes `context.consentManagement`, to which a
            `ConsentPolicy` adds what the others are.
            `session`, `locale`: `context.sessionId`, `context.locale`; both on.
            `ignore`: Patterns of paths that have nothing bound.
            `extra`: A function of the framework's request, which returns more fields, as `bind`
            takes them. They win, but not over the id that `user` found.
            `max_value`: Characters that a value may have.

    Raises:
        UnknownOptionError: No option has that name; the message names the nearest.

    .. versionadded:: 0.1.0
    """

    def __init__(self, **options: Unpack[ContextOptions]) -> None:
        read = read_options(options, place_of_caller(1))
        self._user: Callable[[Request], Any] | None = read["user"]
        self.follows_logins: bool = read["user"] is authenticated_user
        """True if the framework says who the user is."""
        self._anonymous_id: Any = read["anonymous_id"]
        self._address: Callable[[Request], str | None] | None = read["ip"]
        self._masks: bool = read["ip_mask"]
        self._is_allowed: Callable[[str], object] = read["query"]
        self._has_ad_ids: bool = read["ad_ids"]
        self._consent: Any = read["consent"]
        self._has_session: bool = read["session"]
        self._has_locale: bool = read["locale"]
        self._is_ignored: Callable[[str], object] = read["ignore"]
        self._extra: Callable[[Any], Mapping[str, Any] | None] | None = read["extra"]
        self._most: int = read["max_value"]

    def binding(
        self,
        path: str,
        request: Callable[[], Request],
        marks: MutableMapping[Any, Any] | None = None,
    ) -> AbstractContextManager[Scope | None]:
        """Have a request's fields bound while it lasts, for integrations; entered once.

        Its value is the request's scope, for a login in mid-request; or None: the path is ignored,
        or another middleware binds the request already.

        Args:
            path: The request's, by which it may be ignored.
            request: Makes the `Request`, if an event is logged.
            marks: A mapping that goes along with the request, as ASGI's scope does, so that of two
                middlewares in one app, or of one in a mounted app, the outer one binds.
        """
        if marks is not None:
            if _MARK in marks:
                return _UNBOUND
            marks[_MARK] = True
        return _UNBOUND if self._is_ignored(path) else Scope(Made(partial(self._fields, request)))

    def _fields(self, make_request: Callable[[], Request]) -> Mapping[str, Any]:
        request = _asked("the request", make_request)
        if request is None:
            return {}
        context: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for part in (self._client, self._page, self._ids_of_the_browser, self._consents):
            _asked(part.__name__.lstrip("_"), part, request, context, properties)
        given = {
            "anonymous_id": _asked("anonymous_id", self._anonymous_id_of, request),
            "context": context,
            "properties": properties or None,
        }
        if given["anonymous_id"] is None:
            given["anonymous_id"] = _asked("stand_in", request.stand_in)
        user = {"user_id": _asked("user", self._user, request)} if self._user is not None else {}
        more = _asked("extra", self._more, request) or {}
        fields = bind_fields(given, _tell)
        if more:
            fields = merge_mappings(fields, more)
        return fields | bind_fields(user, _tell)

    def _more(self, request: Request) -> Mapping[str, Any]:
        fields = self._extra(request.native) if self._extra is not None else None
        return {} if fields is None else bind_fields(fields, _tell)

    def _client(self, request: Request, context: dict[str, Any], _: dict[str, Any]) -> None:
        source = self._address
        given = None if source is None else _asked("ip", source, request)
        address = address_of(given, is_masked=self._masks)
        if address is None:
            if given:
                tell_once(
                    _REQUESTS, "RequestContext: an address of a client was left out: it is none"
                )
            context["geo"] = {}  # else the server would take this machine's
        else:
            context["ip"] = address
        headers = {"userAgent": clean(request.header("user-agent"), self._most)}
        if self._has_locale:
            headers["locale"] = best_locale(request.header("accept-language"))
        context.update({key: value for key, value in headers.items() if value})

    def _page(self, request: Request, context: dict[str, Any], properties: dict[str, Any]) -> None:
        most = self._most
        query = request.query()
        pairs = filtered(query, self._is_allowed, most)
        search = search_of(pairs)
        path = path_of(request.path(), most)
        page = {
            "path": path,
            "referrer": referrer_of(request.header("referer"), self._is_allowed, most),
            "search": search[:most],
            "url": url_of(request.scheme(), _asked("host", request.host), path, search, most),
        }
        context["page"] = {key: value for key, value in page.items() if value}
        campaign = campaign_of(pairs)
        if campaign:
            context["campaign"] = campaign
        if self._has_ad_ids:
            properties.update(filtered(query, _CLICK_IDS.__contains__, most))

    def _ids_of_the_browser(
        self, request: Request, context: dict[str, Any], properties: dict[str, Any]
    ) -> None:
        header = request.header("cookie") or ""
        if self._has_session:
            number = _asked("the session's cookie", session_id_of, header)
            if number is not None:
                context["sessionId"] = number
        if self._has_ad_ids:
            of_context, of_properties = ad_ids_of(header, self._most)
            context.update(of_context)
            properties.update(of_properties)

    def _consents(self, request: Request, context: dict[str, Any], _: dict[str, Any]) -> None:
        given = self._consent
        if given is None:
            return
        if callable(given):
            found = consent_of_ids(given(request.native))
        else:
            found = consent_of_cookie(request.header("cookie") or "", given)
        if found is not None:
            context["consentManagement"] = found

    def _anonymous_id_of(self, request: Request) -> Any:
        if callable(self._anonymous_id):
            return self._anonymous_id(request.native)
        header = request.header("cookie") or ""
        for name in self._anonymous_id:
            found = _asked(f"the cookie {name!r}", anonymous_id_of, header, name, self._most)
            if found is not None:
                return found
        return None


def _asked(what: str, function: Callable[..., Any], *args: Any) -> Any:
    """The answer of a function; None, with one warning, if it raises."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - an app's function, or a framework's, may raise any
        if isinstance(error, InvalidEventError):
            words = str(error)
        else:  # without its text, which may quote what a client sent
            RAISED.one()
            words = f"{type(error).__name__} at {place_of_error(error)}"
        tell_once(what, f"RequestContext: {what} was left out: {words}")
        return None


def _tell(error: InvalidEventError) -> None:
    tell_once(_REQUESTS, f"RequestContext: {error}; left out")
