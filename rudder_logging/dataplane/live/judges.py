"""Checks of an event beside the gateway's own: a warehouse's, types, a plan's, personal data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...checks.drift import Types, place_of
from ...checks.personal_data import marks, place_of_mark
from ...checks.plan import TrackingPlan
from ...checks.warehouse import EventNames, findings
from ...exceptions import ConfigError
from .entries import Judge

__all__ = ["judges"]


def judges(plan: TrackingPlan | None = None) -> list[Judge]:
    """List the checks that look at each event.

    Args:
        plan: The plan to which events have to conform, if there is one.
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
            words: object = plan.verdict(event)
        except ConfigError as error:
            words = error
        except RecursionError:
            words = "it is nested too deeply to be judged"
        if words is not None:
            yield "plan", f"tracking plan: {words}"

    return [warehouse, _drifting(plan), _of_persons(), *([tracking_plan] if plan else [])]


_MOST_PLACES = 10_000


def _of_persons() -> Judge:
    """Tell each place once an event name: a web app's `context.ip` would be a remark each time."""
    told: set[tuple[str, str, str]] = set()

    def personal_data(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for mark in marks(event):
            name = "" if mark.path.startswith("context.") else str(event.get("event"))
            place = (name, place_of_mark(mark), mark.kind)
            if place not in told and len(told) < _MOST_PLACES:
                told.add(place)
                yield "warn", f"personal data: {mark} (told once)"

    return personal_data


def _drifting(plan: TrackingPlan | None) -> Judge:
    types = Types(plan)

    def drifting(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for drift in types.look_at(event, place_of(event)):
            if drift.is_new or drift.loses:  # what is well in this order is said once
                yield "warn", f"warehouse: {drift}"
        if words := types.full():
            yield "warn", f"warehouse: {words}"

    return drifting
