"""From a line of a file to the message in it: of spools, dead letters and formatted logs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import time
from typing import Any, NamedTuple

import orjson

from ..events.encoding import dumps, utc_milliseconds
from ..events.table import EVENT_TYPES, validate
from ..exceptions import InvalidEventError
from .moments import moment_of

__all__ = ["Stored", "UnsendableError", "as_text", "read_stored"]

_DEAD_LETTER = frozenset({"message", "status", "reason", "refusedAt"})
_ALL_EVENTS_HAVE = frozenset({"messageId", "type", "originalTimestamp"})
_BEGINNING = b'{"messageId":'
"""Of each message that a RudderFormatter or a RudderHandler writes."""
_DAMAGED = "damaged: no JSON"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Stored(NamedTuple):
    """A message as a line had it."""

    queued: bytes
    """Short of the closing brace and without `sentAt`: delivery adds both."""
    event: Mapping[str, Any]
    is_dead_letter: bool = False

    @property
    def moment(self) -> float | None:
        """When it happened, in seconds since the epoch, as far as it says."""
        moment = moment_of(self.event.get("timestamp"))
        return moment_of(self.event.get("originalTimestamp")) if moment is None else moment


class UnsendableError(Exception):
    """A line was meant to be an event, and can't be sent.

    Attributes:
        kept: What is left of it, as JSON: for a file of rejects.
    """

    def __init__(self, reason: str, kept: bytes) -> None:
        super().__init__(reason)
        self.kept = kept


def read_stored(text: bytes) -> Stored | None:
    """The message in a line; None: it is an ordinary line of a log.

    A line of text that does not begin like JSON is ordinary. So is JSON that is not an event: it
    has a log line's `message`, or neither an event's type nor its time. What a collector of logs
    has put around an event (a time, a container's name, Docker's JSON) is left out.

    Raises:
        UnsendableError: It is damaged, or the data plane would refuse or lose it.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if not text.startswith(b"{"):
        prefix, event, rest = text.partition(_BEGINNING)
        if not event and _is_text(prefix):
            return None
        text = event + rest or text
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnsendableError(_DAMAGED, as_text(text)) from None
    is_dead_letter = found.keys() == _DEAD_LETTER
    if is_dead_letter:
        found = found["message"]
        if (written := _written(found)) is None:
            raise UnsendableError("the event is nested too deeply", text)
        text = written
        if type(found) is not dict:
            raise UnsendableError("a dead letter without an event: it was damaged before", text)
    elif not _is_event(found):
        wrapped = found.get("log")
        return _unwrapped(wrapped) if isinstance(wrapped, str) and "stream" in found else None
    return _checked(found, text)._replace(is_dead_letter=is_dead_letter)


def _unwrapped(line: str) -> Stored | None:
    """The message in what Docker's log driver `json-file` has put into JSON of its own."""
    try:
        return read_stored(line.encode().strip())
    except UnsendableError as error:
        if line.endswith("\n") or str(error) != _DAMAGED:
            raise
        # Docker divides lines of over 16 KiB, and only the last part of one has its end.
        told = "the beginning of a line that Docker has divided; `docker logs` prints it whole"
        raise UnsendableError(told, error.kept) from None


def as_text(line: bytes) -> bytes:
    """Wrap a line that is no JSON into a JSON string."""
    return orjson.dumps(line.decode("utf-8", "replace"))


def _is_text(line: bytes) -> bool:
    """Tell text from UTF-16, and from the zeros that a file has after a loss of power."""
    try:
        return "\0" not in line.decode()
    except UnicodeDecodeError:
        return False


def _is_event(found: Mapping[str, Any]) -> bool:
    if "message" in found:  # a log line's; but an app's `before_send` may have added one
        return found.keys() >= _ALL_EVENTS_HAVE
    kind = found.get("type")
    if isinstance(kind, str) and kind in EVENT_TYPES:
        return True
    # A log line under another name may have the id of a mail, say, so that alone says nothing.
    return "messageId" in found and ("type" in found or "originalTimestamp" in found)


def _written(found: object) -> bytes | None:
    """The JSON of a value; None: it is nested deeper than orjson writes, though it reads it."""
    try:
        return orjson.dumps(found)
    except TypeError:
        return None


def _repeats_keys(event: dict[str, Any], text: bytes) -> bool:
    """Tell if an object has a key twice: the last is judged here, the first is stored there."""
    if _written(event) == text:  # as our own lines are
        return False

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            raise _RepeatedError

    try:
        json.loads(text, object_pairs_hook=look)
    except (_RepeatedError, RecursionError):
        return True
    return False


class _RepeatedError(Exception):
    """A key is there twice."""


def _checked(event: dict[str, Any], text: bytes) -> Stored:
    try:
        validate(event)
        message_id = event.get("messageId")
        if not isinstance(message_id, str) or not message_id.strip():
            # Without one, an event that is sent again would be another one.
            raise UnsendableError("no messageId", text)
        if "sentAt" in event or "originalTimestamp" not in event:
            event.pop("sentAt", None)
            # With a `sentAt` alone, the server would compute a time that never was.
            event.setdefault("originalTimestamp", utc_milliseconds(time()))
            text = dumps(event)
        elif _repeats_keys(event, text):
            text = dumps(event)
    except InvalidEventError as error:
        raise UnsendableError(str(error), text) from None
    return Stored(text[:-1], event)
