"""The outcome table, row by row, over a real socket: what each answer does to the events."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import math
import os
import pickle
import random
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from rudder_logging import (
    HeldError,
    RefusedError,
    RetriesExhaustedError,
    RudderHandler,
    StaleConnectionError,
)
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.dataplane.dialects import DIALECTS, spoken
from rudder_logging.dataplane.faults import Fault
from rudder_logging.dataplane.gateway import Answer as Said
from rudder_logging.delivery.retry import RetryPolicy, Trouble
from rudder_logging.sinks.base import (
    MESSAGE_OVERHEAD,
    Hold,
    Later,
    Outcome,
    Refused,
    Stored,
    TooLarge,
    Unknown,
)
from rudder_logging.sinks.gateway.body import FRAME, body_of
from rudder_logging.sinks.gateway.outcomes import Answer, judge
from rudder_logging.sinks.gateway.sink import GatewaySink

from ..conftest import EACH_DIALECT, WRITE_KEY, MakeHandler, Wire
from ..each import each

pytestmark = pytest.mark.usefixtures("no_jitter")


@pytest.fixture(params=EACH_DIALECT)
def plane(plane: LocalDataPlane, request: pytest.FixtureRequest) -> LocalDataPlane:
    """A data plane in the words of older servers, and of newer ones: nothing hangs on them."""
    plane.dialect = request.param
    return plane


def log_events(wire: Wire, handler: RudderHandler, count: int) -> None:
    """Log so many events, numbered from 0."""
    logger = wire(handler)
    for number in range(count):
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """The numbers of events that `log_events` made."""
    return [event["properties"]["n"] for event in events]


@each("dialect", DIALECTS)
@each(
    ("status", "text", "kind", "which"),
    [
        (200, "ok", Stored, None),
        (200, "<html>sign in</html>", Hold, None),
        (201, "ok", Hold, None),
        (204, "", Hold, None),
        (301, "", Hold, None),
        (307, "", Hold, None),
        (400, "invalid json", Refused, None),
        (400, "event is not a valid rudder event", Refused, None),
        (400, "request neither has anonymousId nor userId", Refused, None),
        (400, "some proxy's words", Refused, None),
        (400, "empty batch payload", Refused, range(3)),
        (400, "400 Bad Request", Hold, None),
        (401, "failed to read writekey from header", Hold, None),
        (401, "invalid write key", Hold, None),
        (403, "", Hold, None),
        (404, "source is disabled", Hold, None),
        (404, "404 page not found", Hold, None),
        (405, "", Hold, None),
        (407, "", Hold, None),
        (408, "", Later, None),
        (410, "", Hold, None),
        (413, "request size exceeds max limit", TooLarge, None),
        (425, "", Later, None),
        (429, "max requests limit reached", Later, None),
        (431, "", Hold, None),
        (500, "failed to read body from request", Later, None),
        (500, "pq: deadlock detected", Later, None),
        (502, "", Later, None),
        (503, "Service Unavailable", Later, None),
        (504, "gateway timeout", Later, None),
        (599, "", Later, None),
    ],
)
def test_outcomes(
    status: int, text: str, kind: type[Outcome], which: range | None, dialect: str
) -> None:
    """Each status and text of the decision table has its outcome, in the words of any server."""
    words = spoken(dialect, Said(status, text)).text
    for said in (words, words.upper(), f" {words}\r\n"):
        outcome = judge(Answer(status, said), 3)
        assert type(outcome) is kind
        assert getattr(outcome, "which", None) == which


@pytest.mark.parametrize("status", [408, 425, 502, 503, 504])
def test_passing_faults_are_retried(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, status: int
) -> None:
    """After a fault that may pass, the same events go again with the same ids, in order, with
    `sentAt` anew, until they are in.
    """
    handler = make_handler()
    plane.fail(status, times=3)
    log_events(wire, handler, 5)
    assert handler.flush()
    assert numbers(plane.events) == [0, 1, 2, 3, 4]
    attempts = [request.batch for request in plane.requests]
    assert len(attempts) == 4
    ids = [[event["messageId"] for event in batch] for batch in attempts]
    assert ids == [ids[0]] * 4
    assert attempts[0][0]["sentAt"] < attempts[-1][0]["sentAt"]
    stats = handler.stats()
    assert (stats.delivered, stats.requests, stats.retries) == (5, 4, 3)


@pytest.mark.parametrize("accepted", [False, True])
def test_lost_answer_is_retried_with_the_same_ids(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, accepted: bool
) -> None:
    """A connection cut before the answer leaves the outcome unknown: the events go again, and a
    server can tell by their ids whether it has them already.
    """
    handler = make_handler()
    plane.cut(accepted=accepted)
    log_events(wire, handler, 2)
    assert handler.flush()
    assert numbers(plane.events) == [0, 1] * (2 if accepted else 1)
    assert len({event["messageId"] for event in plane.events}) == 2
    assert handler.stats().delivered == 2


@pytest.mark.parametrize("times", [1, 2, 30])
def test_after_a_lost_answer_less_is_sent(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, times: int
) -> None:
    """The same events go first, in order, but fewer at once, down to a single one: so a server that
    stores what it has no time to answer gets each of them a few times, and not for ever.
    """
    handler = make_handler(upload_interval=60, upload_size=10_000)
    plane.cut(accepted=True, times=times)
    log_events(wire, handler, 150)
    assert handler.flush()
    uploads = [numbers(request.batch) for request in plane.requests]
    sizes = [len(upload) for upload in uploads]
    assert all(upload[0] == 0 for upload in uploads[: times + 1])
    assert sizes[0] == 100
    lost = sizes[: times + 1]
    assert all(after <= max(1, before / 2) for before, after in itertools.pairwise(lost))
    assert numbers_in_order(uploads[times:]) == list(range(150))
    assert handler.stats().lost_answers == times
    assert (handler.stats().delivered, handler.stats().pending) == (150, 0)


def numbers_in_order(uploads: list[list[int]]) -> list[int]:
    """All their numbers."""
    return [number for upload in uploads for number in upload]


def test_upload_that_was_cut_late_is_no_stale_connection(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept-alive connection that breaks after a while was cut: the next upload is smaller."""
    monkeypatch.setattr("rudder_logging.sinks.gateway.sink._STALE_WITHIN", -1.0)
    handler = make_handler(upload_interval=60, upload_size=10_000)
    log_events(wire, handler, 1)
    assert handler.flush()
    plane.cut(accepted=True)
    log_events(wire, handler, 20)
    assert handler.flush()
    sizes = [len(request.batch) for request in plane.requests]
    assert sizes[:2] == [1, 20]
    assert sizes[2] <= 10
    assert handler.stats().lost_answers == 1


