"""The local data plane: the gateway's checks, in order, over real sockets; then its tools."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import logging
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
import requests
import trustme

from rudder_logging.dataplane import LocalDataPlane
from tests.conftest import WRITE_KEY

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
LIMITED = (429, "max requests limit reached")

AUTH = (WRITE_KEY, "")
EVENT = {"userId": "u", "type": "track", "event": "Paid", "messageId": "m"}
BATCH = json.dumps({"batch": [EVENT]}).encode()
PACKED = gzip.compress(BATCH, mtime=0)
GZIP = {"Content-Encoding": "gzip"}
LIMIT = 4_096_000
TYPES = ["identify", "track", "page", "screen", "group", "alias", "merge"]
KEY = WRITE_KEY.encode()
GET = b"GET /health HTTP/1.1\r\n"


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
    with socket.create_connection(("127.0.0.1", plane.port), timeout=5) as connection:
        with contextlib.suppress(ConnectionError):  # it may answer, and cut, before all is sent
            connection.sendall(request)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
    return answer


def basic(credentials: bytes, scheme: str = "Basic") -> str:
    """An Authorization header."""
    return f"{scheme} {base64.b64encode(credentials).decode()}"


def rows(table: dict[Answer, Iterable[Any]]) -> list[tuple[Answer, Any]]:
    """Of what each answer is earned by, a row for each."""
    return [(wanted, given) for wanted, all_given in table.items() for given in all_given]


# Before the body.


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        pytest.param(b"\r\n", b"400 Bad Request", id="no host"),
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
@pytest.mark.parametrize("path", "/nowhere /v1 /v1/ /v1/batch/ /v1/track/ /v1//batch /V1/batch".split())  # fmt: skip  # noqa: E501, SIM905
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


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic ", "Basic %%%", "Basic a2V5Og", WRITE_KEY, f"Bearer {WRITE_KEY}", basic(KEY), basic(b":password"), basic(KEY + b":", "Bearer")])  # fmt: skip  # noqa: E501
def test_absent_keys(plane: LocalDataPlane, header: str | None) -> None:
    """Whatever is not Basic, base64, a name and a colon counts as absent."""
    refuse(plane, NO_KEY, auth=None, headers=header and {"Authorization": header})


@pytest.mark.parametrize("name", ["unknown", WRITE_KEY.upper(), WRITE_KEY + " ", WRITE_KEY[:-1]])
def test_unknown_keys(plane: LocalDataPlane, name: str) -> None:
    """A key that is not exactly the source's is invalid."""
    refuse(plane, WRONG_KEY, auth=(name, WRITE_KEY))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
@pytest.mark.parametrize("password", [b"", b"anything", b"a:b"])
def test_good_keys(plane: LocalDataPlane, scheme: str, password: bytes) -> None:
    """The scheme's case and the password do not matter."""
    header = basic(KEY + b":" + password, scheme)
    accept(plane, [EVENT], auth=None, headers={"Authorization": header})


def test_disabled_source(plane: LocalDataPlane) -> None:
    """A disabled source is 404, told only to who has the key, and heals by itself."""
    plane.source_enabled = False
    refuse(plane, DISABLED)
    refuse(plane, WRONG_KEY, auth=("unknown", ""))
    plane.source_enabled = True
    accept(plane, [EVENT])


# The body.


@pytest.mark.parametrize(
    ("wanted", "body"),
    rows(
        {
            UNREADABLE: [BATCH, PACKED + b"x", PACKED + b"\0\0", PACKED + BATCH]
            + [PACKED[:end] for end in (1, 2, 9, 10, 20, -9, -8, -4, -1)]
            + [PACKED[:-8] + bytes(8)],
            INVALID_JSON: [b"", gzip.compress(b"", mtime=0), gzip.compress(PACKED, mtime=0)],
        }
    ),
)
def test_bad_gzip(plane: LocalDataPlane, wanted: Answer, body: bytes) -> None:
    """Truncated, damaged or trailing bytes are 500; an empty body is just invalid JSON."""
    refuse(plane, wanted, body, headers=GZIP)


