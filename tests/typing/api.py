"""The public interface as users' type checkers see it: checked by mypy, never run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import rudder_logging as rudder_analytics
from rudder_logging import Config, EventLogger, RudderFormatter, RudderHandler, Stats, bind
from rudder_logging.testing import CapturedEvents, Events, RecordedEvent, capture_events

rudder_analytics.write_key = "key"
rudder_analytics.data_plane_url = "https://example.com"
rudder_analytics.host = "https://example.com"
rudder_analytics.upload_size = 50
rudder_analytics.on_error = lambda error, events: print(error, len(events))  # noqa: T201
message_id: str = rudder_analytics.track("user", "Event", {"a": 1})
rudder_analytics.identify(123, {"email": "a@b.c"}, anonymous_id="anon")
rudder_analytics.alias("previous", "user", traits={"a": 1})
settled: bool = rudder_analytics.flush(timeout=1.5)

handler: logging.Handler = RudderHandler("key", "https://example.com", upload_size=50, gzip=False)
typed = RudderHandler(overflow="drop_old", before_send=lambda message: None)
stats: Stats = typed.stats()
dropped: Mapping[str, int] = stats.dropped
flushed: bool = typed.flush(1)
formatter: logging.Formatter = RudderFormatter(context={"app": {"name": "x"}})
events = EventLogger(logging.getLogger("x"), user_id="u")
events.info("Event", extra={"rudder": {"properties": {"a": 1}}})
config = Config.load(write_key="key", data_plane_url="https://example.com")

with bind(user_id="u"):
    pass

with capture_events() as captured:
    pass
recorded: RecordedEvent = captured.one(type="track", properties={"a": 1})
selected: Events = captured.track("Event", user_id="u").by_user(123)
every: list[RecordedEvent] = selected.all
leaves: bool = recorded.would_leave
user: str = recorded["userId"]
captured.conforms_to("plan.json").would_leave()
with captured.expect_invalid("no id"):
    rudder_analytics.track(event="Event")


def test_of_an_app(rudder_events: CapturedEvents) -> None:
    """A fixture with the type that it has."""
    assert not rudder_events
    rudder_events.wait_for(1, timeout=0.5)


captured.track(5)  # type: ignore[arg-type]
RudderHandler(uplod_size=5)  # type: ignore[call-arg]
rudder_analytics.uplod_size = 5  # type: ignore[attr-defined]
rudder_analytics.track("user", 5)  # type: ignore[arg-type]


def hook(message: dict[str, Any]) -> dict[str, Any] | None:
    """A hook with the type that the option wants."""
    return message


rudder_analytics.before_send = hook
