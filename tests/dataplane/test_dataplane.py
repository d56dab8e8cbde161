"""The local data plane: the gateway's checks, in order, over real sockets; then its tools."""

from __future__ import annotations

import base64
import contextlib
import gc
import gzip
import json
import logging
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
import requests
import trustme

from rudder_logging import ConfigError
from rudder_logging.dataplane import LocalDataPlane
from tests.conftest import WRITE_KEY

from ..each import each

Answer = tuple[int, str]
NO_KEY = (401, "failed to read writekey from header")
WRONG_KEY = (401, "invalid write key")
DISABLED = (404, "source is disabled")
UNREADABLE = (500, "failed to read body from request")
INVALID_JSON = (400, "invalid json")
NOT_AN_EVENT = (400, "event is not a valid rudder event")
NO_ID = (400, "request neither has anonymousId nor userId")
TOO_BIG = (413, "request size exceeds max limit")
EMPTY = (400, "empty batch payload")
NOT_FOUND = (404, "404 page not found")
OVERLOADED = (503, "Service Unavailable")
LATE = (504, "gateway timeout")
LIMITED = (429, "max requests limit reached")

AUTH = (WRITE_KEY, "")
EVENT = {"userId": "u", "type": "track", "event": "Paid", "messageId": "m"}
BATCH = json.dumps({"batch": [EVENT]}).encode()
PACKED = gzip.compress(BATCH, mtime=0)
GZIP = {"Content-Encoding": "gzip"}
LIMIT = 4_096_000
TYPES = ["identify", "track", "page", "screen", "group", "alias", "merge"]
KEY = WRITE_KEY.encode()
GET = b"GET /health HTTP/1.1\r\nConnection: close\r\n"


def ask(plane: LocalDataPlane, body: Any = BATCH, **how: Any) -> requests.Response:
    """Send bytes or text as they are, anything else as JSON."""
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    how = {"method": "POST", "path": "/v1/batch", "auth": AUTH, "timeout": 20, **how}
    data = text.encode() if isinstance(text, str) else text
    return requests.request(url=plane.url + how.pop("path"), data=data, **how)


def accept(plane: LocalDataPlane, stored: list[Any], body: Any = BATCH, **how: Any) -> None:
    """Send, and expect a plain `ok` and just these events."""
    response = ask(plane, body, **how)
    assert (response.status_code, response.text) == (200, "ok")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Vary"] == "Origin"
    assert plane.events == stored


def refuse(plane: LocalDataPlane, wanted: Answer, body: Any = BATCH, **how: Any) -> None:
    """Send, and expect this answer as Go's http.Error writes it, and nothing stored."""
    response = ask(plane, body, **how)
    assert (response.status_code, response.text) == (wanted[0], wanted[1] + "\n")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Vary"] == "Origin"
    assert not {"Retry-After", "WWW-Authenticate"} & set(response.headers)
    assert plane.events == []


def raw(plane: LocalDataPlane, request: bytes) -> bytes:
    """All that comes back for these bytes until the server closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", plane.port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):  # it may answer, and cut, before all is sent
            connection.sendall(request)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
    return answer


def basic(credentials: bytes, scheme: str = "Basic") -> str:
    """An Authorization header."""
    return f"{scheme} {base64.b64encode(credentials).decode()}"


# Of which version.


def test_an_older_server(plane: LocalDataPlane) -> None:
    """By its dialect it answers in the older words; those that a test gives to a fault are its."""
    plane.dialect = "1.45"
    assert ask(plane).text == "OK"
    assert ask(plane, auth=("wrong", "")).text == "Invalid Write Key\n"
    plane.source_enabled = False
    assert ask(plane).text == "Source is disabled\n"
    plane.heal()
    plane.fail(429)
    plane.fail(400, text="invalid json")
    assert ask(plane).text == "Max Requests Limit reached\n"
    assert ask(plane).text == "invalid json\n"
    assert [request.text for request in plane.requests][::4] == ["OK", "invalid json"]
    plane.dialect = "1.66"
    assert ask(plane).text == "ok"


def test_an_unknown_dialect() -> None:
    """It is refused when the plane is made, or when it is set; the known ones are named."""
    with pytest.raises(ConfigError, match=r"\('1\.45' and '1\.66'\), not '2'"):
        LocalDataPlane(dialect="2")
    plane = LocalDataPlane()
    with pytest.raises(ConfigError, match="dialect must be a known one"):
        plane.dialect = "2"
    assert plane.dialect == "1.66"


# Before the body.


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        pytest.param(b"\r\n", b"400 Bad Request: missing required Host header", id="no host"),
        pytest.param(b"Host: h\r\nX: a\x01b\r\n\r\n", b"400 Bad Request", id="control byte"),
        pytest.param(b"X:" + b"a" * 600_000, b"431 Request Header Fields Too Large", id="600 kB"),
    ],
)
def test_bad_http(plane: LocalDataPlane, rest: bytes, words: bytes) -> None:
    """Check 0: what is not HTTP earns net/http's own 400 or 431, and is cut."""
    head, _, body = raw(plane, GET + rest).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + words + b"\r\n")
    assert body.startswith(words)


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/health", "/nowhere"])
def test_preflight_comes_first(plane: LocalDataPlane, path: str) -> None:
    """A preflight is answered 204 for any path, without a key, even under overload."""
    plane.overloaded = True
    wish = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    wish["Access-Control-Request-Headers"] = "authorization"
    response = ask(plane, b"", path=path, method="OPTIONS", auth=None, headers=wish)
    allow = "Access-Control-Allow-"
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers[allow + "Origin"] == "https://a.example"
    assert response.headers[allow + "Credentials"] == "true"
    assert "POST" in response.headers[allow + "Methods"]
    assert response.headers[allow + "Headers"].lower() == "authorization"
    assert response.headers["Access-Control-Max-Age"] == "900"
    assert "Origin" in response.headers["Vary"]


