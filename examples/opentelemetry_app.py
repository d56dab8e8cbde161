"""A shop that is traced and measured by OpenTelemetry, which prints what it has at the end.

Run it: RUDDER_WRITE_KEY=... RUDDER_DATA_PLANE_URL=... python examples/opentelemetry_app.py
"""

from __future__ import annotations

import logging

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from rudder_logging import RudderHandler
from rudder_logging.integrations.opentelemetry import observe

spans, counts = TracerProvider(), PeriodicExportingMetricReader(ConsoleMetricExporter())
spans.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(spans)
metrics.set_meter_provider(MeterProvider([counts]))
RequestsInstrumentor().instrument()

handler = RudderHandler(trace_context=True)  # events have context.traceId and context.spanId
observe(handler)  # rudder_logging.events.delivered, rudder_logging.queue.events and so on

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(handler)

with trace.get_tracer("shop").start_as_current_span("checkout"):
    log.info("Order Completed", extra={"rudder": {"user_id": "42", "properties": {"items": 3}}})
handler.flush()
