"""What stands behind the live page, over HTTP: who may ask, what is held, what is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

import rudder_logging
from rudder_logging.checks.plan import TrackingPlan
from rudder_logging.cli import serve
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.dataplane.faults import DEFAULT_TEXTS
from rudder_logging.dataplane.inbox import ReceivedRequest
from rudder_logging.dataplane.live import LivePlane, plane
from rudder_logging.dataplane.live.feed import Feed
from rudder_logging.dataplane.live.guards import HEADERS

from .conftest import event, post

STATIC = Path(rudder_logging.__file__).parent / "dataplane" / "live" / "static"
FILES = ["/", *sorted(f"/live/{path.name}" for path in STATIC.iterdir() if path.suffix != ".html")]


def get(plane: LivePlane, path: str, method: str = "GET", **headers: str) -> requests.Response:
    """Ask as something other than the page."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, plane.url + path, headers=named, timeout=5, stream=True)


@contextmanager
def stream(plane: LivePlane, **headers: str) -> Iterator[Iterator[tuple[str, Any]]]:
    """The messages that a page reads: their names and contents."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with requests.get(f"{plane.url}/live/stream", headers=named, stream=True, timeout=60) as answer:

        def messages() -> Iterator[tuple[str, Any]]:
            fields: dict[str, str] = {}
            for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    content = json.loads(fields["data"])
                    yield fields["event"], content | {"id": fields.get("id")}
                    fields = {}

        yield messages()


def batch(messages: Iterator[tuple[str, Any]]) -> Any:
    """The next batch."""
    return next(content for name, content in messages if name == "batch")


# Who may ask.


@pytest.mark.parametrize("path", FILES)
def test_each_file_is_guarded(live: LivePlane, path: str) -> None:
    """The page and its parts come with a strict policy, and are kept by no cache."""
    answer = get(live, path)
    assert answer.status_code == 200
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*|data:|blob:", policy)


def test_nothing_is_inline(live: LivePlane) -> None:
    """The page has no script and no style of its own, and names no other host."""
    html = get(live, "/").text
    assert re.findall(r"<script[^>]*>([^<]*)</script>", html) == ["", ""]
    assert not re.search(r"<style|style=|\son\w+=|https?://", html)
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|eval\(", text), path.name


@pytest.mark.parametrize("path", ["/", "/live/stream", "/live/main.js"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "[::1"],
)
def test_a_foreign_name_is_refused(live: LivePlane, path: str, host: str) -> None:
    """A name that somebody points at 127.0.0.1 does not open the page: DNS rebinding."""
    answer = get(live, path, Host=host)
    assert answer.status_code == 403
    assert "localhost" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost:1", "app.localhost", "127.0.0.1", "[::1]:99", "10.1.2.3"]
)
def test_own_names_are_taken(live: LivePlane, host: str) -> None:
    """Addresses can't be pointed elsewhere, and `localhost` always means this machine."""
    assert get(live, "/", Host=host).status_code == 200


def test_a_name_that_was_given_is_taken() -> None:
    """`--host NAME` is what the page may be opened by."""
    with LivePlane(host="localhost") as live:
        assert get(live, "/", Host="LOCALHOST").status_code == 200


@pytest.mark.parametrize("path", ["/live/clear", "/live/faults"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no origin"),
        pytest.param({"Origin": "http://evil.example"}, id="another origin"),
        pytest.param({"Origin": "null"}, id="null"),
        pytest.param({"Origin": "SELF", "Sec-Fetch-Site": "cross-site"}, id="said to be foreign"),
        pytest.param({"Origin": "SELF", "Sec-Fetch-Site": "same-site"}, id="another port"),
    ],
)
def test_only_the_page_changes_things(live: LivePlane, path: str, headers: dict[str, str]) -> None:
    """Other sites' pages can send requests here, and have none of them obeyed."""
    post(live, event())
    named = {name: value.replace("SELF", live.url) for name, value in headers.items()}
    body = '{"latency": 5}'
    answer = requests.post(live.url + path, data=body, headers=named, timeout=60)
    assert (answer.status_code, len(live.events), live.latency) == (403, 1, 0)


