"""Objects in a folder, by as much of S3's protocol as a broker's storage speaks.

`python -m tests.engines.objects FOLDER` prints its port, and serves until it is killed.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_writing = threading.Lock()
_SUFFIX = ".object"


def _tag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'


class _Objects(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path

    def do_PUT(self) -> None:
        """Write an object, if it is still what the sender takes it for."""
        data, path = self._body(), self._path(self._key())
        with _writing:
            has = _tag(path.read_bytes()) if path.exists() else None
            match = self.headers.get("If-Match")
            if (self.headers.get("If-None-Match") and has) or (match and match != has):
                self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            other = path.with_suffix(".new")
            other.write_bytes(data)
            other.replace(path)
        self._answer(200, ETag=_tag(data))

    def do_GET(self) -> None:
        """Read an object or a part of it, or list them."""
        key = self._key()
        if not key:
            self._list()
            return
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        said = {"ETag": _tag(data), "Last-Modified": formatdate(0, usegmt=True)}
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first = int(span[1])
            last = min(int(span[2] or len(data)), len(data) - 1)
            said["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._answer(206, data[first : last + 1], **said)
        else:
            self._answer(200, data, **said)

    def do_HEAD(self) -> None:
        """Say what there is of an object."""
        self.do_GET()

    def do_DELETE(self) -> None:
        """Delete an object."""
        self._path(self._key()).unlink(missing_ok=True)
        self._answer(204)

    def do_POST(self) -> None:
        """Delete several."""
        keys = re.findall("<Key>(.*?)</Key>", self._body().decode())
        for key in keys:
            self._path(key).unlink(missing_ok=True)
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def log_message(self, *_args: object) -> None:
        """Print nothing."""

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def _path(self, key: str) -> Path:
        return self.folder / (quote(key, safe="") + _SUFFIX)

    def _list(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        prefix, after, delimiter = (
            query.get(name, [""])[0] for name in ("prefix", "start-after", "delimiter")
        )
        rows, folders = [], set()
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            key = unquote(path.name.removesuffix(_SUFFIX))
            if not key.startswith(prefix) or key <= after:
                continue
            head, there, _ = key[len(prefix) :].partition(delimiter or "\n")
            if there:
                folders.add(prefix + head + there)
                continue
            data = path.read_bytes()
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size>"
                f"<LastModified>1970-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{escape(_tag(data))}</ETag></Contents>"
            )
        rows += [
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>"
            for one in sorted(folders)
        ]
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(rows)}"
        self._answer(200, f"{text}</ListBucketResult>".encode())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main(folder: str) -> None:
    """Serve until this process is killed."""
    _Objects.folder = Path(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Objects) as server:
        server.daemon_threads = True
        print(server.server_port, flush=True)  # noqa: T201 - its caller reads it
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
