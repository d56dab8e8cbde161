"""The gateway's rules, without HTTP: order of checks, statuses and texts.

Source: rudder-server 1.83.0, gateway/handle.go `getJobDataFromRequest`, gateway/response and
gateway/handle_http_auth.go. One difference: JSON nested deeper than Python's own parser goes
(some thousand levels) is refused as invalid, where the gateway would take it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._events import EVENT_TYPES, visible

__all__ = [
    "MAX_REQUEST_BYTES",
    "ROUTES",
    "Verdict",
    "check_body",
    "check_key",
    "decompress",
    "events_in",
]

MAX_REQUEST_BYTES = 4000 * 1024
"""Of the decompressed body (Gateway.maxReqSizeInKB)."""

ROUTES: Mapping[str, str] = {
    "/health": "GET",
    "/v1/batch": "POST",
    **{f"/v1/{name}": "POST" for name in EVENT_TYPES},
}
"""The one method of each path."""

_NOT_AN_EVENT = "event is not a valid rudder event"
_NO_ID = "request neither has anonymousId nor userId"
_INVALID_JSON = "invalid json"
_TYPES_WITHOUT_ID = frozenset({"extract", "record"})
_BYTES_AROUND_ONE_EVENT = 21


@dataclass(frozen=True)
class Verdict:
    """The gateway's answer, and what it stores: all of a batch's events or none."""

    status: int
    text: str
    events: tuple[dict[str, Any], ...] = ()
    culprit: int | None = None
    """Which of a batch's events it was refused for, if it was for one; the gateway won't say."""


def check_key(authorization: str | None, write_key: str | None, *, enabled: bool) -> Verdict | None:
    """What the `Authorization` header earns; None: go on. Without `write_key`, any will do."""
    key = _basic_user(authorization or "")
    if not key:
        return Verdict(401, "failed to read writekey from header")
    if write_key is not None and key != write_key:
        return Verdict(401, "invalid write key")
    if not enabled:
        return Verdict(404, "source is disabled")
    return None


def _basic_user(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, colon, _ = base64.b64decode(credentials.strip(), validate=True).partition(b":")
        return user.decode() if colon else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


def decompress(raw: bytes, content_encoding: str | None) -> bytes | Verdict:
    """The body's JSON; only the exact value `gzip` means anything to the gateway."""
    if content_encoding != "gzip":
        return raw
    text = b""
    while raw:  # of each member; unlike gzip.decompress, Go takes nothing else behind one
        member = zlib.decompressobj(wbits=31)
        try:
            text += member.decompress(raw)
        except zlib.error:
            return Verdict(500, "failed to read body from request")
        if not member.eof:
            return Verdict(500, "failed to read body from request")
        raw = member.unused_data
    return text


def check_body(  # noqa: PLR0911 - one return a check, in the gateway's order
    path: str, body: bytes, max_request_bytes: int = MAX_REQUEST_BYTES
) -> Verdict:
    """What a decompressed body earns, and the events that are stored of it."""
    overflow: list[str] = []
    try:
        document = _parse(body, overflow)
    except (ValueError, RecursionError):
        return Verdict(400, _INVALID_JSON)
    size = len(body)
    if path == "/v1/batch":
        candidates = _batch_of(document)
    else:
        if isinstance(document, list):
            return Verdict(400, _NOT_AN_EVENT)
        event = document if isinstance(document, dict) else {}
        forced = {"type": path.rpartition("/")[2]}
        size += _BYTES_AROUND_ONE_EVENT + len(json.dumps(forced)) * ("type" not in event)
        candidates = [{**event, **forced}]
    for index, candidate in enumerate(candidates):
        if not isinstance(candidate, dict):
            return Verdict(400, _NOT_AN_EVENT, culprit=index)
        if not (_has_id(candidate) or str(candidate.get("type")) in _TYPES_WITHOUT_ID):
            return Verdict(400, _NO_ID, culprit=index)
    if size > max_request_bytes:
        return Verdict(413, "request size exceeds max limit")
    if overflow and _overflows(candidates):
        return Verdict(400, _INVALID_JSON, culprit=list(map(_overflows, candidates)).index(True))
    if not candidates:
        return Verdict(400, "empty batch payload")
    return Verdict(200, "ok", tuple(_with_message_id(candidate) for candidate in candidates))


def events_in(path: str, body: bytes) -> list[Any]:
    """What stands in a body where events have to, whether the gateway takes it or not.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    document = _parse(body, [])
    return _batch_of(document) if path == "/v1/batch" else [document]


def _parse(body: bytes, overflow: list[str]) -> Any:
    """Strict JSON as the gateway reads it: the first of two equal keys wins, NaN is invalid."""

    def first_wins(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            found.setdefault(key, value)
        return found

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    def number(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            overflow.append(text)
        return value

    def integer(text: str) -> float:
        value = number(text)
        return value if math.isinf(value) else int(text)

    # Bad bytes become lone surrogates first, as \ud800 escapes do; then all become U+FFFD.
    text = body.decode("utf-8", "surrogateescape")
    document = json.loads(
        text,
        object_pairs_hook=first_wins,
        parse_constant=refuse,
        parse_float=number,
        parse_int=integer,
    )
    return _mended(document) if "\\ud" in text.lower() or not _is_valid(text) else document


def _is_valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_SURROGATES = dict.fromkeys(range(55296, 57344), "�")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_SURROGATES)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _overflows(value: Any) -> bool:
    """Whether re-encoding the events fails: nothing else of the body is encoded again."""
    if isinstance(value, (list, dict)):
        return any(map(_overflows, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and math.isinf(value)


def _batch_of(document: Any) -> list[Any]:
    batch = document.get("batch") if isinstance(document, dict) else None
    if batch is None:
        return []
    return batch if isinstance(batch, list) else [batch]


def _has_id(event: Mapping[str, Any]) -> bool:
    return any(_normalised(event.get(key)) for key in ("userId", "anonymousId"))


def _normalised(value: Any) -> str:
    """An id as the gateway compares it: its JSON text, without invisible characters, trimmed."""
    if value is None:
        return ""
    return visible(value if isinstance(value, str) else json.dumps(value))


def _with_message_id(event: dict[str, Any]) -> dict[str, Any]:
    given = event.get("messageId")
    kept = visible(given) if isinstance(given, str) else ""
    return {**event, "messageId": kept or str(uuid.uuid4())}
