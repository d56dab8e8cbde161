"""The gateway's rules, without HTTP: order of checks, statuses and texts.

Source: rudder-server 1.83.0, gateway/handle.go `getJobDataFromRequest`, gateway/response and
gateway/handle_http_auth.go; and of a 1.66 that was asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from ..events.table import EVENT_TYPES, visible
from .documents import json_text, overflows, parse

__all__ = [
    "MAX_REQUEST_BYTES",
    "PIXELS",
    "ROUTES",
    "SOURCE_CONFIG",
    "TOO_LARGE",
    "UNREADABLE",
    "Answer",
    "check_body",
    "check_import",
    "check_key",
    "decompress",
    "events_in",
    "key_of",
    "pixel_event",
]

MAX_REQUEST_BYTES = 4000 * 1024
"""Of the decompressed body (Gateway.maxReqSizeInKB)."""

_BATCHES = ("/v1/batch", "/beacon/v1/batch")
PIXELS = ("/pixel/v1/track", "/pixel/v1/page")
SOURCE_CONFIG = "/sourceConfig/"
"""Not the gateway's: RudderStack's control plane tells SDKs of browsers and phones their source."""
_KEY_IN_QUERY = ("/beacon/v1/batch", *PIXELS)

ROUTES: Mapping[str, str] = {
    **dict.fromkeys(("/", "/health", "/version", "/docs", "/robots.txt"), "GET"),
    **dict.fromkeys((*PIXELS, SOURCE_CONFIG), "GET"),
    **dict.fromkeys(_BATCHES, "POST"),
    "/v1/import": "POST",
    **{f"/v1/{name}": "POST" for name in EVENT_TYPES},
}
"""The one method of each path."""

_OK = 200
UNREADABLE = "failed to read body from request"
_NOT_AN_EVENT = "event is not a valid rudder event"
_NO_ID = "request neither has anonymousId nor userId"
_INVALID_JSON = "invalid json"
_BYTES_AROUND_ONE_EVENT = 21
_FIRST_WINDOW = 512  # bytes: what is left of one is copied, so that many small members are no less


@dataclass(frozen=True)
class Answer:
    """The gateway's answer, and what it stores: all of a batch's events or none."""

    status: int
    text: str
    events: tuple[dict[str, Any], ...] = ()
    culprit: int | None = None
    """Index of the event that the batch was refused for, if it was one; the gateway won't say."""


TOO_LARGE = Answer(413, "request size exceeds max limit")


def check_key(key: str, write_key: str | None, *, enabled: bool) -> Answer | None:
    """Judge the key of a request; None: go on. Without `write_key`, any will do."""
    if write_key is not None and key != write_key:
        return Answer(401, "invalid write key")
    if not enabled:
        return Answer(404, "source is disabled")
    return None


def key_of(path: str, authorization: str | None, query: str) -> str | Answer:
    """Find a request's write key where its path has it. Without one, return the answer to that."""
    if path in _KEY_IN_QUERY:
        given = parse_qs(query, keep_blank_values=True).get("writeKey", [""])[0]
        return given or Answer(401, "failed to read writekey from query params")
    return _basic_user(authorization or "") or Answer(401, "failed to read writekey from header")