def test_preflight_allows_three_methods(plane: LocalDataPlane) -> None:
    """CORS allows GET, HEAD and POST: a preflight for another is 204 and does not allow it."""
    wish = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}
    response = ask(plane, b"", method="OPTIONS", headers=wish)
    assert response.status_code == 204
    assert "DELETE" not in response.headers.get("Access-Control-Allow-Methods", "")


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch/", "/nowhere", "/health"])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_overload_comes_before_routing(plane: LocalDataPlane, path: str, method: str) -> None:
    """An overloaded gateway answers 503 to every path and method, known or not."""
    plane.overloaded = True
    refuse(plane, OVERLOADED, path=path, method=method, auth=None)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/batch/", "/v1//batch", "/V1/batch"])
def test_unknown_paths(plane: LocalDataPlane, path: str, method: str) -> None:
    """Paths are exact, and an unknown one is 404 before the key is looked at."""
    refuse(plane, NOT_FOUND, path=path, method=method, auth=None)


def test_leading_double_slash(plane: LocalDataPlane) -> None:
    """A doubled slash in front makes another path; raw, as requests would mend it."""
    answer = raw(plane, b"POST //v1/batch HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\n404 page not found\n")


@pytest.mark.parametrize(
    ("path", "allow", "method"),
    [("/v1/batch", "POST", method) for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")]
    + [("/health", "GET", method) for method in ("POST", "HEAD", "OPTIONS")]
    + [(f"/v1/{name}", "POST", "GET") for name in TYPES],
)
def test_wrong_methods(plane: LocalDataPlane, path: str, allow: str, method: str) -> None:
    """A wrong method, HEAD and plain OPTIONS too, is 405 before auth: no body, and Allow."""
    response = ask(plane, path=path, method=method, auth=None)
    assert (response.status_code, response.content) == (405, b"")
    assert (response.headers["Allow"], response.headers["Vary"]) == (allow, "Origin")
    assert plane.events == []


def test_health(plane: LocalDataPlane) -> None:
    """GET /health needs no key and is 200 with the gateway's JSON."""
    response = ask(plane, b"", path="/health", method="GET", auth=None)
    keys = "appType server db acceptingEvents routingEvents mode backendConfigMode lastSync"
    assert (response.status_code, response.headers["Vary"]) == (200, "Origin")
    assert set(response.json()) == {*keys.split(), "lastRegulationSync"}


def test_a_source_of_sdks(plane: LocalDataPlane) -> None:
    """`/sourceConfig/` tells who has the key of a source without destinations, and no secret."""
    how = {"path": "/sourceConfig/?p=npm", "method": "GET"}
    source = {"id": "local", "enabled": True, "config": {}, "destinations": []}
    assert ask(plane, b"", **how).json() == {"source": source}
    plane.source_enabled = False
    assert ask(plane, b"", **how).json() == {"source": {**source, "enabled": False}}
    refuse(plane, WRONG_KEY, b"", **how, auth=("unknown", ""))
    refuse(plane, NO_KEY, b"", **how, auth=None)


def test_disabled_source(plane: LocalDataPlane) -> None:
    """A disabled source is 404, told only to who has the key, and heals by itself."""
    plane.source_enabled = False
    refuse(plane, DISABLED)
    refuse(plane, WRONG_KEY, auth=("unknown", ""))
    plane.source_enabled = True
    accept(plane, [EVENT])


# The body, and the key.


def batch(*events: Any) -> Any:
    """A body of these events."""
    return {"batch": list(events)}


def odd(text: bytes) -> bytes:
    """A body of one event with this raw text in it, as its id, too."""
    return b'{"batch":[{"messageId":"m","userId":"%b","p":["%b"]}]}' % (text, text)


def one(fields: str) -> str:
    """A body of one event with these fields as they are."""
    return '{"batch":[{' + fields + "}]}"


KEY_HEADER = "Authorization"
NO_EVENTS: list[Any] = [None, "", "x", 0, False, [], [{}]]
IDS: list[Any] = ["u", " u ", "\u200bu", False, True, 0, -1.5, {}, [], [None]]
INVISIBLE = "\xa0\xad\u034f\u115f\u1160\u17b4\u17b5\u200b\u2800\u3000\u3164\ufeff\uffa0"
ODD_TYPES: list[Any] = [None, 7, "", "Extract", " record", "track", [], {}, ["record"]]
DOUBLED = '{"batch":[{"userId":"%s","userId":"%s","messageId":"m","p":{"a":1,"a":2}}],"batch":%s}'
NOT_NUMBERS = ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1."]
UNREADABLE_KEYS = ["", "Basic", "Basic ", "Basic %%%", "Basic a2V5Og", WRITE_KEY, basic(KEY)]
UNREADABLE_KEYS += [f"Bearer {WRITE_KEY}", basic(b":password"), basic(KEY + b":", "Bearer")]
OVERFLOWING = ["1e400", "-1e400", "1" + "0" * 310, "1" + "0" * 5000]

Refused = tuple[str, Answer, dict[str, Any], list[Any]]
REFUSED: list[Refused] = [
    ("truncated gzip", UNREADABLE, GZIP, [PACKED[:n] for n in (1, 2, 9, 10, 20, -9, -8, -1)]),
    ("trailing bytes", UNREADABLE, GZIP, [PACKED + rest for rest in (b"x", b"\0\0", BATCH)]),
    ("not gzip", UNREADABLE, GZIP, [BATCH, PACKED[:-8] + bytes(8)]),
    ("gzip of nothing", INVALID_JSON, GZIP, [b"", gzip.compress(b"", mtime=0)]),
    ("gzip twice", INVALID_JSON, GZIP, [gzip.compress(PACKED, mtime=0)]),
    *(
        ("encoding ignored", INVALID_JSON, {"Content-Encoding": name}, [PACKED])
        for name in ("GZIP", "Gzip", "x-gzip", "gzip, gzip", "deflate", "br", "zstd", "identity")
    ),
    ("not JSON", INVALID_JSON, {}, [b"", b" ", b"{", b"batch", b"{'batch':[]}", BATCH[:-1]]),
    ("trailing text", INVALID_JSON, {}, [BATCH + b"x", BATCH * 2, b'{"batch":[{},]}']),
    ("not UTF-8", INVALID_JSON, {}, [b"\xef\xbb\xbf" + BATCH, BATCH.decode().encode("utf-16")]),
    ("raw control", INVALID_JSON, {}, [odd(c) for c in (b"\0", b"\t", b"\n", b"\x1f", b"\\x")]),
    ("not a number", INVALID_JSON, {}, [one(f'"userId":{text}') for text in NOT_NUMBERS]),
    ("no batch", EMPTY, {}, [None, 1, '"batch"', [], [EVENT], {}, {"Batch": [EVENT]}]),
    ("empty batch", EMPTY, {}, [batch(), {"batch": None}, '{"batch":[],"batch":[{}]}']),
    ("scalar batch", NOT_AN_EVENT, {}, [{"batch": v} for v in ("", "x", 0, 1.5, True, False)]),
    ("no event", NOT_AN_EVENT, {}, [batch(EVENT, value) for value in NO_EVENTS]),
    ("first bad one", NOT_AN_EVENT, {}, [batch(None, {})]),
    ("first bad one", NO_ID, {}, [batch({}, None)]),
    ("no id", NO_ID, {}, [{"batch": {}}, {"batch": {"event": "e"}}, batch({}), batch(EVENT, {})]),
    *(
        ("blank id", NO_ID, {}, [batch(EVENT, {key: v}) for v in (None, "", " ", "\0", "\t\n")])
        for key in ("userId", "anonymousId")
    ),
    ("invisible id", NO_ID, {}, [batch(EVENT, {"userId": v}) for v in INVISIBLE]),
    ("first key wins", NO_ID, {}, [DOUBLED % ("", "u", "[]")]),
    ("no exempt type", NO_ID, {}, [batch({"type": name}) for name in ODD_TYPES]),
    ("overflow", INVALID_JSON, {}, [one(f'"userId":"u","n":{text}') for text in OVERFLOWING]),
    ("overflow in id", INVALID_JSON, {}, [one(f'"userId":{text}') for text in OVERFLOWING]),
    ("overflow within", INVALID_JSON, {}, [one('"userId":"u","p":{"a":[1e400]}')]),
    *(("unreadable key", NO_KEY, {KEY_HEADER: header}, [BATCH]) for header in UNREADABLE_KEYS),
    *(
        ("unknown key", WRONG_KEY, {KEY_HEADER: basic(name + b":")}, [BATCH])
        for name in (b"unknown", KEY.upper(), KEY + b" ", KEY[:-1])
    ),
]


@each(
    ("rule", "wanted", "headers", "body"),
    [(*row, body) for *row, bodies in REFUSED for body in bodies],
)
def test_refused(plane: LocalDataPlane, rule: str, wanted: Answer, headers: Any, body: Any) -> None:
    """A batch request with one fault earns that fault's answer, and nothing is stored."""
    refuse(plane, wanted, body, headers=headers, auth=None if KEY_HEADER in headers else AUTH)


ODD_TEXTS = {b"\\ud800": "\ufffd", b"a\\udfffb": "a\ufffdb", b"\\ud83d\\ude00": "\U0001f600"}
ODD_TEXTS |= {b"\xff": "\ufffd", b"a\xe2\x82b": "a\ufffd\ufffdb", b"a\\u0000": "a\0"}
MULTIPLE = b"".join(gzip.compress(part, mtime=0) for part in (BATCH[:9], b"", BATCH[9:]))
U: dict[str, Any] = {"userId": "u", "messageId": "m"}

Accepted = tuple[str, dict[str, Any], Any, dict[str, Any]]
ACCEPTED: list[Accepted] = [
    ("gzip", GZIP, PACKED, EVENT),
    ("gzip members", GZIP, MULTIPLE, EVENT),
    ("encoding ignored", {"Content-Encoding": "GZIP"}, BATCH, EVENT),
    ("object as batch", {}, {"sentAt": 1, "type": "x", "batch": EVENT}, EVENT),
    ("overflow elsewhere", {}, b'{"x":1e400,' + BATCH[1:], EVENT),
    *(
        ("id of any type", {}, batch({"messageId": "m", key: v}), {"messageId": "m", key: v})
        for key in ("userId", "anonymousId")
        for v in IDS
    ),
    *(
        (
            "exempt type",
            {},
            batch({"type": name, "messageId": "m"}),
            {"type": name, "messageId": "m"},
        )
        for name in ("extract", "record")
    ),
    *(("any type", {}, batch({**U, "type": v}), {**U, "type": v}) for v in ODD_TYPES),
    *(("number", {}, batch({**U, "n": v}), {**U, "n": v}) for v in (1.7e308, 1e-300, 10**308, 0)),
    *(
        ("odd text", {}, odd(sent), {"messageId": "m", "userId": text, "p": [text]})
        for sent, text in ODD_TEXTS.items()
    ),
    *(
        ("first key wins", {}, DOUBLED % ("u", "", second), {**U, "p": {"a": 1}})
        for second in ("[]", "7", "null")
    ),
    *(
        ("messageId trimmed", {}, batch({**U, "messageId": sent}), {**U, "messageId": kept})
        for sent, kept in (("7", "7"), ("a b", "a b"), (" \u200bm\t ", "m"))
    ),
    *(
        ("key", {KEY_HEADER: basic(KEY + b":" + password, scheme)}, BATCH, EVENT)
        for scheme in ("Basic", "basic", "BASIC", "bAsIc")
        for password in (b"", b"anything", b"a:b")
    ),
]


@each(("rule", "headers", "body", "stored"), ACCEPTED)
def test_accepted(plane: LocalDataPlane, rule: str, headers: Any, body: Any, stored: Any) -> None:
    """What is odd but no fault is accepted, and its one event stored."""
    plane.clear()
    accept(plane, [stored], body, headers=headers, auth=None if KEY_HEADER in headers else AUTH)


@pytest.mark.parametrize("name", TYPES)
def test_single_routes(plane: LocalDataPlane, name: str) -> None:
    """A path forces its type; an array takes none; a scalar becomes an object without an id."""
    how = {"path": f"/v1/{name}"}
    table: dict[Answer, list[Any]] = {
        NOT_AN_EVENT: [[], [EVENT]],
        NO_ID: [None, 0, 1.5, '""', '"u"', True, {}, {"batch": [EVENT]}, {"type": "record"}],
        INVALID_JSON: ["", "{", "NaN", json.dumps(EVENT) + "x", b"\xef\xbb\xbf{}"],
    }
    for wanted, bodies in table.items():
        for body in bodies:
            refuse(plane, wanted, body, **how)
    plane.max_request_bytes = 1000
    refuse(plane, TOO_BIG, json.dumps(EVENT).ljust(1000), **how)
    given: list[dict[str, Any]] = [U, {**U, "type": "other"}, {**U, "type": None}]
    for count, event in enumerate(given, 1):
        accept(plane, [{**U, "type": name}] * count, json.dumps(event).ljust(900), **how)


def test_absent_key(plane: LocalDataPlane) -> None:
    """Without an Authorization header there is no key."""
    refuse(plane, NO_KEY, auth=None)


@pytest.mark.parametrize("spaces", [True, False])
@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
def test_size_limit(plane: LocalDataPlane, headers: dict[str, str], *, spaces: bool) -> None:
    """Exactly 4,096,000 bytes of decompressed JSON, spaces and all, pass; one more is 413."""
    pad = b"" if spaces else b"x" * (LIMIT - len(BATCH))
    body = BATCH.replace(b"Paid", b"Paid" + pad).ljust(LIMIT)
    over, exact = (gzip.compress(b, 1) if headers else b for b in (b" " + body, body))
    refuse(plane, TOO_BIG, over, headers=headers)
    accept(plane, json.loads(body)["batch"], exact, headers=headers)
    assert [len(request.body) for request in plane.requests] == [LIMIT + 1, LIMIT]


def test_checks_run_in_order(plane: LocalDataPlane) -> None:
    """Of many faults the earliest check's is told; mended one by one, the next one shows."""
    pad = " " * 600
    plane.overloaded, plane.source_enabled, plane.max_request_bytes = True, False, 500
    how: dict[str, Any] = {"path": "/v1/batch/", "method": "GET", "auth": None, "headers": GZIP}
    how["body"] = '{"batch":[7' + pad
    steps: list[tuple[Answer, dict[str, Any]]] = [
        (OVERLOADED, {}),
        (NOT_FOUND, {"overloaded": False}),
        ((405, ""), {"path": "/v1/batch"}),
        (NO_KEY, {"method": "POST"}),
        (WRONG_KEY, {"auth": ("unknown", "")}),
        (DISABLED, {"auth": AUTH}),
        (UNREADABLE, {"source_enabled": True}),
        (INVALID_JSON, {"headers": {}}),
        (NOT_AN_EVENT, {"body": '{"batch":[7,{"n":1e400}]}' + pad}),
        (NO_ID, {"body": '{"batch":[{"n":1e400}]}' + pad}),
        (TOO_BIG, {"body": '{"batch":[{"userId":"u","n":1e400}]}' + pad}),
        (INVALID_JSON, {"body": '{"batch":[{"userId":"u","n":1e400}]}'}),
        (TOO_BIG, {"body": '{"batch":[]}' + pad}),
        (EMPTY, {"body": '{"batch":[]}'}),
    ]
    for wanted, mended in steps:
        for name, value in mended.items():
            if hasattr(plane, name):
                setattr(plane, name, value)
            else:
                how[name] = value
        response = ask(plane, **how)
        assert (response.status_code, response.text.rstrip("\n")) == wanted
    accept(plane, [EVENT], **{**how, "body": BATCH})


@pytest.mark.parametrize("given", [None, 7, 1.5, True, "", "  ", "\u200b", "\u3164", {}, ["m"]])
def test_message_id_is_made(plane: LocalDataPlane, given: Any) -> None:
    """A messageId that is blank, or no text, is replaced by a fresh UUID4."""
    assert ask(plane, {"batch": [{**EVENT, "messageId": given}] * 2}).text == "ok"
    made = {event["messageId"] for event in plane.events}
    assert [UUID(text).version for text in made] == [4, 4]


# Other ways in.


def test_beacon(plane: LocalDataPlane) -> None:
    """A beacon is a batch whose key stands in the query; the header does not count."""
    path = "/beacon/v1/batch"
    refuse(plane, (401, "failed to read writekey from query params"), path=path)
    refuse(plane, WRONG_KEY, path=f"{path}?writeKey=other")
    refuse(plane, NO_ID, {"batch": [{}]}, path=f"{path}?writeKey={WRITE_KEY}", auth=None)
    accept(plane, [EVENT], path=f"{path}?writeKey={WRITE_KEY}", auth=None)


def test_pixel(plane: LocalDataPlane) -> None:
    """A picture's query is an event, with dots for paths; the answer is a GIF whatever it is."""
    query = "event=Mail+Opened&userId=u&anonymousId=%22a%22&properties.mail.id=7&type=x"
    paths = [f"/pixel/v1/track?writeKey={WRITE_KEY}&{query}", "/pixel/v1/track"]
    paths += [f"/pixel/v1/track?writeKey={WRITE_KEY}&event=&userId=u"]
    paths += [f"/pixel/v1/page?writeKey={WRITE_KEY}&name=&userId=u"]
    for path in paths:
        answer = ask(plane, b"", path=path, method="GET", auth=None)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
        assert answer.content.startswith(b"GIF89a")
    track, page = plane.events
    assert (track["type"], track["event"]) == ("track", "Mail Opened")
    assert (track["userId"], track["anonymousId"]) == ("u", "a")
    assert track["properties"] == {"mail": {"id": "7"}}
    assert track["messageId"]
    assert track["originalTimestamp"] == track["sentAt"]
    assert (page["type"], page["name"]) == ("page", "Unknown Page")
    assert [request.status for request in plane.requests] == [200, 401, 400, 200]
    plane.fail(503)
    assert ask(plane, b"", path=paths[0], method="GET", auth=None).status_code == 503


def test_import(plane: LocalDataPlane) -> None:
    """Each user's events are judged by themselves; more than one fault is an unknown one."""
    how: dict[str, Any] = {"path": "/v1/import"}
    assert ask(plane, {"batch": []}, **how).text == "ok"
    refuse(plane, INVALID_JSON, "{", **how)
    refuse(plane, NO_ID, {"batch": [{}, {}]}, **how)
    other = {**EVENT, "userId": "v"}
    answer = ask(plane, {"batch": [EVENT, {}, other]}, **how)
    assert (answer.status_code, answer.text) == (400, NO_ID[1] + "\n")
    assert plane.events == [EVENT, other]
    plane.dialect = "1.45"
    infinite = '{"batch":[{},{"userId":"u","n":1e400}]}'
    answer = ask(plane, infinite, **how)
    words = "Request neither has anonymousId nor userIdInvalid JSON\n"
    assert (answer.status_code, answer.text) == (500, words)


@pytest.mark.parametrize(
    "path", ["/v1/batch", "/v1/track", "/v1/import", "/sourceConfig/", "/health", "/nowhere"]
)
def test_a_page_of_any_site_may_send(plane: LocalDataPlane, path: str) -> None:
    """A browser lets a web app read each answer, refusals included."""
    origin = {"Origin": "https://app.example"}
    answer = ask(plane, path=path, headers=origin, auth=None)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1_000, 9_990, 100_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_depth(plane: LocalDataPlane, levels: int, pair: str) -> None:
    """JSON may be nested far deeper than a server delivers, and is stored as it is."""
    opening = '{"a":' if pair == "{}" else "["
    event = '{"userId":"u","messageId":"m","p":'
    body = '{"batch":[' + event + opening * levels + '"\\ud800"' + pair[1] * levels + "}]}"
    assert ask(plane, body).text == "ok"
    value, depth = plane.events[0]["p"], 0
    while not isinstance(value, str):
        value, depth = value["a"] if pair == "{}" else value[0], depth + 1
    assert (value, depth) == ("\ufffd", levels)
    assert plane.requests[0].batch[0]["userId"] == "u"
    assert ask(plane, body[:-1]).text == "invalid json\n"


@pytest.mark.slow
def test_depth_has_an_end(plane: LocalDataPlane) -> None:
    """Else a body of nothing but brackets would keep all others waiting for a minute."""
    body = '{"batch":[{"userId":"u","p":' + "[" * 200_001 + "]" * 200_001 + "}]}"
    refuse(plane, (400, "invalid json"), body)


WELL_FORMED = [
    '{"a":1,"a":2}',
    "[1,2.5,-3e2,true,false,null, [] , {} ]",
    '{"x":{"y":[{"z":"\\u00e9"}]},"w":"v"}',
]
ILL_FORMED = ["[1,]", '{"a"}', '{"a":1,}', "[1 2]", "[1,,2]", "{1:2}", "[tru]", "[01]", "[NaN]"]
ILL_FORMED += ['["a\tb"]', "[[]", "[]]", '{"a":1]', "["]


@pytest.mark.parametrize("text", [*WELL_FORMED, *ILL_FORMED])
def test_deep_json_is_read_as_other_json(plane: LocalDataPlane, text: str) -> None:
    """Whatever stands within a thousand levels is read, or refused, as it is without them."""
    plain = '{"batch":[{"userId":"u","messageId":"m","p":%s}]}'
    answers = [ask(plane, plain % (n * "[" + text + n * "]")) for n in (0, 2_000)]
    assert {answer.text for answer in answers} == {
        "ok" if text in WELL_FORMED else "invalid json\n"
    }
    if plane.events:
        shallow, deep = (event["p"] for event in plane.events)
        for _ in range(2_000):
            (deep,) = deep
        assert deep == shallow


# Cuts and early answers.


def head_of(length: int, key: str = WRITE_KEY, more: str = "") -> bytes:
    """The beginning of an upload."""
    auth = basic(f"{key}:".encode())
    lines = f"Host: h\r\nAuthorization: {auth}\r\nContent-Length: {length}\r\n{more}"
    return f"POST /v1/batch HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.mark.parametrize("how", ["closed", "reset", "half-closed"])
def test_an_upload_that_is_cut(
    plane: LocalDataPlane, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is 500 to whoever still listens, stored nowhere, and no trouble of ours."""
    connection = socket.create_connection(("127.0.0.1", plane.port), timeout=30)
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with connection:
        connection.sendall(head_of(100) + b"[")
        if how == "half-closed":
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 500 ")
    (request,) = plane.wait_for_requests(1)
    assert (request.status, request.text) == UNREADABLE
    accept(plane, [EVENT])
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_a_wrong_key_is_told_before_the_body() -> None:
    """With more to come than Go would swallow, the answer does not wait for it."""
    with (
        LocalDataPlane(WRITE_KEY) as plane,
        socket.create_connection(("127.0.0.1", plane.port), timeout=30) as connection,
    ):
        connection.sendall(head_of(1_000_000, "wrong"))
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"invalid write key\n")


def test_a_client_that_waits_to_continue(plane: LocalDataPlane) -> None:
    """It is told to go on if its key is right, and refused before it has sent anything if not."""
    for key, first in ((WRITE_KEY, b"HTTP/1.1 100 "), ("wrong", b"HTTP/1.1 401 ")):
        with socket.create_connection(("127.0.0.1", plane.port), timeout=30) as connection:
            connection.sendall(head_of(len(BATCH), key, "Expect: 100-continue\r\n"))
            assert connection.recv(65_536).startswith(first)
            if key == WRITE_KEY:
                connection.sendall(BATCH)
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [5_200_000, 20_000_000])
@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
def test_a_body_far_over_the_limit(
    plane: LocalDataPlane, size: int, headers: dict[str, str]
) -> None:
    """It is 413 to its sender, whatever else is wrong with it, and nothing of it is kept."""
    refuse(
        plane, TOO_BIG, gzip.compress(bytes(size), 1) if headers else bytes(size), headers=headers
    )
    assert plane.requests[0].body == b""
    accept(plane, [EVENT])


def test_many_empty_members_of_gzip(plane: LocalDataPlane) -> None:
    """They are read as one is, each once."""
    empty = gzip.compress(b"", mtime=0)
    accept(plane, [EVENT], empty * 20_000 + PACKED + empty * 20_000, headers=GZIP)


# The tools.


def test_received_requests(plane: LocalDataPlane) -> None:
    """Requests, refused ones too, are kept as they came, with both sizes and the answer."""
    refuse(plane, WRONG_KEY, PACKED, auth=("unknown", ""), headers={**GZIP, "X-Mine": "yes"})
    accept(plane, [EVENT], PACKED, headers={**GZIP, "X-Mine": "yes"})
    for request, answer in zip(plane.requests, [WRONG_KEY, (200, "ok")], strict=True):
        assert (request.method, request.path) == ("POST", "/v1/batch")
        assert (request.headers["x-mine"], request.headers["content-encoding"]) == ("yes", "gzip")
        assert (request.body, request.wire_bytes) == (BATCH, len(PACKED))
        assert (request.status, request.text) == answer
        assert request.batch == [EVENT]


def test_waiting(plane: LocalDataPlane) -> None:
    """A waiting thread goes on when enough has come, and gets all of it."""
    with ThreadPoolExecutor(2) as pool:
        events = pool.submit(plane.wait_for, 2)
        received = pool.submit(plane.wait_for_requests, 2)
        accept(plane, [EVENT])
        accept(plane, [EVENT] * 3, {"batch": [EVENT, EVENT]})
        assert events.result(timeout=30) == [EVENT] * 3
        assert [request.status for request in received.result(timeout=30)] == [200, 200]


def test_waiting_in_vain(plane: LocalDataPlane) -> None:
    """A wait that ends in vain says what it waited for and what came instead."""
    refuse(plane, INVALID_JSON, b"{")
    accept(plane, [EVENT])
    came = "1 events came in 2 requests, answered [400, 200]"
    with pytest.raises(TimeoutError) as caught:
        plane.wait_for(2, timeout=0.05)
    assert str(caught.value) == f"waited 0.05 s for 2 events; {came}"
    with pytest.raises(TimeoutError) as caught:
        plane.wait_for_requests(3, timeout=0)
    assert str(caught.value) == f"waited 0 s for 3 requests; {came}"


@pytest.mark.parametrize(("end", "left"), [("heal", 1), ("clear", 0)])
def test_heal_and_clear(plane: LocalDataPlane, end: str, left: int) -> None:
    """`heal` ends all that is wrong and forgets nothing; `clear` forgets what came as well."""
    lost = {**EVENT, "integrations": None}
    accept(plane, [lost], {"batch": [lost]})
    plane.overloaded, plane.source_enabled = True, False
    plane.latency, plane.max_request_bytes = 60.0, 1
    plane.hang(times=None)
    getattr(plane, end)()
    assert [len(plane.events), len(plane.requests), len(plane.problems)] == [left] * 3
    accept(plane, [lost] * left + [EVENT])


@pytest.mark.parametrize(
    ("key", "value"),
    [("integrations", None), ("integrations", []), ("integrations", {"All": "yes"})]
    + [("type", "tracks"), ("type", None), ("event", None), ("context", "text")]
    + [("timestamp", text) for text in ("1643742858.381", "Mon, 1 Jan 2020 1:0:0 +9999999999999")],
)
def test_problems(plane: LocalDataPlane, key: str, value: Any) -> None:
    """What the gateway takes and then loses is stored, and named with the reason."""
    lost = {**EVENT, key: value}
    accept(plane, [EVENT, lost], {"batch": [EVENT, lost]})
    ((event, reason),) = plane.problems
    assert event == lost
    assert key in reason


@pytest.mark.parametrize(
    "answer",
    [INVALID_JSON, WRONG_KEY, DISABLED, TOO_BIG, LIMITED, UNREADABLE, OVERLOADED, LATE, (418, "")],
)
def test_fail_in_the_gateways_words(plane: LocalDataPlane, answer: Answer) -> None:
    """By default `fail` answers once, in the gateway's words, and stores nothing."""
    plane.fail(answer[0])
    refuse(plane, answer)
    accept(plane, [EVENT])
    assert [request.status for request in plane.requests] == [answer[0], 200]


def test_faults_come_in_turn(plane: LocalDataPlane) -> None:
    """Faults come in the order asked, each as often as asked; None: until `heal`."""
    plane.fail(503, times=2)
    plane.fail(429, text="slow down", retry_after=0.5)
    plane.fail(500, times=None, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    answers = [ask(plane) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [503, 503, 429, 500, 500, 500]
    assert answers[2].text == "slow down\n"
    after = [answer.headers.get("Retry-After") for answer in answers]
    assert after == [None, None, "0.5", *["Wed, 21 Oct 2026 07:28:00 GMT"] * 3]
    plane.heal()
    accept(plane, [EVENT])


def test_latency(plane: LocalDataPlane) -> None:
    """Each answer takes at least `latency` seconds."""
    plane.latency = 0.2
    begun = monotonic()
    accept(plane, [EVENT])
    assert monotonic() - begun > 0.19


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "192.0.2.1"}], ids=["", "proxied"])
@pytest.mark.parametrize("accepted", [True, False])
def test_cut(plane: LocalDataPlane, headers: dict[str, str], *, accepted: bool) -> None:
    """A cut connection ends without an answer, with the events stored or not."""
    plane.cut(accepted=accepted)
    with pytest.raises(requests.ConnectionError):
        ask(plane, headers=headers)
    assert [request.status for request in plane.wait_for_requests(1)] == [None]
    assert plane.events == [EVENT] * accepted
    accept(plane, [EVENT] * (accepted + 1))


def test_hang() -> None:
    """A request that hangs is never answered nor stored; after `stop` none is, all is readable."""
    with LocalDataPlane(WRITE_KEY) as plane:
        plane.hang()
        with pytest.raises(requests.ReadTimeout):
            ask(plane, timeout=0.2)
        accept(plane, [EVENT])
        assert [request.status for request in plane.requests] == [None, 200]
    with pytest.raises(requests.ConnectionError):
        ask(plane)
    assert plane.events == [EVENT]


@pytest.mark.parametrize("gone", [False, True], ids=["client waits", "client gone"])
def test_stop_ends_what_hangs(caplog: pytest.LogCaptureFixture, *, gone: bool) -> None:
    """`stop` is prompt and logs no trouble, though a request hangs, its client there or not."""
    with LocalDataPlane(WRITE_KEY) as plane:
        plane.hang()
        with socket.create_connection(("127.0.0.1", plane.port), timeout=30) as connection:
            connection.sendall(b"POST /v1/batch HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            plane.wait_for_requests(1)
            if gone:
                connection.close()
                accept(plane, [EVENT])  # by then it has seen that the client left
            begun = monotonic()
            plane.stop()
            assert monotonic() - begun < 5
            if not gone:
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
    assert plane.requests[0].status is None
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_port_that_is_taken(plane: LocalDataPlane) -> None:
    """A port that is taken is an OSError, and does not harm who has it."""
    with pytest.raises(OSError, match=r"(?i)in use|10048|10013"):
        LocalDataPlane(WRITE_KEY, port=plane.port).start()
    accept(plane, [EVENT])


# HTTPS.


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, and keys and certificates of a server and a client."""
    folder = tmp_path_factory.mktemp("pems")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("127.0.0.1", "client.example"):
        issued = authority.issue_cert(name)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.all")
    return folder


@pytest.mark.parametrize(("end", "key_end"), [("pem", "key"), ("all", None)])
def test_https(pems: Path, end: str, key_end: str | None) -> None:
    """With a certificate, its key beside or in it, the plane serves HTTPS, faults and all."""
    certfile, trusted = str(pems / f"127.0.0.1.{end}"), str(pems / "ca.pem")
    keyfile = str(pems / f"127.0.0.1.{key_end}") if key_end else None
    with LocalDataPlane(WRITE_KEY, certfile=certfile, keyfile=keyfile) as plane:
        assert plane.url == f"https://127.0.0.1:{plane.port}"
        with pytest.raises(requests.exceptions.SSLError):
            ask(plane, verify=True)
        plane.cut(accepted=False)
        with pytest.raises(requests.ConnectionError):
            ask(plane, verify=trusted)
        accept(plane, [EVENT], verify=trusted)


RUDE = """
import socket, struct, sys
for _ in range(400):
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sendall(b"GET /health HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n")
    connection.recv(1)
    connection.close()
"""
"""A client that resets connections at the answer's first byte."""


def test_clients_that_reset_are_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """Between an answer and the connection's end: asyncio has nothing to complain of."""
    with LocalDataPlane() as plane:
        command = [sys.executable, "-c", RUDE, str(plane.port)]
        subprocess.run(command, check=True, timeout=120)
        assert requests.get(f"{plane.url}/health", timeout=60).status_code == 200
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_stop_closes_what_has_only_connected(pems: Path, scheme: str) -> None:
    """However soon it comes: a socket that is left to be collected warns in the app's test."""
    certfile = str(pems / "127.0.0.1.all") if scheme == "https" else None
    for _ in range(10):
        with LocalDataPlane(WRITE_KEY, certfile=certfile) as plane:
            connection = socket.create_connection(("127.0.0.1", plane.port), timeout=30)
        with connection, contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""
    gc.collect()


def test_client_certificates(pems: Path) -> None:
    """With `client_ca`, a client without a certificate of that CA gets no answer."""
    certfile, trusted = str(pems / "127.0.0.1.all"), str(pems / "ca.pem")
    with LocalDataPlane(WRITE_KEY, certfile=certfile, client_ca=trusted) as plane:
        with pytest.raises(requests.ConnectionError):
            ask(plane, verify=trusted)
        assert plane.requests == []
        accept(plane, [EVENT], verify=trusted, cert=str(pems / "client.example.all"))
