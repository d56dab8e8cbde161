"""The request's user: read for an event, and changed by a login and a logout.

In a thread, `request.user` is read, as the app itself would. An event loop must not wait for the
database: where nobody has asked for the user yet, events are held back until a task has, or until
the thread goes on that runs the loop.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from threading import Lock
from typing import Any

from django.contrib import auth
from django.utils.functional import LazyObject, empty

from ...common.telling import tell_once
from ...events.scopes import Scope, innermost
from ...events.types import Id
from ...handler.commits import Uncommitted, Wait, hold_back

__all__ = ["Layer", "layer_here", "note_login", "note_logout"]

layer_here: ContextVar[Layer | None] = ContextVar("rudder_logging_django", default=None)
"""The layer of the async request here and now."""
_tasks: set[asyncio.Task[None]] = set()
"""Tasks that run: the loop itself does not keep them."""
_holding = Lock()


class Layer:
    """A request, its scope, and the events that wait until its user is known.

    Args:
        request: Django's request.
        is_sync: The middleware runs in a thread, and will call `settle`.
        loop: That in which the middleware runs, and will call `known`.
    """

    NAME = "_rudder_logging"
    """The request's attribute in which it stands."""
    __slots__ = (
        "_held",
        "_is_changed",
        "_is_followed",
        "_is_sync",
        "_loop",
        "_scope",
        "_session_key",
        "_task",
        "request",
    )

    def __init__(
        self,
        request: Any = None,
        *,
        is_sync: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.request = request
        self._is_sync = is_sync
        self._loop = loop
        self._scope: Scope | None = None
        self._is_followed = False
        """Events have Django's user."""
        self._session_key: str | None = None
        self._held: list[Uncommitted] | None = None
        """None: nothing has to wait, or has to any more."""
        self._task: asyncio.Task[None] | None = None
        self._is_changed = False
        """Somebody has logged in or out meanwhile."""

    def begin(self, scope: Scope) -> None:
        """Change this scope, when somebody logs in or out."""
        self._scope = scope
        self._is_followed = True
        layer_here.set(self)
        setattr(self.request, self.NAME, self)

    def end(self) -> None:
        """Let go of scope and request: in a circle, they would wait for the garbage collector."""
        self._scope = None
        self.request.__dict__.pop(self.NAME, None)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let apps copy and pickle their requests: the copy has no scope."""
        return Layer, ()

    def stand_in(self) -> Id:
        """An id for events whose user is not known yet: they need one, and may have no other."""
        key = self._key_of_unknown()
        if key is None:
            return None
        return hashlib.sha256(f"rudder_logging {key}".encode()).hexdigest()[:32]

    def user_id(self) -> Id:
        """The user's id. None: nobody is logged in, or it is not known yet."""
        self._session_key = self._key_of_unknown()
        if self._session_key is not None:
            self._held = []
            hold_back(_hold)  # not earlier: each event of the process is asked about from now on
            return None
        user = getattr(self.request, "user", None)
        if _is_unknown(user) and _in_event_loop():
            user = getattr(self.request, "_acached_user", None)  # by `await request.auser()`
        return id_of(user)

    def _key_of_unknown(self) -> str | None:
        """The session's key, if a user may be found by it, whom only a task may look for."""
        request = self.request
        is_known = not _is_unknown(getattr(request, "user", None))
        if is_known or not self._is_followed or not _in_event_loop():
            return None
        if hasattr(request, "_acached_user"):
            return None
        return getattr(getattr(request, "session", None), "session_key", None) or None

    def wait(self) -> Wait | None:
        """Say how an event waits for the user; None: it need not."""
        if self._held is None or self._is_changed:
            return None
        if self._task is None and not self._is_sync and _in_event_loop():
            loop = asyncio.get_running_loop()
            if self._loop not in (None, loop):
                return self._keep  # `asyncio.run` in a view ends its loop, and tasks with it
            if self._scope is None:  # the request has ended, and a task of its goes on
                self._scope = innermost()
            self._task = loop.create_task(self._find_user())
            _tasks.add(self._task)
            self._task.add_done_callback(_tasks.discard)
        return self._keep

    def _keep(self, event: Uncommitted) -> None:
        with _holding:
            if self._held is not None:
                self._held.append(event)
                return
        event.commit()  # it is known since

    def settle(self) -> None:
        """Read the user for events that wait; from now on, a task does."""
        self._is_sync = False
        if self._held is not None:
            user_id = None
            try:
                user_id = None if self._is_changed else self.user_id()
            except Exception as error:  # noqa: BLE001 - a database may raise anything
                _tell(error)
            finally:
                self._release(user_id)

    async def known(self) -> None:
        """Wait until no event waits, but for those in other loops that outlive the request."""
        self._loop = None
        if self._task is None:
            if self._held is not None:
                await self._find_user()
        elif self._task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([self._task])

    async def _find_user(self) -> None:
        user_id = None
        try:
            session = _Snapshot(await _read(self.request.session, self._session_key))
            user_id = id_of(await auth.aget_user(_Asking(session)))
        except Exception as error:  # noqa: BLE001 - a database may raise anything
            _tell(error)
        finally:  # also if the loop ends
            self._release(user_id)

    def _release(self, user_id: Id) -> None:
        if user_id is not None and self._scope is not None and not self._is_changed:
            self._scope.set(user_id=user_id)
        with _holding:
            held, self._held = self._held or [], None
        for event in held:
            if user_id is not None:
                event.name_user(str(user_id))
            event.commit()

    def change(self, user_id: Id, before: Id = None) -> None:
        """Have events from now on carry another id, or none."""
        self._is_changed = True
        if before is not None:
            self._release(before)
        if self._scope is not None:
            self._scope.set(user_id=user_id)


class _Snapshot(dict[str, Any]):
    """A session as it was, for Django to read the user of.

    The app's own is left alone: a session that Django finds wrong, it ends, and that amid whatever
    the app does with it.
    """

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Nothing."""

    async def acycle_key(self) -> None:
        """Nothing."""

    async def aflush(self) -> None:
        """Nothing."""


class _Asking:
    """A request, as far as Django asks it for its user."""

    def __init__(self, session: _Snapshot) -> None:
        self.session = session


async def _read(session: Any, key: str | None) -> Mapping[str, Any]:
    loaded = getattr(session, "_session_cache", None)
    return await type(session)(key).aload() if loaded is None else loaded  # type: ignore[no-any-return]


def _hold() -> Wait | None:
    """Say how an event waits for the user of the request here and now; None: it need not."""
    layer = layer_here.get()
    return None if layer is None else layer.wait()


def _tell(error: Exception) -> None:
    what = "the user of an async request"
    tell_once(what, f"{what} can't be read: {type(error).__name__}; left out of its events")


def id_of(user: Any) -> Id:
    """The user's id; None: nobody is logged in."""
    return user.pk if getattr(user, "is_authenticated", False) else None


def _is_unknown(user: object) -> bool:
    """Say if it is still to be read from the database."""
    return isinstance(user, LazyObject) and user.__dict__.get("_wrapped") is empty


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def note_login(request: Any, user: Any, **_: Any) -> None:
    """Have the request's events carry the id of who logged in, from now on."""
    _change(request, id_of(user))


def note_logout(request: Any, user: Any, **_: Any) -> None:
    """Have the request's events carry nobody's id, from now on."""
    _change(request, None, id_of(user))


def _change(request: Any, user_id: Id, before: Id = None) -> None:
    layer = getattr(request, Layer.NAME, None)
    if isinstance(layer, Layer):
        layer.change(user_id, before)
