"""The gateway's answers, as status, headers and body."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .gateway import Answer

__all__ = ["PIXEL", "Response", "allow_origin", "json_page", "page", "preflight", "text"]

_ALLOWED = ("GET", "HEAD", "POST")
_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


@dataclass
class Response:
    """An answer to one request; a body that is an iterator is sent as it comes."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


def page(media_type: str, body: str | bytes, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that is well, with something to read."""
    content = body.encode() if isinstance(body, str) else body
    return Response(200, content, {"Content-Type": media_type, **(headers or {})})


def json_page(
    value: Any, headers: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    """An answer of a value as JSON; it is well, unless `status` says otherwise."""
    response = page("application/json", json.dumps(value), headers)
    response.status = status
    return response


def text(answer: Answer, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as Go's net/http writes it: errors end with a newline; browsers may not guess."""
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    if answer.status == 200:  # noqa: PLR2004
        return Response(200, answer.text.encode(), {**plain, **(headers or {})})
    safe = {**plain, "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(answer.status, f"{answer.text}\n".encode(), safe)


def allow_origin(response: Response, method: str, origin: str | None) -> None:
    """Let a browser's page from any site read an answer, as rs/cors does for the gateway."""
    if origin and method in (*_ALLOWED, "OPTIONS"):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"


def preflight(wanted: str, headers: Mapping[str, str]) -> Response:
    """Answer a browser that asks if it may send, as rs/cors does."""
    response = Response(204, headers={"Vary": _PREFLIGHT_VARY})
    origin = headers.get("origin")
    if not origin or wanted.upper() not in (*_ALLOWED, "OPTIONS"):
        return response
    allow_origin(response, "OPTIONS", origin)
    response.headers["Access-Control-Allow-Methods"] = wanted.upper()
    response.headers["Access-Control-Max-Age"] = "900"
    asked = headers.get("access-control-request-headers")
    if asked:
        response.headers["Access-Control-Allow-Headers"] = asked
    return response


PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""A transparent picture of one pixel: what `/pixel` answers, whatever becomes of the event."""
