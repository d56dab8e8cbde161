"""A feed: the lanes of one source, over a source in memory and a real data plane."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.retry import RetryPolicy, Trouble
from rudder_logging.relay import lanes as lanes_module
from rudder_logging.relay.feed import Feed
from rudder_logging.relay.keys import WriteKey
from rudder_logging.relay.source import Batch
from rudder_logging.sinks.base import Hold, Later

from ..conftest import WRITE_KEY
from .feeds import feeding, message, messages, numbers, shelf_of, until


def delivered(feed: Feed) -> int:
    """Events that the gateway has, as counted."""
    return feed.ledger.settled()["delivered"]


def lines(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    """Log lines that have these words."""
    return [line for line in caplog.messages if words in line]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble is told soon, and probed soon."""
    monkeypatch.setattr(Trouble, "SECONDS_BEFORE_TOLD", 0.3)
    policy = RetryPolicy(base=0.02, cap=0.2, probe_base=0.1, probe_cap=0.2)
    monkeypatch.setattr(lanes_module, "_POLICY", policy)


def test_all_is_delivered_once_and_in_order(plane: LocalDataPlane) -> None:
    """Many lanes deliver at once; those of a shard stay in order, and the counts add up."""
    with feeding(plane, shards=7) as feed:
        shelf_of(feed).put(messages(3_000))
        until(lambda: delivered(feed) == 3_000)
        until(lambda: shelf_of(feed).lag().events == 0)
    found = numbers(plane.events)
    assert sorted(found) == list(range(3_000))
    for shard in range(7):
        own = [n for n in found if n % 7 == shard]
        assert own == sorted(own)
    assert sum(feed.latencies.times().counts) == len(plane.requests)


def test_no_two_uploads_of_a_shard_run_at_once(plane: LocalDataPlane) -> None:
    """With slow answers and many lanes, one shard's events still arrive in order."""
    plane.latency = 0.02
    with feeding(plane, lanes=8) as feed:
        shelf_of(feed).put(messages(1_000), shard=3)
        until(lambda: delivered(feed) == 1_000)
    assert numbers(plane.events) == list(range(1_000))


def test_a_stop_in_the_middle_makes_no_duplicate(plane: LocalDataPlane) -> None:
    """The part that is through is released as settled; the next relay begins behind it."""
    plane.latency = 0.05
    with feeding(plane) as feed:
        shelf_of(feed).put(messages(4_000))
        until(lambda: delivered(feed) > 0)
    left = [one for shard in shelf_of(feed).shards for one in shard]
    there = {f"m{n}" for n in numbers(plane.events)}
    waiting = {json.loads(one + b"}")["messageId"] for one in left}
    assert len(plane.events) == len(there) == delivered(feed)
    assert left
    assert there.isdisjoint(waiting)
    assert len(there | waiting) == 4_000


def test_a_stop_ends_waits(plane: LocalDataPlane) -> None:
    """While the data plane is away, too, a stop comes at once; nothing is lost."""
    plane.fail(503, times=None)
    with feeding(plane) as feed:
        shelf_of(feed).put(messages(100))
        until(lambda: feed.is_busy)
    assert shelf_of(feed).lag().events == 100
    assert not feed.is_busy


def test_a_stop_ends_a_batch_after_the_upload_that_runs(plane: LocalDataPlane) -> None:
    """A batch may take several uploads, and nobody waits for all of them."""
    with feeding(plane, lanes=1, shards=1) as feed:
        shelf = shelf_of(feed)

        def stop_now(batch: Batch) -> bool:
            assert batch
            feed.stop()  # amid the look before the first upload
            return True

        shelf.holds = stop_now  # type: ignore[method-assign]
        shelf.put(messages(300))
        until(lambda: feed.is_stopped and not feed.is_busy)
    assert len(plane.requests) == 1
    assert shelf.released == [(0, len(plane.events))]
    assert 0 < len(plane.events) < 300


