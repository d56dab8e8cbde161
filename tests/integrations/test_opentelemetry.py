"""OpenTelemetry: the ids of spans, the ledger as metrics, and no spans of our own."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import format_span_id, format_trace_id

import rudder_logging
from rudder_logging import EventLogger, RudderFormatter, RudderHandler, bind
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.integrations.opentelemetry import observe
from rudder_logging.testing import capture_events

from ..conftest import MakeHandler, Wire
from .scripts import run_example

EVENT = {"rudder": {"user_id": "42"}}
Ids = tuple[str | None, str | None]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keeps the spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """Makes spans for that."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    yield made
    made.shutdown()


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """Collects metrics when it is asked to."""
    return InMemoryMetricReader()


def ids_of(span: trace.Span) -> Ids:
    """A span's ids as they have to be sent."""
    context = span.get_span_context()
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def sent_ids(event: Mapping[str, Any]) -> Ids:
    """Those that an event has."""
    return event["context"].get("traceId"), event["context"].get("spanId")


def test_the_setting_of_the_package_holds_in_tests(provider: TracerProvider) -> None:
    """Where no handler is made, as with the one that a call would make."""
    with capture_events() as events, provider.get_tracer("shop").start_as_current_span("s") as span:
        rudder_logging.trace_context = True
        rudder_logging.track("1", "A")
    assert sent_ids(events.one()) == ids_of(span)


def counts(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], int, str]]]:
    """By metric: attributes, value and unit of each data point."""
    data = reader.get_metrics_data()
    scopes = [
        scope for one in (data.resource_metrics if data else ()) for scope in one.scope_metrics
    ]
    return {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "value", 0), metric.unit or "")
            for point in metric.data.data_points
        ]
        for scope in scopes
        for metric in scope.metrics
    }


def test_ids_are_those_of_the_span_in_force_at_the_call(
    make_handler: MakeHandler, wire: Wire, provider: TracerProvider, plane: LocalDataPlane
) -> None:
    """Rule 25: by log calls and direct calls, in nested spans, tasks and threads, and after them;
    however long the event waits for its upload.
    """
    handler = make_handler(trace_context=True, upload_interval=60)
    logger = wire(handler)
    calls = EventLogger(logger)
    tracer = provider.get_tracer("tests")
    expected: dict[str, Ids] = {}

    def log(name: str) -> None:
        expected[name] = ids_of(trace.get_current_span())
        logger.info(name, extra=EVENT)
        expected[f"{name}, called"] = expected[name]
        calls.track("42", f"{name}, called")

    async def visit(number: int) -> None:
        with tracer.start_as_current_span("visit"):
            await asyncio.sleep(0)
            log(f"visit {number}")
            await asyncio.to_thread(log, f"thread {number}")

    async def visits() -> None:
        await asyncio.gather(*map(visit, range(10)))

    with tracer.start_as_current_span("outer"):
        log("outer")
        with tracer.start_as_current_span("inner"):
            log("inner")
        log("outer again")
    asyncio.run(visits())
    logger.info("after", extra=EVENT)
    assert handler.flush()
    sent = {event["event"]: sent_ids(event) for event in plane.events}
    assert sent == {**expected, "after": (None, None)}
    assert len(set(sent.values())) == 13


