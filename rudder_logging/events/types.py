"""Types of what an app gives, for editors and type checkers; a test holds them to the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, TypedDict
from uuid import UUID

__all__ = ["BoundFields", "CallFields", "Event", "Id", "MergeProperties", "Time", "Values"]

Id = str | int | UUID | None
Time = datetime | date | str | None
Values = Mapping[str, Any] | None
MergeProperties = Sequence[Mapping[str, Id]] | None


class Event(TypedDict, total=False):
    """An event, as `extra["rudder"]` takes it: names in snake_case or as on the wire, each once.

    Which of them an event type has, the guide `events` says.

    .. versionadded:: 0.1.0
    """

    type: Literal["identify", "track", "page", "screen", "group", "alias", "merge"] | None
    user_id: Id
    userId: Id
    anonymous_id: Id
    anonymousId: Id
    message_id: Id
    messageId: Id
    timestamp: Time
    context: Values
    integrations: Values
    event: str | None
    name: str | None
    category: str | None
    properties: Values
    traits: Values
    group_id: Id
    groupId: Id
    previous_id: Id
    previousId: Id
    merge_properties: MergeProperties
    mergeProperties: MergeProperties


class BoundFields(TypedDict, total=False):
    """The fields that `bind()` and `EventLogger` take.

    .. versionadded:: 0.1.0
    """

    user_id: Id
    anonymous_id: Id
    context: Values
    integrations: Values
    properties: Values


class CallFields(TypedDict, total=False):
    """Fields that all seven calls take by keyword; the functions that `codegen` writes pass it on.

    .. versionadded:: 0.1.0
    """

    user_id: Id
    anonymous_id: Id
    context: Values
    timestamp: Time
    integrations: Values
    message_id: Id
    on_commit: object
