"""The public interface as users' type checkers see it: checked by mypy, never run."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from typing import Any

from prometheus_client import REGISTRY

import rudder_logging as rudder_analytics
from rudder_logging import (
    BoundFields,
    Client,
    Config,
    Event,
    EventLogger,
    RequestContext,
    RudderFormatter,
    RudderHandler,
    Stats,
    bind,
    bind_lazily,
    carry,
    current,
    dump_bound,
    load_bound,
)
from rudder_logging.integrations.opentelemetry import observe
from rudder_logging.metrics import collector
from rudder_logging.testing import CapturedEvents, Events, RecordedEvent, capture_events

rudder_analytics.write_key = "key"
rudder_analytics.data_plane_url = "https://example.com"
rudder_analytics.host = "https://example.com"
rudder_analytics.upload_size = 50
rudder_analytics.on_error = lambda error, events: print(error, len(events))  # noqa: T201
message_id: str = rudder_analytics.track("user", "Event", {"a": 1})
rudder_analytics.identify(123, {"email": "a@b.c"}, anonymous_id="anon")
rudder_analytics.alias("previous", "user", traits={"a": 1}, on_commit="replica")
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

with Client("key", host="https://example.com", upload_size=50, sync_mode=True) as client:
    client_id: str = client.track("user", "Event", {"a": 1})
positional = Client("key", "https://example.com", True, 5_000)
client_settled: bool = positional.flush(timeout=1.5)
client_stats: Stats = positional.handler.stats()

with bind(user_id="u"):
    pass

with rudder_analytics.on_commit(), rudder_analytics.on_commit("replica"):
    pass

with capture_events() as captured:
    pass
recorded: RecordedEvent = captured.one(type="track", properties={"a": 1})
selected: Events = captured.track("Event", user_id="u").by_user(123)
every: list[RecordedEvent] = selected.all
leaves: bool = recorded.would_leave
waits: bool = recorded.on_commit
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


# Ids are text, numbers or UUIDs, wherever one is taken; a moment is a datetime, a date or text.
of_user = uuid.uuid4()
rudder_analytics.track(of_user, "Event", timestamp=date(2026, 1, 31), message_id=uuid.uuid4())
rudder_analytics.track(7, "Event", timestamp=datetime.now(timezone.utc), anonymous_id=of_user)
rudder_analytics.page(of_user, "Docs", "Home", timestamp="2026-01-31T12:00:00Z")
rudder_analytics.group(of_user, uuid.uuid4(), {"plan": "pro"})
rudder_analytics.alias(1, of_user)
rudder_analytics.merge(
    1, [{"type": "email", "value": "a@example.com"}, {"type": "phone", "value": 49}]
)
rudder_analytics.merge(1, ({"type": "id", "value": of_user}, {"type": "id", "value": 2}))
rudder_analytics.track(1.5, "Event")  # type: ignore[arg-type]
rudder_analytics.track("user", "Event", timestamp=1769973258)  # type: ignore[arg-type]
rudder_analytics.merge("user", [{"type": 1.5, "value": 2}])  # type: ignore[dict-item]

# What a log call's event may have.
event: Event = {"user_id": of_user, "properties": {"revenue": 49.9}, "timestamp": date(2026, 1, 31)}
in_camel_case: Event = {"type": "group", "userId": 1, "groupId": 2, "traits": {"plan": "pro"}}
events.info("Event", extra={"rudder": event})
mistyped: Event = {"usr_id": 1}  # type: ignore[typeddict-unknown-key]
at_the_root: Event = {"user_id": 1, "revenue": 1}  # type: ignore[typeddict-unknown-key]
of_no_type: Event = {"type": "trak"}  # type: ignore[typeddict-item]
without_a_mapping: Event = {"user_id": 1, "properties": [1]}  # type: ignore[typeddict-item]

# What can be bound.
bound: BoundFields = {"user_id": of_user, "context": {"ip": "203.0.113.7"}}
with bind(**bound), bind(anonymous_id=1, integrations={"All": True}):
    pass
with bind_lazily(lambda: bound), bind_lazily(lambda: None), load_bound(dump_bound()):
    current().set(user_id=None, context={})
    current().set(usr_id=1)  # type: ignore[call-arg]
carried: Callable[[int], str] = carry(str)
bind_lazily(bound)  # type: ignore[arg-type]
RequestContext(user="auth", ip="xff:1", query=["q"], extra=lambda request: {"context": {}})
RequestContext(user=1)  # type: ignore[arg-type]
RequestContext(usr="auth")  # type: ignore[call-arg]
EventLogger(logging.getLogger("x"), **bound)
bind(usr_id=1)  # type: ignore[call-arg]
bind(context=1)  # type: ignore[arg-type]
EventLogger(logging.getLogger("x"), usr_id=1)  # type: ignore[call-arg]

RudderHandler(overflow="block")
RudderHandler(overflow="dropold")  # type: ignore[arg-type]
rudder_analytics.overflow = "drop_old"
rudder_analytics.overflow = "dropold"  # type: ignore[assignment]

REGISTRY.register(collector())
REGISTRY.register(collector(RudderHandler(), RudderHandler()))
collector(logging.StreamHandler())  # type: ignore[arg-type]
observe()
observe(RudderHandler())
