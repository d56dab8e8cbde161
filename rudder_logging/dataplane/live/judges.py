"""What is said of an event beside the gateway's answer: by warehouses, and by a tracking plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...checks.plan import TrackingPlan
from ...checks.warehouse import EventNames, findings
from ...exceptions import ConfigError
from .entries import Judge

__all__ = ["judges"]


def judges(plan: TrackingPlan | None = None) -> list[Judge]:
    """Those that look at each event.

    Args:
        plan: What the events have to conform to, if to anything.
    """
    names = EventNames()

    def warehouse(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for words in findings(event):
            yield "warn", f"warehouse: {words}"
        if name := names.finding(event):
            yield "warn", f"warehouse: {name}"

    def tracking_plan(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        assert plan is not None  # noqa: S101 - for the type checker
        try:
            words: str | None = plan.verdict(event)
        except ConfigError as error:
            words = str(error)
        except RecursionError:
            words = "it is nested too deeply to be judged"
        if words:
            yield "plan", f"tracking plan: {words}"

    return [warehouse, tracking_plan] if plan else [warehouse]