def test_span_that_is_not_recorded_has_ids(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Rule 25: sampling decides about the trace, not about the event."""
    handler = make_handler(trace_context=True)
    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("tests").start_as_current_span("s") as span:
        wire(handler).info("e", extra=EVENT)
    assert handler.flush()
    assert [sent_ids(event) for event in plane.events] == [ids_of(span)]


def test_explicit_ids_win(
    make_handler: MakeHandler, wire: Wire, provider: TracerProvider, plane: LocalDataPlane
) -> None:
    """Those of the event, and those that are bound; the handler's other defaults stay."""
    handler = make_handler(trace_context=True, context={"app": {"name": "shop"}})
    logger = wire(handler)
    with provider.get_tracer("tests").start_as_current_span("s") as span:
        logger.info("own", extra={"rudder": {"user_id": "42", "context": {"traceId": "mine"}}})
        with bind(context={"spanId": "bound", "ip": "203.0.113.7"}):
            logger.info("bound", extra=EVENT)
    assert handler.flush()
    own, bound = plane.events
    trace_id, span_id = ids_of(span)
    assert sent_ids(own) == ("mine", span_id)
    assert sent_ids(bound) == (trace_id, "bound")
    assert bound["context"]["ip"] == "203.0.113.7"
    for event in (own, bound):
        assert event["context"]["app"] == {"name": "shop"}
        assert event["context"]["library"]["name"] == "rudder-logging"


def test_default_of_the_same_name_is_replaced(
    make_handler: MakeHandler, wire: Wire, provider: TracerProvider, plane: LocalDataPlane
) -> None:
    """A handler's constant is no trace."""
    handler = make_handler(trace_context=True, context={"traceId": "constant"})
    logger = wire(handler)
    with provider.get_tracer("tests").start_as_current_span("s") as span:
        logger.info("e", extra=EVENT)
    logger.info("e", extra=EVENT)
    assert handler.flush()
    assert [sent_ids(event) for event in plane.events] == [ids_of(span), ("constant", None)]


def test_hooks_of_the_app_see_the_ids(
    make_handler: MakeHandler, wire: Wire, provider: TracerProvider, plane: LocalDataPlane
) -> None:
    """A handler whose `format` is replaced, and a formatter of a subclass."""

    class Louder(RudderFormatter):
        def format(self, record: logging.LogRecord) -> str:
            return super().format(record).replace('"e"', '"E"')

    class Seeing(RudderHandler):
        def format(self, record: logging.LogRecord) -> str:
            seen.append(json.loads(super().format(record)))
            return super().format(record)

    seen: list[dict[str, Any]] = []
    options = {"write_key": "test-write-key", "data_plane_url": plane.url}
    louder, seeing = make_handler(trace_context=True), Seeing(**options, trace_context=True)  # type: ignore[arg-type]
    louder.setFormatter(Louder())
    with provider.get_tracer("tests").start_as_current_span("s") as span:
        wire(louder, seeing).info("e", extra=EVENT)
    assert louder.flush()
    seeing.close()
    assert {event["event"] for event in plane.events} == {"e", "E"}
    assert {sent_ids(event) for event in (*plane.events, *seen)} == {ids_of(span)}


@pytest.mark.slow
def test_opentelemetry_is_not_imported(plane: LocalDataPlane) -> None:
    """Rule 25: without it, and while it is not imported, the option does nothing."""
    code = (
        "import sys, rudder_logging, logging\n"
        f"h = rudder_logging.RudderHandler('test-write-key', {plane.url!r}, trace_context=True)\n"
        "logging.getLogger().addHandler(h)\n"
        "logging.warning('e', extra={'rudder': {'user_id': '42'}})\n"
        "assert h.flush()\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert [sent_ids(event) for event in plane.events] == [(None, None)]


@pytest.mark.parametrize("instrumentor", [RequestsInstrumentor, URLLib3Instrumentor])
@pytest.mark.parametrize("sync_mode", [True, False], ids=["in the call", "in a thread"])
def test_uploads_make_no_spans(
    make_handler: MakeHandler,
    wire: Wire,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    plane: LocalDataPlane,
    instrumentor: Any,
    sync_mode: bool,
) -> None:
    """The app's own requests do, before and after; ours carry no `traceparent` either."""
    reader = InMemoryMetricReader()
    instrumentor().instrument(tracer_provider=provider, meter_provider=MeterProvider([reader]))
    try:
        handler = make_handler(sync_mode=sync_mode, trace_context=True)
        with provider.get_tracer("tests").start_as_current_span("checkout"):
            requests.get(f"{plane.url}/health", timeout=60)
            wire(handler).info("e", extra=EVENT)
            assert handler.flush()
            requests.get(f"{plane.url}/health", timeout=60)
    finally:
        instrumentor().uninstrument()
    assert len(plane.events) == 1
    assert [span.name for span in exporter.get_finished_spans()] == ["GET", "GET", "checkout"]
    (request,) = plane.requests
    assert "traceparent" not in {name.lower() for name in request.headers}
    points = [point for found in counts(reader).values() for point in found]
    assert points
    assert "POST" not in repr(points)


def test_metrics_are_the_ledger(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, reader: InMemoryMetricReader
) -> None:
    """Counters with units; drops by reason; what waits."""
    handler = make_handler(upload_interval=60, before_send=lambda m: m if m["userId"] else None)
    handler.set_name("rudder")
    logger = wire(handler)
    observe(handler, MeterProvider([reader]).get_meter("tests"))
    plane.fail(503, times=None)
    for _ in range(3):
        logger.info("e", extra=EVENT)
    stats, found = handler.stats(), counts(reader)
    at = {"server.address": "127.0.0.1", "rudder_logging.handler": "rudder"}
    assert found["rudder_logging.queue.events"] == [(at, 3, "{event}")]
    assert found["rudder_logging.queue.size"] == [(at, stats.pending_bytes, "By")]
    assert "rudder_logging.events.dropped" not in found
    plane.heal()
    assert handler.flush()
    dropping = make_handler(send=False)
    observe(dropping, MeterProvider([InMemoryMetricReader()]).get_meter("others"))
    found = counts(reader)
    assert found["rudder_logging.events.accepted"] == [(at, 3, "{event}")]
    assert found["rudder_logging.events.delivered"] == [(at, 3, "{event}")]
    assert found["rudder_logging.queue.events"] == [(at, 0, "{event}")]
    assert found["rudder_logging.uploads"] == [(at, handler.stats().requests, "{request}")]
    assert found["rudder_logging.holding"] == [(at, 0, "{handler}")]


def test_drops_go_by_reason(
    make_handler: MakeHandler, wire: Wire, reader: InMemoryMetricReader
) -> None:
    """And alike handlers are added up; one observed twice counts once."""
    meter = MeterProvider([reader]).get_meter("tests")
    off = [make_handler(send=False) for _ in range(2)]
    small = make_handler(before_send=lambda _: None)
    for handler in (*off, *off, small):
        observe(handler, meter)
    wire(*off, small).info("e", extra=EVENT)
    found = sorted(
        (at["reason"], n) for at, n, _ in counts(reader)["rudder_logging.events.dropped"]
    )
    assert found == [("before_send", 1), ("send_off", 2)]


def test_a_hold_is_seen(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    reader: InMemoryMetricReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the number of handlers that hold events."""
    handler = make_handler(write_key="wrong")
    observe(handler, MeterProvider([reader]).get_meter("tests"))
    wire(handler).info("e", extra=EVENT)
    handler.flush(0.5)
    while handler.stats().holding is None:
        handler.flush(0.1)
    ((_, value, _),) = counts(reader)["rudder_logging.holding"]
    assert value == 1
    monkeypatch.setattr(plane, "write_key", "wrong")
    assert handler.flush()


def test_observed_handler_is_not_kept(plane: LocalDataPlane, reader: InMemoryMetricReader) -> None:
    """Who forgets it, forgets its metrics."""
    handler = RudderHandler("test-write-key", plane.url)
    observe(handler, MeterProvider([reader]).get_meter("tests"))
    del handler
    gc.collect()
    assert not any(counts(reader).values())


def test_counts_of_a_handler_that_is_gone_stay(
    wire: Wire, plane: LocalDataPlane, reader: InMemoryMetricReader
) -> None:
    """A counter never falls; of what waits, nothing is left."""
    handler = RudderHandler("test-write-key", plane.url, shutdown_timeout=60)
    observe(handler, MeterProvider([reader]).get_meter("tests"))
    logger = wire(handler)
    logger.info("e", extra=EVENT)
    handler.close()
    counts(reader)
    logger.removeHandler(handler)
    del handler
    gc.collect()
    found = counts(reader)
    assert [number for _, number, _ in found["rudder_logging.events.delivered"]] == [1]
    assert not found.get("rudder_logging.queue.events")


def test_without_a_handler_all_are_observed(
    make_handler: MakeHandler, wire: Wire, reader: InMemoryMetricReader
) -> None:
    """Those that come later, too; one that was named before counts once."""
    meter = MeterProvider([reader]).get_meter("tests")
    first = make_handler()
    first.set_name("first")
    observe(first, meter)
    observe(meter=meter)
    later = make_handler()
    later.set_name("later")
    wire(first, later).info("e", extra=EVENT)
    accepted = {
        attributes["rudder_logging.handler"]: number
        for attributes, number, _ in counts(reader)["rudder_logging.events.accepted"]
        if "rudder_logging.handler" in attributes
    }
    assert {name: accepted[name] for name in ("first", "later")} == {"first": 1, "later": 1}


@pytest.mark.slow
def test_example(plane: LocalDataPlane) -> None:
    """Rule 25: the guide's app, as a process: one span, its ids, and the ledger."""
    printed = run_example(plane, "examples/opentelemetry_app.py").stdout
    read, end = json.JSONDecoder().raw_decode(printed)
    (event,) = plane.events
    assert (f"0x{event['context']['traceId']}", f"0x{event['context']['spanId']}") == (
        read["context"]["trace_id"],
        read["context"]["span_id"],
    )
    assert read["name"] == "checkout"
    metrics = json.loads(printed[end:])["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    values = {metric["name"]: metric["data"]["data_points"] for metric in metrics}
    assert values["rudder_logging.events.delivered"][0]["value"] == 1
