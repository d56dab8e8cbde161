"""The local data plane held against real servers, over raw sockets."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane

from ..conftest import EACH_DIALECT
from ..each import each

Row = dict[str, Any]

OURS = {"Date", "Content-Length", "Connection"}
"""Headers that say nothing of the gateway: they were not kept of its answers."""

DIFFERENT: dict[str, str] = {}
"""Rows of `wire.jsonl` that we answer otherwise, each with the reason: none.

If there is one, `LocalDataPlane`'s docstring has to tell it; see the test below."""

LAST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BEHIND_NO_REQUEST = {"length too short": "400 Bad Request", "tls hello": "400 Bad Request"}
"""What is left of these rows' bytes begins a request that `LAST` makes an ill one."""

EVENT = '{"batch": [{"userId": "u1", "type": "track", "event": "E"}]}'


def rows(name: str) -> list[Row]:
    """Those of a file beside this one."""
    lines = (Path(__file__).parent / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


ANSWERS, WIRE = rows("answers"), rows("wire")


@pytest.fixture(scope="module", params=EACH_DIALECT)
def plane(request: pytest.FixtureRequest) -> Iterator[LocalDataPlane]:
    """A data plane of each version, with the key that the recorded requests have."""
    with LocalDataPlane("wk", dialect=request.param) as plane:
        yield plane


def basic(key: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    came = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            came += chunk
    return came


def what_comes_by_itself(connection: socket.socket) -> bytes:
    """All that comes before nothing has come for a second."""
    came = b""
    while select.select([connection], [], [], 1)[0]:
        chunk = connection.recv(65_536)
        assert chunk, "it was closed"
        came += chunk
    return came


def statuses(came: bytes) -> list[str]:
    """Those of all answers."""
    return [line.decode() for line in re.findall(rb"HTTP/1\.1 (.*?)\r\n", came)]


def asked(plane: LocalDataPlane, row: Row) -> tuple[int, dict[str, str], str]:
    """The answer to a recorded request."""
    body = base64.b64decode(row["body_base64"]) if "body_base64" in row else row["body"].encode()
    body = gzip.compress(body) if row["gzip"] else body
    headers = {"Host": "x", "Connection": "close", "Content-Length": str(len(body))}
    headers |= row["headers"] | ({"Authorization": basic("wk")} if row["key"] else {})
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", plane.port), timeout=30) as connection:
        request = f"{row['method']} {row['path']} HTTP/1.1\r\n{head}\r\n"
        connection.sendall(request.encode("latin-1") + body)
        came = received(connection)
    came = came.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    first, _, text = came.decode().partition("\r\n\r\n")
    status, *lines = first.split("\r\n")
    found = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), {k: found[k] for k in found.keys() - OURS}, text


@each("row", ANSWERS)
def test_answers(plane: LocalDataPlane, row: Row) -> None:
    """Each recorded request gets the status, the headers and the text that the server gave."""
    text = row[f"text_{plane.dialect}"]
    assert asked(plane, row) == (row["status"], row["answer_headers"], text)


@pytest.mark.parametrize("row", WIRE, ids=[row["name"] for row in WIRE])
def test_wire(plane: LocalDataPlane, row: Row) -> None:
    """Raw bytes, well and ill, get the same status lines, and the connection stays or ends.

    On one that stays the next request is answered, too; or it stands behind what is none yet.
    """
    sent = row["bytes"].replace("{k}", basic("wk")).replace("{n}", str(len(EVENT)))
    sent = sent.replace("{chunk}", f"{len(EVENT):x}\r\n{EVENT}\r\n").replace("{ok}", EVENT)
    expected = [status for status in row["statuses"].split(" | ") if status]
    with socket.create_connection(("127.0.0.1", plane.port), timeout=30) as connection:
        connection.sendall(sent.encode("latin-1"))
        if row["name"] == "chunked, cut":
            connection.shutdown(socket.SHUT_WR)
        came = b""
        if row["connection"] == "open":
            if row["name"] in BEHIND_NO_REQUEST:
                came = what_comes_by_itself(connection)
                assert len(statuses(came)) <= len(expected), came
                expected.append(BEHIND_NO_REQUEST[row["name"]])
            else:
                expected.append("200 OK")
            connection.sendall(LAST)
        came += received(connection)
    assert (statuses(came) == expected) == (row["name"] not in DIFFERENT), came


def test_what_differs_is_told() -> None:
    """Each row that is answered otherwise stands in the documentation, with its reason."""
    assert {row["name"] for row in WIRE} >= DIFFERENT.keys()
    told = " ".join((LocalDataPlane.__doc__ or "").split())
    assert [reason for reason in DIFFERENT.values() if reason not in told] == []
