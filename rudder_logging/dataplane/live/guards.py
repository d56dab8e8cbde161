"""Guards of the page: who may ask for it and change things, and what a browser may do with it.

A page of any web site can make its reader's browser send requests to loopback. The gateway's own
paths take those, as the real one does; what was received is shown to this page only.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from .. import gateway
from ..protocol import Request
from ..responses import Response, text

__all__ = ["HEADERS", "guard"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every answer to the page."""


def guard(request: Request, method: str, own_host: str) -> Response | None:
    """The refusal that a request earns; None: it may pass.

    Args:
        request: The request.
        method: The one that its path takes.
        own_host: Where the server was told to listen.
    """
    if request.method != method:
        return Response(405, headers={"Allow": method, **HEADERS})
    host = request.headers.get("host", "")
    if not _is_here(host, own_host):
        # Else a name that somebody points at 127.0.0.1 could read the page: DNS rebinding.
        return _refusal("open the page by localhost or by address, or serve with --host NAME")
    asked_from = request.headers.get("sec-fetch-site", "none")  # not sent by older browsers
    is_link = method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
    if asked_from not in ("same-origin", "none") and not is_link:
        return _refusal("only the page itself may ask for this")
    if method == "POST" and request.headers.get("origin") != f"{request.scheme}://{host}":
        return _refusal("only the page itself may change things")
    return None


def _refusal(words: str) -> Response:
    return text(gateway.Answer(403, words), HEADERS)


def _is_here(host: str, own_host: str) -> bool:
    """Tell if a name can't be somebody else's: an address, localhost, or the `--host` we have."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", own_host.lower()) or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
