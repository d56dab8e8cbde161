"""`/healthz`, `/readyz` and `/metrics`, over HTTP."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests

from rudder_logging.common.clock import monotonic
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.retry import RetryPolicy
from rudder_logging.exceptions import ConfigError
from rudder_logging.relay import lanes
from rudder_logging.relay.feed import Feed
from rudder_logging.relay.health import Health
from rudder_logging.relay.metrics import Metrics
from rudder_logging.relay.source import Batch, Lag
from rudder_logging.relay.status_server import parse_address, serving
from rudder_logging.sinks.base import Later

from .feeds import feeding, messages, shelf_of, until


@contextlib.contextmanager
def answering(feeds: Sequence[Feed], seconds: float = 60.0) -> Iterator[str]:
    """A server for these feeds; its URL."""
    with serving("127.0.0.1", 0, Health(feeds, seconds=seconds), Metrics(feeds)) as url:
        yield url


def get(url: str) -> requests.Response:
    """Ask."""
    return requests.get(url, timeout=60)


def sample(page: str, name: str, **labels: str) -> float | None:
    """A number on the page of metrics; None: it is not there."""
    shown = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{{shown}}} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else None


def fault(url: str, source: str = "shop") -> tuple[int, Any]:
    """Status, and what is wrong with a source."""
    answer = get(url)
    assert answer.json()["ok"] == (answer.status_code == 200)
    return answer.status_code, answer.json()["sources"][source]["fault"]


def test_metrics_have_all_numbers_by_source(plane: LocalDataPlane) -> None:
    """The names are a contract: dashboards and autoscalers have them."""
    with feeding(plane) as feed, feeding(plane, "web") as web, answering([feed, web]) as url:
        feed.leases_changed(16, 0)
        feed.dropped(7, "suppressed")
        feed.dropped(2, "unreadable")
        plane.fail_for(lambda event: event["properties"]["n"] == 5, 400, "invalid json\n")
        shelf_of(feed).put(messages(50))
        until(lambda: sum(feed.ledger.settled().values()) == 50)
        until(lambda: shelf_of(feed).lag().events == 0)
        plane.fail(401, times=None, text="invalid write key\n")
        shelf_of(web).put(messages(3), shard=0)
        until(lambda: web.is_held)
        answer = get(f"{url}/metrics")
        page = answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {
        name: sample(page, f"rudder_relay_{name}", source="shop")
        for name in (
            "lag_events",
            "lag_bytes",
            "lag_seconds",
            "delivered_total",
            "refused_total",
            "lease_changes_total",
            "holding",
        )
    }
    assert found == {
        "lag_events": 0,
        "lag_bytes": 0,
        "lag_seconds": 0,
        "delivered_total": 49,
        "refused_total": 1,
        "lease_changes_total": 16,
        "holding": 0,
    }
    name = "rudder_relay_dropped_total"
    assert sample(page, name, reason="suppressed", source="shop") == 7
    assert sample(page, name, reason="unreadable", source="shop") == 2
    assert sample(page, "rudder_relay_lag_events", source="web") == 3
    assert sample(page, "rudder_relay_holding", source="web") == 1
    uploads = sample(page, "rudder_relay_upload_seconds_count", source="shop")
    assert uploads == sum(feed.latencies.times().counts)
    assert sample(page, "rudder_relay_upload_seconds_bucket", le="+Inf", source="shop") == uploads
    families = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    assert families == {
        f"rudder_relay_{name}"
        for name in (
            "lag_events",
            "lag_bytes",
            "lag_seconds",
            "delivered_total",
            "refused_total",
            "dropped_total",
            "lease_changes_total",
            "holding",
            "upload_seconds",
        )
    }


def test_a_scrape_does_not_wait_for_an_engine_that_is_away(plane: LocalDataPlane) -> None:
    """It has all other numbers, and no lag: an old one would look like a queue that is stuck."""
    never = threading.Event()

    def lag() -> Lag:
        never.wait(600)
        return Lag(0, 0, 0.0)

    with feeding(plane) as feed, answering([feed]) as url:
        shelf_of(feed).lag = lag  # type: ignore[method-assign]
        try:
            pages = [get(f"{url}/metrics").text for _ in range(3)]
            looks = [t for t in threading.enumerate() if t.name == "rudder-relay-shop-lag"]
            assert fault(f"{url}/readyz") == (503, "the engine does not answer in time")
        finally:
            never.set()
    for page in pages:
        assert sample(page, "rudder_relay_lag_events", source="shop") is None
        assert sample(page, "rudder_relay_delivered_total", source="shop") == 0
    assert len(looks) == 1  # however often it is asked


def test_it_is_well_while_there_is_nothing_to_do(plane: LocalDataPlane) -> None:
    """For however long."""
    with feeding(plane) as feed, answering([feed], seconds=0.0) as url:
        assert fault(f"{url}/healthz") == (200, None)


def test_it_is_not_well_while_nothing_is_delivered(plane: LocalDataPlane) -> None:
    """The reason is told; it is well again with the first event that is delivered."""
    plane.fail(401, times=None, text="invalid write key\n")
    with feeding(plane) as feed, answering([feed], seconds=0.5) as url:
        shelf_of(feed).put(messages(20))
        until(lambda: fault(f"{url}/healthz")[0] == 503)
        assert "401" in fault(f"{url}/healthz")[1]
        plane.heal()
        feed.renew_key()
        until(lambda: fault(f"{url}/healthz") == (200, None))


def test_events_that_are_given_back_again_and_again_are_not_delivered(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone event that may be to blame is taken anew each time: that is no progress."""
    monkeypatch.setattr(lanes, "_PAUSES_OF_ONE", 0)
    monkeypatch.setattr(lanes, "_POLICY", RetryPolicy(base=0.01, cap=0.05))
    plane.fail_for(lambda event: True)
    with feeding(plane) as feed, answering([feed], seconds=2.0) as url:
        shelf_of(feed).put(messages(1))
        until(lambda: len(shelf_of(feed).released) > 100)
        until(lambda: fault(f"{url}/healthz")[0] == 503)