@pytest.mark.parametrize("status", [502, 504])
def test_proxy_that_waited_in_vain_lost_an_answer(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, status: int
) -> None:
    """A proxy says 502 when a gateway has closed the connection after ten seconds, and 504 when it
    has waited long enough itself: the next upload is smaller. Where they come at once, it is not.
    """
    handler = make_handler(upload_interval=60, timeout=4.0)
    plane.fail(status)
    log_events(wire, handler, 40)
    assert handler.flush()
    assert [len(request.batch) for request in plane.requests] == [40, 40]
    plane.clear()
    plane.latency = 2.0
    plane.fail(status)
    log_events(wire, handler, 40)
    assert handler.flush(1.0) is False
    plane.latency = 0.0
    assert handler.flush()
    sizes = [len(request.batch) for request in plane.requests]
    assert sizes[0] == 40
    assert sizes[1] <= 20


class FastLine:
    """A transport whose answers always come after 10 ms, by its own account."""

    seconds = 0.01

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.uploads: list[int] = []
        self.sent = 0

    def send(self, body: bytes, timeout: float | None = None, *, plain: bool = False) -> Answer:
        """See `Transport.send`."""
        self.sent = len(body) // 10
        status = self.answers.pop() if self.answers else 200
        if status == 200:
            self.uploads.append(len(json.loads(body)["batch"]))
        return Answer(status, "ok" if status == 200 else "")

    def close(self) -> None:
        """Nothing is open."""

    def urls(self) -> list[str]:
        """It reaches nobody."""
        return []


@pytest.mark.slow
def test_uploads_begin_small_and_soon_take_all_that_waits(
    make_handler: MakeHandler, wire: Wire
) -> None:
    """On a fast line the fourth upload has all that waits; after an outage it begins with few."""
    handler = make_handler(upload_interval=60, upload_size=100_000)
    line = FastLine()
    handler._listener._sender.sink = GatewaySink(handler.config, line)
    for answers in [], [503]:
        line.answers = answers
        line.uploads.clear()
        log_events(wire, handler, 9_000)
        assert handler.flush()
        assert line.uploads[0] == 100
        assert len(line.uploads) <= 5