def test_other_sites_read_nothing(live: LivePlane) -> None:
    """Neither by a script's request nor by a preflight; a link to the page is fine."""
    foreign = {"Sec_Fetch_Site": "cross-site", "Origin": "http://evil.example"}
    assert get(live, "/live/stream", Sec_Fetch_Mode="cors", **foreign).status_code == 403
    assert get(live, "/live/main.js", Sec_Fetch_Mode="no-cors", **foreign).status_code == 403
    assert get(live, "/", Sec_Fetch_Mode="navigate", Sec_Fetch_Site="cross-site").status_code == 200
    wish = {"Origin": "http://evil.example", "Access_Control_Request_Method": "POST"}
    answer = get(live, "/live/clear", "OPTIONS", **wish)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{",
        '{"latency": -1}',
        '{"latency": 1e9}',
        '{"limit": 0}',
        '{"latency": "x"}',
        '{"shares": [[200, 0.1]]}',
        '{"shares": [[503, 2]]}',
        '{"shares": 7}',
        '{"latency": NaN}',
        '{"limit": 18446744073709551616}',
        pytest.param("[" * 50_000, id="deep"),
    ],
)
def test_wrong_switches_change_nothing(live: LivePlane, body: str) -> None:
    """They are answered 400, in words."""
    headers = {"Origin": live.url}
    answer = requests.post(f"{live.url}/live/faults", data=body, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert len(answer.text.split()) > 5
    assert post(live, event()).text == "ok"
    assert live.latency == 0


def test_a_limit_of_any_size_is_shown(live: LivePlane) -> None:
    """A test may set one that no 64 bits hold; pages read on."""
    live.max_request_bytes = 2**70
    with stream(live) as messages:
        assert next(content for name, content in messages if name == "state")["limit"] == 2**70
        assert batch(messages)["rows"] == []


def test_other_sites_may_send_events_but_see_no_page(live: LivePlane) -> None:
    """The gateway's paths are open to a web app; the page's stay shut, by whatever name."""
    foreign = {"Origin": "http://app.example"}
    allowed = "Access-Control-Allow-Origin"
    url = f"{live.url}/v1/batch"
    answer = requests.post(
        url, json={"batch": [event()]}, auth=("k", ""), headers=foreign, timeout=5
    )
    assert (answer.text, answer.headers[allowed]) == ("ok", "http://app.example")
    for path in ("/", "/live/stream", "/live/main.js"):
        answer = get(live, path, Host="rebound.example", **foreign)
        assert (answer.status_code, allowed in answer.headers) == (403, False)
        assert allowed not in get(live, path, **foreign).headers


def test_the_gateway_keeps_its_answers(live: LivePlane) -> None:
    """Beside the page, it is a LocalDataPlane; and that one has no page."""
    assert get(live, "/health").json()["server"] == "UP"
    assert get(live, "/nowhere").status_code == 404
    assert get(live, "/live/nowhere").status_code == 404
    assert get(live, "/", "POST").status_code == 405
    with LocalDataPlane() as plain:
        assert requests.get(plain.url + "/", timeout=60).json()["server"] == "UP"
        assert requests.get(plain.url + "/live/main.js", timeout=60).status_code == 404


# What is held, and told.


def test_any_key_will_do_unless_one_is_given(live: LivePlane) -> None:
    """But there has to be one; and with `write_key`, no other."""
    assert post(live, event(), key="whatever").status_code == 200
    assert requests.post(f"{live.url}/v1/batch", data="{}", timeout=60).status_code == 401
    with LivePlane("the-one") as strict:
        assert post(strict, event(), key="another").text == "invalid write key\n"
        assert post(strict, event(), key="the-one").status_code == 200


def test_a_reader_goes_on_where_it_was(live: LivePlane) -> None:
    """After a cut, a page gets just what it has not seen; of another server's, all."""
    post(live, event(1), event(2))
    with stream(live) as messages:
        first = batch(messages)
    assert [json.loads(row["json"])["messageId"] for row in first["rows"]] == ["m1", "m2"]
    post(live, event(3))
    with stream(live, Last_Event_ID=first["id"]) as messages:
        again = batch(messages)
    assert [json.loads(row["json"])["messageId"] for row in again["rows"]] == ["m3"]
    assert (again["first"], again["skipped"]) == (first["first"] + 2, 0)
    for unknown in ("00000000.2", "nonsense"):
        with stream(live, Last_Event_ID=unknown) as messages:
            assert len(batch(messages)["rows"]) == 3


def test_an_open_page_does_not_keep_the_server(live: LivePlane) -> None:
    """When it ends, so do the streams; one that was closed before is forgotten at once."""
    with stream(live) as messages:
        batch(messages)
    with LivePlane() as ending, stream(ending) as messages:
        batch(messages)
        ending.stop()
        assert list(messages) == []


def test_what_went_astray_is_shown(live: LivePlane) -> None:
    """A request to a path that the gateway does not have: a client's wrong URL, mostly."""
    requests.post(f"{live.url}/v1/bacth", json={}, timeout=60)
    with stream(live) as messages:
        (row,) = batch(messages)["rows"]
    assert (row["path"], row["status"], row["words"]) == ("/v1/bacth", 404, ["404 page not found"])


def test_a_plan_is_a_verdict(tmp_path: Path) -> None:
    """Each event is held to the tracking plan."""
    plan = TrackingPlan({"events": [{"name": "Paid", "schema": {"required": ["revenue"]}}]})
    with LivePlane(plan=plan) as live:
        post(live, event(event="Paid", properties={"revenue": 1}), event(event="Paid"))
        post(live, event(event="Other"))
        with stream(live) as messages:
            rows = batch(messages)["rows"]
    assert [row["verdict"] for row in rows] == ["ok", "plan", "plan"]
    assert rows[1]["words"] == ["tracking plan: properties lacks 'revenue'"]


def words_of(live: LivePlane) -> list[list[str]]:
    """What is said of each event."""
    return [json.loads(entry.shown)["words"] for entry in live.feed.after(0).entries]


def test_types_that_drift_are_remarks(live: LivePlane) -> None:
    """With both events and their times; what loses nothing in this order is said once."""
    values = [5, 24.95, 0.5, "SECRET"]
    post(live, *(event(n, properties={"total": value}) for n, value in enumerate(values)))
    first, cut, again, discarded = words_of(live)
    assert (first, cut) == ([], again)
    assert cut[0].startswith(
        "warehouse: properties.total is float, and the column article_read.total is int since "
        "message m0 of 2026-01-02T03:04:05.000Z: a warehouse cuts its fraction off, without a word"
    )
    assert "puts it into rudder_discards" in discarded[0]
    assert "SECRET" not in discarded[0]
    live.clear()
    post(live, *(event(n, properties={"total": value}) for n, value in enumerate([0.5, 5, 7])))
    first, whole, again = words_of(live)
    assert (first, again) == ([], [])
    assert "takes that in this order, but one that gets a whole number first" in whole[0]


def test_personal_data_is_a_remark_once_a_place(live: LivePlane) -> None:
    """An address that all events have must not hide what else is remarked; Clear begins anew."""
    mail = {"people": [{"mail": "jo@example.com"}]}
    here = {"ip": "203.0.113.7"}
    address = "personal data: context.ip has an IP address (told once)"
    post(live, event(0, context=here), event(1, context=here), event(2, event="O", context=here))
    assert words_of(live) == [[address], [], []]
    for name, remarked in (("Article Read", 1), ("Other", 1), ("Other", 0)):
        post(live, event(3, event=name, properties=mail))
        assert len(words_of(live)[-1]) == remarked, name
    live.clear()
    post(live, event(context=here))
    assert words_of(live) == [[address]]


def test_a_plans_types_are_the_first() -> None:
    """On the page, too."""
    schema = {"properties": {"total": {"type": "string"}}}
    plan = TrackingPlan({"events": [{"name": "Article Read", "schema": schema}]}, "plan.json")
    with LivePlane(plan=plan) as live:
        post(live, event(properties={"total": 5}))
        (said,) = words_of(live)
    assert "the column article_read.total is string by plan.json: " in said[0]


def received(body: bytes = b"", **fields: Any) -> ReceivedRequest:
    """A request as the server notes it."""
    known = {"method": "POST", "path": "/v1/batch", "headers": {}, "wire_bytes": 0}
    return ReceivedRequest(**{**known, "status": 200, "text": "ok", "body": body, **fields})


def test_the_feed_holds_the_last_events() -> None:
    """So many and no more; what a slow reader missed is counted."""
    feed = Feed(max_entries=3)
    for number in range(5):
        feed.add(received(), (event(number),))
    found = feed.after(0)
    assert (found.first, found.skipped, found.next, found.is_last) == (2, 2, 5, True)
    assert [each["messageId"] for each in feed.events] == ["m2", "m3", "m4"]
    assert found.counts["track"] == 5
    assert feed.after(5).entries == []


def test_what_was_cleared_was_not_missed() -> None:
    """A reader that was behind when all was forgotten is told of that, and of no gap."""
    feed = Feed()
    feed.add(received(), (event(0), event(1), event(2)))
    feed.clear()
    feed.add(received(), (event(3),))
    found = feed.after(1)
    assert (found.first, found.skipped, found.cleared, found.counts["track"]) == (3, 0, 1, 1)


def test_probes_are_not_shown() -> None:
    """The doctor's empty upload is no refusal; another client's is, and so is one with an event."""
    ours = {"User-Agent": "rudder-logging/0.1.0 Python/3.11.7"}
    nothing = '{"batch":[]}'
    with LivePlane() as live:
        for headers, body in ((ours, nothing), ({}, nothing), (ours, '{"batch":[{}]}')):
            url = f"{live.url}/v1/batch"
            requests.post(url, data=body, auth=("k", ""), headers=headers, timeout=60)
        assert (live.feed.requests_seen, live.feed.refusals_seen) == (2, 2)
        assert len(live.feed.after(0).entries) == 2


def test_findings_are_bounded(live: LivePlane) -> None:
    """An event with a hundred thousand odd names is told of some, and of how many more."""
    post(live, event(properties={f"é{number}": 1 for number in range(10_000)}))
    (entry,) = live.feed.after(0).entries
    words = json.loads(entry.shown)["words"]
    assert len(words) == 101
    assert words[-1].endswith(" more findings")


def test_the_feed_is_bounded_in_bytes() -> None:
    """Large events push out more; the last one is there, whatever its size."""
    feed = Feed(max_bytes=10_000)
    for number in range(20):
        feed.add(received(), (event(number, properties={"long": "x" * 1_000}),))
    assert 5 < len(feed.events) < 10
    feed.add(received(), (event(99, properties={"long": "x" * 100_000}),))
    assert [each["messageId"] for each in feed.events] == ["m99"]


def test_large_batches_come_in_parts() -> None:
    """No message to a page is much over a megabyte."""
    feed = Feed()
    feed.add(received(), tuple(event(n, properties={"long": "x" * 400_000}) for n in range(5)))
    sizes: list[int] = []
    place = 0
    while not (found := feed.after(place)).is_last or not sizes:
        sizes.append(len(found.entries))
        place = found.next
    assert sizes == [2, 2]


def test_a_large_refusal_keeps_the_culprit_only() -> None:
    """A refused body is kept up to a size; beyond it, the event that it was refused for."""
    events = [event(n, properties={"long": "x" * 1_000}) for n in range(400)]
    body = json.dumps({"batch": events}).encode()
    feed = Feed()
    feed.add(received(body, status=400, text="no", culprit=7), ())
    feed.add(received(body, status=413, text="too big"), ())
    first, second = (json.loads(entry.shown) for entry in feed.after(0).entries)
    assert [index for index, _ in first["events"]] == [7]
    assert second["events"] == []
    assert "too many to show" in second["words"][1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"batch":[{"userId":NaN}]}', "NaN is not JSON"),
        (b'{"batch":[', "it is no JSON from line 1, column 11 on: Expecting value"),
        (b"[" * 9_000, "it is no JSON from line 1, column 9001 on: Expecting value"),
    ],
)
def test_what_is_no_json_is_told(body: bytes, words: str) -> None:
    """Where, and why."""
    feed = Feed()
    feed.add(received(body, status=400, text="invalid json"), ())
    shown = json.loads(feed.after(0).entries[0].shown)
    assert shown["words"] == ["invalid json", words]
    assert shown["body"].startswith(body[:20].decode())