@pytest.mark.parametrize("members", [[BATCH], [BATCH[:9], b"", BATCH[9:]]])
def test_good_gzip(plane: LocalDataPlane, members: list[bytes]) -> None:
    """gzip, of several members too, is unpacked."""
    accept(plane, [EVENT], b"".join(map(gzip.compress, members)), headers=GZIP)


@pytest.mark.parametrize("encoding", ["GZIP", "Gzip", "x-gzip", "gzip, gzip", "deflate", "br", "zstd", "identity"])  # fmt: skip  # noqa: E501
def test_other_encodings_are_ignored(plane: LocalDataPlane, encoding: str) -> None:
    """Only exactly `gzip` means anything: with other values the body is taken as it is."""
    refuse(plane, INVALID_JSON, PACKED, headers={"Content-Encoding": encoding})
    accept(plane, [EVENT], BATCH, headers={"Content-Encoding": encoding})


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track"])
@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"batch", BATCH[:-1], BATCH + b"x", BATCH * 2, b"\xef\xbb\xbf" + BATCH]
    + [BATCH.decode().encode("utf-16"), b"{'batch':[]}", b'{"batch":[{"userId":"u"},]}']
    + [b'{"batch":[{"userId":"a%bb"}]}' % c for c in (b"\0", b"\t", b"\n", b"\x1f", b"\\x")]
    + [b'{"batch":[{"userId":%b}]}' % n for n in b"NaN Infinity -Infinity 01 +1 .5 1.".split()],
)
def test_invalid_json(plane: LocalDataPlane, path: str, body: bytes) -> None:
    """JSON is strict: no NaN, BOM, trailing text or comma, raw control characters."""
    refuse(plane, INVALID_JSON, body, path=path)


@pytest.mark.parametrize(
    ("wanted", "body"),
    rows(
        {
            EMPTY: [None, 1, '"batch"', [], [EVENT], {}, {"Batch": [EVENT]}]
            + [{"batch": value} for value in (None, [])],
            NOT_AN_EVENT: [{"batch": value} for value in ("", "text", 0, 1.5, True, False)]
            + [{"batch": [value, {}]} for value in (None, "", 0, False, [], [EVENT])]
            + [{"batch": [EVENT, value]} for value in (None, "text", [{}])],
            NO_ID: [{"batch": value} for value in ({}, {"event": "Paid"}, [{}], [EVENT, {}])]
            + [{"batch": [{}, None]}],
        }
    ),
)
def test_bad_batches(plane: LocalDataPlane, wanted: Answer, body: Any) -> None:
    """One bad element refuses the whole batch; the first in array order gives the text."""
    refuse(plane, wanted, body)


def test_batch_that_is_an_object(plane: LocalDataPlane) -> None:
    """An object in place of the array is one event; other top-level keys are ignored."""
    accept(plane, [EVENT], {"sentAt": 1, "type": "x", "batch": EVENT})


def test_other_top_level_keys_may_overflow(plane: LocalDataPlane) -> None:
    """Only events are re-encoded, so an overflowing number beside `batch` does no harm."""
    accept(plane, [EVENT], b'{"x":1e400,' + BATCH[1:])


@pytest.mark.parametrize("key", ["userId", "anonymousId"])
@pytest.mark.parametrize("value", [None, "", "  ", "\0", "\t\n", *"\xa0\xad\u200b\u3000\ufeff\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"])  # fmt: skip  # noqa: E501
def test_ids_that_do_not_count(plane: LocalDataPlane, key: str, value: Any) -> None:
    """Null, and text with nothing visible by the gateway's list, is no id."""
    refuse(plane, NO_ID, {"batch": [EVENT, {"type": "track", key: value}]})


@pytest.mark.parametrize("key", ["userId", "anonymousId"])
@pytest.mark.parametrize("value", ["u", " u ", "\u200bu", False, True, 0, -1.5, {}, [], [None]])
def test_ids_that_count(plane: LocalDataPlane, key: str, value: Any) -> None:
    """An id of any other type is its JSON text, so false, 0 and {} count; it is kept as sent."""
    event = {"messageId": "m", key: value}
    accept(plane, [event], {"batch": [event]})


@pytest.mark.parametrize("name", ["extract", "record"])
def test_types_without_id(plane: LocalDataPlane, name: str) -> None:
    """`extract` and `record` need no id in a batch; on a single route the path's type counts."""
    event = {"type": name, "messageId": "m"}
    refuse(plane, NO_ID, event, path="/v1/track")
    accept(plane, [event], {"batch": [event]})


