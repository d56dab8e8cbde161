"""Celery: what is bound where a task is sent is bound where it runs.

app = Celery("shop", broker="redis://")
install()
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from celery import Celery, signals
from celery.app.task import Context, Task

from .. import dump_bound, load_bound
from ..common.wired import wired
from ..process.members import handlers
from ..process.workers import keep_in_celery

__all__ = ["HEADER", "install"]

HEADER = "rudder_logging"
"""The header of a message that says what was bound."""
_SCOPE = "_rudder_logging_scope"

_everywhere = False
_apps: weakref.WeakSet[Celery] = weakref.WeakSet()
_of_an_installed_app: ContextVar[bool] = ContextVar("rudder_logging_celery", default=False)


def install(app: Celery | None = None) -> None:
    """Have what is bound where a task is sent bound while it runs, on whichever worker.

    Call it where the app is made, so that it is called in workers and in whoever sends tasks. A
    second call changes nothing. Handlers that a worker takes off root are put back, too.

    Args:
        app: The app whose tasks are meant; None: all apps in the process.

    .. versionadded:: 0.1.0
    """
    global _everywhere
    wired.add("celery")
    if app is None:
        _everywhere = True
    elif app not in _apps:
        _apps.add(app)
        app.send_task = _noting_the_app(app.send_task)
    for signal, receiver in (
        (signals.before_task_publish, _add_header),
        (signals.task_prerun, _begin),
        (signals.task_postrun, _end),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=HEADER)
    keep_in_celery(handlers)


def _noting_the_app(send_task: Callable[..., Any]) -> Callable[..., Any]:
    """The signal for a message does not tell of which app it is."""

    @functools.wraps(send_task)
    def send(*args: Any, **kwargs: Any) -> Any:
        token = _of_an_installed_app.set(True)
        try:
            return send_task(*args, **kwargs)
        finally:
            _of_an_installed_app.reset(token)

    return send


def _add_header(headers: dict[str, Any] | None = None, **_details: object) -> None:
    if headers is None or not (_everywhere or _of_an_installed_app.get()):
        return
    # A retry has it already, whatever the task has bound since, if it was nothing, too.
    text = headers.get(HEADER) or dump_bound()
    # A worker takes the nested headers for the sender's, and sends those again with a retry. Where
    # there are none, it takes what is not Celery's.
    own = headers.get("headers")
    if own is None:
        own = {name: headers[name] for name in _senders(frozenset(headers))}
    if isinstance(own, Mapping):
        headers["headers"] = {**own, HEADER: text}  # a copy: it may be the sender's
    headers[HEADER] = text


@functools.lru_cache(maxsize=64)  # Celery looks for them 17 us long, in a publish of 350 us
def _senders(names: frozenset[str]) -> tuple[str, ...]:
    """A message's headers that a worker takes for the sender's own."""
    return tuple(Context(dict.fromkeys(names)).headers or ())


def _begin(task: Task, **_details: object) -> None:
    request = task.request
    text = request.get(HEADER) or (request.headers or {}).get(HEADER)
    if text and (_everywhere or task.app in _apps):
        scope = vars(request)[_SCOPE] = load_bound(text)
        scope.__enter__()


def _end(task: Task, **_details: object) -> None:
    scope = vars(task.request).pop(_SCOPE, None)
    if scope is not None:
        scope.__exit__(None, None, None)
