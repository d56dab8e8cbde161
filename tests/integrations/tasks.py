"""What tasks know of the user for whom they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.faults.stage import Stage

__all__ = ["check_users", "events_of_tasks"]

Event = tuple[str, dict[str, Any]]
"""What its task does, and the event."""


def events_of_tasks(stage: Stage) -> list[Event]:
    """All that have arrived, but those within a task's own `bind`."""
    return [
        (event["properties"]["what"], event)
        for event in stage.plane.events
        if not event["properties"].get("bound_within")
    ]


def check_users(events: Sequence[Event], known: set[str], nobody: set[str]) -> None:
    """Some tasks know the user, and the context that was bound with it; others know none."""
    assert {what for what, event in events if event.get("userId") == "u"} == known
    assert {what for what, event in events if "userId" not in event} == nobody
    assert {what for what, event in events if "locale" in event["context"]} == known