@pytest.mark.parametrize("name", [None, 7, "", "Extract", " record", "track", [], {}, ["record"]])
def test_types_with_id(plane: LocalDataPlane, name: Any) -> None:
    """Only exactly those two types are exempt; any type passes with an id."""
    refuse(plane, NO_ID, {"batch": [{"type": name}]})
    accept(plane, [{**EVENT, "type": name}], {"batch": [{**EVENT, "type": name}]})


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


def test_size_limit_of_a_single_event(plane: LocalDataPlane) -> None:
    """A single event's size is judged with its type and a small wrapper added."""
    plane.max_request_bytes = 1000
    refuse(plane, TOO_BIG, json.dumps(EVENT).ljust(1000), path="/v1/track")
    accept(plane, [EVENT], json.dumps(EVENT).ljust(900), path="/v1/track")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 310, "1" + "0" * 5000])
@pytest.mark.parametrize("shape", ['"n":%s', '"p":{"a":[%s]}', '"anonymousId":%s'])
def test_overflowing_numbers(plane: LocalDataPlane, number: str, shape: str) -> None:
    """A number beyond a float's range, wherever in an event, refuses the batch."""
    refuse(plane, INVALID_JSON, '{"batch":[{"userId":"u",' + shape % number + "}]}")


@pytest.mark.parametrize("number", [1.7e308, 1e-300, 10**308, 0, -1, True])
def test_numbers_in_range(plane: LocalDataPlane, number: float) -> None:
    """Numbers in a float's range pass."""
    accept(plane, [{**EVENT, "n": number}], {"batch": [{**EVENT, "n": number}]})


@pytest.mark.parametrize(
    ("text", "arrived"),
    [(b"\\ud800", "\ufffd"), (b"a\\udfffb", "a\ufffdb"), (b"\\ud83d\\ude00", "\U0001f600")]
    + [(b"\xff", "\ufffd"), (b"a\xe2\x82b", "a\ufffd\ufffdb"), (b"a\\u0000", "a\0")],
)
def test_odd_text(plane: LocalDataPlane, text: bytes, arrived: str) -> None:
    """Lone surrogates and each byte of invalid UTF-8 become U+FFFD, which is an id, too."""
    body = b'{"batch":[{"messageId":"m","userId":"%b","p":["%b"]}]}' % (text, text)
    accept(plane, [{"messageId": "m", "userId": arrived, "p": [arrived]}], body)


@pytest.mark.parametrize("second", ["[]", "7", "null"])
def test_first_of_equal_keys_wins(plane: LocalDataPlane, second: str) -> None:
    """Of equal keys the first counts: for `batch`, and in events at every level."""
    body = '{"batch":[{"userId":"%s","userId":"%s","messageId":"m","p":{"a":[{"b":1,"b":2}]}}],'
    body += f'"batch":{second}}}'
    refuse(plane, NO_ID, body % ("", "u"))
    event = {"userId": "u", "messageId": "m", "p": {"a": [{"b": 1}]}}
    accept(plane, [event], body % ("u", ""))


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


@pytest.mark.parametrize(("given", "kept"), [("7", "7"), ("a b", "a b"), (" \u200bm\t ", "m")])
def test_message_id_is_kept(plane: LocalDataPlane, given: str, kept: str) -> None:
    """A messageId with visible text is kept, without invisible characters and trimmed."""
    accept(plane, [{**EVENT, "messageId": kept}], {"batch": [{**EVENT, "messageId": given}]})


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("given", [{}, {"type": "other"}, {"type": None}, {"type": "record"}])
def test_single_route_forces_type(plane: LocalDataPlane, name: str, given: dict[str, Any]) -> None:
    """A single event takes its type from the path, whatever it says itself."""
    event = {"userId": "u", "messageId": "m", **given}
    accept(plane, [{**event, "type": name}], event, path=f"/v1/{name}")


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(
    ("wanted", "body"),
    rows(
        {
            NOT_AN_EVENT: [[], [EVENT]],
            NO_ID: [None, 0, 1.5, '""', '"u"', True, {}, {"batch": [EVENT]}],
        }
    ),
)
def test_bad_single_bodies(plane: LocalDataPlane, name: str, wanted: Answer, body: Any) -> None:
    """An array takes no type; a scalar becomes an object, which has no id, nor has a batch."""
    refuse(plane, wanted, body, path=f"/v1/{name}")


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