def test_a_source_that_holds_does_not_have_the_relay_ended(plane: LocalDataPlane) -> None:
    """As long as another one gets on, a start anew would harm that, and mend nothing."""
    with feeding(plane) as shop, feeding(plane, "web") as web:
        with answering([shop, web], seconds=0.5) as url:
            plane.fail(401, times=None, text="invalid write key\n")
            shelf_of(web).put(messages(20))
            until(lambda: fault(f"{url}/healthz", "web")[1])
            shop.lanes[0].busy_since = monotonic()  # it has just settled something
            status, why = fault(f"{url}/healthz", "web")
            shop.lanes[0].busy_since = None
    assert (status, "401" in why) == (200, True)


def test_a_lane_that_does_nothing_is_told(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though all others get on: its shards would wait for ever."""
    monkeypatch.setattr(lanes, "_TAKE_SECONDS", 0.01)
    never = threading.Event()
    with feeding(plane, timeout=1.0) as feed, answering([feed], seconds=0.5) as url:
        shelf = shelf_of(feed)
        take = shelf.take

        def block(max_bytes: int, timeout: float) -> Batch | None:
            shelf.take = take  # type: ignore[method-assign]
            never.wait(600)
            return None

        shelf.take = block  # type: ignore[method-assign]
        try:
            told = (503, "1 of 4 lanes do nothing any more")
            until(lambda: fault(f"{url}/healthz") == told)
        finally:
            never.set()
        until(lambda: fault(f"{url}/healthz") == (200, None))


def test_an_engine_that_is_away_is_told(plane: LocalDataPlane) -> None:
    """`/readyz` says so at once, `/healthz` once that has lasted."""
    with feeding(plane) as feed, answering([feed], seconds=0.5) as url:
        assert fault(f"{url}/readyz") == (503, "its shards are not looked at yet")
        feed.well()
        until(lambda: fault(f"{url}/readyz") == (200, None))
        feed.failing(Later("no answer from redis", "start it"))
        assert fault(f"{url}/readyz") == (503, "no answer from redis; start it")
        until(lambda: fault(f"{url}/healthz")[0] == 503)
        assert (
            fault(f"{url}/healthz")[1] == "the engine is of no use: no answer from redis; start it"
        )
        feed.well()
        assert fault(f"{url}/healthz") == (200, None)


def test_other_paths_name_those_that_there_are(plane: LocalDataPlane) -> None:
    """A person may look."""
    with feeding(plane) as feed, answering([feed]) as url:
        answer = get(f"{url}/")
    assert answer.status_code == 404
    assert "/healthz, /readyz and /metrics" in answer.text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:9464", ("::1", 9464)),
        ("9464", ("127.0.0.1", 9464)),
        (":9464", ("127.0.0.1", 9464)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    """Without a host, it is loopback."""
    assert parse_address(text) == found


@pytest.mark.parametrize("text", ["", "host", "host:", "host:70000", "host:-1", "http://a:1/x"])
def test_bad_addresses(text: str) -> None:
    """The error shows what one looks like."""
    with pytest.raises(ConfigError, match=r"like 127\.0\.0\.1:9464"):
        parse_address(text)


def test_a_port_that_is_taken_is_told(plane: LocalDataPlane) -> None:
    """By number."""
    with (
        pytest.raises(ConfigError, match=f"port {plane.port}: Address already in use"),
        serving("127.0.0.1", plane.port, Health([]), Metrics([])),
    ):
        pass