def test_no_answer_in_time_is_retried(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A server that does not answer is given `timeout` seconds, then tried again."""
    handler = make_handler(timeout=1.0)
    plane.hang()
    log_events(wire, handler, 1)
    assert handler.flush()
    assert set(numbers(plane.events)) == {0}  # a slow answer is one that is lost


def test_server_that_is_down_gets_them_when_it_is_up(make_handler: MakeHandler, wire: Wire) -> None:
    """Connection refused loses nothing: the events go once somebody listens there."""
    with LocalDataPlane() as first:
        port, key = first.port, first.write_key
    handler = make_handler(write_key=key, data_plane_url=f"http://127.0.0.1:{port}")
    log_events(wire, handler, 3)
    assert handler.flush(0.1) is False
    with LocalDataPlane(key, port) as second:
        assert handler.flush()
        assert numbers(second.events) == [0, 1, 2]
        handler.close()


def test_retry_after_is_waited_for_and_flush_ends_the_wait(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A Retry-After of a minute keeps the sender still; a flush asks again at once."""
    handler = make_handler(upload_interval=0)
    plane.fail(429, retry_after=60)
    log_events(wire, handler, 1)
    plane.wait_for_requests(1)
    assert handler.stats().pending == 1
    assert handler.flush(5)
    assert numbers(plane.events) == [0]


@pytest.mark.parametrize("text", ["", "no such thing"])
def test_lone_event_refused_in_unknown_words_waits_until_something_was_accepted(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, text: str
) -> None:
    """A 400 in words that are not the gateway's, before anything was ever accepted, may be the
    path's fault and not the event's: it is held.
    """
    handler = make_handler()
    plane.fail(400, text=text, times=None)
    log_events(wire, handler, 1)
    assert handler.flush(0.2) is False
    until(lambda: handler.stats().holding is not None)
    assert handler.stats().refused == 0
    plane.heal()
    assert handler.flush()
    assert numbers(plane.events) == [0]


@pytest.mark.parametrize("bad", [{0}, {0, 1, 2}, set(range(10))])
def test_first_events_refused_in_unknown_words_do_not_hold_the_rest(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, bad: set[int]
) -> None:
    """If one behind them is accepted, the path is right, and they are bad; nothing comes twice."""
    dropped: list[tuple[int, str]] = []
    handler = make_handler(
        upload_interval=60,
        on_drop=lambda event, reason: dropped.append((event["properties"]["n"], reason)),
    )
    plane.fail_for(lambda event: event["properties"]["n"] in bad, 400, "blocked by policy")
    log_events(wire, handler, 20)
    assert handler.flush()
    assert numbers(plane.events) == [n for n in range(20) if n not in bad]
    assert dropped == [(n, "refused: 400 blocked by policy") for n in sorted(bad)]
    assert handler.stats().holding is None


@pytest.mark.parametrize(("status", "why"), [(400, "refused"), (500, "retried")])
def test_bad_event_that_came_first_and_alone_does_not_hold_those_that_come_later(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, status: int, why: str
) -> None:
    """A lone event is compared with no event at all, or with what comes into the queue behind."""
    handler = make_handler(upload_interval=0)
    plane.fail_for(lambda event: event["event"] == "bad", status, "blocked by policy")
    logger = wire(handler)
    logger.info("bad", extra={"rudder": {"user_id": "u"}})
    until(lambda: handler.stats().refused == 1 if status == 400 else retries(handler) > 5)
    for _ in range(3):
        logger.info("good", extra={"rudder": {"user_id": "u"}})
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["good"] * 3
    assert (handler.stats().refused, handler.stats().delivered) == (1, 3)


def retries(handler: RudderHandler) -> int:
    """Uploads tried again so far."""
    return handler.stats().retries


@pytest.mark.parametrize("text", ["blocked by policy", "invalid json"])
@pytest.mark.parametrize("upload_size", [1, 100])
@pytest.mark.parametrize("before", [0, 3])
def test_400_in_unknown_words_for_everything_holds(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    text: str,
    upload_size: int,
    before: int,
) -> None:
    """If all events are answered likewise, the path is at fault: everything waits, also where
    events were accepted before that.
    """
    handler = make_handler(upload_interval=60, upload_size=upload_size)
    log_events(wire, handler, before)
    assert handler.flush()
    plane.clear()
    plane.fail(400, text=text, times=None)
    log_events(wire, handler, 20)
    assert handler.flush(0.3) is False
    until(lambda: handler.stats().holding is not None)
    assert (handler.stats().pending, handler.stats().refused) == (20, 0)
    plane.heal()
    assert handler.flush()
    # Some may come ahead of their turn: they were sent to see whether the path is well.
    assert sorted(numbers(plane.events)) == list(range(20))


@pytest.mark.parametrize(
    ("status", "text", "cure"),
    [
        (401, None, "check write_key"),
        (403, "no", "check write_key"),
        (404, None, "enable the source"),
        (404, "404 page not found", "correct data_plane_url"),
        (405, "", "correct data_plane_url"),
        (407, "", "proxies"),
        (400, "400 Bad Request", "alters requests"),
        (431, "", "headers"),
        (302, "", "correct data_plane_url"),
        (200, "<html>", "something else than a data plane"),
        (418, "", "correct data_plane_url"),
    ],
)
def test_configuration_faults_hold(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    status: int,
    text: str | None,
    cure: str,
) -> None:
    """Events wait, one report names status, words and cure, probes carry one event, and once it is
    mended everything leaves, in order.
    """
    errors: list[tuple[Exception, int]] = []
    handler = make_handler(on_error=lambda error, events: errors.append((error, len(events))))
    plane.fail(status, text=text, times=None)
    log_events(wire, handler, 10)
    until(lambda: handler.flush(0.05) is False and len(plane.requests) > 1)
    until(lambda: handler.stats().holding is not None)
    until(lambda: bool(errors))
    stats = handler.stats()
    assert stats.holding is not None
    assert str(status) in stats.holding
    assert (stats.pending, sum(stats.dropped.values()), stats.refused) == (10, 0, 0)
    reports = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(reports) == 1
    assert cure in reports[0]
    assert [(type(error), count) for error, count in errors] == [(HeldError, 10)]
    probes = [len(request.batch) for request in plane.requests]
    assert probes[0] == 10
    assert set(probes[1:]) == {1}
    plane.heal()
    assert handler.flush()
    assert numbers(plane.events) == list(range(10))
    assert handler.stats().holding is None
    assert "delivery resumes" in caplog.text


def test_disabled_source_and_wrong_key_heal_by_themselves(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A source that is disabled, and enabled again, loses nothing of what was logged meanwhile."""
    handler = make_handler()
    plane.source_enabled = False
    log_events(wire, handler, 3)
    assert handler.flush(0.05) is False
    plane.source_enabled = True
    assert handler.flush()
    assert numbers(plane.events) == [0, 1, 2]


class Clock:
    """A clock that stands still."""

    seconds = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which an outage is told."""
    clock = Clock()
    monkeypatch.setattr("rudder_logging.delivery.reports.monotonic", clock)
    monkeypatch.setattr("rudder_logging.delivery.sender.monotonic", clock)
    return clock


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What the package itself has said, with levels."""
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "rudder_logging" and record.levelno >= logging.WARNING
    ]


@pytest.mark.parametrize(
    ("fault", "what", "cure"),
    [
        ("refused", "Connection refused", "see that the data plane runs"),
        ("unresolved", "", "correct data_plane_url"),
        ("503", "503", "see to the data plane"),
        ("cut", "closed without an answer", "see to the data plane"),
        ("429", "429", "raise the data plane's rate limit"),
    ],
)
def test_outage_is_told_once_with_its_cure_and_when_it_is_over(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
    fault: str,
    what: str,
    cure: str,
) -> None:
    """After a while without a success: what is wrong, how many events wait, and the cure; once, in
    a log line, in `stats()` and to `on_error`. After the next success: for how long that was.
    """
    errors: list[Exception] = []
    with LocalDataPlane(WRITE_KEY) as other:
        port = other.port
    url = {"refused": f"http://127.0.0.1:{port}", "unresolved": "https://no.such.host.localhost:9"}
    if fault == "cut":
        plane.cut(accepted=False, times=None)
    elif fault not in url:
        plane.fail(int(fault), times=None)
    handler = make_handler(
        data_plane_url=url.get(fault, plane.url),
        upload_interval=0,
        shutdown_timeout=0,
        on_error=lambda error, _events: errors.append(error),
    )
    log_events(wire, handler, 3)
    until(lambda: handler.stats().retries > 2)
    assert not lines(caplog)
    clock.seconds += 12
    until(lambda: handler.stats().outage is not None and len(errors) > 0)
    retries = handler.stats().retries
    until(lambda: handler.stats().retries > retries + 2)
    ((level, line),) = lines(caplog)
    assert level == "WARNING"
    assert re.match(
        rf"nothing was delivered for \d+ s: .*{what}.*; .*{cure}.*\. 3 events wait", line
    )
    assert len(errors) == 1
    if fault == "refused":
        with LocalDataPlane(WRITE_KEY, port):
            assert handler.flush(30)
            handler.close()
    elif fault != "unresolved":
        plane.heal()
        assert handler.flush(30)
    else:
        return
    assert handler.stats().outage is None
    _, (level, line) = lines(caplog)
    assert level == "WARNING"
    assert re.fullmatch(r"delivery resumes after \d+ s", line)


def test_short_outage_is_not_told(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """A blip that is over before ten seconds have passed gives no line."""
    handler = make_handler(on_error=lambda *_: pytest.fail("an outage was told"))
    plane.fail(503, times=20)
    log_events(wire, handler, 3)
    assert handler.flush()
    assert not lines(caplog)


def test_outage_is_told_again_ever_more_rarely() -> None:
    """After ten seconds, a minute, six, 36, and then each hour; a new one begins anew."""
    trouble = Trouble()
    assert not trouble.lasted(100.0)
    told = []
    for second in range(20_000):
        trouble.begin(second)
        if not trouble.until_told(second):
            told.append(second)
            trouble.told(second)
    assert told == [10, 60, 360, 2_160, 5_760, 9_360, 12_960, 16_560]
    trouble.end()
    trouble.begin(20_000)
    assert trouble.until_told(20_004) == 6


def test_events_that_were_given_up_begin_no_outage(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
) -> None:
    """Where nothing waits any more, time that passes is none of an outage."""
    handler = make_handler(max_retries=1, upload_interval=0)
    for _ in range(3):
        plane.fail(503, times=2)
        log_events(wire, handler, 1)
        assert handler.flush()
        until(lambda: handler._listener._reports.trouble.until_told(0) == math.inf)
        clock.seconds += 60
    assert "nothing was delivered" not in caplog.text


def test_source_that_is_toggled_all_the_time_gives_few_lines(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line at once, and then one of each kind in ten seconds; what is not said at once is said
    later if it still holds, at the latest when the handler is closed.
    """
    seconds = 1_000.0
    monkeypatch.setattr("rudder_logging.delivery.reports.monotonic", lambda: seconds)
    errors: list[Exception] = []
    handler = make_handler(
        upload_interval=0, shutdown_timeout=0, on_error=lambda error, events: errors.append(error)
    )

    def hold() -> None:
        plane.source_enabled = False
        seen = len(errors)
        log_events(wire, handler, 1)
        until(lambda: len(errors) > seen)

    def resume() -> None:
        plane.source_enabled = True
        assert handler.flush(10)

    def lines() -> list[str]:
        said = [r.getMessage() for r in caplog.records if r.levelname != "INFO"]
        return [re.sub(r":.*| (after|for) \d+ (s|min)", "", line) for line in said]

    held, resumes = "events are held, none is lost", "delivery resumes"
    for _ in range(5):
        hold()
        resume()
    assert lines() == [held, resumes]
    seconds += 10
    hold()
    assert lines() == [held, resumes, held]
    resume()
    assert lines() == [held, resumes] * 2
    hold()
    seconds += 9
    handler._listener.hurry()
    plane.wait_for_requests(len(plane.requests) + 1)
    assert lines() == [held, resumes] * 2
    seconds += 1
    handler._listener.hurry()
    until(lambda: len(lines()) > 4)
    assert lines() == [*[held, resumes] * 2, held]
    seconds -= 1
    resume()
    assert lines() == [*[held, resumes] * 2, held]
    handler.close()
    assert lines() == [held, resumes] * 3
    seconds += 100
    log_events(wire, handler, 1)
    assert handler.flush(10)
    assert lines() == [held, resumes] * 3
    assert len(errors) == 7


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = monotonic() + 30
    while not condition():
        assert monotonic() < deadline
        sleep(0.001)


def poison(handler: RudderHandler, positions: set[int]) -> None:
    """Take the id out of the messages at these positions in the queue, behind validation's back."""
    queue: Any = handler._pipeline.queue
    for position in positions:
        queue._messages[position] = queue._messages[position].replace(b'"userId"', b'"nobody"')


@pytest.mark.slow
@pytest.mark.parametrize("bad", [{0}, {49}, {99}, {3, 4}, {0, 50, 99}, set(range(100))])
def test_bad_events_are_found_and_the_rest_is_delivered(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    tmp_path: Path,
    bad: set[int],
) -> None:
    """Halving finds each event that the server refuses in few requests; it goes to the dead
    letters, to on_drop and on_error with the server's words; all others arrive in order.
    """
    dropped: list[tuple[int, str]] = []
    errors: list[Exception] = []
    dead_letter = tmp_path / "dead.jsonl"
    handler = make_handler(
        upload_interval=60,
        upload_size=1_000,
        dead_letter=dead_letter,
        on_drop=lambda event, reason: dropped.append((event["properties"]["n"], reason)),
        on_error=lambda error, events: errors.append(error),
    )
    log_events(wire, handler, 100)
    poison(handler, bad)
    assert handler.flush()
    assert numbers(plane.events) == [n for n in range(100) if n not in bad]
    words = "request neither has anonymousId nor userId"
    assert dropped == [(n, f"refused: 400 {words}") for n in sorted(bad)]
    assert {type(error) for error in errors} == {RefusedError}
    assert len(plane.requests) <= 2 * 8 * len(bad)
    stats = handler.stats()
    assert (stats.delivered, stats.refused) == (100 - len(bad), len(bad))
    letters = [json.loads(line) for line in dead_letter.read_text().splitlines()]
    assert [letter["message"]["properties"]["n"] for letter in letters] == sorted(bad)
    assert {(letter["status"], letter["reason"]) for letter in letters} == {(400, words)}
    assert all(letter["refusedAt"].endswith("Z") for letter in letters)
    assert stat.S_IMODE(dead_letter.stat().st_mode) == 0o600


def test_dead_letters_that_cannot_be_written_are_reported_once(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A dead letter file in a directory that is gone harms no delivery, and is named once."""
    handler = make_handler(upload_interval=60, dead_letter=tmp_path / "gone" / "dead.jsonl")
    log_events(wire, handler, 10)
    poison(handler, {2, 5})
    assert handler.flush()
    assert len(plane.events) == 8
    assert caplog.text.count("dead letters can't be written") == 1


def test_dead_letters_may_be_a_pipe_that_nobody_reads(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """It is told, and delivery goes on."""
    os.mkfifo(tmp_path / "dead")
    handler = make_handler(upload_interval=60, dead_letter=tmp_path / "dead")
    log_events(wire, handler, 10)
    poison(handler, {2, 5})
    assert handler.flush()
    assert len(plane.events) == 8


def test_dead_letters_stay_where_they_were_when_the_app_goes_elsewhere(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A relative path is meant from where the handler was made, as a daemon leaves that."""
    monkeypatch.chdir(tmp_path)
    handler = make_handler(dead_letter="dead.jsonl")
    monkeypatch.chdir("/")
    plane.fail(413)
    log_events(wire, handler, 1)
    assert handler.flush()
    assert (tmp_path / "dead.jsonl").read_text().count("\n") == 1


FULL_DISK = """
import resource, sys
from rudder_logging.delivery.dead_letters import DeadLetters

letters = DeadLetters(sys.argv[1])
letters.append(b'{"n":1}', 400, "x")
with open(sys.argv[1], "rb") as file:
    size = len(file.read())
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
try:
    letters.append(b'{"n":2}', 400, "x")
except OSError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    letters.append(b'{"n":3}', 400, "x")
"""


def test_dead_letters_survive_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """Of a line that had no room, nothing stays for the next one to be glued to."""
    path = tmp_path / "dead.jsonl"
    subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], check=True)
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    assert [letter["message"]["n"] for letter in letters] == [1, 3]


def test_dead_letters_are_the_owner_s_only_whoever_made_the_file(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """Events may hold personal data: permissions for others are taken from a file of ours."""
    path = tmp_path / "dead.jsonl"
    path.touch()
    path.chmod(0o644)
    handler = make_handler(dead_letter=path)
    plane.fail(413)
    log_events(wire, handler, 1)
    assert handler.flush()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().count("\n") == 1


OTHER_S_FILE = """
import os
import urllib.parse  # while it may be read: a checkout may be its owner's only
import rudder_logging.delivery.dead_letters
from rudder_logging import Config
from rudder_logging.handler.setup import check_files

if os.geteuid() == 0:
    os.seteuid(65534)
check_files(Config.load({}, write_key="k", data_plane_url="https://x", dead_letter="/etc/passwd"))
"""


def test_dead_letter_that_others_can_read_for_good_is_told_at_construction() -> None:
    """Where the file is another user's, its permissions can't be changed: no handler is made."""
    run = subprocess.run(
        [sys.executable, "-c", OTHER_S_FILE], capture_output=True, text=True, check=False
    )
    assert "ConfigError: dead_letter names a file of another user that others can read" in (
        run.stderr
    )


def test_too_large_together_is_split_by_bytes_and_remembered(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A 413 halves the upload, and later uploads stay below what was too large."""
    handler = make_handler(upload_interval=60, upload_size=10_000)
    plane.max_request_bytes = 10_000
    log_events(wire, handler, 200)
    assert handler.flush()
    assert numbers(plane.events) == list(range(200))
    plane.clear()
    plane.max_request_bytes = 10_000
    log_events(wire, handler, 200)
    assert handler.flush()
    assert numbers(plane.events) == list(range(200))
    assert {request.status for request in plane.requests} == {200}


def test_one_event_too_large_does_not_make_uploads_smaller(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """The 413s that led to it were its fault: what comes later goes together as before."""
    handler = make_handler(upload_interval=60, upload_size=10_000)
    plane.fail_for(lambda event: event["properties"]["n"] == 7, 413)
    log_events(wire, handler, 100)
    assert handler.flush()
    assert handler.stats().refused == 1
    plane.clear()
    log_events(wire, handler, 100)
    assert handler.flush()
    assert len(plane.requests) == 1


def test_larger_uploads_are_tried_again_in_the_end(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had a limit may have none any more: after some uploads there are larger ones, as large
    as the option says, and never larger.
    """
    monkeypatch.setattr("rudder_logging.delivery.upload_limits._UPLOADS_BEFORE_MORE", 10)
    handler = make_handler(
        upload_interval=60, upload_size=10_000, max_batch_bytes=40_000, max_event_bytes=1_000
    )
    plane.max_request_bytes = 10_000
    log_events(wire, handler, 200)
    assert handler.flush()
    plane.clear()
    plane.max_request_bytes = 4_000_000
    log_events(wire, handler, 2_500)
    assert handler.flush()
    assert {request.status for request in plane.requests} == {200}
    sizes = [len(request.body) for request in plane.requests]
    assert sizes[0] < 10_000
    assert 35_000 < max(sizes) <= 40_000


def test_one_event_too_large_is_refused_alone(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """An event that alone exceeds the server's limit goes to on_drop; its neighbours arrive."""
    dropped: list[str] = []
    handler = make_handler(upload_interval=60, on_drop=lambda event, reason: dropped.append(reason))
    plane.max_request_bytes = 2_000
    logger = wire(handler)
    for size in (10, 5_000, 10):
        logger.info("e", extra={"rudder": {"user_id": 1, "properties": {"x": "x" * size}}})
    assert handler.flush()
    assert [len(event["properties"]["x"]) for event in plane.events] == [10, 10]
    assert dropped == ["refused: 413 request size exceeds max limit"]


def test_empty_batch_is_not_retried_for_ever(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """`empty batch payload` means that we built nonsense: refused, told, no loop."""
    handler = make_handler(upload_interval=60)
    plane.fail(400, text=spoken(plane.dialect, Said(400, "empty batch payload")).text)
    log_events(wire, handler, 3)
    assert handler.flush()
    assert handler.stats().refused == 3
    assert len(plane.requests) == 1


def test_max_retries_gives_up(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """After max_retries the batch is dropped, counted and reported, and the next one is tried. The
    line that tells of it names the fault and its cure: no other line does, as nothing waits.
    """
    errors: list[tuple[Exception, int]] = []
    dropped: list[str] = []
    handler = make_handler(
        max_retries=2,
        upload_interval=60,
        on_error=lambda error, events: errors.append((error, len(events))),
        on_drop=lambda event, reason: dropped.append(reason),
    )
    plane.fail(503, times=3)
    log_events(wire, handler, 4)
    assert handler.flush()
    assert handler.stats().dropped == {"retries_exhausted": 4}
    assert dropped == ["retries_exhausted"] * 4
    ((error, count),) = errors
    assert isinstance(error, RetriesExhaustedError)
    assert count == 4
    assert "503" in str(error.__cause__)
    log_events(wire, handler, 1)
    assert handler.flush()
    assert numbers(plane.events) == [0]
    handler.close()
    (line,) = (text for text in caplog.messages if text.startswith("dropped"))
    assert line == (
        "dropped 4 events (retries_exhausted: 4); given up for: 503 'Service Unavailable'; "
        "see to the data plane, or to what stands before it"
    )


def test_flushes_do_not_use_up_max_retries(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A flush ends a wait and gives the events one more chance; an app that flushes all the time
    has as many retries as any other.
    """
    handler = make_handler(max_retries=1, upload_interval=0)
    plane.fail(503, retry_after=60, times=None)
    log_events(wire, handler, 1)
    for request in range(1, 7):
        plane.wait_for_requests(request)
        handler.flush(0)
    plane.wait_for_requests(7)
    assert (handler.stats().pending, handler.stats().dropped) == (1, {})
    plane.heal()
    assert handler.flush()
    assert numbers(plane.events) == [0]


def test_retries_count_though_flushes_come_between(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush does not put off the attempt that was due: in the end max_retries are used up."""
    monkeypatch.setattr("random.random", lambda: 0.999)
    handler = make_handler(upload_interval=0)
    handler._listener._sender._policy = RetryPolicy(base=0.5, max_retries=1)
    plane.fail(503, times=None)
    log_events(wire, handler, 1)
    plane.wait_for_requests(1)
    until(lambda: handler.flush(0.01))
    assert handler.stats().dropped == {"retries_exhausted": 1}
    assert len(plane.requests) > 3


def test_body_sizes_are_exact() -> None:
    """What the batch builder counts is what the body weighs."""
    messages = [b'{"a":1', b'{"b":"' + b"x" * 100 + b'"']
    body = body_of(messages, 1_700_000_000.1234)
    assert len(body) == FRAME + sum(len(m) + MESSAGE_OVERHEAD for m in messages) - len(",")
    sent_at = "2023-11-14T22:13:20.123Z"
    assert json.loads(body) == {
        "batch": [{"a": 1, "sentAt": sent_at}, {"b": "x" * 100, "sentAt": sent_at}]
    }


def test_debug_lines_hold_ids_and_sizes_only(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG the sender tells of attempts, without payload or write key."""
    caplog.set_level(logging.DEBUG, "rudder_logging")
    handler = make_handler()
    plane.fail(503)
    wire(handler).info("secret", extra={"rudder": {"user_id": "hidden", "event": "quiet"}})
    assert handler.flush()
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name == "rudder_logging")
    assert "upload of 1 events" in ours
    assert "retry 1" in ours
    for secret in ("secret", "hidden", "quiet", handler.config.write_key):
        assert secret not in ours


def test_repeated_429_shrinks_the_batch(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A batch that costs more than the rate limit is always refused, so it is halved until it
    fits, in order.
    """
    handler = make_handler(upload_interval=60)
    plane.fail(429, times=4)
    log_events(wire, handler, 16)
    assert handler.flush()
    assert numbers(plane.events) == list(range(16))
    assert [len(request.batch) for request in plane.requests][:6] == [16, 16, 8, 4, 2, 2]
    assert len({event["messageId"] for event in plane.events}) == 16


@pytest.mark.parametrize("bad", [{0}, {7}, {15}, {3, 4}, {0, 8, 15}])
def test_event_that_alone_keeps_failing_with_500_is_isolated(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, bad: set[int]
) -> None:
    """One event that the server's database can't take does not hold back the rest for ever."""
    dropped: list[tuple[int, str]] = []
    handler = make_handler(
        upload_interval=60,
        on_drop=lambda event, reason: dropped.append((event["properties"]["n"], reason)),
    )
    plane.fail_for(lambda event: event["properties"]["n"] in bad)
    log_events(wire, handler, 17)
    assert handler.flush()
    assert numbers(plane.events) == [n for n in range(17) if n not in bad]
    assert dropped == [(n, "refused: 500 pq: invalid byte sequence") for n in sorted(bad)]
    assert handler.stats().refused == len(bad)
    assert len(plane.requests) <= 100 * len(bad)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 4, 37])
@pytest.mark.parametrize(("share", "bad"), [(0.7, set()), (0.9, set()), (0.2, {20})])
def test_server_that_fails_at_random_loses_no_healthy_event(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    share: float,
    bad: set[int],
) -> None:
    """Whatever share of requests fails, whichever event is in them: each healthy event arrives, and
    arrives once; a bad one is found all the same.
    """
    # Each event is a suspect at its first failure: as if very many more had been sent.
    monkeypatch.setattr("rudder_logging.delivery.sender._FAILURES_BEFORE_BLAME", 0)
    dice = random.Random(seed)
    fault = Fault("answer", 500, "pq: deadlock detected")
    monkeypatch.setattr(plane._faults, "next", lambda: fault if dice.random() < share else None)
    plane.fail_for(lambda event: event["properties"]["n"] in bad)
    handler = make_handler(upload_interval=60, upload_size=1_000)
    log_events(wire, handler, 100)
    assert handler.flush(50)
    assert sorted(numbers(plane.events)) == [n for n in range(100) if n not in bad]
    assert handler.stats().refused == len(bad)
    assert not handler._listener._sender._ahead  # what came before its turn is forgotten then


def test_a_batch_stays_whole_over_three_500s(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A database that fails for a moment costs retries, not a request for each event."""
    handler = make_handler(upload_interval=60)
    plane.fail(500, times=3, text="pq: deadlock detected")
    log_events(wire, handler, 8)
    assert handler.flush()
    assert numbers(plane.events) == list(range(8))
    assert [len(request.batch) for request in plane.requests] == [8, 8, 8, 8]


def test_500_for_everything_loses_nothing(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """While no event at all is accepted, a 500 is the server's fault: everything waits."""
    handler = make_handler(upload_interval=60)
    plane.fail_for(lambda event: True)
    log_events(wire, handler, 4)
    assert handler.flush(0.5) is False
    assert (handler.stats().pending, handler.stats().refused) == (4, 0)
    plane.heal()
    assert handler.flush()
    # Some may come ahead of their turn: they were sent to see whether the server is well.
    assert sorted(numbers(plane.events)) == [0, 1, 2, 3]
    assert handler.stats().refused == 0


def test_unreadable_body_is_sent_again_and_then_uncompressed(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`failed to read body from request` is the way's fault: again, then without compression, and
    if that helps, so from then on.
    """
    handler = make_handler(upload_interval=60)
    plane.fail(500, times=2)
    log_events(wire, handler, 3)
    assert handler.flush()
    assert numbers(plane.events) == [0, 1, 2]
    encodings = [request.headers.get("content-encoding") for request in plane.requests]
    assert encodings == ["gzip", "gzip", None]
    log_events(wire, handler, 1)
    assert handler.flush()
    assert plane.requests[-1].headers.get("content-encoding") is None
    assert "spoils compressed uploads" in caplog.text


def test_every_event_invalid_json_makes_compression_suspect(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """A proxy that strips Content-Encoding makes every upload `invalid json`: none is lost."""
    handler = make_handler(upload_interval=60)
    plane.fail(400, times=3)  # the batch, its first half, its first event
    log_events(wire, handler, 4)
    assert handler.flush()
    assert numbers(plane.events) == [0, 1, 2, 3]
    assert handler.stats().refused == 0


def test_stale_connection_gets_one_immediate_retry(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept-alive connection that the server closed while it was idle costs no backoff."""
    monkeypatch.setattr("random.random", lambda: 0.999)
    handler = make_handler(upload_interval=0)
    log_events(wire, handler, 1)
    plane.wait_for(1)
    handler._listener._sender._policy = RetryPolicy(base=1_000, cap=1_000)
    plane.cut(accepted=False)
    log_events(wire, handler, 1)
    assert len(plane.wait_for(2)) == 2


def test_stale_connection_costs_none_of_the_retries(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Without retries, too, an idle connection that was closed loses no event; if the new one fails
    as well, that was it.
    """
    handler = make_handler(upload_interval=0, max_retries=0)
    log_events(wire, handler, 1)
    assert handler.flush()
    plane.cut(accepted=False)
    log_events(wire, handler, 1)
    assert handler.flush()
    assert (handler.stats().delivered, handler.stats().dropped) == (2, {})
    plane.cut(accepted=False, times=2)
    log_events(wire, handler, 1)
    assert handler.flush()
    assert handler.stats().dropped == {"retries_exhausted": 1}
    assert len(plane.requests) == 5


@pytest.mark.parametrize(("time_left", "attempts"), [(0.01, 1), (60, 2), (None, 2)])
def test_connection_that_breaks_late_is_not_tried_anew_beyond_the_time_that_is_left(
    make_handler: MakeHandler,
    monkeypatch: pytest.MonkeyPatch,
    time_left: float | None,
    attempts: int,
) -> None:
    """At the process's end, the second attempt has what the first one has left of the time."""
    given: list[float | None] = []

    def send(body: bytes, timeout: float | None, *, plain: bool) -> Answer:
        given.append(timeout)
        sleep(0.02)
        raise StaleConnectionError

    sender = make_handler()._listener._sender
    sender.sink = sink = GatewaySink(make_handler().config)
    monkeypatch.setattr(sink._transport, "send", send)
    assert isinstance(sender._send([b'{"a":1'], time_left), Unknown)
    assert len(given) == attempts
    if time_left == 60:
        assert given[1] is not None
        assert given[1] <= 59.98


def test_a_server_that_echoes_shows_neither_key_nor_payload(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Words that are not the gateway's may quote the request: no log line or error repeats them,
    only dead letters and on_drop's reason do.
    """
    caplog.set_level(logging.DEBUG)
    errors: list[str] = []
    reasons: list[str] = []
    handler = make_handler(
        on_error=lambda error, events: errors.append(str(error)),
        on_drop=lambda event, reason: reasons.append(reason),
    )
    for status in (200, 413, 500):
        plane.fail(status, text="you sent jane@example.com")
        log_events(wire, handler, 1)
        handler.flush(0.05)
        assert handler.flush()
    shown = caplog.text + "".join(errors) + str(handler.stats().holding)
    assert "jane" not in shown
    assert "200 with a text that is not the gateway's" in shown
    assert reasons == ["refused: 413 you sent jane@example.com"]


def test_errors_and_stats_can_be_pickled(make_handler: MakeHandler) -> None:
    """Metrics exporters and process pools hand them on."""
    error = pickle.loads(pickle.dumps(RefusedError(400, "words", "shown")))
    assert (error.status, error.reason, str(error)) == (
        400,
        "words",
        "the data plane refused the event: shown",
    )
    stats = make_handler().stats()
    assert pickle.loads(pickle.dumps(stats)) == stats
    assert dataclasses.asdict(stats)["dropped"] == {}


def test_suspect_is_not_refused_because_time_is_up(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """If patience ends while it is being found out whether an event is poison, it stays queued."""
    handler = make_handler(upload_interval=60)
    plane.fail_for(lambda event: event["properties"]["n"] == 0)
    log_events(wire, handler, 4)

    class Impatient:
        def pause(self, seconds: float) -> bool:
            return not plane.events  # until the neighbour has passed

        def time_left(self) -> float | None:
            return None

    batch = handler._pipeline.queue.take(1_000_000)
    assert batch
    assert handler._listener._sender.deliver(batch, Impatient()) is False
    assert numbers(plane.events) == [1]
    assert (handler.stats().refused, handler.stats().pending) == (0, 4)
    plane.heal()
    assert handler.flush()
    assert sorted(numbers(plane.events)) == [0, 1, 2, 3]  # what came ahead does not come again