def test_chunked_bodies_on_one_connection(plane: LocalDataPlane) -> None:
    """A chunked body is taken, and the connection serves the next request."""
    with requests.Session() as session:
        session.auth = AUTH
        for _ in range(2):
            chunks = iter([BATCH[:5], BATCH[5:]])
            assert session.post(f"{plane.url}/v1/batch", data=chunks, timeout=20).text == "ok"
    assert plane.events == [EVENT, EVENT]


def test_waiting(plane: LocalDataPlane) -> None:
    """A waiting thread goes on when enough has come, and gets all of it."""
    with ThreadPoolExecutor(2) as pool:
        events = pool.submit(plane.wait_for, 2)
        received = pool.submit(plane.wait_for_requests, 2)
        accept(plane, [EVENT])
        accept(plane, [EVENT] * 3, {"batch": [EVENT, EVENT]})
        assert events.result(timeout=10) == [EVENT] * 3
        assert [request.status for request in received.result(timeout=10)] == [200, 200]


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


@pytest.mark.parametrize("answer", [INVALID_JSON, WRONG_KEY, DISABLED, TOO_BIG, LIMITED, UNREADABLE, OVERLOADED, (504, "gateway timeout"), (418, "")])  # fmt: skip  # noqa: E501
def test_fail_in_the_gateways_words(plane: LocalDataPlane, answer: Answer) -> None:
    """By default `fail` answers once, in the gateway's words, and stores nothing."""
    plane.fail(answer[0])
    refuse(plane, answer)
    accept(plane, [EVENT])
    assert [request.status for request in plane.requests] == [answer[0], 200]


@pytest.mark.parametrize("after", [7, 0.5, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_fail_with_text_and_retry_after(plane: LocalDataPlane, after: float | str) -> None:
    """`fail` takes a text and a Retry-After."""
    plane.fail(429, text="slow down", retry_after=after)
    response = ask(plane)
    assert (response.status_code, response.text) == (429, "slow down\n")
    assert response.headers["Retry-After"] == str(after)
    assert plane.events == []


def test_faults_come_in_turn(plane: LocalDataPlane) -> None:
    """Faults come in the order of the calls, each as often as asked; None: until `heal`."""
    plane.fail(503, times=2)
    plane.fail(429)
    plane.fail(500, times=None)
    assert [ask(plane).status_code for _ in range(6)] == [503, 503, 429, 500, 500, 500]
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
    """A request that hangs is never answered, and nothing of it is stored."""
    with LocalDataPlane(WRITE_KEY) as plane:
        plane.hang()
        with pytest.raises(requests.ReadTimeout):
            ask(plane, timeout=0.2)
        accept(plane, [EVENT])
        assert [request.status for request in plane.requests] == [None, 200]


@pytest.mark.parametrize("gone", [False, True], ids=["client waits", "client gone"])
def test_stop_ends_what_hangs(caplog: pytest.LogCaptureFixture, *, gone: bool) -> None:
    """`stop` is prompt and logs no trouble, though a request hangs, its client there or not."""
    with LocalDataPlane(WRITE_KEY) as plane:
        plane.hang()
        with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as connection:
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


def test_stopped() -> None:
    """After `stop`, connections are refused, and what arrived stays readable."""
    with LocalDataPlane(WRITE_KEY) as plane:
        accept(plane, [EVENT])
    with pytest.raises(requests.ConnectionError):
        ask(plane)
    assert plane.events == [EVENT]


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


def test_client_certificates(pems: Path) -> None:
    """With `client_ca`, a client without a certificate of that CA gets no answer."""
    certfile, trusted = str(pems / "127.0.0.1.all"), str(pems / "ca.pem")
    with LocalDataPlane(WRITE_KEY, certfile=certfile, client_ca=trusted) as plane:
        with pytest.raises(requests.ConnectionError):
            ask(plane, verify=trusted)
        assert plane.requests == []
        accept(plane, [EVENT], verify=trusted, cert=str(pems / "client.example.all"))
