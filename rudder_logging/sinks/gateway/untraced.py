"""Uploads without spans: OpenTelemetry's instrumentations of HTTP clients leave them alone."""

from __future__ import annotations

import contextlib
import sys

__all__ = ["untraced"]


def untraced() -> contextlib.AbstractContextManager[None]:
    """Have no instrumentation look at what is requested meanwhile, if the app has imported any.

    A span for each upload would say nothing about the app. It would stand in the trace of whoever
    happened to start the thread that sends.
    """
    utils = sys.modules.get("opentelemetry.instrumentation.utils")
    suppress = getattr(utils, "suppress_instrumentation", contextlib.nullcontext)
    return suppress()