def test_a_lost_lease_ends_delivery_of_its_batch(plane: LocalDataPlane, soon: None) -> None:
    """Nothing more of it is sent; what was not sent is another relay's."""
    plane.fail(503, times=None)
    with feeding(plane, lanes=1, shards=2) as feed:
        shelf = shelf_of(feed)
        shelf.put(messages(50), shard=1)
        until(lambda: len(plane.requests) > 2)
        shelf.lost.add(1)
        until(lambda: shelf.released == [(1, 0)])
        plane.heal()
        shelf.put([message(99)], shard=0)
        until(lambda: delivered(feed) == 1)
    assert numbers(plane.events) == [99]


def test_a_source_that_holds_does_not_stop_another(
    plane: LocalDataPlane, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A refused key holds one source, is told once for all its lanes, and few probes are sent."""
    file = tmp_path / "key"
    file.write_text("another-key\n")
    file.chmod(0o600)
    wrong = WriteKey("web", path=str(file))
    with (
        feeding(plane, "shop") as shop,
        feeding(plane, "web", key=wrong, lanes=8) as web,
        caplog.at_level(logging.WARNING, "rudder_logging"),
    ):
        shelf_of(web).put(message(n) for n in range(1_000, 1_400))
        until(lambda: web.is_held)
        shelf_of(shop).put(messages(400))
        until(lambda: delivered(shop) == 400)
        assert max(numbers(plane.events)) < 400
        assert not shop.is_held
        assert len(lines(caplog, "events are held")) == 1
        file.write_text(WRITE_KEY)
        web.renew_key()
        until(lambda: delivered(web) == 400)
        until(lambda: not web.is_held)
    refused = [request for request in plane.requests if request.status == 401]
    assert len(refused) <= 2 * 8
    assert len(lines(caplog, "delivery resumes")) == 1


def test_a_held_key_is_read_again(plane: LocalDataPlane, tmp_path: Path, soon: None) -> None:
    """Nobody has to send a signal: at the next probe the file's new key counts."""
    file = tmp_path / "key"
    file.write_text("another-key")
    file.chmod(0o600)
    with feeding(plane, key=WriteKey("shop", path=str(file))) as feed:
        shelf_of(feed).put(messages(10))
        until(lambda: feed.is_held)
        file.write_text(WRITE_KEY)
        until(lambda: delivered(feed) == 10)


def test_an_outage_is_told_once_for_all_lanes(
    plane: LocalDataPlane, caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    """One line when it has lasted, one when it is over, however many lanes meet it."""
    plane.fail(503, times=None)
    with feeding(plane, lanes=8) as feed, caplog.at_level(logging.WARNING, "rudder_logging"):
        shelf_of(feed).put(messages(160))
        until(lambda: lines(caplog, "nothing was delivered"))
        until(lambda: len(plane.requests) > 40)
        plane.heal()
        until(lambda: delivered(feed) == 160)
    assert len(lines(caplog, "nothing was delivered")) == 1
    assert len(lines(caplog, "delivery resumes")) == 1
    assert len(plane.events) == 160


@pytest.mark.filterwarnings("ignore::rudder_logging.KeptBackWarning")
def test_what_may_not_leave_under_pytest_stays_in_the_engine(plane: LocalDataPlane) -> None:
    """The engine keeps events, and they may be others' than the tests': none is dropped."""
    with feeding(plane, data_plane_url="https://hosted.example.com") as feed:
        shelf_of(feed).put(messages(3))
        until(lambda: feed.is_held)
        assert shelf_of(feed).lag().events == 3
    assert shelf_of(feed).lag().events == 3
    assert not feed.ledger.dropped()


def test_refused_events_become_dead_letters(plane: LocalDataPlane, tmp_path: Path) -> None:
    """Events that the gateway refuses for good are in the file, the others arrive."""
    bad = {3, 77, 150}
    file = tmp_path / "dead.jsonl"
    plane.fail_for(lambda event: event["properties"]["n"] in bad, 400, "invalid json\n")
    with feeding(plane, dead_letter=str(file)) as feed:
        shelf_of(feed).put(messages(200))
        until(lambda: feed.ledger.settled() == {"delivered": 197, "refused": 3})
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    assert {letter["message"]["properties"]["n"] for letter in letters} == bad


def test_a_lone_poisoned_event_does_not_block_its_shard(
    plane: LocalDataPlane, tmp_path: Path, soon: None
) -> None:
    """It was taken alone, and can't be compared with those that came behind it, until it is given
    back and taken with them.
    """
    plane.fail_for(lambda event: event["properties"]["n"] == 0)
    with feeding(plane, lanes=2, shards=1, dead_letter=str(tmp_path / "dead")) as feed:
        shelf_of(feed).put([message(0)])
        until(lambda: len(plane.requests) > 1)
        shelf_of(feed).put(message(n) for n in range(1, 30))
        until(lambda: feed.ledger.settled() == {"delivered": 29, "refused": 1})
    assert numbers(plane.events) == list(range(1, 30))


def test_a_poisoned_event_with_few_others_is_found(
    plane: LocalDataPlane, tmp_path: Path, soon: None
) -> None:
    """Though nothing comes behind them, and each of the others arrives once."""
    plane.fail_for(lambda event: event["properties"]["n"] == 0)
    with feeding(plane, lanes=2, shards=1, dead_letter=str(tmp_path / "dead")) as feed:
        shelf_of(feed).put(messages(4))
        until(lambda: feed.ledger.settled() == {"delivered": 3, "refused": 1})
    assert numbers(plane.events) == [1, 2, 3]


def test_a_dead_lane_is_replaced(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The replacement is counted, and goes on."""
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    with feeding(plane, lanes=1) as feed:
        shelf = shelf_of(feed)
        take = shelf.take

        def die(max_bytes: int, timeout: float) -> Batch | None:
            shelf.take = take  # type: ignore[method-assign]
            raise SystemExit

        shelf.take = die  # type: ignore[method-assign]
        until(lambda: not feed.lanes[0].is_alive)
        shelf.put(messages(5))
        feed.tend()
        until(lambda: delivered(feed) == 5)
        assert feed.lanes_replaced == 1
    assert lines(caplog, "thread has died")


def test_a_source_that_raises_is_tried_again(
    plane: LocalDataPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in a source is told without its text, and delivery goes on."""
    with feeding(plane, lanes=1) as feed:
        shelf = shelf_of(feed)
        take = shelf.take

        def fail(max_bytes: int, timeout: float) -> Batch | None:
            shelf.take = take  # type: ignore[method-assign]
            raise ValueError("a secret")

        shelf.take = fail  # type: ignore[method-assign]
        shelf.put(messages(5))
        until(lambda: delivered(feed) == 5)
    assert lines(caplog, "delivery failed with ValueError")
    assert "a secret" not in caplog.text


def test_the_source_is_heard(plane: LocalDataPlane, caplog: pytest.LogCaptureFixture) -> None:
    """Leases, drops, idleness and the engine's faults are counted or told, each once."""
    with feeding(plane) as feed, caplog.at_level(logging.WARNING, "rudder_logging"):
        feed.leases_changed(16, 0)
        feed.leases_changed(0, 8)
        feed.dropped(3, "suppressed")
        feed.idles(True)
        feed.idles(True)
        for _ in range(20):
            feed.failing(Later("no answer from redis", "see to it"))
        assert feed.engine.fails
        assert not feed.is_held
        feed.failing(Hold("the user may not do this", "see its ACL"))
        assert feed.is_held
        feed.well()
        feed.idles(False)
        assert (feed.lease_changes, feed.shards) == (24, 8)
        assert feed.ledger.dropped() == {"suppressed": 3}
        assert not feed.engine.fails
        assert not feed.is_held
    for words in (
        "dropped 3 events",
        "this one is idle",
        "idle no more",
        "no answer from redis; see to it",
        "see its ACL",
        "well again",
    ):
        assert len(lines(caplog, words)) == 1, words