def _basic_user(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, colon, _ = base64.b64decode(credentials.strip(), validate=True).partition(b":")
    except binascii.Error:
        return ""
    return user.decode(errors="surrogateescape") if colon else ""


def decompress(raw: bytes, content_encoding: str | None, most: int) -> bytes | Answer:
    """The body's JSON; only the exact value `gzip` means anything to the gateway.

    Args:
        raw: As it was sent.
        content_encoding: The header.
        most: Bytes. Larger ones are not made: the gateway would, and refuse them afterwards.
    """
    if content_encoding != "gzip":
        return raw
    text = bytearray()
    at = 0
    while at < len(raw):  # of each member; unlike gzip.decompress, Go takes nothing else behind one
        member = zlib.decompressobj(wbits=31)
        window = _FIRST_WINDOW
        while not member.eof:
            taken = raw[at : at + window]
            try:
                text += member.decompress(taken, most + 1 - len(text))
            except zlib.error:
                return Answer(500, UNREADABLE)
            if len(text) > most:
                return TOO_LARGE
            if not taken and not member.eof:
                return Answer(500, UNREADABLE)
            at += len(taken) - len(member.unused_data) - len(member.unconsumed_tail)
            window *= 2
    return bytes(text)


def check_body(path: str, body: bytes, max_request_bytes: int = MAX_REQUEST_BYTES) -> Answer:
    """Judge a decompressed body; the answer has the events that are stored of it."""
    infinite: list[str] = []
    try:
        document = parse(body, infinite)
    except ValueError:
        return Answer(400, _INVALID_JSON)
    if path in _BATCHES:
        return _check_events(_batch_of(document), len(body), max_request_bytes, infinite)
    if isinstance(document, list):
        return Answer(400, _NOT_AN_EVENT)
    event = document if isinstance(document, dict) else {}
    forced = {"type": path.rpartition("/")[2]}
    around = _BYTES_AROUND_ONE_EVENT + len(json.dumps(forced)) * ("type" not in event)
    return _check_events([{**event, **forced}], len(body) + around, max_request_bytes, infinite)


def _check_events(
    candidates: list[Any], size: int, max_request_bytes: int, infinite: list[str]
) -> Answer:
    for index, candidate in enumerate(candidates):
        if not isinstance(candidate, dict):
            return Answer(400, _NOT_AN_EVENT, culprit=index)
        if not (_has_id(candidate) or _needs_none(candidate)):
            return Answer(400, _NO_ID, culprit=index)
    if size > max_request_bytes:
        return TOO_LARGE
    for index, candidate in enumerate(candidates if infinite else ()):
        if overflows(candidate):
            return Answer(400, _INVALID_JSON, culprit=index)
    if not candidates:
        return Answer(400, "empty batch payload")
    return Answer(200, "ok", tuple(_with_message_id(candidate) for candidate in candidates))


def check_import(body: bytes, max_request_bytes: int, say: Callable[[Answer], Answer]) -> Answer:
    """Judge a body of `/v1/import`: an answer for each user, whose texts are made one.

    Args:
        body: Decompressed.
        max_request_bytes: Of each user's share.
        say: Puts an answer into the words of the server's version.
    """
    infinite: list[str] = []
    try:
        document = parse(body, infinite)
    except ValueError:
        return say(Answer(400, _INVALID_JSON))
    shares: dict[tuple[str, str], list[Any]] = {}
    batch = document.get("batch") if isinstance(document, dict) else None
    for value in batch.values() if isinstance(batch, dict) else _batch_of(document):
        event = value if isinstance(value, dict) else {}
        user = (json_text(event.get("userId")), json_text(event.get("anonymousId")))
        shares.setdefault(user, []).append(value)
    answers = []
    for share in shares.values():
        size = len(body) if len(shares) == 1 else len(json_text({"batch": share}))
        answers.append(say(_check_events(share, size, max_request_bytes, infinite)))
    faults = [answer for answer in answers if answer.status != _OK]
    events = tuple(event for answer in answers for event in answer.events)
    if not faults:
        return say(Answer(200, "ok", events))
    text = "".join(answer.text for answer in faults)  # which is no known one if there are more
    return Answer(faults[0].status if len(faults) == 1 else 500, text, events)


def pixel_event(path: str, query: str, now: str) -> bytes:
    """The body that a picture's query makes; empty: it lacks what its type needs.

    Args:
        path: Its last part is the type.
        query: Names with dots in them are paths.
        now: The time, as text.
    """
    kind = path.rpartition("/")[2]
    event: dict[str, Any] = {"channel": "web", "integrations": {"All": True}}
    event |= {"originalTimestamp": now, "sentAt": now}
    given = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
    given.pop("writeKey", None)
    if kind == "track" and given.get("event") == "":
        return b""
    if kind == "page" and given.get("name") == "":
        given["name"] = "Unknown Page"
    if "anonymousId" in given:
        given["anonymousId"] = re.sub(r'^"(.*)"$', r"\1", given["anonymousId"])
    for name, value in given.items():
        *parents, last = name.split(".")
        place = event
        for parent in parents:
            below = place.get(parent)
            if not isinstance(below, dict):
                below = place[parent] = {}
            place = below
        place[last] = value
    return json.dumps({**event, "type": kind}).encode()


def events_in(path: str, body: bytes) -> list[Any]:
    """Take from a body what stands where events have to, if the gateway takes it or not.

    Raises:
        ValueError: It is not JSON.
    """
    document = parse(body)
    return _batch_of(document) if path in (*_BATCHES, "/v1/import") else [document]


def _batch_of(document: Any) -> list[Any]:
    batch = document.get("batch") if isinstance(document, dict) else None
    if batch is None:
        return []
    return batch if isinstance(batch, list) else [batch]


def _has_id(event: Mapping[str, Any]) -> bool:
    """Tell if an event has an id: text with visible characters, or any value that is no text."""
    ids = (event.get(key) for key in ("userId", "anonymousId"))
    return any(visible(each) if isinstance(each, str) else each is not None for each in ids)


def _needs_none(event: Mapping[str, Any]) -> bool:
    return event.get("type") in ("extract", "record")


def _with_message_id(event: dict[str, Any]) -> dict[str, Any]:
    given = event.get("messageId")
    kept = visible(given) if isinstance(given, str) else ""
    return {**event, "messageId": kept or str(uuid.uuid4())}
