"""What stands before a data plane, as a process: a proxy with a password, a TLS front, a slow way.

    python -m tests.faults.gate proxy
    python -m tests.faults.gate front HOST:PORT
    python -m tests.faults.gate slow HOST:PORT BYTES_PER_SECOND SECONDS_PER_EVENT

The proxy takes `user:password` from the file `password`, anew for each request. The front passes
requests on to the data plane there, of clients that show a certificate by `authority.pem`. The slow
way has the patience of a real gateway: what takes over ten seconds, from the request's head to the
end of its store, is stored and gets no answer. Each notes its port.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import http.server
import json
import socket
import ssl
import sys
import threading
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from .child import note

__all__ = ["main"]


class _Gate(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""
    """Where requests go; a proxy reads it off each."""

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        body = self._body(int(self.headers["Content-Length"]))
        if not self._is_welcome():
            return
        self._pass_on(body)

    def _body(self, length: int) -> bytes:
        return self.rfile.read(length)

    def _pass_on(self, body: bytes) -> None:
        host, _, path = self.path.removeprefix("http://").partition("/")
        upstream = http.client.HTTPConnection(host or self.upstream)
        upstream.request("POST", f"/{path}", body, dict(self.headers))
        answer = upstream.getresponse()
        self._answer(answer.status, answer.read())
        upstream.close()

    def do_CONNECT(self) -> None:
        self.close_connection = True
        if not self._is_welcome():
            return
        host, _, port = self.path.partition(":")
        self.send_response(200)
        self.end_headers()
        with socket.create_connection((host, int(port))) as upstream:
            threading.Thread(target=_pass_on, args=(upstream, self.connection)).start()
            _pass_on(self.connection, upstream)

    def _is_welcome(self) -> bool:
        if self.upstream:
            return True
        wanted = base64.b64encode(Path("password").read_bytes()).decode()
        if self.headers["Proxy-Authorization"] == f"Basic {wanted}":
            del self.headers["Proxy-Authorization"]
            note("proxied")
            return True
        self._answer(407, b"<html>Who are you?</html>")
        return False

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", "Basic")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_PATIENCE = 10.0
"""Seconds, as in the gateway."""


class _SlowGate(_Gate):
    bytes_per_second = 0.0
    seconds_per_event = 0.0

    def _body(self, length: int) -> bytes:
        self._begun = monotonic()
        pieces: list[bytes] = []
        while length:
            pieces.append(self.rfile.read(min(length, 1_000)))
            length -= len(pieces[-1])
            sleep(len(pieces[-1]) / self.bytes_per_second)
        return b"".join(pieces)

    def _answer(self, status: int, content: bytes) -> None:
        done = monotonic() + self._events * self.seconds_per_event
        sleep(max(0.0, min(done, self._begun + _PATIENCE) - monotonic()))
        if done - self._begun < _PATIENCE:
            super()._answer(status, content)
        else:
            self.close_connection = True

    def _pass_on(self, body: bytes) -> None:
        is_compressed = self.headers["Content-Encoding"] == "gzip"
        self._events = len(json.loads(gzip.decompress(body) if is_compressed else body)["batch"])
        super()._pass_on(body)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def main(kind: str, upstream: str = "", *speeds: str) -> None:
    """Serve until killed."""
    _Gate.upstream = upstream
    gate = _SlowGate if speeds else _Gate
    if speeds:
        _SlowGate.bytes_per_second, _SlowGate.seconds_per_event = map(float, speeds)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), gate) as server:
        if kind == "front":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="authority.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain("server.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        note("gate", server.server_port)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
