"""Flask, with the user of Flask-Login if that is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, has_request_context, request

from ..common.wired import wired
from ..events.types import Id
from ..web.context import RequestContext
from ..web.wsgi import Environ, WsgiRequest, call_within, scope_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

__all__ = ["init_app"]


def init_app(app: Flask, context: RequestContext | None = None) -> None:
    """Have what a request knows on each event that is logged while it is answered.

    That includes streamed bodies, teardown functions and `call_on_close`.

    Args:
        app: It may get its `LoginManager` before that or after.
        context: What of a request is bound. A function for `user` gets Flask's `request`; the
            authenticated user is Flask-Login's, if the app has that: loaded for the request's first
            event, and changed by `login_user` and `logout_user`.

    .. versionadded:: 0.1.0
    """
    bound = context or RequestContext()
    answer = app.wsgi_app
    wired.add("flask")

    def answer_within(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return call_within(bound, _Request, answer, environ, start_response)

    app.wsgi_app = answer_within  # type: ignore[method-assign]
    if bound.follows_logins:
        _follow_logins(app)


class _Request(WsgiRequest):
    """A request of Flask's; `native` is its `request`, while there is one."""

    def __init__(self, environ: Environ) -> None:
        super().__init__(environ, request)

    def user(self) -> Id:
        """Flask-Login's: it loads the user, if the view has not."""
        if not has_request_context() or not hasattr(current_app, "login_manager"):
            return None
        from flask_login import current_user  # noqa: PLC0415 - only apps that use it have it

        return _id_of(current_app, current_user)


def _id_of(app: Any, user: Any) -> Id:
    return getattr(user, app.login_manager.id_attribute)()  # type: ignore[no-any-return]


def _follow_logins(app: Flask) -> None:
    """Have logins and logouts change the events after them."""
    try:
        from flask_login import user_logged_in, user_logged_out  # noqa: PLC0415 - as above
    except ImportError:
        return
    user_logged_in.connect(_note_login, app)
    user_logged_out.connect(_note_logout, app)


def _note_login(app: Flask, user: object) -> None:
    _set_user(_id_of(app, user))


def _note_logout(_app: Flask, **_user: object) -> None:
    _set_user(None)


def _set_user(user_id: Id) -> None:
    # Not by `current()`: the view may be in a block that ends within the request.
    scope = scope_of(request.environ)
    if scope is not None:
        scope.set(user_id=user_id)
