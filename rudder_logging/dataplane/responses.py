"""The gateway's answers as bytes and headers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from .gateway import Verdict

__all__ = ["preflight", "refusal", "text"]


def text(verdict: Verdict, headers: dict[str, str] | None = None) -> Response:
    """As Go's net/http writes it: errors end with a newline, and browsers may not guess."""
    if verdict.status == 200:  # noqa: PLR2004
        return Response(verdict.text, media_type="text/plain", headers=headers)
    safe = {"X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(
        verdict.text + "\n", status_code=verdict.status, media_type="text/plain", headers=safe
    )


def refusal(status: int) -> bytes:
    """Go's net/http on a request that it can't read: before any of the gateway's own code."""
    line = {400: "400 Bad Request", 431: "431 Request Header Fields Too Large"}[status]
    headers = "Content-Type: text/plain; charset=utf-8\r\nConnection: close"
    return f"HTTP/1.1 {line}\r\n{headers}\r\n\r\n{line}".encode()


def preflight(request: Request, wanted: str) -> Response:
    """What rs/cors answers a browser that asks whether it may send."""
    if wanted not in ("GET", "HEAD", "POST"):
        return Response(status_code=204)
    headers = {
        "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
        "Access-Control-Allow-Methods": wanted,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Max-Age": "900",
    }
    asked = request.headers.get("Access-Control-Request-Headers")
    if asked:
        headers["Access-Control-Allow-Headers"] = asked
    return Response(status_code=204, headers=headers)
