"""Messages that the app has edited: by `before_send`, or by a `format` of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ..events.encoding import dumps
from ..events.ids import new_message_id
from ..events.table import validate
from ..exceptions import InvalidTypeError, InvalidValueError

__all__ = ["edited_by", "edited_line"]


def edited_by(message: bytes, hook: Callable[[dict[str, Any]], object]) -> bytes | str:
    """The message as it is to be sent, or the reason why it is not.

    The hook gets a copy, so that it can't change what the app holds. A hook that raises keeps the
    event back, because it may be the one that removes what must not leave.

    Args:
        message: Short of its closing brace, as is the one returned.
        hook: Calls the app's `before_send`. It returns what that returned, or the exception that it
            raised.

    Raises:
        InvalidEventError: What it returned can't be sent.
    """
    given = orjson.loads(message + b"}")
    message_id = given["messageId"]
    edited = hook(given)
    if edited is None:
        return "before_send"
    if isinstance(edited, Exception):
        return "before_send_failed"
    if not isinstance(edited, dict):
        raise InvalidTypeError(
            f"before_send must return the message or None, not {type(edited).__name__}"
        )
    return _checked(edited, message_id)


def edited_line(line: object) -> bytes:
    """The message in a line that a `format` of the app's returned, short of its closing brace.

    Raises:
        InvalidEventError: It can't be sent, or is none.
    """
    try:
        edited = orjson.loads(line)  # type: ignore[arg-type]  # it says so itself
    except (TypeError, ValueError):
        edited = None
    if not isinstance(edited, dict):
        raise InvalidValueError(
            "format returned no event; return what super().format(record) did, edited as JSON"
        )
    return _checked(edited, None)


def _checked(edited: dict[str, Any], message_id: str | None) -> bytes:
    edited.pop("sentAt", None)
    if not edited.get("messageId"):
        edited["messageId"] = message_id or new_message_id()
    return dumps(validate(edited))[:-1]
