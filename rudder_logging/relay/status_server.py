"""The HTTP server of `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..exceptions import ConfigError
from .health import Health
from .metrics import Metrics

__all__ = ["parse_address", "serving"]

_SECONDS_FOR_A_REQUEST = 10.0
_LAST_PORT = 65_535


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9464`, `[::1]:9464` or `9464`, which is on loopback.

    Raises:
        ConfigError: It is none of these.
    """
    host, _, digits = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    port = int(digits) if digits.isascii() and digits.isdigit() else -1
    if not 0 <= port <= _LAST_PORT:
        raise ConfigError(f"must be an address like 127.0.0.1:9464, not {text!r}")
    return host, port


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, health: Health, metrics: Metrics) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.health, self.metrics = health, metrics
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's trouble."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SECONDS_FOR_A_REQUEST
    server_version, sys_version = "rudder-logging", ""

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, kind = self.server.metrics.page(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, body, kind)
        elif path in ("/healthz", "/readyz"):
            look = self.server.health.healthy if path == "/healthz" else self.server.health.ready
            is_well, shown = look()
            status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
            body = json.dumps({"ok": is_well, **shown}).encode() + b"\n"
            self._answer(status, body, "application/json")
        else:
            body = b"/healthz, /readyz and /metrics are here\n"
            self._answer(HTTPStatus.NOT_FOUND, body, "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing: each probe would be a line."""


@contextmanager
def serving(host: str, port: int, health: Health, metrics: Metrics) -> Iterator[str]:
    """Answer for as long as the block lasts. Gives the server's URL.

    Raises:
        ConfigError: It can't listen there.
    """
    try:
        server = _Server(host, port, health, metrics)
    except OSError as error:  # gaierror, too
        raise ConfigError(f"can't listen at {host}, port {port}: {error.strerror}") from None
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="rudder-relay-http")
    thread.daemon = True
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(_SECONDS_FOR_A_REQUEST)
        server.server_close()