def test_odd_events_are_shown() -> None:
    """Numbers beyond 64 bits, deep ones, types that are no text, and connections that were cut."""
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    feed = Feed()
    feed.add(received(), (event(n=2**70, deep=deep, type=7, event=["x"]),))
    feed.add(received(status=None), (event(1),))
    odd, cut = (json.loads(entry.shown) for entry in feed.after(0).entries)
    assert (odd["kind"], odd["type"], odd["event"]) == ("other", "7", '["x"]')
    assert json.loads(odd["json"])["n"] == 2**70
    assert cut["words"] == ["stored, but the connection was cut before the answer"]


def test_the_page_and_the_flags_offer_what_the_server_knows() -> None:
    """The statuses that it has words for; latency and limit go as far by switch as by flag."""
    html = (STATIC / "index.html").read_text()
    offered = re.findall(r"<option(?: selected)?>(\d+)</option>", html)
    assert list(map(int, offered)) == list(DEFAULT_TEXTS)
    assert serve._LONGEST_LATENCY == plane._LONGEST_LATENCY
    assert serve._LARGEST_LIMIT == plane._LARGEST_LIMIT


def test_shares_of_requests_fail(live: LivePlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fail_at_random` answers as large a part as it was told, until `heal`."""
    import random

    draws = iter([0.05, 0.15, 0.35, 0.05])
    monkeypatch.setattr(random, "random", lambda: next(draws))
    live.fail_at_random({503: 0.1, 429: 0.2})
    assert [post(live, event()).status_code for _ in range(3)] == [503, 429, 200]
    live.heal()
    assert post(live, event()).status_code == 200
    with pytest.raises(ValueError, match="at most 1 together"):
        live.fail_at_random({503: 0.6, 429: 0.6})
