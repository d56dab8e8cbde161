"""Hooks that keep our payloads out of Sentry, which stores what a log record has as `extra`.

Without them it does so in breadcrumbs (each line from INFO on), in events (each from ERROR on), in
its logs if they are enabled, and in the variables of stack frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

__all__ = ["before_breadcrumb", "before_send", "before_send_log", "without_payloads"]

Hook = Callable[[Any, Any], Any]


class Hooks(TypedDict):
    """Options of `sentry_sdk.init`."""

    before_breadcrumb: Hook
    before_send: Hook
    before_send_log: Hook


_DEPTH = 2  # of what is not serialised yet, and may contain itself: loguru's `extra` is in `data`
_DEPTH_OF_AN_EVENT = 50  # it is serialised by then


def before_breadcrumb(crumb: Any, hint: Any) -> Any:  # noqa: ARG001 - Sentry's signature
    """A breadcrumb without our payload. The app's own hook goes into `without_payloads`.

    .. versionadded:: 0.1.0
    """
    return _cleaned_in(crumb, "data")


def before_send(event: Any, hint: Any) -> Any:  # noqa: ARG001 - as above
    """An event without our payload, wherever it is: in `extra`, breadcrumbs, stack frames.

    .. versionadded:: 0.1.0
    """
    return _cleaned(event, _DEPTH_OF_AN_EVENT)


def before_send_log(log: Any, hint: Any) -> Any:  # noqa: ARG001 - as above
    """A line of Sentry's logs without our payload.

    .. versionadded:: 0.1.0
    """
    return _cleaned_in(log, "attributes")


def without_payloads(
    before_breadcrumb: Hook | None = None,
    before_send: Hook | None = None,
    before_send_log: Hook | None = None,
) -> Hooks:
    """Make the options of `sentry_sdk.init` that keep our payloads out of it.

    Args:
        before_breadcrumb: The app's own; it gets what ours has left.
        before_send: Likewise.
        before_send_log: Likewise.

    Returns:
        The three options: `sentry_sdk.init(dsn, **without_payloads())`.

    .. versionadded:: 0.1.0
    """
    return {
        "before_breadcrumb": _chained(_OUR_BEFORE_BREADCRUMB, before_breadcrumb),
        "before_send": _chained(_OUR_BEFORE_SEND, before_send),
        "before_send_log": _chained(_OUR_BEFORE_SEND_LOG, before_send_log),
    }


# Under names that the arguments do not hide.
_OUR_BEFORE_BREADCRUMB, _OUR_BEFORE_SEND = before_breadcrumb, before_send
_OUR_BEFORE_SEND_LOG = before_send_log


def _chained(ours: Hook, own: Hook | None) -> Hook:
    if own is None:
        return ours
    return lambda thing, hint: own(ours(thing, hint), hint)


def _cleaned_in(thing: Any, name: str) -> Any:
    held = thing.get(name)
    return {**thing, name: _cleaned(held, _DEPTH)} if isinstance(held, dict) else thing


def _cleaned(value: Any, depth: int) -> Any:
    """A copy: what Sentry holds may be the app's own."""
    if depth and isinstance(value, dict):
        is_ours = str(value.get("module")).startswith("rudder_logging")  # a stack frame
        return {
            key: _cleaned(item, depth - 1)
            for key, item in value.items()
            if not (_names_a_payload(key) or (is_ours and key == "vars"))
        }
    if depth and isinstance(value, list):
        return [_cleaned(item, depth - 1) for item in value]
    return value


def _names_a_payload(key: object) -> bool:
    """Say if it is the attribute of a record; or in Sentry's logs, a parameter of loguru's."""
    return isinstance(key, str) and key.rpartition(".")[2] == "rudder"
